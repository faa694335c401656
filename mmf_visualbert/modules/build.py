"""Builders of the encoder and of heads, from plain keywords. The only place where parts are chosen by name."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForPreTraining
from transformers.models.bert.modeling_bert import BertLayer

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Head, HeadWeights, ModelFacts
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.embeddings import VisualBertEmbeddings
from mmf_visualbert.modules.encoder import Encoder, Layer
from mmf_visualbert.modules.visual_bert import Pooler, VisualBertEncoder

FUSIONS = ("early", "late")
# Keywords of a head that are the model's alone to give.
OF_MODEL = ("hidden_size", "word_embeddings")


class BertWeights(NamedTuple):
    """A BERT, taken apart.

    Attributes:
        name: its hub name or folder.
        encoder: weights of the text side, by our names; with the pooler.
        heads: what heads may start from.
    """

    name: str
    encoder: dict[str, Tensor]
    heads: HeadWeights


@lru_cache(maxsize=1)
def bert_config(bert: str) -> BertConfig:
    """Sizes of a BERT by its hub name or local folder.

    Raises:
        InputError: where it cannot be had.
    """
    if Path(bert).is_dir() and not (Path(bert) / "config.json").is_file():  # transformers would take BERT-base's sizes
        raise unavailable(bert, OSError("there is no config.json"))
    try:
        return BertConfig.from_pretrained(bert)
    except (OSError, ValueError) as error:
        raise unavailable(bert, error) from error


def bert_weights(bert: str) -> BertWeights:
    """Weights of a BERT by its hub name or local folder.

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
    return BertWeights(bert, below("bert."), HeadWeights(predictions, relationship))


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
    bert: str | BertWeights | None = None,
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
        bert: hub name, local folder, or weights that were read already. Its config gives the size, its weights the
            start (§4).
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
    weights = bert if isinstance(bert, BertWeights) else None
    name = bert.name if isinstance(bert, BertWeights) else bert
    config = bert_config_of_size(name, sizes)
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
    if not random_init and name is not None:
        load_bert(model, weights or bert_weights(name))
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


def load_bert(model: VisualBertEncoder, weights: BertWeights) -> None:
    """Copy BERT's weights into the text side, the layers and the pooler.

    Raises:
        InputError: where a weight of the text side or a layer is missing.
    """
    wanted = model.state_dict()
    known = {key: value for key, value in weights.encoder.items() if key in wanted}
    ours = ("embeddings.visual_", "additional_layer.", "pooler.")
    missing = [key for key in wanted if key not in known and not key.startswith(ours)]
    if missing:
        raise InputError(f"the BERT '{weights.name}' has no {missing[0]}; name a model of the BERT family")
    model.load_state_dict(known, strict=False)


def model_facts(
    visual_bert: VisualBertEncoder, dropout: float | None = None, answers: Sequence[str] | None = None
) -> ModelFacts:
    """What heads are fitted to: the encoder's sizes and word embeddings, and what the run says beside them."""
    return ModelFacts(
        hidden_size=visual_bert.hidden_size,
        num_heads=visual_bert.num_heads,
        word_embeddings=visual_bert.embeddings.word_embeddings,
        dropout=dropout,
        answers=answers,
    )


def build_head(
    name: str, visual_bert: VisualBertEncoder | ModelFacts, weights: HeadWeights | None = None, **settings: Any
) -> Head:
    """The head registered as `name`, fitted to an encoder.

    Args:
        name: of the head.
        visual_bert: the encoder, or the facts of it.
        weights: of the BERT that the head starts from; None for random weights.
        settings: keywords of its constructor, over those that `Head.fitted` gives.

    Raises:
        InputError: for an unknown head or setting, or one that is missing.
    """
    head = catalog.get("head", name)
    facts = visual_bert if isinstance(visual_bert, ModelFacts) else model_facts(visual_bert)
    given = {**head.fitted(facts), **settings}
    catalog.require_keywords("head", name, [key for key in given if key not in OF_MODEL], beside=OF_MODEL)
    built = head(**given)
    initialise(built)
    if weights is not None:
        built.load_bert(weights)
    return built
