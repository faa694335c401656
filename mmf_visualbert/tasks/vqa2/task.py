"""The record of VQA 2.0 (§4.1; Table 1)."""

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Column, Load, Row, Task
from mmf_visualbert.tasks.chains import (
    COCO,
    COCO_CAPTIONS,
    FINE,
    FULL_LABEL,
    LATE_LABEL,
    NO_COCO,
    NO_COCO_LABEL,
    THREE,
    chain,
)
from mmf_visualbert.tasks.chains import TASK as PRETRAIN_TASK
from mmf_visualbert.tasks.vqa2.answer import ANSWER
from mmf_visualbert.tasks.vqa2.depict import depict
from mmf_visualbert.tasks.vqa2.leaderboard import LEADERBOARD
from mmf_visualbert.tasks.vqa2.official import ASKED, image_folder, image_of

TABLE = "Table 1, Test-Dev"


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of the images that a file of questions asks about."""
    if not (isinstance(file.whole, dict) and "questions" in file.whole):
        return None
    folder = image_folder(file.whole.get("data_subtype"), file.path)
    names = []
    for number, record in enumerate(file.whole["questions"]):
        where = f"{file.path}, questions[{number}]"
        names.append(image_of(ASKED.convert(record, where).image_id, folder, where).name)
    return names


TASK = Task(
    name="vqa2",
    title="VQA 2.0",
    dataset="visualbert_vqa2",
    images=images,
    leaderboard=LEADERBOARD,
    answer=ANSWER,
    depict=depict,
    variants={
        **THREE,
        # What Table 1 reports is trained on train and val, so that only the leaderboard can say how good it is.
        "train_val": chain((COCO,)) + chain(NO_COCO, ("variants/vqa2_train_val",), before=COCO),
    },
    columns=(Column("Accuracy", "visualbert_vqa_accuracy"),),
    # The paper trains on train and val and gives test-dev; but for train_val, a run here trains on train alone and
    # measures val.
    rows={
        "train_val": Row(TABLE, FULL_LABEL, {"Accuracy": 70.80}),
        "full": Row(TABLE, FULL_LABEL, {"Accuracy": 70.80}),
        "no_early_fusion": Row(TABLE, LATE_LABEL, {"Accuracy": 68.18}),
        "no_coco": Row(TABLE, NO_COCO_LABEL, {"Accuracy": 70.18}),
    },
    loads={
        COCO: Load(COCO_CAPTIONS, 10, 48, 26, 1, 100),
        PRETRAIN_TASK: Load(658_111, 10, 64, 11, 1, 100),
        FINE: Load(658_111, 10, 64, 11, 1, 100),
    },
)
catalog.register_task(TASK)
