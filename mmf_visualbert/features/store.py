"""The store of region features: an LMDB file that MMF's `LMDBFeatureReader` reads too, and that ours reads faster."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.environments import OpenFile, key_text, open_file
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.writer import FeatureStoreWriter
from mmf_visualbert.files import no_garbage_collection

__all__ = ["FeatureStore", "FeatureStoreWriter", "RegionRecord", "StoreInfo"]


class FeatureStore:
    """Reads region features by the image's key: its file name without extension, relative to its folder.

    A path names an LMDB file, a folder with a `data.mdb` as MMF's scripts make it, or a folder of shards
    (`shard-00000-of-00008.lmdb`, ...), which are read as one. Several stores are searched in their order. Files are
    opened at the first read, once a process; a store can be pickled, and used on both sides of a fork.

    Args:
        paths: one path or several.
        bare_numbers: also look up the number after a key's last underscore, as MMF's reader does, where the key
            itself is not there. Off by default: `train_7` and `val_7` would both be given the record `7`.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path], bare_numbers: bool = False) -> None:
        several = [paths] if isinstance(paths, str | Path) else list(paths)
        if not several:
            raise InputError("no feature store is named; give at least one path")
        self.paths = [str(path) for path in several]
        self.bare_numbers = bare_numbers
        self._files: list[OpenFile] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "bare_numbers": self.bare_numbers, "_files": None}

    def __repr__(self) -> str:
        return f"FeatureStore({', '.join(self.paths)})"

    @property
    def files(self) -> list[OpenFile]:
        """The LMDB files behind `paths`, opened."""
        if self._files is None:
            self._files = [open_file(file) for path in self.paths for file in shard_files(path)]
        return self._files

    def __contains__(self, key: str) -> bool:
        """Whether there is a record for the image; its bytes are not touched."""
        return any(file.has(_name(name)) for name in self._names(key) for file in self.files)

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Bytes of the records of those images that have one, which are not touched; many are looked up at once."""
        keys = list(keys)
        sizes = self._sizes({key: _name(key) for key in keys})
        if self.bare_numbers:
            numbers = {key: self._names(key)[-1] for key in keys if key not in sizes}
            sizes |= self._sizes({key: _name(number) for key, number in numbers.items()})
        return sizes

    @no_garbage_collection()
    def _sizes(self, names: Mapping[str, bytes]) -> dict[str, int]:
        wanted = set(names.values()).difference(records.RESERVED)
        found: dict[bytes, int] = {}
        for file in reversed(self.files):  # the first that has a record is taken
            found.update(file.sizes_of(wanted))
        return {key: found[name] for key, name in names.items() if name in found}

    def lacking(self, keys: Iterable[str]) -> list[str]:
        """Those of the images that have no record, in their order, each once."""
        asked = dict.fromkeys(keys)
        there = self.sizes(asked)
        return [key for key in asked if key not in there]

    def __len__(self) -> int:
        """Number of records in all stores; an image that two stores hold counts twice."""
        return sum(len(file) - sum(file.has(name) for name in records.RESERVED) for file in self.files)

    def keys(self) -> Iterator[str]:
        """Every record's key, store by store, in LMDB's order; an image that two stores hold comes twice."""
        for file in self.files:
            for name in file.names():
                if name not in records.RESERVED:
                    yield key_text(name, file.path)

    @property
    def info(self) -> StoreInfo | None:
        """What the first store says about itself; None for a store that says nothing (MMF's own).

        Raises:
            InputError: where the stores say different things about their detector, layer or dimension.
        """
        stated = self.infos()
        first = stated[0]
        for other, path in zip(stated[1:], self.file_paths()[1:], strict=True):
            if first is None or other is None:
                continue
            same = {name: getattr(first, name) for name in ("detector", "layer", "dimension", "weights_hash")}
            if wrong := other.mismatches(same):
                raise InputError(
                    f"{path} and {self.file_paths()[0]} cannot be read as one: {'; '.join(wrong)}; "
                    "take the features of one detector"
                )
        return first

    def infos(self) -> list[StoreInfo | None]:
        """What each file says about itself, in order."""
        raw = [(file.path, file.get(records.INFO_RECORD)) for file in self.files]
        return [None if value is None else StoreInfo.from_json(bytes(value), path) for path, value in raw]

    def file_paths(self) -> list[str]:
        """Paths of the LMDB files, in order."""
        return [file.path for file in self.files]

    def require(self, **expected: Any) -> None:
        """Refuses stores that are not what a config expects, before training.

        Args:
            expected: fields of `StoreInfo`, e.g. `detector="pythia_x152", dimension=2048, regions=100`.

        Raises:
            InputError: naming the store and every field that differs.
        """
        wanted = {name: value for name, value in expected.items() if value is not None}
        for path, info in zip(self.file_paths(), self.infos(), strict=True):
            if info is not None:
                try:
                    info.require(**wanted)
                except InputError as error:
                    raise InputError(f"{path}: {error}") from None
            elif wanted:
                stated = " ".join(f"{name}={value}" for name, value in wanted.items())
                raise InputError(
                    f"{path} does not say whose features it holds and {stated} is expected; if you know that it fits, "
                    f"write that into it: visualbert features info {path} --set {stated}"
                )

    def read(self, key: str) -> RegionRecord:
        """The regions of one image.

        Arrays of a store that ours wrote are read-only views of the file: copy what you change.

        Raises:
            InputError: where no store has the image, or the record is damaged or another image's.
        """
        name, raw, path = self._find(key)
        return records.decode(raw, (key, name.decode("utf-8", "replace")), _where(path, name))

    def read_into(self, key: str, out: np.ndarray | Callable[[np.dtype], np.ndarray], cut: bool = False) -> int:
        """Copies an image's features into a batch, once, and fills the rest of `out` with zeros.

        Args:
            key: of the image.
            out: (R, D) float16 or float32; converted where the store's type differs. Or a function that gives it for
                the type in which the features are stored.
            cut: take the first R regions where the image has more; otherwise that is refused.

        Returns:
            The number of regions now in `out`.

        Raises:
            InputError: as `read`; also where the dimension differs, or there are more regions than R without `cut`.
        """
        name, raw, path = self._find(key)
        kind = records.stored_type(raw)
        if kind is not None:
            out = out(kind) if callable(out) else out
            count = records.copy_usual(raw, name, out)
            if count >= 0:
                return count
        where = _where(path, name)
        features = records.decode(raw, (key, name.decode("utf-8", "replace")), where).features
        out = out(features.dtype) if callable(out) else out
        count = len(features)
        if features.ndim != 2:
            raise InputError(f"{where} has features of shape {features.shape}, not (regions, numbers); build it again")
        if features.shape[1] != out.shape[1]:
            raise InputError(
                f"{where} has features of dimension {features.shape[1]} and {out.shape[1]} is expected; "
                "name the store of the detector that the config expects"
            )
        if count > len(out):
            if not cut:
                raise InputError(f"{where} has {count} regions and room is for {len(out)}; raise max_regions")
            count = len(out)
        out[:count] = features[:count]
        out[count:] = 0
        return count

    def _names(self, key: str) -> list[str]:
        number = records.trailing_number(key) if self.bare_numbers else None
        return [key] if number is None or str(number) == key else [key, str(number)]

    def _find(self, key: str) -> tuple[bytes, memoryview, str]:
        files = self._files or self.files
        for name in self._names(key) if self.bare_numbers else (key,):
            encoded = _name(name)
            if encoded in records.RESERVED or not encoded:
                break
            for file in files:
                raw = file.get(encoded)
                if raw is not None:
                    return encoded, raw, file.path
        raise InputError(f"{' and '.join(self.paths)} have no features of the image '{key}'; {self._mend(key)}")

    def _mend(self, key: str) -> str:
        number = records.trailing_number(key)
        if number is not None and any(file.has(_name(str(number))) for file in self.files):
            return f"there is a record '{number}': if it is this image's, read the store with bare_numbers"
        return "extract them, or name the store that has them"


def _name(key: str) -> bytes:
    """The name of an image's record; of a key with half a character one that no store has."""
    try:
        return key.encode()
    except UnicodeEncodeError:
        return key.encode("utf-8", "surrogatepass")


def _where(path: str, name: bytes) -> str:
    return f"{path}, record '{name.decode('utf-8', 'replace')}'"


def shard_files(path: str) -> list[str]:
    """The LMDB stores behind one path: itself, or every shard of a folder of shards.

    Raises:
        InputError: where a shard is missing or not finished.
    """
    folder = Path(path)
    if not folder.is_dir() or (folder / "data.mdb").is_file():
        return [path]
    shards = sorted(folder.glob("shard-*-of-*.lmdb"))
    if not shards:
        raise InputError(f"the folder {path} holds no feature store: neither data.mdb nor shard-*-of-*.lmdb")
    try:
        total = int(shards[0].stem.split("-")[3])
    except (IndexError, ValueError):
        raise InputError(f"{shards[0]} is not named like shard-00000-of-00008.lmdb; rename it") from None
    wanted = [folder / shard_name(index, total) for index in range(total)]
    missing = [file.name for file in wanted if not file.exists()]
    extra = [file.name for file in shards if file not in wanted]
    if missing:
        raise InputError(f"{path} lacks {missing[0]} of {total} shards; run that shard to its end")
    if extra:
        raise InputError(f"{path} holds {extra[0]} beside {total} shards of another run; remove one of the two runs")
    return [str(file) for file in wanted]


def shard_name(index: int, total: int) -> str:
    """File name of shard `index` of `total`, counted from 0."""
    return f"shard-{index:05d}-of-{total:05d}.lmdb"
