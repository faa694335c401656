"""What a checkpoint's weights say about the model they belong to: its size, fusion and heads.

Importing weights that were made by the authors' code sets that code's ways where they differ from the paper's.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.build import bert_config

EMBEDDINGS = "visual_bert.embeddings."
LAYER = "visual_bert.encoder.layer."
LAYER_PARTS = tuple(
    f"{part}.{kind}"
    for part in (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    )
    for kind in ("weight", "bias")
)
EMBEDDING_PARTS = (
    "word_embeddings.weight",
    "position_embeddings.weight",
    "token_type_embeddings.weight",
    "visual_token_type_embeddings.weight",
    "visual_position_embeddings.weight",
    "visual_projection.weight",
    "visual_projection.bias",
    "LayerNorm.weight",
    "LayerNorm.bias",
)
HEAD_WIDTH = 64  # of an attention head in every BERT that was released
BERT_BASE_UNCASED_WORDS = 30522
# Of a config.json: what weights do not show, and BERT's own value of it.
UNSEEN = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}
# Losses of the heads of tasks, as the authors' code computes them.
LOSSES = {
    "visualbert_answer": {"type": "visualbert_answer_cross_entropy", "params": {"targets": "soft"}},
    "visualbert_pooled": {"type": "visualbert_cross_entropy", "params": {}},
    "visualbert_choice": {"type": "visualbert_cross_entropy", "params": {}},
}

# The authors' models of VCR hold R2C's detector, and read texts as its code does.
VCR = "visualbert_vcr"
RELEASED_READING = {"names": "released", "sub_words": "first", "image_size": [768, 384]}


def released_region_encoder(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The section `region_encoder` for the detector that is among weights by our names."""
    params = {
        "backbone": "resnet50",
        "weights": None,
        "frozen": "none",
        "class_dimension": state["region_encoder.class_embeddings.weight"].size(1),
        "classify_objects": "region_encoder.object_classifier.weight" in state,
    }
    return {"type": "visualbert_roi", "params": params}


def require_encoder(state: Mapping[str, Tensor], origin: str) -> None:
    """Check that every weight of the embeddings and of each layer is there.

    Raises:
        InputError: naming the first that is missing.
    """
    wanted = [EMBEDDINGS + part for part in EMBEDDING_PARTS]
    wanted += [f"{LAYER}{number}.{part}" for number in range(number_of_layers(state)) for part in LAYER_PARTS]
    if any(name.startswith("visual_bert.additional_layer.") for name in state):
        wanted += [f"visual_bert.additional_layer.{part}" for part in LAYER_PARTS]
    missing = [name for name in wanted if name not in state]
    if missing or not number_of_layers(state):
        raise InputError(
            f"{origin} has no weights for {missing[0] if missing else LAYER}; give a whole VisualBERT, saved from its "
            "state_dict()"
        )


def number_of_layers(state: Mapping[str, Tensor]) -> int:
    """One more than the highest layer's number.

    Raises:
        InputError: where a layer's number is none, or of more layers than any model has.
    """
    numbers = {name[len(LAYER) :].split(".")[0] for name in state if name.startswith(LAYER)}
    odd = next((number for number in numbers if not re.fullmatch(r"[0-9]{1,3}", number)), None)
    if odd is not None:
        raise InputError(f"the weights have a layer '{odd[:40]}', which no VisualBERT has; give one's state_dict()")
    return 1 + max(map(int, numbers), default=-1)


class Heads(NamedTuple):
    """A number of attention heads, which weights do not show.

    Attributes:
        number: of each layer; None where it is not known.
        guess: that there is one for every 64 hidden units, as in every BERT that was released.
    """

    number: int | None
    guess: bool = False

    def lines(self) -> list[str]:
        """A line for people where it is a guess."""
        if not self.guess:
            return []
        return [
            f"{self.number} attention heads are a guess, one for every {HEAD_WIDTH} hidden units, as neither the "
            "weights nor a configuration beside them say it; give another number with --heads"
        ]


