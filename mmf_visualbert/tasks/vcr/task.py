"""The record of VCR (§4.2; Table 2, footnote 3)."""

from pathlib import Path

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Column, Load, Merge, Merged, Phase, Row, Task
from mmf_visualbert.tasks.chains import (
    COCO,
    COCO_CAPTIONS,
    FINE,
    FULL_LABEL,
    LATE,
    LATE_LABEL,
    NO_COCO_LABEL,
    chain,
)
from mmf_visualbert.tasks.chains import TASK as PRETRAIN_TASK
from mmf_visualbert.tasks.vcr.asking import CHOICE
from mmf_visualbert.tasks.vcr.depict import depict
from mmf_visualbert.tasks.vcr.leaderboard import LEADERBOARD
from mmf_visualbert.tasks.vcr.predictions import accuracy_of, merge_predictions

RATIONALE = "rationale"
DATASET = "visualbert_vcr"
JOINT = "visualbert_vcr_joint_accuracy"
"""Q→AR. No metric of a run: it takes two models' predictions."""
ANSWERS, RATIONALES = "visualbert_vcr_answer_accuracy", "visualbert_vcr_rationale_accuracy"
FIXED = ("variants/fixed_resnet",)


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of the frames of a file of questions."""
    if not file.records or "img_fn" not in file.records[0]:
        return None
    return [str(Path(record["img_fn"]).with_suffix("")) for record in file.records]


def phases(names: tuple[str, ...], everywhere: tuple[str, ...] = ()) -> tuple[Phase, ...]:
    """VCR ends in two models, each fine-tuned from the same pre-training (§4.2)."""
    before = chain(names, everywhere)
    return (*before, *(Phase(last, names[-1], everywhere) for last in (FINE, RATIONALE)))


def merge(answers: Path, rationales: Path, annotations: Path) -> Merged:
    """Leaderboard entries of both models' predictions, and Q→A, QA→R and Q→AR where there are labels.

    Raises:
        InputError: where the files do not fit each other or the annotations.
    """
    entries = merge_predictions(answers, rationales)
    accuracy = accuracy_of(entries, annotations)
    named = {} if accuracy is None else dict(zip((ANSWERS, RATIONALES, JOINT), accuracy, strict=True))
    return Merged(entries, named)


def overrides(split: str) -> list[str]:
    """Rationales are predicted for each of the four answers."""
    return [f"dataset_config.{DATASET}.answer_label.{split}=all"]


MERGE = Merge("vcr", FINE, RATIONALE, merge, overrides)


def _row(table: str, label: str, answer: float, rationale: float, joint: float) -> Row:
    return Row(table, label, {"Q → A": answer, "QA → R": rationale, "Q → AR": joint})


TASK = Task(
    name="vcr",
    title="VCR",
    dataset=DATASET,
    images=images,
    leaderboard=LEADERBOARD,
    variants={
        "full": phases((COCO, PRETRAIN_TASK)),
        "no_early_fusion": phases((COCO, PRETRAIN_TASK), LATE),
        "no_coco": phases((PRETRAIN_TASK,), FIXED),
        "fixed_resnet": phases((COCO, PRETRAIN_TASK), FIXED),
    },
    columns=(Column("Q → A", ANSWERS), Column("QA → R", RATIONALES), Column("Q → AR", JOINT)),
    rows={
        "full": _row("Table 2, Dev", FULL_LABEL, 70.8, 73.2, 52.2),
        "no_early_fusion": _row("Table 2, Dev", LATE_LABEL, 70.1, 71.9, 50.6),
        "no_coco": _row("Table 2, Dev", NO_COCO_LABEL, 67.9, 69.5, 47.9),
        "fixed_resnet": Row("footnote 3, Dev", "VisualBERT, ResNet50 fixed", {"Q → AR": 51.4}),
    },
    loads={
        COCO: Load(COCO_CAPTIONS, 10, 128, 26, 1, 12),
        PRETRAIN_TASK: Load(212_923, 1, 4, 8 * 35, 8, 6),
        FINE: Load(212_923, 8, 32, 4 * 25, 4, 6),
        RATIONALE: Load(212_923, 12, 32, 4 * 45, 4, 6),
    },
    merge=MERGE,
    depict=depict,
    choice=CHOICE,
)
catalog.register_task(TASK)
