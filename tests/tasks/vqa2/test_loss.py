"""Losses of tasks that choose from a list, by hand."""

import math

import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.losses.cross_entropy import CrossEntropy
from mmf_visualbert.tasks.vqa2.loss import AnswerCrossEntropy


def test_correct_answers_are_equally_probable():
    scores = torch.tensor([[0.0, 1.0, 0.3], [0.6, 0.0, 0.0]])
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, -1.0]])
    p = logits.softmax(-1).tolist()
    expected = (-(math.log(p[0][1]) + math.log(p[0][2])) / 2 - math.log(p[1][0])) / 2
    assert AnswerCrossEntropy()({"targets": scores}, {"scores": logits}).item() == pytest.approx(expected)


def test_soft_scores_of_the_authors():
    scores = torch.tensor([[0.0, 1.0, 0.3], [0.6, 0.0, 0.0]])
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, 3.0, -1.0]])
    p = logits.softmax(-1).tolist()
    terms = [1.0 * (math.log(1.0) - math.log(p[0][1])), 0.3 * (math.log(0.3) - math.log(p[0][2]))]
    terms.append(0.6 * (math.log(0.6) - math.log(p[1][0])))
    loss = AnswerCrossEntropy(targets="soft")({"targets": scores}, {"scores": logits})
    assert loss.item() == pytest.approx(sum(terms) / 2)


@pytest.mark.parametrize("targets", ["equal", "soft"])
def test_a_question_without_a_correct_answer_adds_nothing(targets):
    loss = AnswerCrossEntropy(targets)
    scores = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    logits = torch.tensor([[0.3, 0.1], [5.0, -5.0]], requires_grad=True)
    both = loss({"targets": scores}, {"scores": logits})
    both.backward()
    assert both.item() == pytest.approx(loss({"targets": scores[:1]}, {"scores": logits[:1]}).item() / 2)
    assert logits.grad[1].tolist() == [0, 0]
    assert loss({"targets": scores[1:]}, {"scores": logits[1:]}).item() == 0


def test_half_precision_is_summed_in_single():
    logits = torch.randn(4, 3000).bfloat16()
    scores = (torch.rand(4, 3000) < 0.01).float()
    ours = AnswerCrossEntropy()({"targets": scores}, {"scores": logits})
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, AnswerCrossEntropy()({"targets": scores}, {"scores": logits.float()}))


def test_one_of_several():
    logits = torch.tensor([[1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    loss = CrossEntropy()({"targets": torch.tensor([1, 3])}, {"scores": logits})
    assert loss.item() == pytest.approx((-math.log(math.exp(2) / (math.e + math.exp(2) + 2)) + math.log(4)) / 2)


def test_names_and_options():
    assert catalog.get("loss", "visualbert_answer_cross_entropy") is AnswerCrossEntropy
    assert catalog.get("loss", "visualbert_cross_entropy") is CrossEntropy
    with pytest.raises(InputError, match="targets is 'hard'"):
        AnswerCrossEntropy(targets="hard")
