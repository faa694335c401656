"""The keys of `dataset_config.visualbert_nlvr2`, the twin of `configs/datasets/nlvr2.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part, regions_of


@dataclass(frozen=True)
class Settings:
    """NLVR2. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(train=("nlvr2/train.json",), val=("nlvr2/dev.json",), test=("nlvr2/test1.json",))
    features: Files = Files(
        train=("features/nlvr2/train.lmdb",), val=("features/nlvr2/dev.lmdb",), test=("features/nlvr2/test1.lmdb",)
    )
    features_from: Any = None
    missing_regions: str = "refuse"
    max_regions: int = 144
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {
            "text_processor": TEXT,
            "masking_processor": None,
            "region_processor": regions_of(144),
        }
    )
