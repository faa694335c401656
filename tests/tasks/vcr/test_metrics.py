"""VCR's accuracies, by hand."""

import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.tasks.vcr import metrics as vcr
from mmf_visualbert.tasks.vcr.loss import RegionClasses
from mmf_visualbert.tasks.vcr.metrics import joint_accuracy


@pytest.mark.parametrize("name", ["visualbert_vcr_answer_accuracy", "visualbert_vcr_rationale_accuracy"])
def test_accuracy_counts_a_repeated_sample_once(name):
    metric = catalog.get("metric", name)()
    scores = torch.tensor([[2.0, 1, 0, 0], [0, 0, 3, 1], [0, 5, 0, 0], [0, 5, 0, 0]])
    batch = {"id": torch.tensor([0, 1, 2, 2]), "targets": torch.tensor([0, 3, 1, 1]), "scores": scores}
    assert set(metric.required_params) <= set(batch)
    assert metric.calculate(batch, batch).item() == pytest.approx(2 / 3)


def test_joint_accuracy_needs_both():
    answers = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    rationales = [[0, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    found = joint_accuracy(answers, rationales, [0, 1, 0, 0], [1, 0, 0, 2])
    assert found == vcr.JointAccuracy(answer=0.5, rationale=0.75, both=0.25)
    with pytest.raises(ValueError, match="longer"):
        joint_accuracy(answers, rationales[:2], [0] * 4, [0] * 4)


def test_region_classes_loss_by_hand():
    mask = torch.tensor([[True, True], [True, False]])
    batch = {"region_classes": torch.tensor([[0, 2], [1, 0]]), "region_mask": mask}
    logits = torch.zeros(3, 81)
    logits[1, 2] = 5.0
    expected = (2 * torch.log(torch.tensor(81.0)) + torch.log(torch.exp(torch.tensor(5.0)) + 80) - 5) / 3
    torch.testing.assert_close(RegionClasses()(batch, {"region_class_logits": logits}), expected)
    torch.testing.assert_close(RegionClasses(weight=0.5)(batch, {"region_class_logits": logits}), expected / 2)
