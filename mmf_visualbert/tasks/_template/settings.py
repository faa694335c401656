"""The keys of the task's `dataset_config`, the twin of `dataset.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part, regions_of

STORE = ("features/template.lmdb",)


@dataclass(frozen=True)
class Settings:
    """The task's data. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(
        train=("template/train.jsonl",), val=("template/val.jsonl",), test=("template/test.jsonl",)
    )
    features: Files = Files(train=STORE, val=STORE, test=STORE)
    features_from: Any = None
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {"text_processor": TEXT, "region_processor": regions_of(36)}
    )
