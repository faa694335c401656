"""Others' weights in our model give others' outputs; names go there and back."""

import pytest
import torch
from tiny_model import SIZE, joint, ragged, released, released_inputs, tiny
from torch import nn
from transformers import (
    VisualBertConfig,
    VisualBertForMultipleChoice,
    VisualBertForPreTraining,
    VisualBertForQuestionAnswering,
    VisualBertForRegionToPhraseAlignment,
    VisualBertForVisualReasoning,
    VisualBertModel,
)

from mmf_visualbert.checkpoints.convert import convert, revert
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.build import build_head
from mmf_visualbert.modules.heads import masked_lm, pooled, sentence_image  # noqa: F401
from mmf_visualbert.tasks.flickr30k import head as phrase_grounding  # noqa: F401
from mmf_visualbert.tasks.vqa2 import head as answer  # noqa: F401

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


class Model(nn.Module):
    """The names of the model that MMF trains."""

    def __init__(self, *heads, **settings):
        super().__init__()
        self.visual_bert = tiny(**settings)
        self.heads = nn.ModuleDict({name: build_head(name, self.visual_bert, **more) for name, more in heads})


def filled(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.2)
    return module.eval()


def rival(cls, **settings):
    model = filled(cls(VisualBertConfig(visual_embedding_dim=24, **SIZE, **settings)))
    if hasattr(model, "cls") and hasattr(model.cls, "predictions"):  # transformers 4.57 forgets to tie one of them
        model.cls.predictions.decoder.weight = model.visual_bert.embeddings.word_embeddings.weight
        model.cls.predictions.decoder.bias = model.cls.predictions.bias
    return model


@pytest.mark.parametrize("wrapped", [True, False])
def test_pretraining_of_the_authors(shared, wrapped):
    weights, inputs, expected = released(shared, "pretraining")
    given = {f"bert.{name}": value for name, value in weights.items()} if wrapped else weights
    converted = convert(given, attention_heads=4)
    model = Model(("visualbert_masked_lm", {}), ("visualbert_sentence_image", {}), alignment="mean")
    model.load_state_dict(converted.state_dict, strict=True)
    model.eval()
    text, regions = released_inputs(inputs)
    encoded = model.visual_bert(text, regions)
    states, mask = joint(encoded)
    full = torch.cat((text.mask, regions.mask), 1)
    torch.testing.assert_close(states[mask], expected["sequence_output"][full], **CLOSE)
    torch.testing.assert_close(encoded.pooled, expected["pooled_output"], **CLOSE)
    logits = model.heads["visualbert_masked_lm"].logits(states[mask])
    torch.testing.assert_close(logits, expected["logits"][full], **CLOSE)
    scores = model.heads["visualbert_sentence_image"](encoded, {"input_ids": text.input_ids}).sentence_image_logits
    torch.testing.assert_close(scores, expected["seq_relationship_score"], **CLOSE)
    assert [reason for _, reason in converted.report.dropped] == ["is the word embeddings"]
    assert not converted.report.unknown and converted.report.source == "the authors' code"


def test_answers_of_the_authors(shared):
    weights, inputs, expected = released(shared, "vqa")
    converted = convert(weights, attention_heads=4, answers=[f"answer {number}" for number in range(3129)])
    model = Model(("visualbert_answer", {"num_labels": 3129}), alignment="mean")
    model.load_state_dict(converted.state_dict, strict=True)
    model.eval()
    assert model.heads["visualbert_answer"].answers[7] == "answer 7"
    text, regions = released_inputs(inputs)
    batch = {"input_ids": text.input_ids, "answer_position": text.mask.sum(1) - 2}
    rows = model.heads["visualbert_answer"].rows(batch)
    scores = model.heads["visualbert_answer"](model.visual_bert(text, regions, last_layer_rows=rows), batch).scores
    torch.testing.assert_close(scores.log_softmax(-1), expected["log_softmax_logits"], **CLOSE)


def test_settings_are_the_authors_ways(shared):
    weights, _, _ = released(shared, "vqa")
    settings = convert(weights, attention_heads=4).settings
    model = settings["model_config"]["visualbert"]
    assert model["alignment"] == "mean" and model["fusion"] == "early" and model["region_dimension"] == 24
    assert model["size"] == SIZE and model["bert"] is None
    assert model["heads"] == [{"type": "visualbert_answer", "params": {"num_labels": 3129}}]
    assert model["losses"] == [{"type": "visualbert_answer_cross_entropy", "params": {"targets": "soft"}}]
    assert settings["optimizer"]["params"]["correct_bias"] is False
    pretraining, _, _ = released(shared, "pretraining")
    assert "heads" not in convert(pretraining, attention_heads=4).settings["model_config"]["visualbert"]


