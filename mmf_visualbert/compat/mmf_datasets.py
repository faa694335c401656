"""Faults of MMF's own datasets."""

import functools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.probes import mentions, text_of
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


def predict_entailment(dataset: ModuleType) -> str | None:
    """SNLI-VE's predictions: rc10 takes VQA's, and fails at answers that there are not; main writes none.

    Can go when MMF writes labels.
    """
    cls = dataset.VisualEntailmentDataset
    if mentions(cls.format_for_prediction, "scores") and "format_for_prediction" in vars(cls):
        return None
    names = {number: name for name, number in dataset.LABEL_TO_INT_MAPPING.items()}

    def format_for_prediction(self: Any, report: Any) -> list[dict[str, Any]]:
        """Pair, image, label and its probability of each sample; `scores` (B, 3)."""
        probabilities, labels = report["scores"].detach().float().softmax(-1).max(-1)
        entries = []
        for index, label, sure in zip(report["id"].tolist(), labels.tolist(), probabilities.tolist(), strict=True):
            record = self.annotation_db[index]
            about = {"id": record.get("pairID", index), "image": record["Flikr30kID"]}
            entries.append({**about, "label": names[label], "probability": sure})
        return entries

    replace(cls, load_item=numbered(cls.load_item), format_for_prediction=format_for_prediction)
    return "MMF would write no predictions of visual entailment"


def predict_genres(dataset: ModuleType) -> str | None:
    """MM-IMDb's predictions: there are none in rc10 and main. Can go when MMF writes genres."""
    classes = [cls for name, cls in vars(dataset).items() if name.startswith("MMIMDb")]
    lacking = [cls for cls in classes if "format_for_prediction" not in vars(cls)]
    for cls in lacking:
        replace(cls, __getitem__=numbered(cls.__getitem__), format_for_prediction=format_genres)
    return "MMF would write no predictions of films' genres" if lacking else None


def format_genres(self: Any, report: Any) -> list[dict[str, Any]]:
    """Film and genres, those of a probability of a half or more, of each sample; `scores` (B, genres) logits."""
    entries = []
    for index, row in zip(report["id"].tolist(), report["scores"].detach(), strict=True):
        found = map(self.answer_processor.idx2word, torch.nonzero(row >= 0).flatten().tolist())
        genres = [name for name in found if not name.startswith("<")]
        entries.append({"id": self.annotation_db[index].get("id", index), "genres": genres})
    return entries


def numbered(read: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """What reads a sample, with the sample's number as its `id` (), by which predictions find their record."""

    @functools.wraps(read)
    def read_numbered(self: Any, index: int) -> Any:
        sample = read(self, index)
        sample["id"] = torch.tensor(index)
        return sample

    return read_numbered
