"""Features of images, written to a store: in batches, decoded in workers, going on where an earlier run was killed."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.detector import Built, Detector, Regions
from mmf_visualbert.features.extraction.given_boxes import GivenBoxes, check_boxes
from mmf_visualbert.features.extraction.images import (
    ImageFile,
    Size,
    image_size,
    plan_batches,
    read_image,
    resize,
    resized,
)
from mmf_visualbert.features.extraction.presets import DetectorPreset
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.files import read_json, write_json

Item = TypeVar("Item")


class Failure(NamedTuple):
    """An image that is not in the store, and why."""

    key: str
    path: str
    problem: str


class Report(NamedTuple):
    """What an extraction did.

    Attributes:
        images: number of images asked for.
        stored: number in the store, those of earlier runs included.
        extracted: number made by this run.
        seconds: this run took, models not built.
        failures: images that are not in the store.
        whole: keys of the images in which this run's detector found nothing, so that the whole image is their region.
    """

    images: int
    stored: int
    extracted: int
    seconds: float
    failures: list[Failure]
    whole: list[str] = []  # noqa: RUF012  # never changed

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        content = self._asdict() | {"failures": [failure._asdict() for failure in self.failures]}
        write_json(path, content, indent=1)


@dataclass(frozen=True)
class Preparation:
    """How an image is made ready for a detector: see `DetectorPreset` for the fields.

    Attributes:
        boxes: where boxes come from that are given; None where the detector proposes them.
    """

    shortest: int
    longest: int
    resize: str
    whole_image: bool = False
    boxes: GivenBoxes | None = None

    def __call__(self, file: ImageFile) -> "Prepared":
        """Reads and resizes an image; raises InputError where it, or its boxes, cannot be used."""
        image = read_image(file.path)
        original = Size(image.shape[1], image.shape[0])
        boxes = None if self.boxes is None else self._checked(self.boxes(file), f"the image '{file.key}'", original)
        size = resized(
            original, self.shortest, self.longest
        )  # as planned, unless a PNG's EXIF stands behind its pixels
        return Prepared(file, original, resize(image, size, self.resize), boxes)

    def _checked(self, boxes: np.ndarray, where: str, size: Size) -> np.ndarray:
        check_boxes(boxes, size, where)
        boxes = boxes.clip(0, [*size, *size]).astype(np.float32)
        if self.whole_image:
            boxes = np.concatenate([np.array([[0, 0, *size]], np.float32), boxes])
        return boxes


class Prepared(NamedTuple):
    """An image ready for a detector.

    Attributes:
        file: which one.
        size: of the image as it is.
        image: (3, h, w), BGR, resized.
        boxes: (N, 4) float32 in pixels of the image as it is, or None.
    """

    file: ImageFile
    size: Size
    image: Tensor
    boxes: np.ndarray | None


class PreparedBatch(NamedTuple):
    """Images of one size, and those that could not be read."""

    images: list[Prepared]
    failures: list[Failure]


class BatchReader(Dataset):
    """Reads planned batches; made for the workers of a DataLoader with `batch_size=None`."""

    def __init__(self, plan: Sequence[Sequence[tuple[ImageFile, Size]]], prepare: Preparation) -> None:
        self.plan, self.prepare = plan, prepare

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: int) -> PreparedBatch:
        images, failures = [], []
        for file, _ in self.plan[index]:
            try:
                images.append(self.prepare(file))
            except InputError as error:
                failures.append(Failure(*file, str(error)))
        return PreparedBatch(images, failures)


def store_info(preset: DetectorPreset, built: Built, dtype: str) -> StoreInfo:
    """What the store will say about its features."""
    selection = str(preset.selection)
    if preset.given_boxes:
        selection = "given boxes, the whole image first" if preset.whole_image else "given boxes"
    if built.detector.precision != "fp32":
        selection += f", computed in {built.detector.precision}"
    return StoreInfo(
        detector=preset.detector,
        dimension=built.detector.dimension,
        regions=preset.selection.most + preset.whole_image,
        layer=preset.layer,
        weights=built.weights,
        weights_hash=built.weights_hash,
        selection=selection,
        dtype=dtype,
    )


def extract(
    files: Sequence[ImageFile],
    out: str | Path,
    preset: DetectorPreset,
    built: Built,
    boxes: GivenBoxes | None = None,
    *,
    batch_size: int = 8,
    workers: int = 2,
    dtype: str = "float16",
    strict: bool = False,
    progress: bool = True,
    commit_seconds: float = 20.0,
) -> Report:
    """Extracts the features of images into the store `out`; goes on where an earlier run was killed.

    Args:
        files: the images.
        out: path of the store. A report is written beside it, `out` + `.report.json`.
        preset: how images are prepared, and what the store says.
        built: the detector of that preset.
        boxes: given boxes; needed where the preset says so.
        batch_size: most images a batch; images of a batch have one size.
        workers: processes that read images.
        dtype: `float16` or `float32`, as stored.
        strict: stop at the first image that cannot be used, instead of noting it in the report.
        progress: show a bar with images a second and the time left.
        commit_seconds: how often finished images are brought to the disk; more are made again after a kill.

    Raises:
        InputError: where `out` is finished with other images, or left from a run with other settings, or no image could
            be used, or the disk is full; with `strict` for the first image that cannot be used.
    """
    if preset.given_boxes and boxes is None:
        raise InputError(f"the detector '{preset.detector}' takes given boxes; name them with --boxes")
    if boxes is not None and not preset.given_boxes:
        preset = preset.changed(given_boxes=True)
    started = time.monotonic()
    info = store_info(preset, built, dtype)
    if Path(out).exists():
        return _finished(files, Path(out), info)
    run = _Run(files, preset, built.detector, boxes, strict)
    with FeatureStoreWriter(out, info, dtype, resume=True) as writer:
        run.refuse_unwanted(writer)
        todo = [batch for batch in run.plan(batch_size) if any(file.key not in writer for file, _ in batch)]
        run.work(writer, todo, workers, progress, commit_seconds)
        stored = sum(1 for _ in writer.keys())
        report = Report(len(files), stored, run.extracted, time.monotonic() - started, run.failures, run.whole)
        report.save(Path(f"{out}.report.json"))
        if not stored:
            raise InputError(f"none of the {len(files)} images could be used; {out}.report.json says why")
    return report


class _Run:
    """One run over a set of images."""

    def __init__(
        self,
        files: Sequence[ImageFile],
        preset: DetectorPreset,
        detector: Detector,
        boxes: GivenBoxes | None,
        strict: bool,
    ) -> None:
        self.files, self.detector, self.strict = files, detector, strict
        self.prepare = Preparation(preset.shortest, preset.longest, preset.resize, preset.whole_image, boxes)
        self.failures: list[Failure] = []
        self.whole: list[str] = []
        self.extracted = 0

    def refuse_unwanted(self, writer: FeatureStoreWriter) -> None:
        """Refuses what an earlier run left of images that are not asked for now."""
        wanted = {file.key for file in self.files}
        for key in writer.keys():
            if key not in wanted:
                raise InputError(
                    f"{writer.partial} is left from a run with the image '{key}', which is not among these images; "
                    "remove it, or give the same images"
                )

    def plan(self, batch_size: int) -> list[list[tuple[ImageFile, Size]]]:
        """Batches of all images whose size can be read, the same in every run."""
        good, sizes = [], []
        with ThreadPoolExecutor(8) as pool:
            for file, found in zip(self.files, pool.map(_size_or_problem, self.files), strict=True):
                if isinstance(found, str):
                    self.fail(Failure(*file, found))
                else:
                    good.append(file)
                    sizes.append(resized(found, self.prepare.shortest, self.prepare.longest))
        return plan_batches(good, sizes, batch_size)

    def work(
        self,
        writer: FeatureStoreWriter,
        todo: list[list[tuple[ImageFile, Size]]],
        workers: int,
        progress: bool,
        commit_seconds: float,
    ) -> None:
        """Extracts and writes batches. A batch that was half written is made again, so that it is made the same."""
        remaining = sum(len(batch) for batch in todo)
        committed = time.monotonic()
        with tqdm(total=remaining, unit="img", disable=not progress, smoothing=0.05) as bar:
            for batch in self._batches(todo, workers):
                for failure in batch.failures:
                    self.fail(failure)
                for prepared, regions in zip(batch.images, self._detect(batch.images), strict=True):
                    self._store(writer, prepared, regions)
                bar.update(len(batch.images) + len(batch.failures))
                if time.monotonic() - committed > commit_seconds:
                    writer.commit()
                    committed = time.monotonic()

    def fail(self, failure: Failure) -> None:
        """Notes an image that cannot be used, or stops where the run is strict."""
        if self.strict:
            raise InputError(f"{failure.problem} (image '{failure.key}'; without --strict it is left out and reported)")
        self.failures.append(failure)

    def _batches(self, todo: list[list[tuple[ImageFile, Size]]], workers: int) -> Iterator[PreparedBatch]:
        reader = BatchReader(todo, self.prepare)
        # workers are spared the model: fork copies no memory until it is written to, and they never touch it
        return iter(DataLoader(reader, batch_size=None, num_workers=min(workers, len(todo)), collate_fn=_as_it_is))

    def _detect(self, images: list[Prepared]) -> list[Regions]:
        if not images:
            return []
        given = None
        if self.prepare.boxes is not None:
            given = [torch.from_numpy(one.boxes * _scale(one)) for one in images]
        try:
            return self.detector([one.image for one in images], given)
        except torch.OutOfMemoryError:
            raise InputError(f"a batch of {len(images)} images does not fit the GPU; lower --batch-size") from None

    def _store(self, writer: FeatureStoreWriter, prepared: Prepared, regions: Regions) -> None:
        key = prepared.file.key
        if key in writer:
            return
        if not len(regions.features):
            height, width = prepared.image.shape[1:]
            (regions,) = self.detector([prepared.image], [torch.tensor([[0.0, 0.0, width, height]])])
            self.whole.append(key)
        record = to_record(prepared, regions)
        wrong = writer.problem(record)
        if wrong is not None:
            self.fail(Failure(*prepared.file, f"its record has {wrong}"))
            return
        writer.add(key, record)
        self.extracted += 1


def to_record(prepared: Prepared, regions: Regions) -> RegionRecord:
    """A detector's regions as a record, with boxes in pixels of the image as it is."""
    size = prepared.size
    boxes = prepared.boxes
    if boxes is None:
        boxes = (regions.boxes.cpu().numpy() / _scale(prepared)).clip(0, [*size, *size])
    rest = [
        None if values is None else values.cpu().numpy()
        for values in (regions.class_ids, regions.scores, regions.attribute_ids, regions.attribute_scores)
    ]
    return RegionRecord(regions.features.cpu().numpy(), boxes.astype(np.float32), *size, *rest)


