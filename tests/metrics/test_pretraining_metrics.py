"""Metrics of the pre-training objectives, and plain accuracy."""

import math

import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.metrics import pretraining
from mmf_visualbert.metrics.accuracy import Accuracy

SAMPLES = {"id": torch.tensor([0, 1, 2, 2])}
OUTPUT = {
    "masked_lm_correct": torch.tensor([1.0, 0.0, 3.0, 3.0]),
    "masked_lm_count": torch.tensor([2.0, 0.0, 6.0, 6.0]),
    "masked_lm_loss_sum": torch.tensor([1.0, 0.0, 5.0, 5.0]),
    "sentence_image_correct": torch.tensor([1.0, 0.0, 1.0, 1.0]),
    "sentence_image_count": torch.tensor([1.0, 1.0, 1.0, 1.0]),
    "sentence_image_loss_sum": torch.tensor([0.5, 1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("visualbert_masked_lm_accuracy", 4 / 8),
        ("visualbert_masked_lm_loss", 6 / 8),
        ("visualbert_sentence_image_accuracy", 2 / 3),
        ("visualbert_sentence_image_loss", 0.5),
    ],
)
def test_sums_over_sums_each_sample_once(name, expected):
    metric = catalog.get("metric", name)()
    assert set(metric.required_params) <= {*SAMPLES, *OUTPUT}
    value = metric.calculate(SAMPLES, OUTPUT)
    assert value.shape == ()
    assert float(value) == pytest.approx(expected)


def test_nothing_to_count_is_not_a_number():
    output = {key: torch.zeros(4) for key in OUTPUT}
    assert math.isnan(float(pretraining.masked_lm_accuracy().calculate(SAMPLES, output)))


def test_accuracy():
    scores = torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    samples = SAMPLES | {"targets": torch.tensor([1, 1, 1, 1])}
    assert float(Accuracy().calculate(samples, {"scores": scores})) == pytest.approx(2 / 3)