def attention_heads_of(hidden_size: int, config: Mapping[str, Any], given: int | None) -> Heads:
    """The number of attention heads: what is given, else what the stored configuration says, else a guess.

    Raises:
        InputError: where what is given is not what the configuration says.
    """
    stored = stored_heads(config)
    if given is not None and stored is not None and given != stored:
        raise InputError(
            f"the configuration stored with the weights has {stored} attention heads and --heads says {given}; leave "
            "--heads out"
        )
    number = given if stored is None else stored
    if number is not None:
        return Heads(number)
    return Heads(None) if hidden_size % HEAD_WIDTH else Heads(hidden_size // HEAD_WIDTH, guess=True)


def stored_heads(config: Mapping[str, Any]) -> int | None:
    """The number of attention heads that a stored configuration says; None where it says none.

    Args:
        config: of transformers (config.json), or MMF's of a run of our model or of its own visual_bert.
    """
    for model in ("visualbert", "visual_bert"):
        found = _within(config, "model_config", model)
        if isinstance(found, Mapping):
            bert = found.get("bert")
            if isinstance(bert, str):
                return _heads_of_bert(bert)
            return _whole(_within(found, "size", "num_attention_heads") or found.get("num_attention_heads"))
    return _whole(config.get("num_attention_heads"))


def _within(config: Mapping[str, Any], *keys: str) -> Any:
    found: Any = config
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _whole(number: Any) -> int | None:
    return number if type(number) is int and number > 0 else None


def _heads_of_bert(bert: str) -> int | None:
    try:
        return bert_config(bert).num_attention_heads
    except InputError:  # its folder is elsewhere today, or the hub cannot be reached
        return None


def sizes(state: Mapping[str, Tensor], attention_heads: int | None = None) -> dict[str, int]:
    """The sizes that weights by our names have, by the names of transformers' `BertConfig`.

    Args:
        state: a whole encoder.
        attention_heads: which weights do not show; one for every 64 hidden units where None.

    Raises:
        InputError: where `attention_heads` does not divide the hidden size, or has to be given.
    """
    words, hidden_size = state[f"{EMBEDDINGS}word_embeddings.weight"].shape
    if attention_heads is None and hidden_size % HEAD_WIDTH == 0:
        attention_heads = hidden_size // HEAD_WIDTH
    if attention_heads is None or hidden_size % attention_heads:
        raise InputError(
            f"a model of hidden size {hidden_size} cannot have {attention_heads or 'an unknown number of'} attention "
            "heads; give their number, which the weights do not show, with --heads"
        )
    return {
        "vocab_size": words,
        "hidden_size": hidden_size,
        "num_hidden_layers": number_of_layers(state),
        "num_attention_heads": attention_heads,
        "intermediate_size": state[f"{LAYER}0.intermediate.dense.weight"].size(0),
        "max_position_embeddings": state[f"{EMBEDDINGS}position_embeddings.weight"].size(0),
        "type_vocab_size": state[f"{EMBEDDINGS}token_type_embeddings.weight"].size(0),
    }


def of_config(config: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """What of a config.json the weights do not show and a model of ours has to do likewise, where it is not BERT's own.

    Raises:
        InputError: where a value is of another type than it has to be.
    """
    found: dict[str, Any] = {}
    for name, usual in UNSEEN.items():
        value = config.get(name, usual)
        if not isinstance(value, type(usual)) and not (isinstance(usual, float) and type(value) is int):
            raise InputError(f"config.json of {origin} has {value!r} as '{name}'; give the folder as it was saved")
        if value != usual:
            found[name] = value
    return found


def settings(
    state: Mapping[str, Tensor], attention_heads: int | None = None, unseen: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The configuration that weights of the authors' kind ask for, in the shape of a yaml for `mmf_run`.

    Only the heads of tasks are named: weights of pre-training go on into a task that names its own.

    Args:
        state: a whole encoder.
        attention_heads: see `sizes`.
        unseen: see `of_config`.
    """
    model: dict[str, Any] = {"bert": None, "size": {**sizes(state, attention_heads), **(unseen or {})}}
    if model["size"]["type_vocab_size"] == 2:
        del model["size"]["type_vocab_size"]
    if model["size"]["vocab_size"] == BERT_BASE_UNCASED_WORDS:
        model["tokenizer"] = "bert-base-uncased"
    model["region_dimension"] = state[f"{EMBEDDINGS}visual_projection.weight"].size(1)
    late = any(name.startswith("visual_bert.additional_layer.") for name in state)
    model |= {"fusion": "late" if late else "early", "alignment": "mean"}
    heads, losses = task_heads(state)
    if heads:
        model |= {"heads": heads, "losses": losses}
    return {"model_config": {"visualbert": model}, "optimizer": {"params": {"correct_bias": False}}}


def task_heads(state: Mapping[str, Tensor]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The heads of tasks among the weights, and their losses."""
    heads, losses = [], []
    for name, loss in LOSSES.items():
        classifier = state.get(f"heads.{name}.classifier.weight")
        if classifier is not None:
            params = {} if name == "visualbert_choice" else {"num_labels": classifier.size(0)}
            heads.append({"type": name, "params": params})
            losses.append(loss)
    query = state.get("heads.visualbert_phrase_grounding.query.weight")
    if query is not None:
        heads.append({"type": "visualbert_phrase_grounding", "params": {"heads": 1, "head_size": query.size(0)}})
        losses.append({"type": "visualbert_phrase_cross_entropy", "params": {"reduction": "released"}})
    return heads, losses