def _scale(prepared: Prepared) -> np.ndarray:
    height, width = prepared.image.shape[1:]
    across, down = width / prepared.size.width, height / prepared.size.height
    return np.array([across, down, across, down], np.float32)


def _size_or_problem(file: ImageFile) -> Size | str:
    try:
        return image_size(file.path)
    except InputError as error:
        return str(error)


def _as_it_is(batch: Item) -> Item:
    return batch


def _finished(files: Sequence[ImageFile], out: Path, info: StoreInfo) -> Report:
    """The report of a store that is there already, where it is of these images and settings."""
    store = FeatureStore(out)
    store.require(**vars(info))
    wanted = {file.key: file for file in files}
    stored = set(store.keys())
    failures = _read_failures(Path(f"{out}.report.json"))
    missing = [key for key in wanted if key not in stored and key not in {failure.key for failure in failures}]
    unwanted = stored - set(wanted)
    if missing or unwanted:
        what = (
            f"lacks the image '{missing[0]}'" if missing else f"has the image '{min(unwanted)}', which is not asked for"
        )
        raise InputError(f"{out} is finished and {what}; remove it, or give another --out")
    return Report(len(files), len(stored), 0, 0.0, failures)


def _read_failures(path: Path) -> list[Failure]:
    if not path.is_file():
        return []
    try:
        return [Failure(**one) for one in read_json(path)["failures"]]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged; remove it and the store beside it, and start again") from None
