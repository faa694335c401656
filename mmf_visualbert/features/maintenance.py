"""What `visualbert features` does with stores: merge, check, compare."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mmf_visualbert import unpickle
from mmf_visualbert.errors import InputError
from mmf_visualbert.features import records
from mmf_visualbert.features.conversion import Written
from mmf_visualbert.features.environments import data_file, key_text
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter
from mmf_visualbert.features.suspicions import suspicion


def merge(paths: Sequence[str], out: str | Path, dtype: str | None = None, progress: bool = False) -> Written:
    """Copies stores or shards of one detector into one file; of an image in two of them the first is taken.

    Raises:
        InputError: where the stores are of different detectors, or none says of which.
    """
    store = FeatureStore(paths)
    info = store.info
    if info is None:
        raise InputError(
            f"{paths[0]} does not say whose features it holds; say it first: visualbert features info {paths[0]} --set "
            "detector=NAME"
        )
    regions = max(one.regions for one in store.infos() if one is not None)
    count = repeated = 0
    with FeatureStoreWriter(out, StoreInfo(**{**asdict(info), "regions": regions}), dtype or info.dtype) as writer:
        for key in tqdm(store.keys(), total=len(store), unit="img", disable=not progress):
            if key in writer:
                repeated += 1
                continue
            writer.add(key, store.read(key))
            count += 1
    return Written(count, repeated=repeated)


def check(
    paths: Sequence[str], covers: Mapping[str, Sequence[str]] | None = None, progress: bool = False
) -> Iterator[str]:
    """Verifies every record, one phrase for each thing that is wrong.

    Checked are: shapes, finite numbers, boxes within the image, the record's own id, the dimension and number of
    regions that the store states, MMF's list of keys, keys that MMF's reader would confuse, that a record's two
    descriptions of itself agree, that features and boxes do not look like something else that was taken for them (a
    grid, numbers of another type, fractions), and that the images of given annotation files are there.

    Args:
        paths: the stores, read as one.
        covers: name of an annotation file -> the keys that it needs (`coverage.expected_keys`).
        progress: show a bar.
    """
    store = FeatureStore(paths)
    _ = store.info  # refuses stores of two detectors
    for path, info, file in zip(store.file_paths(), store.infos(), store.files, strict=True):
        names = []
        for name in tqdm(file.names(), desc=path, unit="img", disable=not progress):
            if name in records.RESERVED:
                continue
            names.append(name)
            key, raw = key_text(name, path), file.get(name)
            wrong = None if raw is None else _check_record(raw, key, info)
            if wrong:
                yield f"{path}, record '{key}' has {wrong}"
        yield from _check_keys(file.get(records.KEYS_RECORD), names, path)
    for annotations, keys in (covers or {}).items():
        missing = store.lacking(keys)
        if missing:
            yield f"{len(missing)} images of {annotations} are missing, the first is '{missing[0]}'"


def _check_record(raw: memoryview, key: str, info: StoreInfo | None) -> str | None:
    try:
        record = records.decode(raw, (key,), "it", check=False)
        wrong = records.problem(record)
        if wrong is None and records.is_ours(raw):
            wrong = _disagreement(record, records.from_mmf(unpickle.loads(raw, "it"), (key,), "it"))
    except InputError as error:
        return f"this: {error}"
    wrong = wrong or suspicion(record)
    if wrong or info is None:
        return wrong
    count, dimension = record.features.shape
    if dimension != info.dimension:
        return f"features of dimension {dimension} where the store states {info.dimension}"
    if count > info.regions:
        return f"{count} regions where the store states at most {info.regions}"
    if str(record.features.dtype) != info.dtype:
        return f"features of type {record.features.dtype} where the store states {info.dtype}"
    return None


def _disagreement(fast: RegionRecord, pickled: RegionRecord) -> str | None:
    for name, left, right in zip(RegionRecord._fields, fast, pickled, strict=True):
        same = left is None and right is None
        if not same and (left is None or right is None or not np.array_equal(left, right)):
            return f"another {name} in its header than in its pickle"
    return None


def _check_keys(raw: memoryview | None, names: list[bytes], path: str) -> Iterator[str]:
    if raw is None:
        yield f"{path} has no list of keys, so that MMF cannot read it; build it again"
    else:
        listed = unpickle.loads(raw, f"{path}, record 'keys'")
        if not isinstance(listed, list) or not all(isinstance(name, bytes) for name in listed):
            yield f"{path} has a list of keys that is none, so that MMF cannot read it; build it again"
        elif sorted(listed) != names:
            yield f"{path} lists {len(listed)} keys and holds {len(names)} other or more records; build it again"
    try:
        records.check_keys(name.decode() for name in names)
    except InputError as error:
        yield f"{path}: {error}"


class Agreement(NamedTuple):
    """How far two stores agree on the images that both have.

    Attributes:
        images: number of images in both.
        matched: share of the first store's regions for which the second has a box with IoU of at least 0.9.
        median_cosine: cosine of the features of matched regions, median.
        low_cosine: the same, 5th percentile.
    """

    images: int
    matched: float
    median_cosine: float
    low_cosine: float


def compare(path: str, other: str, limit: int | None = None) -> Agreement:
    """Compares features that were extracted again with published ones, box by box.

    Raises:
        InputError: where they have no image in common, other dimensions, or no boxes.
    """
    import torch  # the other commands of stores do without

    from mmf_visualbert.modules.boxes import pairwise_iou

    store, reference = FeatureStore(path), FeatureStore(other)
    there = reference.sizes(store.keys())
    common = [key for key in store.keys() if key in there][:limit]
    if not common:
        raise InputError(f"{path} and {other} have no image in common; check the names of their keys")
    regions = 0
    cosines: list[np.ndarray] = []
    for key in common:
        ours, theirs = store.read(key), reference.read(key)
        if ours.boxes is None or theirs.boxes is None:
            raise InputError(f"the image '{key}' has no boxes in {path} or {other}, so that regions cannot be matched")
        if ours.features.shape[1] != theirs.features.shape[1]:
            raise InputError(f"{path} and {other} have features of different dimensions; they are of two detectors")
        overlap = pairwise_iou(torch.tensor(ours.boxes), torch.tensor(theirs.boxes)).numpy()
        best = overlap.argmax(1)
        good = overlap[np.arange(len(best)), best] >= 0.9
        regions += len(best)
        cosines.append(_cosine(ours.features[good], theirs.features[best[good]]))
    together = np.concatenate(cosines)
    if not len(together):
        return Agreement(len(common), 0.0, float("nan"), float("nan"))
    low, median = np.percentile(together, [5, 50])
    return Agreement(len(common), len(together) / regions, float(median), float(low))


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    left, right = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(1) / np.maximum(lengths, 1e-12)


def size_on_disk(path: str) -> int:
    """Bytes that a store takes."""
    return os.stat(data_file(path)).st_size
