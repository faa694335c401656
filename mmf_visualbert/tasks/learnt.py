"""Names that a task learns from train, and that a checkpoint keeps with its head."""

from collections.abc import Mapping

from torch import Tensor

from mmf_visualbert.tasks.vqa2.head import answers_of

HEADS = ("visualbert_answer", "visualbert_labels")


def answers_in(state: Mapping[str, Tensor]) -> list[str] | None:
    """The answer vocabulary, or the names of labels, that a head left in a checkpoint's weights; None for none."""
    stored = next((state[key] for head in HEADS if (key := f"heads.{head}._extra_state") in state), None)
    return None if stored is None else answers_of(stored) or None
