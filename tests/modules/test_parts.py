"""The builder of a model's parts: what it chooses, and what it refuses in one sentence."""

import copy

import pytest
import torch
from omegaconf import OmegaConf
from tiny_model import DIMENSION, SIZE, ragged
from transformers import BertConfig, BertModel

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.heads import masked_lm, pooled  # noqa: F401  (registers them)
from mmf_visualbert.modules.parts import build_parts
from mmf_visualbert.tasks.vqa2 import head as answer  # noqa: F401  (registers them)

POOLED = {"type": "visualbert_pooled", "params": {"num_labels": 2}}


@pytest.fixture
def config():
    """The model's own defaults, tiny."""
    import mmf  # noqa: F401  (first, as in every run)

    from mmf_visualbert.places import MODEL_YAML

    content = OmegaConf.load(MODEL_YAML)
    settings = content.model_config.visualbert
    settings.bert, settings.tokenizer, settings.region_dimension = None, "vocab.txt", DIMENSION
    settings.size.update({**SIZE, "initializer_range": 0.1})  # wide, so that what differs is seen in the scores
    settings.heads = [POOLED]
    return OmegaConf.to_container(content, resolve=True)["model_config"]["visualbert"]


def test_defaults_build(config):
    parts = build_parts(config)
    assert list(parts.heads) == ["visualbert_pooled"] and parts.region_encoder is None and parts.precision == "fp32"
    assert parts.visual_bert.hidden_size == 32 and parts.visual_bert.additional_layer is None
    assert parts.visual_bert.pooler is not None


def test_choices_are_followed(config):
    config.update(fusion="late", dropout=0.25, heads=[{"type": "visualbert_masked_lm"}])
    parts = build_parts(config)
    assert parts.visual_bert.additional_layer is not None and parts.visual_bert.pooler is None
    assert parts.visual_bert.embeddings.dropout.p == 0.25
    config.update(heads=[POOLED])
    assert build_parts(config).heads["visualbert_pooled"].dropout.p == 0.25
    config["heads"] = [{**POOLED, "params": {"num_labels": 3, "dropout": 0.5}}]
    head = build_parts(config).heads["visualbert_pooled"]
    assert head.dropout.p == 0.5 and head.classifier.out_features == 3  # its own params come first


def test_answers_and_vocabulary_come_from_the_data(config):
    config["heads"] = [{"type": "visualbert_answer"}]
    config["size"]["vocab_size"] = None
    parts = build_parts(config, answers=["yes", "no", "2"], vocab_size=77)
    assert parts.heads["visualbert_answer"].classifier.out_features == 3
    assert parts.visual_bert.embeddings.word_embeddings.num_embeddings == 77


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": []}, "heads is empty; name at least one head"),
        ({"heads": None}, "heads is empty; name at least one head"),
        ({"heads": ["visualbert_pooled"]}, r"heads\[0\] is 'visualbert_pooled'; write it as {type: name}"),
        ({"heads": [POOLED, POOLED]}, "names visualbert_pooled twice"),
        ({"heads": [{"type": "visualbert_poled"}]}, "no head named 'visualbert_poled'; available: .*visualbert_pooled"),
        ({"heads": [{"type": "visualbert_pooled", "params": {"labels": 2}}]}, "knows no 'labels'; it takes"),
        ({"precision": "fp16"}, "precision is 'fp16'; set one of fp32, bf16"),
        ({"region_encoder": {"type": "visualbert_none"}}, "no region_encoder named 'visualbert_none'"),
        ({"fusion": "middle"}, "middle"),
        ({"dropout": "zero"}, r"model_config\.visualbert\.dropout is 'zero'; set it to a number$"),
        ({"dropout": 1.5}, r"dropout is 1\.5; set it to a share from 0 to below 1"),
        ({"gradient_checkpointing": "false"}, "gradient_checkpointing is 'false'; set it to true or false"),
        ({"region_dimension": "16"}, "region_dimension is '16'; set it to a whole number"),
        ({"size": {"num_hidden_layers": 0}}, r"size\.num_hidden_layers is 0; set it to 1 or more"),
        ({"size": {"hidden_size": 30, "num_attention_heads": 4}}, "hidden_size is 30, no multiple of"),
        ({"size": {"initializer_range": 0}}, "initializer_range is 0; set it to a deviation above 0"),
        ({"size": None}, "size is null; set it to a section"),
    ],
)
def test_mistakes_are_named(config, change, message):
    config.update(copy.deepcopy(change))
    with pytest.raises(InputError, match=message) as error:
        build_parts(config)
    assert "\n" not in str(error.value)


def test_a_tokenizer_larger_than_the_model_is_refused(config, tmp_path):
    assert build_parts(config, vocab_size=SIZE["vocab_size"])
    with pytest.raises(InputError, match=r"tokenizer 'vocab.txt' has 121 word pieces but the model embeds 120; set"):
        build_parts(config, vocab_size=121)
    BertModel(BertConfig(**SIZE)).save_pretrained(tmp_path / "bert")
    config["bert"] = str(tmp_path / "bert")
    assert build_parts(config, vocab_size=100).visual_bert.embeddings.word_embeddings.num_embeddings == 120
    with pytest.raises(InputError, match="has 121 word pieces but the model embeds 120"):
        build_parts(config, vocab_size=121)


@pytest.fixture
def build_model():
    """Makes MMF's model of a config, in evaluation mode, in a run of no datasets."""
    import mmf  # noqa: F401
    from mmf.common.registry import registry

    from mmf_visualbert.plugin.model import VisualBERT

    before = registry.get("config", None, no_warning=True)
    registry.register("config", OmegaConf.create({"datasets": "", "evaluation": {"predict": False}}))

    def build(config):
        torch.manual_seed(0)
        model = VisualBERT({**config, "model": "visualbert"})
        model.build()
        return model.eval()

    yield build
    registry.register("config", before)


def batch():
    text, regions = ragged()
    return {
        "input_ids": text.input_ids,
        "text_mask": text.mask,
        "text_segments": text.segments,
        "region_features": regions.features,
        "region_mask": regions.mask,
        "region_segments": regions.segments,
    }


@torch.no_grad()
def test_hidden_regions_do_not_reach_the_trunk(config, build_model):
    seeing, blind = build_model(config), build_model({**config, "hide_regions": True})
    blind.load_state_dict(seeing.state_dict())
    sample = batch()
    without = {name: value for name, value in sample.items() if not name.startswith("region_")}
    given = []
    blind.visual_bert.register_forward_pre_hook(lambda module, inputs: given.append(inputs[1]))
    hidden = blind.forward(sample)["scores"]
    assert given == [None]
    torch.testing.assert_close(hidden, seeing.forward(without)["scores"])
    assert not torch.allclose(hidden, seeing.forward(sample)["scores"], atol=1e-3)


@torch.no_grad()
def test_bf16_gives_fp32_outputs_close_to_those_of_fp32(config, build_model):
    exact, rounded = build_model(config), build_model({**config, "precision": "bf16"})
    rounded.load_state_dict(exact.state_dict())
    seen = []
    rounded.heads["visualbert_pooled"].classifier.register_forward_hook(lambda m, i, output: seen.append(output.dtype))
    sample = batch()
    ours, theirs = rounded.forward(sample)["scores"], exact.forward(sample)["scores"]
    assert seen == [torch.bfloat16] and ours.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, atol=0.03, rtol=0.03)
    assert not torch.equal(ours, theirs)
