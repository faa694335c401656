"""The record of Flickr30K Entities (§4.4; Table 4)."""

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Column, Load, Row, Task
from mmf_visualbert.tasks.chains import COCO, COCO_CAPTIONS, FINE, FULL_LABEL, LATE_LABEL, NO_COCO_LABEL, THREE
from mmf_visualbert.tasks.chains import TASK as PRETRAIN_TASK
from mmf_visualbert.tasks.flickr30k.answer import ANSWER
from mmf_visualbert.tasks.flickr30k.depict import depict
from mmf_visualbert.tasks.flickr30k.leaderboard import LEADERBOARD


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of the images of a split file, one a line."""
    return file.lines or None


def _row(label: str, at_1: float, at_5: float, at_10: float) -> Row:
    return Row("Table 4, Dev", label, {"R@1": at_1, "R@5": at_5, "R@10": at_10, "Upper Bound": 86.97})


TASK = Task(
    name="flickr30k",
    title="Flickr30K Entities",
    dataset="visualbert_flickr30k",
    images=images,
    leaderboard=LEADERBOARD,
    answer=ANSWER,
    depict=depict,
    variants=THREE,
    columns=(
        Column("R@1", "visualbert_recall_at_1"),
        Column("R@5", "visualbert_recall_at_5"),
        Column("R@10", "visualbert_recall_at_10"),
        Column("Upper Bound", "visualbert_recall_upper_bound"),
    ),
    rows={
        "full": _row(FULL_LABEL, 70.40, 84.49, 86.31),
        "no_early_fusion": _row(LATE_LABEL, 70.33, 84.53, 86.39),
        "no_coco": _row(NO_COCO_LABEL, 68.07, 83.98, 86.24),
    },
    loads={
        COCO: Load(COCO_CAPTIONS, 10, 32, 26, 1, 45),
        PRETRAIN_TASK: Load(148_915, 10, 32, 16, 1, 45),
        FINE: Load(148_915, 5, 32, 16, 1, 45),
    },
)
catalog.register_task(TASK)
