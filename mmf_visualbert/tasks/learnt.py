"""Names that a task learns from train, and that a checkpoint keeps with its head."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmf_visualbert.modules.chosen_heads import Answers, chosen_heads
from mmf_visualbert.tasks.vqa2.head import answers_of

HEADS = ("visualbert_answer", "visualbert_labels")
BEFORE, AFTER = "heads.", "._extra_state"


def stored_answers(state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """By the names of a checkpoint's heads, the answer vocabulary or the names of labels that each keeps.

    Args:
        state: weights by our names.
    """
    keys = [key for key in state if key.startswith(BEFORE) and key.endswith(AFTER) and state[key].numel()]
    return {key.removeprefix(BEFORE).removesuffix(AFTER): answers_of(state[key]) for key in keys}


def answers_of_heads(heads: Any, state: Mapping[str, Tensor]) -> Answers:
    """What the heads of a checkpoint answer with; by their names, where some are for data sets of their own.

    Args:
        heads: `model_config.visualbert.heads` of its configuration, plain.
        state: weights by our names.

    Raises:
        InputError: for heads that are none.
    """
    stored = stored_answers(state)
    if any(head.datasets for head in chosen_heads(heads)):
        return stored
    return next((stored[name] for name in HEADS if name in stored), None)


def answers_for(dataset: str, heads: Any, stored: Mapping[str, list[str]]) -> list[str] | None:
    """What the head of one data set answers with; None for a head without answers.

    Args:
        dataset: its registered name.
        heads: as for `answers_of_heads`.
        stored: what `stored_answers` gives.
    """
    reading = [head.name for head in chosen_heads(heads) if head.reads(dataset)]
    return next((stored[name] for name in reading if name in stored), None)
