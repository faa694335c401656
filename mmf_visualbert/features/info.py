"""What a feature store says about itself: whose features these are."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import Schema

FORMAT_VERSION = 1
DTYPES = ("float16", "float32")
_VALUES: Schema[dict[str, Any]] = Schema(dict[str, Any], "build it again")


@dataclass(frozen=True)
class StoreInfo:
    """Where the features of one store come from. Features of two detectors are two languages: one pre-training each.

    Attributes:
        detector: name of the preset or of the detector's config, e.g. `pythia_x152`.
        dimension: D, the length of a region's feature vector.
        regions: the most regions an image may have.
        layer: the layer whose output the features are, e.g. `fc6`.
        weights: name of the weights' file.
        weights_hash: sha256 of that file, its first 16 hexadecimal digits.
        selection: how regions were chosen, in words, e.g. `score, 10 to 100, nms 0.5`.
        dtype: `float16` or `float32`, as stored.
        version: version of the store's format.
    """

    detector: str
    dimension: int
    regions: int
    layer: str = ""
    weights: str = ""
    weights_hash: str = ""
    selection: str = ""
    dtype: str = "float16"
    version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for field in fields(self):
            value, wanted = getattr(self, field.name), field.type if isinstance(field.type, type) else str
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise InputError(f"a store's '{field.name}' has to be of type {wanted.__name__}, not {value!r}")
        if self.dimension < 1 or self.regions < 1:
            raise InputError(f"a store has at least 1 region of 1 number, not {self.regions} of {self.dimension}")
        if self.dtype not in DTYPES:
            raise InputError(f"a store's dtype is one of {', '.join(DTYPES)}, not '{self.dtype}'")

    def mismatches(self, expected: Mapping[str, Any]) -> list[str]:
        """One phrase for every field that is not as expected; a value of None expects nothing.

        Raises:
            InputError: for a name that is not a field.
        """
        known = {field.name for field in fields(self)}
        unknown = sorted(set(expected) - known)
        if unknown:
            raise InputError(f"'{unknown[0]}' is nothing a feature store states; it states {', '.join(sorted(known))}")
        found = asdict(self)
        return [
            f"its {name} is {found[name]!r} where {value!r} is expected"
            for name, value in expected.items()
            if value is not None and found[name] != value
        ]

    def require(self, **expected: Any) -> None:
        """Refuses a store that is not what a config expects.

        Raises:
            InputError: naming every field that differs.
        """
        wrong = self.mismatches(expected)
        if wrong:
            raise InputError(
                f"the features of '{self.detector}' do not fit: {'; '.join(wrong)}; "
                "name the store made for this config, or change what the config expects"
            )

    def to_json(self) -> bytes:
        """The record as it is kept in the store."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, raw: bytes, where: str) -> "StoreInfo":
        """Reads what `to_json` wrote; `where` names the store in messages.

        Raises:
            InputError: where it is not readable, or of a newer version than this package knows.
        """
        values = _VALUES.decode(raw, f"{where}, its description of itself")
        version = values.get("version")
        if not isinstance(version, int):
            raise InputError(f"{where} has a damaged description of itself; build it again")
        if version > FORMAT_VERSION:
            raise InputError(
                f"{where} is written in version {version} of the store's format and this package reads up to "
                f"{FORMAT_VERSION}; update mmf_visualbert"
            )
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{name: value for name, value in values.items() if name in known})
        except TypeError:
            raise InputError(f"{where} has an incomplete description of itself; build it again") from None
