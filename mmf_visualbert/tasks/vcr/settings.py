"""The keys of VCR's two datasets, the twins of `configs/datasets/vcr.yaml` and `vcr_captions.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part
from mmf_visualbert.tasks.captions.settings import BOTH_YEARS, KARPATHY, MASKING, SplitParts
from mmf_visualbert.tasks.vcr.regions import CANVAS

DETECTIONS = ("vcr/coco_detections_train.json", "vcr/coco_detections_val.json")


@dataclass(frozen=True)
class AnswerLabels:
    """The answer that the rationales of each split are conditioned on, see `conditions.answer_condition`."""

    train: Any = None
    val: Any = None
    test: Any = None

    def of(self, split: str) -> Any:
        """That of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


@dataclass(frozen=True)
class Settings:
    """VCR. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(train=("vcr/train.jsonl",), val=("vcr/val.jsonl",), test=("vcr/test.jsonl",))
    images: Path = Path("vcr/vcr1images")
    features: Files = Files()
    features_from: Any = None
    missing_regions: str = "refuse"
    mode: str = "answer"
    answer_label: AnswerLabels = AnswerLabels()
    names: str = "distinct"
    sub_words: str = "all"
    image_size: tuple[int, int] = CANVAS
    random_offset: bool = True
    check_metadata: bool = True
    max_regions: int | None = None
    sequences_per_sample: int | None = None
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {"text_processor": TEXT, "masking_processor": None}
    )


@dataclass(frozen=True)
class CaptionsSettings:
    """Captions with VCR's kind of regions. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(train=BOTH_YEARS, val=BOTH_YEARS, test=BOTH_YEARS)
    split_file: str | None = "coco/dataset_coco.json"
    split_parts: SplitParts = KARPATHY
    detections: Files = Files(train=DETECTIONS, val=DETECTIONS, test=DETECTIONS)
    images: tuple[str, ...] = ("images/train2014", "images/val2014")
    features: Files = Files()
    features_from: Any = None
    missing_regions: str = "refuse"
    image_size: tuple[int, int] = CANVAS
    random_offset: bool = True
    max_regions: int | None = None
    text_only: bool = False
    sentence_image: bool = True
    random_caption_probability: float = 0.5
    lone_caption: str = "alone"
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {"text_processor": TEXT, "masking_processor": MASKING}
    )
