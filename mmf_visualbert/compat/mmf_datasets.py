"""Faults of MMF's own datasets."""

import os
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace


def restore_imdb(mmf_dataset: ModuleType) -> str | None:
    """`self.imdb` (MMF rc10's captions): renamed to `annotation_db` where it is made, and not where it is read.

    Masked language modeling on COCO's mismatched captions, Conceptual Captions and SBU needs it. Can go with rc10.
    """
    dataset = mmf_dataset.MMFDataset
    reads = text_of("mmf", "datasets/builders/coco/masked_dataset.py")
    if "self.imdb" not in reads or hasattr(dataset, "imdb"):
        return None
    replace(dataset, imdb=property(lambda self: self.annotation_db))
    return "MMF's captions would not find their annotations"


class SharedLmdb:
    """`lmdb` as MMF's reader of features sees it: all of it, with an `open` that gives an open file again."""

    def __init__(self, lmdb: ModuleType) -> None:
        self._lmdb = lmdb
        self._open: dict[tuple[int, str], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lmdb, name)

    def open(self, path: str, **options: Any) -> Any:
        """The environment of a file, the same for all readers of a process."""
        key = (os.getpid(), os.path.realpath(path))
        if key not in self._open:
            self._open[key] = self._lmdb.open(path, **options)
        return self._open[key]


def share_open_features(feature_readers: ModuleType) -> str | None:
    """`LMDBFeatureReader` (MMF rc10 and main) opens its file anew for each split; lmdb 1.5 and later refuse that.

    Without workers, train and val of one file are then one error. Can go when MMF shares them.
    """
    if isinstance(feature_readers.lmdb, SharedLmdb):
        return None
    replace(feature_readers, lmdb=SharedLmdb(feature_readers.lmdb))
    return "MMF would open a file of features once a split, which lmdb refuses"
