"""Builders of the encoder and of heads, from plain keywords. The only place where parts are chosen by name."""

import inspect
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining
from transformers.models.bert.modeling_bert import BertLayer

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.embeddings import VisualBertEmbeddings
from mmf_visualbert.modules.encoder import Encoder, Layer
from mmf_visualbert.modules.visual_bert import Pooler, VisualBertEncoder

FUSIONS = ("early", "late")


class BertWeights(NamedTuple):
    """A BERT, taken apart.

    Attributes:
        config: its sizes.
        visual_bert: weights of `VisualBertEncoder`'s text side, by our names; with the pooler.
        masked_lm: weights of the head `visualbert_masked_lm`; empty where the BERT came without them.
        sentence_image: weights of the head `visualbert_sentence_image`, from next sentence prediction; empty likewise.
    """

    config: BertConfig
    visual_bert: dict[str, Tensor]
    masked_lm: dict[str, Tensor]
    sentence_image: dict[str, Tensor]


@lru_cache(maxsize=1)
def bert_config(bert: str) -> BertConfig:
    """Sizes of a BERT by its hub name or local folder.

    Raises:
        InputError: where it cannot be had.
    """
    try:
        return BertConfig.from_pretrained(bert)
    except (OSError, ValueError) as error:
        raise unavailable(bert, error) from error


_read_heads: dict[str, BertWeights] = {}


def bert_weights(bert: str) -> BertWeights:
    """Weights of a BERT by its hub name or local folder. The small part for heads is remembered for `head_weights`.

    Raises:
        InputError: where they cannot be had.
    """
    config = bert_config(bert)
    try:
        model, info = BertForPreTraining.from_pretrained(bert, config=config, output_loading_info=True)
    except Exception as error:  # each file format has errors of its own for a damaged file
        raise unavailable(bert, error) from error
    missing = set(info["missing_keys"])
    if any(key.startswith("bert.encoder.") for key in missing):
        raise InputError(f"'{bert}' holds no BERT: the weights of its layers are missing; name another model or folder")
    state = {key: value for key, value in model.state_dict().items() if key not in missing}

    def below(prefix: str, *but: str) -> dict[str, Tensor]:
        return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix) and key not in but}

    predictions = below("cls.predictions.", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
    relationship = {f"classifier.{key}": value for key, value in below("cls.seq_relationship.").items()}
    _read_heads.clear()
    _read_heads[bert] = BertWeights(config, {}, predictions, relationship)
    return _read_heads[bert]._replace(visual_bert=below("bert."))


def head_weights(bert: str) -> BertWeights:
    """`bert_weights` without the encoder: building the heads after the encoder does not read the BERT again."""
    return _read_heads[bert] if bert in _read_heads else bert_weights(bert)._replace(visual_bert={})


def unavailable(bert: str, error: Exception) -> InputError:
    """What to say where a BERT cannot be had, because of `error`."""
    reason = str(error).strip().split("\n")[0].rstrip(".")
    if Path(bert).is_dir():
        return InputError(
            f"the folder '{bert}' holds no BERT that can be read ({reason}); it has to hold config.json and "
            "model.safetensors or pytorch_model.bin"
        )
    return InputError(
        f"the BERT '{bert}' is no local folder, and the Hugging Face hub does not give it now ({reason}); name a "
        "folder that holds it, or set random_init: true with bert: null"
    )


def build_visual_bert(
    *,
    region_dimension: int,
    bert: str | None = None,
    random_init: bool = False,
    fusion: str = "early",
    alignment: str = "sum",
    attention: str = "auto",
    pooler: bool = True,
    gradient_checkpointing: bool = False,
    **sizes: Any,
) -> VisualBertEncoder:
    """A VisualBERT with the size and weights of a BERT, or a random one of a given size.

    Args:
        region_dimension: D, dimension of a region's feature vector.
        bert: hub name or local folder. Its config gives the size, its weights the start (§4).
        random_init: take only the size of `bert` (Table 5, C3). Where `bert` is None it has to be True.
        fusion: "early", or "late" for "w/o Early Fusion" (§4).
        alignment: "sum" (§3.2) or "mean" (the authors' code) of the positions of aligned words.
        attention: "auto", "packed", "sdpa" or "eager", see `VisualBertEncoder`.
        pooler: whether a head reads the pooled state.
        gradient_checkpointing: less memory, about a third slower.
        sizes: fields of transformers' `BertConfig` (hidden_size, num_hidden_layers, num_attention_heads,
            intermediate_size, vocab_size, max_position_embeddings, type_vocab_size, hidden_dropout_prob,
            attention_probs_dropout_prob, initializer_range, layer_norm_eps, hidden_act). BERT-base where `bert`
            is None; beside a `bert` only what does not change the shape of its weights.

    Raises:
        InputError: for an unknown keyword or choice, sizes that contradict `bert`, or a BERT that cannot be had.
    """
    if fusion not in FUSIONS:
        raise InputError(f"fusion is '{fusion}', but it has to be one of {', '.join(FUSIONS)}")
    if bert is None and not random_init:
        raise InputError("name a BERT with bert: <hub name or folder>, or set random_init: true for random weights")
    config = bert_config_of_size(bert, sizes)
    embeddings = VisualBertEmbeddings(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        max_position_embeddings=config.max_position_embeddings,
        type_vocab_size=config.type_vocab_size,
        region_dimension=region_dimension,
        alignment=alignment,
        dropout=config.hidden_dropout_prob,
        layer_norm_eps=config.layer_norm_eps,
    )
    model = VisualBertEncoder(
        embeddings,
        Encoder([Layer(BertLayer(config)) for _ in range(config.num_hidden_layers)], gradient_checkpointing),
        pooler=Pooler(config.hidden_size) if pooler else None,
        additional_layer=Layer(BertLayer(config)) if fusion == "late" else None,
        attention=attention,
    )
    initialise(model, config.initializer_range)
    if not random_init:
        load_bert(model, bert_weights(bert).visual_bert, bert)
    model.embeddings.copy_text_tables_to_regions()
    return model


SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
    "layer_norm_eps",
    "hidden_act",
)
SHAPES = SIZES[:7]


