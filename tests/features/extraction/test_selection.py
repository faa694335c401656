"""Which proposals are kept: the fast way against the slow one, and by hand."""

import pytest
import torch

from mmf_visualbert.features.extraction.attributes import AttributeHead
from mmf_visualbert.features.extraction.selection import (
    Selection,
    rank,
    select,
    surviving_confidence,
    surviving_confidence_by_loop,
)


def proposals(count: int, classes: int, peak: float) -> tuple[torch.Tensor, torch.Tensor]:
    corner = torch.rand(count, 2) * 100
    boxes = torch.cat([corner, corner + torch.rand(count, 2) * 80 + 1], 1)
    return boxes, (torch.randn(count, classes + 1) * peak).softmax(-1)[:, :-1]


@pytest.mark.parametrize("count,classes,peak", [(60, 7, 1.0), (90, 3, 5.0), (40, 30, 0.1), (1, 1, 1.0)])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9])
def test_all_at_once_is_one_by_one(count, classes, peak, threshold):
    boxes, probabilities = proposals(count, classes, peak)
    fast = surviving_confidence(boxes, probabilities, threshold)
    assert torch.equal(fast, surviving_confidence_by_loop(boxes, probabilities, threshold))


def test_classes_in_parts_give_the_same(monkeypatch):
    boxes, probabilities = proposals(50, 20, 2.0)
    whole = surviving_confidence(boxes, probabilities, 0.3)
    monkeypatch.setattr("mmf_visualbert.features.extraction.selection._AT_ONCE", 100)
    assert torch.equal(surviving_confidence(boxes, probabilities, 0.3), whole)


def test_torchvisions_suppression_class_by_class_gives_the_same():
    nms = pytest.importorskip("torchvision.ops").nms
    boxes, probabilities = proposals(80, 12, 3.0)
    try:
        nms(boxes, probabilities[:, 0], 0.5)
    except RuntimeError:
        pytest.skip("torchvision's compiled operators do not load beside this torch")
    expected = torch.zeros(len(boxes))
    for label in range(12):
        kept = nms(boxes, probabilities[:, label], 0.5)
        expected[kept] = torch.maximum(expected[kept], probabilities[kept, label])
    assert torch.equal(surviving_confidence(boxes, probabilities, 0.5), expected)


def test_suppression_by_hand():
    """Box 1 overlaps box 0: it loses in class 0 and keeps its place in class 1, with the confidence of that class."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    probabilities = torch.tensor([[0.9, 0.01], [0.8, 0.15], [0.5, 0.1]])
    assert torch.equal(surviving_confidence(boxes, probabilities, 0.5), torch.tensor([0.9, 0.15, 0.5]))
    assert rank(boxes, probabilities, 0.5, 2).index.tolist() == [0, 2]
    assert rank(boxes, probabilities, 0.95, 2).index.tolist() == [0, 1]


def test_numbers_of_regions_are_adaptive():
    boxes = torch.tensor([[20.0 * n, 0, 20 * n + 10, 10] for n in range(6)])
    probabilities = torch.tensor([[0.9], [0.1], [0.5], [0.05], [0.3], [0.2]])
    kept = {
        name: select(boxes, probabilities, Selection(most, least, score, 0.5)).index.tolist()
        for name, most, least, score in (
            ("score", 5, 1, 0.25),
            ("least", 5, 4, 0.25),
            ("most", 2, 1, 0.0),
            ("all", 9, 9, 0.0),
        )
    }
    assert kept == {"score": [0, 2, 4], "least": [0, 2, 4, 5], "most": [0, 2], "all": [0, 2, 4, 5, 1, 3]}


def test_no_proposal_is_no_region():
    assert not len(select(torch.zeros(0, 4), torch.zeros(0, 5), Selection(3)).index)


def test_attributes_by_hand():
    head = AttributeHead(classes=2, dimension=2, attributes=3, embedding=1, hidden=2, no_attribute=1)
    with torch.no_grad():
        head.class_embedding.weight.copy_(torch.tensor([[0.0], [1.0], [5.0]]))
        head.hidden.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
        head.hidden.bias.zero_()
        head.output.weight.copy_(torch.tensor([[2.0, 0.0], [9.0, 9.0], [0.0, 3.0]]))
        head.output.bias.zero_()
    found = head(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    assert found.ids.tolist() == [0, 1]  # the middle output means no attribute
    expected = torch.tensor([[2.0, 0.0], [2.0, 3.0]]).softmax(-1).max(-1).values
    assert torch.allclose(found.scores, expected)


def test_the_relu_is_where_the_weights_were_trained_with_it():
    outputs = {}
    for activation in ("hidden", "output"):
        torch.manual_seed(1)
        head = AttributeHead(3, 4, 5, activation=activation)
        outputs[activation] = head(torch.randn(6, 4), torch.zeros(6, dtype=torch.long)).scores
    assert not torch.allclose(outputs["hidden"], outputs["output"])
