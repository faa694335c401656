"""The keys of `dataset_config.visualbert_table`, the twin of `configs/datasets/table.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmf_visualbert.datasets.paths import Files
from mmf_visualbert.datasets.settings import TEXT, Part, regions_of
from mmf_visualbert.tasks.table.records import Shares, TableColumns

STORE = ("features/table.lmdb",)


@dataclass(frozen=True)
class Settings:
    """A data set from a table. What each key means, the yaml says."""

    data_dir: Path = Path()
    kind: str = "classification"
    annotations: Files = Files(train=("table/train.jsonl",), val=("table/val.jsonl",), test=("table/test.jsonl",))
    columns: TableColumns = TableColumns()
    shares: Shares = Shares()
    examples_a_class: int | None = None
    box_form: str = "corners"
    max_phrases: int = 32
    pool: int | None = None
    predictions: Mapping[str, str] = field(default_factory=dict)
    features: Files = Files(train=STORE, val=STORE, test=STORE)
    features_from: Any = None
    missing_regions: str = "refuse"
    max_regions: int = 100
    processors: Mapping[str, Part | None] = field(
        default_factory=lambda: {
            "text_processor": TEXT,
            "label_processor": Part("visualbert_labels", {"names": None}),
            "answer_processor": Part("visualbert_answers", {"vocabulary": None, "size": 3129}),
            "masking_processor": None,
            "region_processor": regions_of(100),
        }
    )
