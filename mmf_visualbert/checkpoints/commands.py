"""What `visualbert convert` does: read, convert, write, and say what became of each weight."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from torch import Tensor

from mmf_visualbert.checkpoints.convert import convert, heads_kept, revert
from mmf_visualbert.checkpoints.files import read_checkpoint, write_transformers
from mmf_visualbert.checkpoints.heads import CLASSIFIERS, class_of_heads
from mmf_visualbert.checkpoints.names import NAMINGS
from mmf_visualbert.checkpoints.settings import attention_heads_of, sizes
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_text, write_torch
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary

WORDS = "embeddings.word_embeddings.weight"


def convert_from(
    weights: Path,
    out: Path,
    source: str = "auto",
    answers: Path | None = None,
    attention_heads: int | None = None,
    head: str | None = None,
) -> list[str]:
    """Write another VisualBERT as a checkpoint of ours, and its configuration beside it.

    Args:
        weights: a file, or a folder of transformers.
        out: the checkpoint; the configuration gets the same name with .yaml.
        source: see `checkpoints.convert.convert`.
        answers: a file of answers, see `processors.answers`.
        attention_heads: their number, where no configuration beside the weights tells it.
        head: see `checkpoints.convert.convert`.

    Returns:
        Lines that say what was done.

    Raises:
        InputError: where the weights cannot be read or converted; then nothing is written.
    """
    if out.suffix == ".yaml":
        raise InputError(f"{out} is where the configuration would go; name the checkpoint {out.with_suffix('.pth')}")
    stored = read_checkpoint(weights)
    heads = attention_heads_of(hidden_size(stored.state), stored.config, attention_heads)
    converted = convert(
        stored.state,
        source,
        attention_heads=heads.number,
        answers=None if answers is None else AnswerVocabulary.from_file(answers).answers,
        head=head,
        config=stored.config,
        origin=str(weights),
    )
    command = f"# Included after a configuration of projects/visualbert, this fits the model to {out.name}.\n"
    command += "".join(f"# Converted from {weights}: {line}.\n" for line in converted.report.taken)
    write_torch(out, {"model": converted.state_dict})
    write_text(out.with_suffix(".yaml"), command + OmegaConf.to_yaml(OmegaConf.create(converted.settings)))
    lines = [*converted.report.lines(), *heads.lines()]
    lines += [f"checkpoint: {out}", f"configuration: {out.with_suffix('.yaml')}"]
    if "heads.visualbert_answer.classifier.weight" in converted.state_dict and answers is None:
        lines.append("the checkpoint does not say which answers its labels stand for; give them with --answers")
    return lines


def convert_to(
    target: str, weights: Path, out: Path, attention_heads: int | None = None, head: str | None = None
) -> list[str]:
    """Write a checkpoint of ours by another code base's names.

    Args:
        target: see `checkpoints.convert.revert`.
        weights: a checkpoint of ours.
        out: a new folder for transformers, a file for the others.
        attention_heads: their number, where the configuration in the checkpoint does not tell it.
        head: see `checkpoints.convert.revert`.

    Returns:
        Lines that say what was done.

    Raises:
        InputError: where the weights cannot be read, are not ours, or `out` is a folder that exists.
    """
    state, config = read_checkpoint(weights)
    reverted, report = revert(state, target, head, str(weights))
    heads = attention_heads_of(hidden_size(state), config, attention_heads)
    if target == "transformers":
        kept = heads_kept(NAMINGS[target], state, head, str(weights))
        write_transformers(reverted, transformers_config(state, kept, heads.number), out)
    else:
        write_torch(out, {"model": reverted} if target == "mmf" else reverted)
    return [
        *report.lines(),
        *(heads.lines() if target == "transformers" else ()),
        f"written: {out}",
        "where a region is aligned with several words, this takes the mean of their positions; a model trained with "
        "the sum (alignment: sum) differs there",
    ]


def hidden_size(state: Mapping[str, Tensor]) -> int:
    """The width of the word embeddings, by anybody's names; 0 where there are none, which is refused later."""
    return next((value.shape[-1] for name, value in state.items() if name.endswith(WORDS) and value.ndim == 2), 0)


def transformers_config(state: dict[str, Tensor], heads: set[str], attention_heads: int | None) -> Any:
    """The `VisualBertConfig` of weights by our names, with the class that has these heads."""
    from transformers import VisualBertConfig

    labels = [state[f"heads.{head}.classifier.weight"].size(0) for head in CLASSIFIERS if head in heads]
    late = any(name.startswith("visual_bert.additional_layer.") for name in state)
    return VisualBertConfig(
        visual_embedding_dim=state["visual_bert.embeddings.visual_projection.weight"].size(1),
        bypass_transformer=late,
        architectures=[class_of_heads(heads)],
        **({"num_labels": labels[0]} if labels else {}),
        **sizes(state, attention_heads),
    )
