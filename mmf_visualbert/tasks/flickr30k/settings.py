"""The keys of `dataset_config.visualbert_flickr30k`, the twin of `configs/datasets/flickr30k.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part, regions_of


@dataclass(frozen=True)
class Settings:
    """Flickr30K Entities. What each key means, the yaml says."""

    data_dir: Path = Path()
    annotations: Files = Files(
        train=("flickr30k_entities/train.txt",),
        val=("flickr30k_entities/val.txt",),
        test=("flickr30k_entities/test.txt",),
    )
    sentences: Path = Path("flickr30k_entities/Sentences")
    boxes: Path = Path("flickr30k_entities/Annotations")
    unrelated_captions: Path | None = None
    strict: bool = True
    max_phrases: int = 32
    features: Files = Files(
        train=("features/flickr30k/train.lmdb",),
        val=("features/flickr30k/val.lmdb",),
        test=("features/flickr30k/test.lmdb",),
    )
    features_from: Any = None
    missing_regions: str = "refuse"
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {"text_processor": TEXT, "region_processor": regions_of(100, geometry=False)}
    )
