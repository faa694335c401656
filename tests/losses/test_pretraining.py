"""Losses of the two pre-training objectives, by hand."""

import math

import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.losses.pretraining import MaskedLM, SentenceImage


def test_masked_lm_is_the_mean_over_masked_pieces():
    labels = torch.tensor([[-1, 2, -1], [0, 1, -1]])  # sequences with 1 and 2 masked pieces count by piece
    logits = torch.tensor([[0.0, 0.0, 1.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expected = -(math.log(math.e / (2 + math.e)) + math.log(math.exp(2) / (2 + math.exp(2))) - math.log(3)) / 3
    loss = MaskedLM()({"masked_lm_labels": labels}, {"masked_lm_logits": logits})
    assert loss.item() == pytest.approx(expected)
    choices = {"masked_lm_labels": labels.view(1, 2, 3)}
    assert MaskedLM()(choices, {"masked_lm_logits": logits}).item() == pytest.approx(expected)


def test_nothing_masked():
    logits = torch.zeros(0, 7, requires_grad=True)
    loss = MaskedLM()({"masked_lm_labels": torch.full((2, 4), -1)}, {"masked_lm_logits": logits})
    loss.backward()
    assert loss.item() == 0 and loss.shape == () and logits.grad.shape == (0, 7)


def test_sentence_image():
    logits = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.e) + 2 * math.log(2)) / 4
    for labels in (torch.tensor([1, 0, 1, 0]), torch.tensor([[1, 0], [1, 0]])):
        loss = SentenceImage()({"sentence_image_labels": labels}, {"sentence_image_logits": logits})
        assert loss.item() == pytest.approx(expected)


def test_names():
    assert catalog.get("loss", "visualbert_masked_lm") is MaskedLM
    assert catalog.get("loss", "visualbert_sentence_image") is SentenceImage
