"""Which head a classifier is for: the user says it, or config.json names the class, or its rows have to tell.

A linear map of two rows may be true and false (NLVR2), two answers or two classes of anything; its rows alone are taken
as the authors' own files have them, and the report says so.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError

ANSWER, POOLED, CHOICE = "visualbert_answer", "visualbert_pooled", "visualbert_choice"
GROUNDING = "visualbert_phrase_grounding"
CLASSIFIERS = (ANSWER, POOLED, CHOICE)
BY_ROWS = {1: CHOICE, 2: POOLED}
# Transformers' classes and the head that their classifier is; None where they have none.
CLASSES = {
    "VisualBertForQuestionAnswering": ANSWER,
    "VisualBertForVisualReasoning": POOLED,
    "VisualBertForMultipleChoice": CHOICE,
    "VisualBertForRegionToPhraseAlignment": None,
    "VisualBertForPreTraining": None,
    "VisualBertModel": None,
}


class Taken(NamedTuple):
    """What a classifier is taken for, and what the report says of it; None where there is no classifier."""

    head: str | None
    says: str | None


def head_of_classifier(rows: int | None, given: str | None, config: Mapping[str, Any], origin: str) -> Taken:
    """The registered head that the last linear map of a checkpoint is for.

    Args:
        rows: of its weight; None where the checkpoint has none.
        given: by the user.
        config: config.json of transformers; empty where there is none.
        origin: what errors call the weights.

    Raises:
        InputError: for a head that there is not, or where config.json names a class that we do not know, or whose
            classifier has other rows.
    """
    if given is not None:
        known = catalog.names("head")
        if given not in known:
            raise InputError(f"there is no head '{given}'; --head takes one of {', '.join(sorted(known))}")
        if rows is None:
            raise InputError(f"{origin} has no classifier that could go to the head '{given}'; leave --head out")
        return Taken(given, f"the classifier of {rows} rows goes to {given}, as --head says")
    if rows is None:
        return Taken(None, None)
    named = _class(config, origin)
    if named is not None:
        head = CLASSES.get(named)
        if head is None:
            raise InputError(
                f"config.json of {origin} names the class {named}, and there is a classifier of {rows} rows, whose use "
                f"it does not tell; say it with --head, one of {', '.join(CLASSIFIERS)}"
            )
        if head == CHOICE and rows != 1:
            raise InputError(
                f"config.json of {origin} names the class {named}, whose classifier has 1 row, and there are {rows}; "
                f"say with --head what it is for, one of {', '.join(CLASSIFIERS)}"
            )
        return Taken(head, f"the classifier of {rows} rows goes to {head}: config.json names {named}")
    head = BY_ROWS.get(rows, ANSWER)
    return Taken(
        head,
        f"the classifier of {rows} rows was taken for {head} by their number, as no config.json names its class; if it "
        f"is for something else, say so with --head, one of {', '.join(CLASSIFIERS)}",
    )


def _class(config: Mapping[str, Any], origin: str) -> str | None:
    named = config.get("architectures")
    if named is None or named == []:
        return None
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise InputError(f"config.json of {origin} has {named!r} as 'architectures'; give the folder as it was saved")
    return named[0]


def class_of_heads(heads: set[str]) -> str:
    """Transformers' class that has these heads of ours, of which one at most is a task's."""
    if GROUNDING in heads:
        return "VisualBertForRegionToPhraseAlignment"
    for name, head in CLASSES.items():
        if head in heads:
            return name
    return "VisualBertForPreTraining" if heads else "VisualBertModel"
