"""The record of NLVR2 (§4.3, §5.1; Tables 3 and 5, footnote 4)."""

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Column, Load, Row, Task
from mmf_visualbert.tasks.chains import (
    ALL,
    COCO,
    COCO_CAPTIONS,
    FINE,
    FULL_LABEL,
    LATE,
    LATE_LABEL,
    NO_COCO,
    NO_COCO_LABEL,
    THREE,
    chain,
)
from mmf_visualbert.tasks.chains import TASK as PRETRAIN_TASK
from mmf_visualbert.tasks.nlvr2.answer import ANSWER
from mmf_visualbert.tasks.nlvr2.depict import depict
from mmf_visualbert.tasks.nlvr2.leaderboard import LEADERBOARD

PROPOSALS = {9: 64.8, 18: 65.5, 36: 66.7, 72: 67.1, 144: 67.4}
"""Footnote 4: dev accuracy by the number of proposals an image."""


def proposals(count: int) -> tuple[str, ...]:
    """`count` proposals an image instead of 144, on captions too."""
    return tuple(f"dataset_config.visualbert_{dataset}.max_regions={count}" for dataset in ("nlvr2", "captions"))


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of both images of each example; the last number of an identifier is the sentence's."""
    if not file.records or "identifier" not in file.records[0]:
        return None
    pairs = ["-".join(record["identifier"].split("-")[:3]) for record in file.records]
    return [f"{pair}-img{side}" for pair in pairs for side in (0, 1)]


def _dev(table: str, label: str, accuracy: float) -> Row:
    return Row(table, label, {"Dev": accuracy})


TABLE_5 = proposals(36)

TASK = Task(
    name="nlvr2",
    title="NLVR2",
    dataset="visualbert_nlvr2",
    images=images,
    leaderboard=LEADERBOARD,
    answer=ANSWER,
    depict=depict,
    variants={
        **THREE,
        "ablation_full": chain(ALL, overrides=TABLE_5),
        "ablation_text_only_coco": chain(ALL, coco=("variants/text_only_coco",), overrides=TABLE_5),
        "ablation_no_coco": chain(NO_COCO, overrides=TABLE_5),
        "ablation_no_early_fusion": chain(ALL, LATE, overrides=TABLE_5),
        "ablation_no_bert": chain(ALL, ("variants/no_bert",), overrides=TABLE_5),
        "ablation_no_objective_2": chain(ALL, coco=("variants/no_objective_2",), overrides=TABLE_5),
        **{f"regions_{count}": chain(ALL, overrides=proposals(count)) for count in PROPOSALS},
    },
    columns=(Column("Dev", "visualbert_nlvr2_accuracy"), Column("Cons", "visualbert_nlvr2_consistency")),
    rows={
        "full": _dev("Table 3, Dev", FULL_LABEL, 67.4),
        "no_early_fusion": _dev("Table 3, Dev", LATE_LABEL, 64.6),
        "no_coco": _dev("Table 3, Dev", NO_COCO_LABEL, 63.5),
        "ablation_full": _dev("Table 5", FULL_LABEL, 66.7),
        "ablation_text_only_coco": _dev("Table 5, C1", "w/o Grounded Pre-training", 63.9),
        "ablation_no_coco": _dev("Table 5, C1", "w/o COCO Pre-training", 62.9),
        "ablation_no_early_fusion": _dev("Table 5, C2", "w/o Early Fusion", 61.4),
        "ablation_no_bert": _dev("Table 5, C3", "w/o BERT Initialization", 64.7),
        "ablation_no_objective_2": _dev("Table 5, C4", "w/o Objective 2", 64.9),
        **{f"regions_{count}": _dev("footnote 4", f"{count} proposals", dev) for count, dev in PROPOSALS.items()},
    },
    loads={
        COCO: Load(COCO_CAPTIONS, 10, 64, 26, 1, 144),
        PRETRAIN_TASK: Load(86_373, 10, 64, 21, 1, 288),
        FINE: Load(86_373, 10, 64, 21, 1, 288),
    },
)
catalog.register_task(TASK)
