"""The task's record, which the rest of the package reads."""

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Task

from .answer import ANSWER
from .dataset import NAME
from .leaderboard import LEADERBOARD


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of the images of an annotation file; None for files of other tasks."""
    if not file.records or not {"id", "image", "text"} <= file.records[0].keys():
        return None
    return [record["image"].rpartition(".")[0] or record["image"] for record in file.records]


TASK = Task(
    name="template",
    title="Template",
    dataset=NAME,
    images=images,
    leaderboard=LEADERBOARD,
    answer=ANSWER,
)
catalog.register_task(TASK)
