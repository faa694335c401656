"""The record of task-agnostic pre-training: captions alone have no row in the paper and no leaderboard."""

from pathlib import Path

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile, Task
from mmf_visualbert.datasets.one_answer import FILL
from mmf_visualbert.tasks.captions.depict import depict


def images(file: AnnotationFile) -> list[str] | None:
    """Keys of the images of COCO's captions and instances, and of Karpathy's splits."""
    if not (isinstance(file.whole, dict) and "images" in file.whole):
        return None
    return [Path(one.get("file_name") or one["filename"]).stem for one in file.whole["images"]]


TASK = Task(
    name="captions",
    title="COCO captions",
    dataset="visualbert_captions",
    images=images,
    answer=FILL,
    depict=depict,
)
catalog.register_task(TASK)
