"""Features of another format, written into a store, with a report of what they were taken for."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import converters, records
from mmf_visualbert.features.converters import Image, KeyPattern, Reading
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.interpretation import Sizes, interpret
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.sizes import image_sizes
from mmf_visualbert.features.writer import FeatureStoreWriter
from mmf_visualbert.files import write_json


class Written(NamedTuple):
    """How many images were written, how many of them have no boxes, and how many came twice and were left out."""

    images: int
    without_boxes: int = 0
    repeated: int = 0


class Skipped(NamedTuple):
    """An image that was passed over: its id in the source, and what is wrong with it."""

    id: str
    problem: str


class Converted(NamedTuple):
    """What a conversion did.

    Attributes:
        written: how many images.
        taken: what the source was taken for -> of how many images.
        skipped: images that are not in the store.
    """

    written: Written
    taken: dict[str, int]
    skipped: list[Skipped]

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        lines = [f"taken for: {note} ({count} images)" for note, count in self.taken.items()]
        lines += [f"passed over: {one.problem}" for one in self.skipped[:5]]
        if len(self.skipped) > 5:
            lines.append(f"and {len(self.skipped) - 5} more")
        return lines


@dataclass(frozen=True)
class Conversion:
    """How a source is converted.

    Attributes:
        form: one of `converters.FORMATS`.
        about: what the store says about itself, at least `detector`; dimension and regions are counted.
        dtype: `float16` or `float32`, as stored.
        keys: pattern of the images' keys, see `converters.KeyPattern`.
        sizes: COCO-like annotations with the images' widths and heights, for formats whose boxes are fractions.
        reading: what the source does not say of itself.
        skip_broken: so many images may be passed over, with which something is wrong.
    """

    form: str
    about: Mapping[str, Any]
    dtype: str = "float16"
    keys: str = "{id}"
    sizes: str | None = None
    reading: Reading = field(default_factory=Reading)
    skip_broken: int = 0


def convert(source: str, out: str | Path, settings: Conversion, progress: bool = False) -> Converted:
    """Writes the features of another format into a store, and a report beside it, `out` + `.report.json`.

    Args:
        source: file or folder in that format.
        out: path of the store.
        settings: how it is read.
        progress: show a bar.

    Raises:
        InputError: for a source that cannot be read or written, and for an image with which something is wrong where as
            many were passed over as may be; nothing is left then.
    """
    run = _Run(out, settings)
    with run.writing:
        for image in tqdm(
            converters.FORMATS[settings.form](source, settings.reading), unit="img", disable=not progress
        ):
            run.take(image)
        if run.writer is None:
            raise InputError(
                f"{source} holds no features{' that are whole' if run.skipped else ''}; check the path and --from"
            )
    converted = Converted(Written(run.images, run.without_boxes), dict(run.taken), run.skipped)
    write_json(
        f"{out}.report.json",
        {
            "source": str(source),
            "form": settings.form,
            **converted.written._asdict(),
            "taken_for": converted.taken,
            "skipped": [one._asdict() for one in converted.skipped],
        },
    )
    return converted


class _Run:
    """One conversion as it goes on. The first image that can be used begins the store, and says its dimension."""

    def __init__(self, out: str | Path, settings: Conversion) -> None:
        self.out, self.settings = out, settings
        self.pattern = KeyPattern(settings.keys)
        self.sizes: Sizes | None = None if settings.sizes is None else image_sizes(settings.sizes)
        self.writing = ExitStack()
        self.writer: FeatureStoreWriter | None = None
        self.images = self.without_boxes = 0
        self.taken: Counter[str] = Counter()
        self.skipped: list[Skipped] = []

    def take(self, image: Image) -> None:
        """Reads and writes one image, or passes it over where something is wrong with it.

        Raises:
            InputError: where no more may be passed over, or the store cannot be written.
        """
        try:
            key, record, notes = self._read(image)
        except InputError as error:
            self._skip(image, error)
            return
        self._begun(record).add(key, record)
        self.images += 1
        self.without_boxes += record.boxes is None
        self.taken.update(notes)

    def _read(self, image: Image) -> tuple[str, RegionRecord, tuple[str, ...]]:
        key = self.pattern(image.identity)
        records.check_key(key)
        record, notes, _ = interpret(image.read(), key, image.where, self.settings.reading, self.sizes)
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused as not finite
            record = record._replace(features=record.features.astype(self.settings.dtype, copy=False))
        wrong = records.problem(record)
        if wrong is None:
            writer = self._begun(record)
            wrong = writer.problem(record)
        if wrong is not None:
            raise InputError(f"{image.where} has {wrong}; get or make its features again")
        if key in writer:
            raise InputError(f"{image.where} is a second image of the key '{key}'; leave one of the two out")
        return key, record, notes

    def _begun(self, record: RegionRecord) -> FeatureStoreWriter:
        if self.writer is None:
            regions, dimension = record.features.shape
            info = StoreInfo(**{**self.settings.about, "dimension": dimension, "regions": regions})
            self.writer = self.writing.enter_context(
                FeatureStoreWriter(self.out, info, self.settings.dtype, open_ended=True)
            )
        return self.writer

    def _skip(self, image: Image, error: InputError) -> None:
        self.skipped.append(Skipped(image.identity, str(error)))
        allowed = self.settings.skip_broken
        if len(self.skipped) <= allowed:
            return
        if not allowed:
            # what an option of this command settles is settled by it
            other = "" if "--" in str(error) else ", or go on without it: --skip-broken N passes over N such images"
            raise InputError(f"{error}{other}") from error
        raise InputError(
            f"{error}; by now {len(self.skipped)} images cannot be used, and --skip-broken {allowed} passes over no "
            "more"
        ) from error
