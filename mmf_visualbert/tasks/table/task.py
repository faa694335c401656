"""The record of data sets from tables."""

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Task
from mmf_visualbert.datasets.one_answer import PAIRS
from mmf_visualbert.tasks.table.answer import ANSWER
from mmf_visualbert.tasks.table.dataset import NAME
from mmf_visualbert.tasks.table.leaderboard import LEADERBOARD


def images(file: AnnotationFile) -> list[str] | None:
    """None: which column names the image is known to the configuration alone."""
    return None


TASK = Task(
    name="table", title="a table", dataset=NAME, images=images, leaderboard=LEADERBOARD, answer=ANSWER, choice=PAIRS
)
catalog.register_task(TASK)
