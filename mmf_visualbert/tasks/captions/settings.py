"""The keys of `dataset_config.visualbert_captions`, the twin of `configs/datasets/captions.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, TOKENIZER, Part, regions_of

BOTH_YEARS = ("coco/annotations/captions_train2014.json", "coco/annotations/captions_val2014.json")
STORES = ("features/vqa2/train2014.lmdb", "features/vqa2/val2014.lmdb")
MASKING = Part("visualbert_masked_lm", {"tokenizer": TOKENIZER, "probability": 0.15})


@dataclass(frozen=True)
class SplitParts:
    """Parts of Karpathy's file that make up each split."""

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def of(self, split: str) -> tuple[str, ...]:
        """Those of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


KARPATHY = SplitParts(train=("train", "restval"), val=("val",), test=("test",))


class TextSettings(Protocol):
    """What the settings of every dataset of captions say of its texts; the fields are those of `Settings`."""

    @property
    def data_dir(self) -> Path: ...
    @property
    def annotations(self) -> Files: ...
    @property
    def split_file(self) -> str | None: ...
    @property
    def split_parts(self) -> SplitParts: ...
    @property
    def text_only(self) -> bool: ...
    @property
    def sentence_image(self) -> bool: ...
    @property
    def random_caption_probability(self) -> float: ...
    @property
    def lone_caption(self) -> str: ...


@dataclass(frozen=True)
class Settings:
    """Captions of COCO, or of any corpus. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(train=BOTH_YEARS, val=BOTH_YEARS, test=BOTH_YEARS)
    split_file: str | None = "coco/dataset_coco.json"
    split_parts: SplitParts = KARPATHY
    features: Files = Files(train=STORES, val=STORES, test=STORES)
    features_from: Any = None
    missing_regions: str = "refuse"
    text_only: bool = False
    max_regions: int = 100
    sentence_image: bool = True
    random_caption_probability: float = 0.5
    lone_caption: str = "alone"
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {
            "text_processor": TEXT,
            "masking_processor": MASKING,
            "region_processor": regions_of(100),
        }
    )