@pytest.mark.parametrize(
    ("cls", "settings", "heads"),
    [
        (VisualBertModel, {}, []),
        (VisualBertModel, {"bypass_transformer": True}, []),
        (VisualBertForPreTraining, {}, ["visualbert_masked_lm", "visualbert_sentence_image"]),
        (VisualBertForQuestionAnswering, {"num_labels": 9}, ["visualbert_answer"]),
        (VisualBertForVisualReasoning, {"num_labels": 2}, ["visualbert_pooled"]),
        (VisualBertForMultipleChoice, {}, ["visualbert_choice"]),
        (
            VisualBertForRegionToPhraseAlignment,
            {},
            ["visualbert_masked_lm", "visualbert_sentence_image", "visualbert_phrase_grounding"],
        ),
    ],
)
def test_models_of_transformers_there_and_back(cls, settings, heads):
    theirs = rival(cls, **settings)
    converted = convert(theirs.state_dict(), attention_heads=4)
    made = {"visualbert_answer": {"num_labels": 9}, "visualbert_phrase_grounding": {"heads": 1, "head_size": 8}}
    fusion = "late" if settings.get("bypass_transformer") else "early"
    model = Model(*((head, made.get(head, {})) for head in heads), fusion=fusion)
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected and all(name.endswith("_extra_state") for name in missing)
    assert not converted.report.unknown

    back, report = revert(model.state_dict(), "transformers")
    expected = {name: value for name, value in theirs.state_dict().items() if not name.startswith("attention.value")}
    if cls is VisualBertModel:
        back = {name.removeprefix("visual_bert."): value for name, value in back.items()}
    assert back.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(back[name], value), name
    assert all(name.endswith("_extra_state") for name, _ in report.dropped)


def test_converted_transformers_model_gives_its_outputs():
    theirs = rival(VisualBertForVisualReasoning, num_labels=2)
    model = Model(("visualbert_pooled", {}), alignment="mean")
    model.load_state_dict(convert(theirs.state_dict(), attention_heads=4).state_dict)
    model.eval()
    text, regions = ragged(alignment=torch.randint(-1, 5, (3, 6, 2)))
    expected = theirs(
        input_ids=text.input_ids,
        attention_mask=text.mask.long(),
        token_type_ids=text.segments,
        visual_embeds=regions.features,
        visual_attention_mask=regions.mask.long(),
        visual_token_type_ids=regions.segments,
        image_text_alignment=regions.alignment.clone(),
    )
    encoded = model.visual_bert(text, regions)
    scores = model.heads["visualbert_pooled"](encoded, {"input_ids": text.input_ids}).scores
    torch.testing.assert_close(scores, expected.logits, **CLOSE)


@pytest.mark.parametrize("target", ["authors", "mmf"])
def test_there_and_back(target):
    model = filled(Model(("visualbert_masked_lm", {}), ("visualbert_sentence_image", {}), fusion="late"))
    state = model.state_dict()
    back = convert(revert(state, target)[0], attention_heads=4)
    assert back.state_dict.keys() == state.keys()
    assert all(torch.equal(back.state_dict[name], value) for name, value in state.items())
    assert back.report.source == {"authors": "the authors' code", "mmf": "MMF's visual_bert"}[target]


def test_classifiers_of_mmf_have_no_place():
    state = revert(Model().state_dict(), "mmf")[0]
    state |= {"model.classifier.0.dense.weight": torch.zeros(2, 2), "model.classifier.1.weight": torch.zeros(2, 2)}
    converted = convert(state, attention_heads=4)
    assert not any(name.startswith("heads.") for name in converted.state_dict)
    assert len(converted.report.dropped) == 2
    assert any("two linear maps" in line for line in converted.report.lines())
    _, report = revert(Model(("visualbert_answer", {"num_labels": 3})).state_dict(), "mmf")
    assert len(report.dropped) == 3 and "has no place in MMF's visual_bert" in report.dropped[0][1]


