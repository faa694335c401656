"""Others' weights to ours, and back."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.checkpoints.heads import ANSWER, CLASSIFIERS, GROUNDING, head_of_classifier
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
from mmf_visualbert.checkpoints.settings import of_config, require_encoder, settings
from mmf_visualbert.errors import InputError

WORDS = "visual_bert.embeddings.word_embeddings.weight"
BIAS = "cls.predictions.bias"


class Report(NamedTuple):
    """What became of each weight.

    Attributes:
        source: what the weights came from.
        renamed: (their name, our name), or the other way round.
        dropped: (name, why it has no place).
        unknown: names that nobody knows; they are left out.
        taken: what the file was taken for, in sentences, where it does not say so by its names.
    """

    source: str
    renamed: list[tuple[str, str]]
    dropped: list[tuple[str, str]]
    unknown: list[str]
    taken: list[str]

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        lines = [f"{len(self.renamed)} weights of {self.source} converted"]
        lines += self.taken
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
    config: Mapping[str, Any] | None = None,
    origin: str = "the checkpoint",
) -> ConvertedCheckpoint:
    """Weights of another VisualBERT, by the names of our model.

    Args:
        state: tensors by their names.
        source: "authors", "transformers", "mmf", or "auto" to tell from the names.
        attention_heads: their number, which weights do not show; one for every 64 hidden units where None.
        answers: the answers that the rows of a VQA classifier stand for, kept in the checkpoint.
        head: the registered head that a classifier is for. Where None, the class that `config` names tells it, and
            where there is none its rows: 1 is a choice (VCR), 2 are true and false (NLVR2), others are answers.
        config: config.json of a folder of transformers; None where there is none.
        origin: what errors call the weights.

    Raises:
        InputError: where they are no whole VisualBERT, ours already, do not fit `answers`, or `config` names a class
            that does not say what a classifier is for.
    """
    config = config or {}
    found = detect(state) if source == "auto" else source
    if found not in NAMINGS:
        raise InputError(f"{origin} {refusal(found)}")
    naming = NAMINGS[found]
    converted: dict[str, Tensor] = {}
    report = Report(naming.title, [], [], [], [])
    wrapped = any(name.startswith(f"{naming.wrapper}bert.") for name in state)
    bare_names = {name: whole_name(naming, unwrapped(naming, name, wrapped)) for name in state}
    rows = [
        state[name] for name, bare in bare_names.items() if naming.classifier and bare == f"{naming.classifier}weight"
    ]
    if any(one.ndim != 2 for one in rows):
        raise InputError(
            f"the classifier of {origin} is of shape {tuple(rows[0].shape)}, and no linear map; get it again"
        )
    taken = head_of_classifier(rows[0].size(0) if rows else None, head, config, origin)
    report.taken.extend([taken.says] if taken.says else [])
    for name, bare in bare_names.items():
        sort_in(naming, name, bare, state[name], taken.head, converted, report)
    require_encoder(converted, origin)
    drop_untied(state, converted, report)
    if answers is not None:
        keep_answers(converted, answers, origin)
    return ConvertedCheckpoint(converted, settings(converted, attention_heads, of_config(config, origin)), report)


def refusal(found: str) -> str:
    """Why a checkpoint of this kind is not converted."""
    return {
        "ours": "has our own names already; there is nothing to convert",
        "bert": "is a BERT without regions; set model_config.visualbert.bert to its folder",
    }.get(found, f"has no names of a VisualBERT that we know; give weights of {', '.join(NAMINGS)}")


def whole_name(naming: Naming, bare: str) -> str:
    """The name of a weight in a whole model, where the file is of the encoder alone."""
    alone = naming is TRANSFORMERS and bare.startswith(("embeddings.", "encoder.", "pooler.", "additional_layer."))
    return f"visual_bert.{bare}" if alone else bare


def sort_in(
    naming: Naming, name: str, bare: str, value: Tensor, head: str | None, converted: dict[str, Tensor], report: Report
) -> None:
    """Put one weight where it belongs: among the converted, or into the report as dropped or unknown."""
    reason = why_dropped(naming, bare)
    ours = our_name(naming, bare)
    if reason is None and ours is None and naming.classifier:
        kind = bare.removeprefix(naming.classifier)
        if bare.startswith(naming.classifier) and kind in ("weight", "bias"):
            ours = f"heads.{head}.classifier.{kind}"
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

    weight = converted.get(f"heads.{ANSWER}.classifier.weight")
    if weight is None:
        raise InputError(f"{origin} has no classifier of answers; leave the answers out")
    head = AnswerHead(hidden_size=1, num_labels=weight.size(0), answers=answers)
    converted["heads.visualbert_answer._extra_state"] = head.get_extra_state()


def revert(
    state: Mapping[str, Tensor], target: str, head: str | None = None, origin: str = "the checkpoint"
) -> tuple[dict[str, Tensor], Report]:
    """Weights of our model by the names of another code base.

    Args:
        state: tensors by our names.
        target: "authors", "transformers" or "mmf".
        head: of several heads of tasks the one to keep; all others than of pre-training are left out.
        origin: what errors call the weights.

    Raises:
        InputError: for another target, where `state` is no whole model of ours, or where it has several heads of tasks
            that have one name in theirs, and `head` does not choose.
    """
    if target not in NAMINGS:
        raise InputError(f"the target is '{target}', but it has to be one of {', '.join(NAMINGS)}")
    naming = NAMINGS[target]
    require_encoder(state, origin)
    report = Report("our model", [], [], [], [])
    reverted: dict[str, Tensor] = {}
    kept = heads_kept(naming, state, head, origin)
    for name, value in state.items():
        if name.startswith("heads.") and name.split(".")[1] not in kept:
            report.dropped.append((name, f"is not of the head {head}"))
            continue
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


def heads_kept(naming: Naming, state: Mapping[str, Tensor], head: str | None, origin: str) -> set[str]:
    """The heads that are written: all, or of those of tasks `head` alone.

    Raises:
        InputError: where several of tasks would have one place, or `head` is none of them.
    """
    found = {name.split(".")[1] for name in state if name.startswith("heads.")}
    if head is None:
        refuse_several(found & {*CLASSIFIERS, *([GROUNDING] if naming is TRANSFORMERS else [])}, naming, origin)
        return found
    if head not in found:
        raise InputError(f"{origin} has no head '{head}'; --head takes one of {', '.join(sorted(found)) or 'none'}")
    return {one for one in found if one == head or one not in (*CLASSIFIERS, GROUNDING)}


def refuse_several(heads: set[str], naming: Naming, origin: str) -> None:
    """Raises InputError for heads of tasks that share one place in another code base."""
    if naming.classifier and len(heads) > 1:
        names = " and ".join(sorted(heads))
        raise InputError(f"{origin} has the heads {names}, and {naming.title} has room for one; name it with --head")


def their_classifier(naming: Naming, name: str) -> str | None:
    """Their name of the last linear map of a task's head, None for other weights."""
    for head in CLASSIFIERS if naming.classifier else ():
        for kind in ("weight", "bias"):
            if name == f"heads.{head}.classifier.{kind}":
                return naming.classifier + kind
    return None
