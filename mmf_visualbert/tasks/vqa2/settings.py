"""The keys of `dataset_config.visualbert_vqa2`, the twin of `configs/datasets/vqa2.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part, regions_of


@dataclass(frozen=True)
class Settings:
    """VQA 2.0. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(
        train=("vqa2/v2_OpenEnded_mscoco_train2014_questions.json", "vqa2/v2_mscoco_train2014_annotations.json"),
        val=("vqa2/v2_OpenEnded_mscoco_val2014_questions.json", "vqa2/v2_mscoco_val2014_annotations.json"),
        test=("vqa2/v2_OpenEnded_mscoco_test2015_questions.json",),
    )
    features: Files = Files(
        train=("features/vqa2/train2014.lmdb",),
        val=("features/vqa2/val2014.lmdb",),
        test=("features/vqa2/test2015.lmdb",),
    )
    features_from: Any = None
    missing_regions: str = "refuse"
    use_regions: bool = True
    max_regions: int = 100
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {
            "text_processor": TEXT,
            "region_processor": regions_of(100),
            "answer_processor": Part("visualbert_answers", {"vocabulary": None, "size": 3129}),
            "masking_processor": None,
        }
    )
