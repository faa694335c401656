"""Heads and their losses: the authors' own outputs, transformers' losses, vocabularies, counts."""

import copy

import numpy as np
import pytest
import torch
from tiny_model import SIZE, ragged, released, released_inputs, tiny
from transformers import VisualBertConfig, VisualBertForPreTraining, VisualBertForQuestionAnswering

from mmf_visualbert.errors import InputError
from mmf_visualbert.losses.pretraining import MaskedLM, SentenceImage
from mmf_visualbert.modules.build import build_head
from mmf_visualbert.modules.heads import masked_lm, pooled, sentence_image  # noqa: F401
from mmf_visualbert.tasks.vqa2 import head as answer  # noqa: F401
from mmf_visualbert.tasks.vqa2.loss import AnswerCrossEntropy

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def labelled(text):
    """Labels of masked positions for `ragged`'s default batch, some of them."""
    labels = torch.full_like(text.input_ids, -1)
    labels[0, 2], labels[0, 7], labels[2, 3] = 5, 11, 7
    return labels


def randomise(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.3)
    return module.eval()


def pretraining_rival(model, masked, matched):
    theirs = VisualBertForPreTraining(VisualBertConfig(visual_embedding_dim=24, **SIZE)).eval()
    state = {f"visual_bert.{name}": value for name, value in model.state_dict().items()}
    state |= {f"cls.predictions.{name}": value for name, value in masked.state_dict().items()}
    state |= {f"cls.seq_relationship.{name.split('.')[1]}": value for name, value in matched.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    theirs.tie_weights()
    theirs.cls.predictions.decoder.bias = theirs.cls.predictions.bias
    theirs.cls.predictions.decoder.weight = theirs.visual_bert.embeddings.word_embeddings.weight
    return theirs


def arguments(text, regions):
    return {
        "input_ids": text.input_ids,
        "attention_mask": text.mask.long(),
        "token_type_ids": text.segments,
        "visual_embeds": regions.features,
        "visual_attention_mask": regions.mask.long(),
        "visual_token_type_ids": regions.segments,
    }


def test_pretraining_losses_and_gradients_are_those_of_transformers():
    model = tiny()
    masked, matched = (
        randomise(build_head(name, model)) for name in ("visualbert_masked_lm", "visualbert_sentence_image")
    )
    text, regions = ragged()
    batch = {
        "input_ids": text.input_ids,
        "masked_lm_labels": labelled(text),
        "sentence_image_labels": torch.tensor([1, 0, 1]),
    }
    encoded = model(text, regions, last_layer_rows=masked.rows(batch) | matched.rows(batch))
    output = masked(encoded, batch)._asdict() | matched(encoded, batch)._asdict()
    loss = MaskedLM()(batch, output) + SentenceImage()(batch, output)
    loss.backward()

    theirs = pretraining_rival(model, masked, matched)
    labels = torch.full((3, 12 + 6), -100)
    labels[:, :12] = torch.where(batch["masked_lm_labels"] < 0, -100, batch["masked_lm_labels"])
    expected = theirs(**arguments(text, regions), labels=labels, sentence_image_labels=batch["sentence_image_labels"])
    torch.testing.assert_close(loss, expected.loss, **CLOSE)
    rows = torch.nn.functional.pad(masked.rows(batch), (0, 6))
    torch.testing.assert_close(output["masked_lm_logits"], expected.prediction_logits[rows], **CLOSE)
    torch.testing.assert_close(output["sentence_image_logits"], expected.seq_relationship_logits, **CLOSE)
    expected.loss.backward()
    for name, parameter in theirs.visual_bert.named_parameters():
        torch.testing.assert_close(dict(model.named_parameters())[name].grad, parameter.grad, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(masked.bias.grad, theirs.cls.predictions.bias.grad, **CLOSE)


def test_pretraining_outputs_are_the_authors(shared):
    weights, inputs, expected = released(shared, "pretraining")
    model = tiny(alignment="mean")
    names = {"token_type_embeddings_visual": "visual_token_type_embeddings", "projection": "visual_projection"}
    names["position_embeddings_visual"] = "visual_position_embeddings"
    state = {}
    for name, value in weights.items():
        if name.startswith("bert."):
            parts = [names.get(part, part) for part in name.split(".")[1:]]
            state[".".join(parts)] = value
    model.load_state_dict(state)
    masked, matched = build_head("visualbert_masked_lm", model), build_head("visualbert_sentence_image", model)
    prefix = "cls.predictions."
    masked.load_state_dict(
        {name[len(prefix) :]: value for name, value in weights.items() if prefix in name and "decoder" not in name}
    )
    matched.load_state_dict(
        {f"classifier.{part}": weights[f"cls.seq_relationship.{part}"] for part in ("weight", "bias")}
    )
    text, regions = released_inputs(inputs)
    batch = {
        "input_ids": text.input_ids,
        "masked_lm_labels": inputs["lm_labels"],
        "sentence_image_labels": inputs["is_random_next"],
    }
    encoded = model(text, regions)
    output = masked(encoded, batch)._asdict() | matched(encoded, batch)._asdict()
    rows = torch.nn.functional.pad(masked.rows(batch), (0, 5))
    torch.testing.assert_close(output["masked_lm_logits"], expected["logits"][rows], **CLOSE)
    torch.testing.assert_close(output["sentence_image_logits"], expected["seq_relationship_score"], **CLOSE)
    torch.testing.assert_close(MaskedLM()(batch, output), expected["masked_lm_loss"], **CLOSE)
    torch.testing.assert_close(SentenceImage()(batch, output), expected["next_sentence_loss"], **CLOSE)


def test_vocabulary_logits_exist_at_masked_positions_alone():
    model = tiny().train()
    head = build_head("visualbert_masked_lm", model)
    text, regions = ragged()
    batch = {"input_ids": text.input_ids, "masked_lm_labels": labelled(text)}
    seen = []
    head.transform.register_full_backward_hook(lambda module, into, above: seen.append(above[0].shape))
    output = head(model(text, regions, last_layer_rows=head.rows(batch)), batch)
    assert output.masked_lm_logits.shape == (3, 120)
    MaskedLM()(batch, output._asdict()).backward()
    assert seen == [(3, 32)]


def test_nothing_masked_gives_a_loss_and_gradients_of_zero():
    model = tiny(pooler=False).train()
    head = build_head("visualbert_masked_lm", model)
    text, regions = ragged()
    batch = {"input_ids": text.input_ids, "masked_lm_labels": torch.full_like(text.input_ids, -1)}
    output = head(model(text, regions, last_layer_rows=head.rows(batch)), batch)
    loss = MaskedLM()(batch, output._asdict())
    loss.backward()
    assert loss.item() == 0 and output.masked_lm_count.tolist() == [0, 0, 0]
    for parameter in (*model.parameters(), *head.parameters()):
        assert parameter.grad is not None and not parameter.grad.any()


def test_counts_are_those_of_each_sample():
    model = tiny()
    head = randomise(build_head("visualbert_masked_lm", model))
    text, regions = ragged()
    batch = {"input_ids": text.input_ids, "masked_lm_labels": labelled(text)}
    output = head(model(text, regions), batch)
    losses = -output.masked_lm_logits.log_softmax(-1)[torch.arange(3), torch.tensor([5, 11, 7])]
    right = (output.masked_lm_logits.argmax(-1) == torch.tensor([5, 11, 7])).float()
    assert output.masked_lm_count.tolist() == [2, 0, 1]
    torch.testing.assert_close(
        output.masked_lm_loss_sum, torch.stack((losses[0] + losses[1], losses[0] * 0, losses[2]))
    )
    torch.testing.assert_close(output.masked_lm_correct, torch.stack((right[0] + right[1], right[0] * 0, right[2])))
    assert not output.masked_lm_loss_sum.requires_grad


@pytest.mark.parametrize("flat", [False, True])
def test_several_texts_a_sample(flat):
    """VCR: two samples of two texts; texts come as (B, C, T), or flattened with the ids to tell the samples."""
    model = tiny()
    text, regions = ragged(lengths=(9, 6, 8, 4), counts=(5, 3, 5, 3))
    labels = torch.full_like(text.input_ids, -1)
    labels[0, 1], labels[1, 2], labels[3, 1] = 5, 6, 7
    shape = (4, 12) if flat else (2, 2, 12)
    batch = {"input_ids": text.input_ids.view(shape), "masked_lm_labels": labels.view(shape), "id": torch.arange(2)}
    encoded = model(text, regions)
    masked = build_head("visualbert_masked_lm", model)
    assert masked(encoded, batch).masked_lm_count.tolist() == [2, 1]
    assert masked.rows(batch).shape == (4, 12)
    choice = randomise(build_head("visualbert_choice", model))
    scores = choice(encoded, batch).scores
    assert scores.shape == (2, 2)
    torch.testing.assert_close(scores.flatten(), choice.classifier(encoded.pooled).squeeze(1))
    batch["sentence_image_labels"] = torch.tensor([[1, 0], [0, 0]])
    matched = build_head("visualbert_sentence_image", model)(encoded, batch)
    assert matched.sentence_image_logits.shape == (4, 2) and matched.sentence_image_count.tolist() == [2, 2]
    gold = matched.sentence_image_logits.log_softmax(-1)[torch.arange(4), torch.tensor([1, 0, 0, 0])]
    torch.testing.assert_close(matched.sentence_image_loss_sum, -gold.view(2, 2).sum(1))
    torch.testing.assert_close(SentenceImage()(batch, matched._asdict()), -gold.mean())


def test_answer_head_is_that_of_transformers():
    model = tiny(pooler=True)
    head = randomise(build_head("visualbert_answer", model, num_labels=9))
    theirs = VisualBertForQuestionAnswering(VisualBertConfig(visual_embedding_dim=24, num_labels=9, **SIZE)).eval()
    state = {f"visual_bert.{name}": value for name, value in model.state_dict().items()}
    theirs.load_state_dict(state | {f"cls.{part}": getattr(head.classifier, part) for part in ("weight", "bias")})
    text, regions = ragged()
    scores = torch.rand(3, 9) * (torch.rand(3, 9) < 0.4)
    batch = {"input_ids": text.input_ids, "answer_position": text.mask.sum(1) - 2, "targets": scores}
    output = head(model(text, regions, last_layer_rows=head.rows(batch)), batch)
    expected = theirs(**arguments(text, regions), labels=scores)
    torch.testing.assert_close(output.scores.log_softmax(-1), expected.logits.log_softmax(-1), **CLOSE)
    torch.testing.assert_close(AnswerCrossEntropy("soft")(batch, output._asdict()), expected.loss, **CLOSE)


def test_pooled_head():
    model = tiny()
    head = randomise(build_head("visualbert_pooled", model, num_labels=3))
    text, regions = ragged()
    batch = {"input_ids": text.input_ids}
    encoded = model(text, regions, last_layer_rows=head.rows(batch))
    torch.testing.assert_close(head(encoded, batch).scores, head.classifier(encoded.pooled))
    assert head(encoded, batch).scores.shape == (3, 3)


class TestAnswers:
    ANSWERS = ("yes", "2 dogs", "café", "")

    def head(self, answers=ANSWERS):
        return build_head("visualbert_answer", tiny(pooler=False), num_labels=4, answers=answers)

    def test_survive_a_checkpoint(self, tmp_path):
        torch.save({"model": self.head().state_dict()}, tmp_path / "head.pt")
        state = torch.load(tmp_path / "head.pt", weights_only=True)["model"]
        assert all(isinstance(value, torch.Tensor) for value in state.values())
        unaware = self.head(answers=None)
        unaware.load_state_dict(state)
        assert tuple(unaware.answers) == self.ANSWERS
        self.head().load_state_dict(state)

    def test_others_are_refused_by_name(self):
        state = self.head(answers=("yes", "3 dogs", "café", "")).state_dict()
        with pytest.raises(InputError, match="the checkpoint has '3 dogs' as answer 1 where this model has '2 dogs'"):
            self.head().load_state_dict(state)
        with pytest.raises(InputError, match="has 2 answers, but the head has num_labels 4"):
            self.head(answers=("yes", "no"))

    def test_a_checkpoint_without_answers_is_taken(self):
        head = self.head()
        head.load_state_dict(self.head(answers=None).state_dict())
        assert tuple(head.answers) == self.ANSWERS

    def test_mmf_copies_everything_it_finds_in_a_state(self):
        """`checkpoint.pretrained_state_mapping`: every value of a state dict has to take `copy_`."""
        ours, theirs = self.head().state_dict(), self.head().state_dict()
        for name, value in theirs.items():
            ours[name].copy_(value)


class TestBuildHead:
    def test_settings_are_checked(self):
        model = tiny()
        with pytest.raises(InputError, match="there is no head named 'visualbert_foot'"):
            build_head("visualbert_foot", model)
        with pytest.raises(InputError, match="the head visualbert_answer needs 'num_labels'"):
            build_head("visualbert_answer", model)
        with pytest.raises(
            InputError, match="the head visualbert_pooled knows no 'labels'; it takes num_labels, dropout"
        ):
            build_head("visualbert_pooled", model, labels=2)

    def test_words_stay_the_trunks(self):
        model = tiny()
        head = build_head("visualbert_masked_lm", model)
        assert [name for name, _ in head.named_parameters() if "word" in name] == []
        both = torch.nn.ModuleList([model, head]).double()
        assert both[1].logits(torch.zeros(1, 32, dtype=torch.float64)).dtype == torch.float64
        copied = copy.deepcopy(both)
        with torch.no_grad():
            copied[0].embeddings.word_embeddings.weight.zero_()
        states = torch.ones(1, 32, dtype=torch.float64)
        assert not copied[1].logits(states).any() and both[1].logits(states).any()

    def test_first_weights_are_berts(self):
        head = build_head("visualbert_answer", tiny(), num_labels=3000)
        assert abs(head.classifier.weight.std() - 0.02) < 1e-3 and not head.classifier.bias.any()


def test_released_answer_scores(shared):
    weights, inputs, expected = released(shared, "vqa")
    head = build_head("visualbert_answer", tiny(), num_labels=3129)
    head.load_state_dict({name: value for name, value in weights.items() if "classifier" in name}, strict=False)
    head.eval()
    text, _ = released_inputs(inputs)
    encoded = tiny()(text)._replace(text=expected["sequence_output"][:, :9])
    output = head(encoded, {"input_ids": text.input_ids, "answer_position": inputs["text_mask"].sum(1) - 2})
    assert np.allclose(output.scores.detach().log_softmax(-1), expected["log_softmax_logits"], atol=1e-5)
    loss = AnswerCrossEntropy("soft")({"targets": inputs["label"]}, output._asdict())
    torch.testing.assert_close(loss, expected["loss"], **CLOSE)
