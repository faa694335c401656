"""The paper's numbers, Tables 1-5 and footnote 4, and which metric of ours stands beside each."""

from typing import NamedTuple


class Column(NamedTuple):
    """One number of a row.

    Attributes:
        title: as the paper's table has it.
        metric: name of our registered metric, or JOINT; its values are fractions.
    """

    title: str
    metric: str


class Row(NamedTuple):
    """What the paper reports for a variant.

    Attributes:
        table: where it stands.
        label: the paper's own name of the variant.
        values: by column title, in per cent; None where the paper gives none.
    """

    table: str
    label: str
    values: dict[str, float | None]


JOINT = "visualbert_vcr_joint_accuracy"
"""Q→AR. No metric of a run: it takes two models' predictions."""

COLUMNS: dict[str, tuple[Column, ...]] = {
    "vqa2": (Column("Accuracy", "visualbert_vqa_accuracy"),),
    "vcr": (
        Column("Q → A", "visualbert_vcr_answer_accuracy"),
        Column("QA → R", "visualbert_vcr_rationale_accuracy"),
        Column("Q → AR", JOINT),
    ),
    "nlvr2": (Column("Dev", "visualbert_nlvr2_accuracy"), Column("Cons", "visualbert_nlvr2_consistency")),
    "flickr30k": (
        Column("R@1", "visualbert_recall_at_1"),
        Column("R@5", "visualbert_recall_at_5"),
        Column("R@10", "visualbert_recall_at_10"),
        Column("Upper Bound", "visualbert_recall_upper_bound"),
    ),
}

_FULL, _LATE, _NO_COCO = "VisualBERT", "VisualBERT w/o Early Fusion", "VisualBERT w/o COCO Pre-training"


def _flickr(label: str, at_1: float, at_5: float, at_10: float) -> Row:
    return Row("Table 4, Dev", label, {"R@1": at_1, "R@5": at_5, "R@10": at_10, "Upper Bound": 86.97})


ROWS: dict[tuple[str, str], Row] = {
    # VQA: the paper trains on train and val and gives test-dev; but for train_val, a run here trains on train alone and
    # measures val.
    ("vqa2", "train_val"): Row("Table 1, Test-Dev", _FULL, {"Accuracy": 70.80}),
    ("vqa2", "full"): Row("Table 1, Test-Dev", _FULL, {"Accuracy": 70.80}),
    ("vqa2", "no_early_fusion"): Row("Table 1, Test-Dev", _LATE, {"Accuracy": 68.18}),
    ("vqa2", "no_coco"): Row("Table 1, Test-Dev", _NO_COCO, {"Accuracy": 70.18}),
    ("vcr", "full"): Row("Table 2, Dev", _FULL, {"Q → A": 70.8, "QA → R": 73.2, "Q → AR": 52.2}),
    ("vcr", "no_early_fusion"): Row("Table 2, Dev", _LATE, {"Q → A": 70.1, "QA → R": 71.9, "Q → AR": 50.6}),
    ("vcr", "no_coco"): Row("Table 2, Dev", _NO_COCO, {"Q → A": 67.9, "QA → R": 69.5, "Q → AR": 47.9}),
    ("vcr", "fixed_resnet"): Row("footnote 3, Dev", "VisualBERT, ResNet50 fixed", {"Q → AR": 51.4}),
    ("nlvr2", "full"): Row("Table 3, Dev", _FULL, {"Dev": 67.4}),
    ("nlvr2", "no_early_fusion"): Row("Table 3, Dev", _LATE, {"Dev": 64.6}),
    ("nlvr2", "no_coco"): Row("Table 3, Dev", _NO_COCO, {"Dev": 63.5}),
    ("nlvr2", "ablation_full"): Row("Table 5", _FULL, {"Dev": 66.7}),
    ("nlvr2", "ablation_text_only_coco"): Row("Table 5, C1", "w/o Grounded Pre-training", {"Dev": 63.9}),
    ("nlvr2", "ablation_no_coco"): Row("Table 5, C1", "w/o COCO Pre-training", {"Dev": 62.9}),
    ("nlvr2", "ablation_no_early_fusion"): Row("Table 5, C2", "w/o Early Fusion", {"Dev": 61.4}),
    ("nlvr2", "ablation_no_bert"): Row("Table 5, C3", "w/o BERT Initialization", {"Dev": 64.7}),
    ("nlvr2", "ablation_no_objective_2"): Row("Table 5, C4", "w/o Objective 2", {"Dev": 64.9}),
    ("nlvr2", "regions_9"): Row("footnote 4", "9 proposals", {"Dev": 64.8}),
    ("nlvr2", "regions_18"): Row("footnote 4", "18 proposals", {"Dev": 65.5}),
    ("nlvr2", "regions_36"): Row("footnote 4", "36 proposals", {"Dev": 66.7}),
    ("nlvr2", "regions_72"): Row("footnote 4", "72 proposals", {"Dev": 67.1}),
    ("nlvr2", "regions_144"): Row("footnote 4", "144 proposals", {"Dev": 67.4}),
    ("flickr30k", "full"): _flickr(_FULL, 70.40, 84.49, 86.31),
    ("flickr30k", "no_early_fusion"): _flickr(_LATE, 70.33, 84.53, 86.39),
    ("flickr30k", "no_coco"): _flickr(_NO_COCO, 68.07, 83.98, 86.24),
}
