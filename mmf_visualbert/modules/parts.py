"""From the plain model config to the model's parts. The one place where the config of the model ends."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Head, RegionEncoder
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.build import bert_config, bert_weights, build_head, build_visual_bert, model_facts
from mmf_visualbert.modules.chosen_heads import Answers, chosen_heads
from mmf_visualbert.modules.model_values import check_model_values
from mmf_visualbert.modules.precision import PRECISIONS
from mmf_visualbert.modules.products import choose_products
from mmf_visualbert.modules.visual_bert import VisualBertEncoder


class ModelParts(NamedTuple):
    """What a model is made of.

    Attributes:
        visual_bert: the encoder.
        region_encoder: makes region features from images; None where they come from a store.
        heads: by their names, which are those of their types where the configuration gives none.
        precision: "fp32" or "bf16".
        products: the library of fp32 products on the CPU, of the whole process: "torch" or "onednn".
    """

    visual_bert: VisualBertEncoder
    region_encoder: RegionEncoder | None
    heads: dict[str, Head]
    precision: str
    products: str = "torch"


def build_parts(config: Mapping[str, Any], answers: Answers = None, vocab_size: int | None = None) -> ModelParts:
    """Builds all parts of a model.

    Args:
        config: `model_config.visualbert`, plain and resolved.
        answers: the dataset's answer vocabulary, for heads that take one; of several data sets by the heads' names.
        vocab_size: number of word pieces of the dataset's tokenizer.

    Raises:
        InputError: for a head, precision, library of products, size or rate that does not exist or does not fit.
    """
    check_model_values(config)
    if config["precision"] not in PRECISIONS:
        raise InputError(
            f"model_config.visualbert.precision is '{config['precision']}'; set one of {', '.join(PRECISIONS)}"
        )
    heads = chosen_heads(config["heads"])
    products = choose_products(config.get("fp32_products", "auto"))  # checkpoints of 0.1.0 have no such key
    bert = config["bert"]
    sizes = _sizes(config, vocab_size)
    weights = None if config["random_init"] or bert is None else bert_weights(bert)
    visual_bert = build_visual_bert(
        bert=weights or bert,
        random_init=config["random_init"] or bert is None,
        region_dimension=config["region_dimension"],
        fusion=config["fusion"],
        alignment=config["alignment"],
        attention=config["attention"],
        gradient_checkpointing=config["gradient_checkpointing"],
        pooler=any(catalog.get("head", head.type).needs_pooler for head in heads),
        **sizes,
    )
    facts = model_facts(visual_bert, config["dropout"])
    built = {
        head.name: build_head(
            head.type, replace(facts, answers=head.answers(answers)), weights and weights.heads, **head.params
        )
        for head in heads
    }
    return ModelParts(visual_bert, _region_encoder(config), built, config["precision"], products)


def _sizes(config: Mapping[str, Any], vocab_size: int | None) -> dict[str, Any]:
    """Keywords for the encoder's size, checked against the tokenizer's vocabulary."""
    sizes: dict[str, Any] = {}
    if config["dropout"] is not None:
        sizes = {"hidden_dropout_prob": config["dropout"], "attention_probs_dropout_prob": config["dropout"]}
    if config["bert"] is None:
        sizes.update({name: value for name, value in config["size"].items() if value is not None})
        if "initializer_range" in sizes:
            sizes["initializer_range"] = float(sizes["initializer_range"])  # transformers takes no whole number
        if vocab_size is not None:
            sizes.setdefault("vocab_size", vocab_size)
    rows = sizes.get("vocab_size") if config["bert"] is None else bert_config(config["bert"]).vocab_size
    if vocab_size is not None and rows is not None and vocab_size > rows:
        raise InputError(
            f"the tokenizer '{config['tokenizer']}' has {vocab_size} word pieces but the model embeds {rows}; "
            "set model_config.visualbert.tokenizer to the vocabulary of model_config.visualbert.bert"
        )
    return sizes


def without_download(region_encoder: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The section of a region encoder whose weights come with the model's, and from nowhere else."""
    if not region_encoder:
        return None
    return {**region_encoder, "params": {**(region_encoder.get("params") or {}), "weights": None}}


def _region_encoder(config: Mapping[str, Any]) -> RegionEncoder | None:
    encoder = config["region_encoder"]
    if not encoder:
        return None
    params = encoder.get("params") or {}
    catalog.require_keywords("region_encoder", encoder["type"], params, beside=("region_dimension",))
    return catalog.get("region_encoder", encoder["type"])(region_dimension=config["region_dimension"], **params)