def test_the_grounding_head_and_the_detector_of_the_authors():
    state = revert(Model().state_dict(), "authors")[0]
    state |= {f"bert.flickr_attention.{part}.weight": torch.randn(8, 32) for part in ("query", "key", "value")}
    state |= {
        "detector.backbone.0.weight": torch.zeros(4, 3, 7, 7),
        "detector.after_roi_align.0.0.bn1.bias": torch.ones(2),
    }
    state |= {"detector.obj_downsample.1.weight": torch.ones(24, 9), "detector.object_embed.weight": torch.ones(81, 4)}
    converted = convert(state, attention_heads=4)
    ours = converted.state_dict
    assert torch.equal(ours["heads.visualbert_phrase_grounding.key.weight"], state["bert.flickr_attention.key.weight"])
    assert ours["region_encoder.backbone.resnet.conv1.weight"].shape == (4, 3, 7, 7)
    assert "region_encoder.backbone.resnet.layer4.0.bn1.bias" in ours and "region_encoder.projection.weight" in ours
    assert "region_encoder.class_embeddings.weight" in ours
    assert converted.report.dropped == [("bert.flickr_attention.value.weight", "is not used by its own model")]
    heads = converted.settings["model_config"]["visualbert"]["heads"]
    assert heads == [{"type": "visualbert_phrase_grounding", "params": {"heads": 1, "head_size": 8}}]
    back, _ = revert(ours, "authors")
    assert {name for name in state if "flickr_attention.value" not in name} == set(back)


def test_a_classifier_goes_where_it_is_told():
    state = revert(Model().state_dict(), "authors")[0]
    state |= {"bert.classifier.weight": torch.ones(2, 32), "bert.classifier.bias": torch.ones(2)}
    assert "heads.visualbert_pooled.classifier.weight" in convert(state, attention_heads=4).state_dict
    told = convert(state, attention_heads=4, head="visualbert_answer")
    assert "heads.visualbert_answer.classifier.weight" in told.state_dict


class TestRefusals:
    def test_what_is_no_visualbert(self):
        ours = Model(("visualbert_pooled", {})).state_dict()
        with pytest.raises(InputError, match="has our own names already"):
            convert(ours)
        bert = {name.removeprefix("visual_"): value for name, value in ours.items() if "visual_b" in name}
        text_only = {name: value for name, value in bert.items() if ".visual_" not in name}
        with pytest.raises(InputError, match=r"is a BERT without regions; set model_config\.visualbert\.bert"):
            convert(text_only)
        with pytest.raises(InputError, match=r"some\.pth has no names of a VisualBERT that we know"):
            convert({"conv1.weight": torch.zeros(1)}, origin="some.pth")

    def test_what_is_not_whole(self):
        state = revert(Model().state_dict(), "authors")[0]
        del state["bert.bert.encoder.layer.0.output.dense.bias"]
        with pytest.raises(InputError, match=r"has no weights for visual_bert\.encoder.layer.0.output.dense.bias"):
            convert(state, attention_heads=4)

    def test_heads_of_attention_are_not_guessed_wrongly(self):
        state = revert(Model().state_dict(), "authors")[0]
        with pytest.raises(InputError, match="hidden size 32 cannot have an unknown number of attention heads"):
            convert(state)
        with pytest.raises(InputError, match="hidden size 32 cannot have 5 attention heads"):
            convert(state, attention_heads=5)

    def test_answers_that_do_not_fit(self, shared):
        weights, _, _ = released(shared, "vqa")
        with pytest.raises(InputError, match="has 2 answers, but the head has num_labels 3129"):
            convert(weights, attention_heads=4, answers=["yes", "no"])
        with pytest.raises(InputError, match="has no classifier of answers"):
            convert(revert(Model().state_dict(), "authors")[0], attention_heads=4, answers=["yes"])

    def test_a_decoder_of_its_own(self):
        theirs = rival(VisualBertForPreTraining).state_dict()
        theirs["cls.predictions.decoder.weight"] = theirs["cls.predictions.decoder.weight"] + 1
        converted = convert(theirs, attention_heads=4)
        assert not any("masked_lm" in name for name in converted.state_dict)
        assert "heads.visualbert_sentence_image.classifier.weight" in converted.state_dict
        assert any("a decoder that is not the word embeddings" in line for line in converted.report.lines())

    def test_unknown_names_are_reported(self):
        state = revert(Model().state_dict(), "authors")[0] | {"bert.extra.weight": torch.zeros(1)}
        converted = convert(state, attention_heads=4)
        assert converted.report.unknown == ["bert.extra.weight"]
        assert "left out: bert.extra.weight is not known" in converted.report.lines()