def bert_config_of_size(bert: str | None, sizes: dict[str, Any]) -> BertConfig:
    """The config of `bert`, or BERT-base's, with `sizes` written over it.

    Raises:
        InputError: for a size that is not one of `SIZES`, or that changes the shape of the weights of `bert`.
    """
    unknown = sorted(set(sizes) - set(SIZES))
    if unknown:
        raise InputError(f"build_visual_bert knows no '{unknown[0]}'; it takes {', '.join(SIZES)}")
    # Which attention a BertLayer would use is nothing to us, but some versions of transformers build none without it.
    sizes = {**sizes, "attn_implementation": "eager"}
    if bert is None:
        return BertConfig(**sizes)
    config = bert_config(bert)
    for name in SHAPES:
        if name in sizes and sizes[name] != getattr(config, name):
            raise InputError(
                f"{name} is {sizes[name]}, but the BERT '{bert}' has {getattr(config, name)}; leave {name} out"
            )
    return BertConfig(**{**config.to_dict(), **sizes})


@torch.no_grad()
def initialise(module: nn.Module, deviation: float = 0.02) -> None:
    """BERT's random start: weights N(0, 0.02), biases 0, LayerNorm 1 and 0, the padding row 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            part.weight.normal_(0.0, deviation)
        if isinstance(part, nn.Linear) and part.bias is not None:
            part.bias.zero_()
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            part.weight[part.padding_idx].zero_()
        if isinstance(part, nn.LayerNorm):
            part.weight.fill_(1.0)
            part.bias.zero_()


def load_bert(model: VisualBertEncoder, state: dict[str, Tensor], bert: str) -> None:
    """Copy BERT's weights into the text side, the layers and the pooler.

    Raises:
        InputError: where a weight of the text side or a layer is missing in `state`.
    """
    wanted = model.state_dict()
    known = {key: value for key, value in state.items() if key in wanted}
    ours = ("embeddings.visual_", "additional_layer.", "pooler.")
    missing = [key for key in wanted if key not in known and not key.startswith(ours)]
    if missing:
        raise InputError(f"the BERT '{bert}' has no {missing[0]}; name a model of the BERT family")
    model.load_state_dict(known, strict=False)


def build_head(name: str, visual_bert: VisualBertEncoder, bert: str | None = None, **settings: Any) -> nn.Module:
    """The head registered as `name`, fitted to the encoder `visual_bert`.

    A head's constructor may ask for `hidden_size` and `word_embeddings`, which are the encoder's, and for `heads`,
    which is the encoder's number of attention heads unless `settings` say otherwise; all else comes from `settings`.
    A head with a method `load_bert(weights: BertWeights)` starts from that BERT's weights where `bert` is given.

    Raises:
        InputError: for an unknown head or setting, or one that is missing.
    """
    head = catalog.get("head", name)
    accepted = inspect.signature(head).parameters
    fixed = {"hidden_size": visual_bert.hidden_size, "word_embeddings": visual_bert.embeddings.word_embeddings}
    given = {**fixed, "heads": visual_bert.encoder.layer[0].num_heads, **settings}
    free = [key for key in accepted if key not in fixed]
    unknown = sorted(set(settings) - set(free))
    if unknown:
        raise InputError(f"the head {name} knows no '{unknown[0]}'; it takes {', '.join(free)}")
    missing = [key for key, what in accepted.items() if what.default is what.empty and key not in given]
    if missing:
        raise InputError(f"the head {name} needs '{missing[0]}'")
    arguments = {key: value for key, value in given.items() if key in accepted}
    built = head(**arguments)
    initialise(built)
    if bert is not None and hasattr(built, "load_bert"):
        built.load_bert(head_weights(bert))
    return built
