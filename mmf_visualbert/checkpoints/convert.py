"""Others' weights to ours, and back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.checkpoints.names import (
    MASKED_LM,
    NAMINGS,
    TRANSFORMERS,
    Naming,
    detect,
    our_name,
    their_name,
    unwrapped,
    why_dropped,
)
from mmf_visualbert.checkpoints.settings import require_encoder, settings
from mmf_visualbert.errors import InputError

CLASSIFIERS = {1: "visualbert_choice", 2: "visualbert_pooled"}
OUR_CLASSIFIERS = ("visualbert_answer", "visualbert_pooled", "visualbert_choice")
WORDS = "visual_bert.embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"


class Report(NamedTuple):
    """What became of each weight.

    Attributes:
        source: what the weights came from.
        renamed: (their name, our name), or the other way round.
        dropped: (name, why it has no place).
        unknown: names that nobody knows; they are left out.
    """

    source: str
    renamed: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    unknown: list[str]

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        lines = [f"{len(self.renamed)} weights of {self.source} converted"]
        lines += [f"left out: {name} {reason}" for name, reason in self.dropped]
        lines += [f"left out: {name} is not known" for name in self.unknown]
        return lines


class ConvertedCheckpoint(NamedTuple):
    """Weights by our names, the configuration that they ask for (the shape of a yaml for `mmf_run`), and a report."""

    state_dict: dict[str, Tensor]
    settings: dict[str, Any]
    report: Report


def convert(
    state: Mapping[str, Tensor],
    source: str = "auto",
    *,
    attention_heads: int | None = None,
    answers: Sequence[str] | None = None,
    head: str | None = None,
    origin: str = "the checkpoint",
) -> ConvertedCheckpoint:
    """Weights of another VisualBERT, by the names of our model.

    Args:
        state: tensors by their names.
        source: "authors", "transformers", "mmf", or "auto" to tell from the names.
        attention_heads: their number, which weights do not show; one for every 64 hidden units where None.
        answers: the answers that the rows of a VQA classifier stand for, kept in the checkpoint.
        head: the registered head that a classifier is for. By its rows where None: 1 is a choice (VCR), 2 are true and
            false (NLVR2), others are answers.
        origin: what errors call the weights.

    Raises:
        InputError: where they are no whole VisualBERT, ours already, or do not fit `answers`.
    """
    found = detect(state) if source == "auto" else source
    if found not in NAMINGS:
        raise InputError(f"{origin} {refusal(found)}")
    naming = NAMINGS[found]
    converted: dict[str, Tensor] = {}
    report = Report(naming.title, [], [], [])
    wrapped = any(name.startswith(f"{naming.wrapper}bert.") for name in state)
    for name, value in state.items():
        bare = unwrapped(naming, name, wrapped)
        if naming is TRANSFORMERS and bare.startswith(("embeddings.", "encoder.", "pooler.", "additional_layer.")):
            bare = f"visual_bert.{bare}"
        sort_in(naming, name, bare, value, head, converted, report)
    require_encoder(converted, origin)
    drop_untied(state, converted, report)
    if answers is not None:
        keep_answers(converted, answers, origin)
    return ConvertedCheckpoint(converted, settings(converted, attention_heads), report)


def refusal(found: str) -> str:
    """Why a checkpoint of this kind is not converted."""
    return {
        "ours": "has our own names already; there is nothing to convert",
        "bert": "is a BERT without regions; set model_config.visualbert.bert to its folder",
    }.get(found, f"has no names of a VisualBERT that we know; give weights of {', '.join(NAMINGS)}")


def sort_in(
    naming: Naming, name: str, bare: str, value: Tensor, head: str | None, converted: dict[str, Tensor], report: Report
) -> None:
    """Put one weight where it belongs: among the converted, or into the report as dropped or unknown."""
    reason = why_dropped(naming, bare)
    ours = our_name(naming, bare)
    if reason is None and ours is None and naming.classifier:
        kind = bare.removeprefix(naming.classifier)
        if bare.startswith(naming.classifier) and kind in ("weight", "bias"):
            ours = f"heads.{head or CLASSIFIERS.get(value.size(0), 'visualbert_answer')}.classifier.{kind}"
    if reason is not None:
        report.dropped.append((name, reason))
    elif ours is None:
        report.unknown.append(name)
    else:
        report.renamed.append((name, ours))
        converted[ours] = value


def drop_untied(state: Mapping[str, Tensor], converted: dict[str, Tensor], report: Report) -> None:
    """Leave out a masked LM head whose decoder is not the word embeddings: ours has no weights of its own there."""
    decoders = [name for name, _ in report.dropped if name.endswith("cls.predictions.decoder.weight")]
    if any(not torch.equal(state[name], converted[WORDS]) for name in decoders):
        for theirs, ours in list(report.renamed):
            if ours.startswith(MASKED_LM):
                del converted[ours]
                report.renamed.remove((theirs, ours))
                report.dropped.append((theirs, "belongs to a decoder that is not the word embeddings, as ours is"))


def keep_answers(converted: dict[str, Tensor], answers: Sequence[str], origin: str) -> None:
    """Put the answers beside the classifier that they belong to, as `AnswerHead` saves them.

    Raises:
        InputError: where there is no such classifier, or it has another number of rows.
    """
    from mmf_visualbert.tasks.vqa2.head import AnswerHead

    weight = converted.get("heads.visualbert_answer.classifier.weight")
    if weight is None:
        raise InputError(f"{origin} has no classifier of answers; leave the answers out")
    head = AnswerHead(hidden_size=1, num_labels=weight.size(0), answers=answers)
    converted["heads.visualbert_answer._extra_state"] = head.get_extra_state()


def revert(state: Mapping[str, Tensor], target: str) -> tuple[dict[str, Tensor], Report]:
    """Weights of our model by the names of another code base.

    Args:
        state: tensors by our names.
        target: "authors", "transformers" or "mmf".

    Raises:
        InputError: for another target, or where `state` is no whole model of ours.
    """
    if target not in NAMINGS:
        raise InputError(f"the target is '{target}', but it has to be one of {', '.join(NAMINGS)}")
    naming = NAMINGS[target]
    require_encoder(state, "the checkpoint")
    report = Report("our model", [], [], [])
    reverted: dict[str, Tensor] = {}
    for name, value in state.items():
        theirs = their_classifier(naming, name) or their_name(naming, name)
        if theirs is None:
            report.dropped.append((name, f"has no place in {naming.title}"))
        else:
            theirs = theirs if theirs.startswith("detector.") else naming.wrapper + theirs
            report.renamed.append((name, theirs))
            reverted[theirs] = value
    if naming.wrapper + BIAS in reverted:
        reverted[f"{naming.wrapper}cls.predictions.decoder.weight"] = state[WORDS]
    if naming is TRANSFORMERS and BIAS in reverted:
        reverted["cls.predictions.decoder.bias"] = reverted[BIAS]
    return reverted, report


def their_classifier(naming: Naming, name: str) -> str | None:
    """Their name of the last linear map of a task's head, None for other weights."""
    for head in OUR_CLASSIFIERS if naming.classifier else ():
        for kind in ("weight", "bias"):
            if name == f"heads.{head}.classifier.{kind}":
                return naming.classifier + kind
    return None
