import math

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.flickr30k.loss import PhraseCrossEntropy

B, E, R = 3, 4, 7


def batch():
    regions = torch.arange(R) < torch.tensor([7, 4, 5])[:, None]
    logits = torch.randn(B, E, R, requires_grad=True)
    log_probabilities = logits.masked_fill(~regions[:, None], -1e9).log_softmax(2)
    log_probabilities = log_probabilities.masked_fill(~regions[:, None], -math.inf)
    positions = torch.tensor([[2, 5, -1, -1], [1, -1, -1, -1], [3, 4, 6, 1]])
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)  # phrase (1, 1) was cut off
    targets = (torch.rand(B, E, R) < 0.4) & regions[:, None] & mask[:, :, None]
    targets[1, 1, 0] = True
    targets[2, 3] = False
    log_probabilities = log_probabilities.masked_fill((positions < 0)[:, :, None], -math.inf)
    samples = {"phrase_positions": positions, "phrase_mask": mask, "phrase_targets": targets}
    return samples, {"scores": log_probabilities.flatten(1)}, logits


def with_target(samples):
    for i in range(B):
        for e in range(E):
            row = samples["phrase_targets"][i, e]
            if row.any() and samples["phrase_positions"][i, e] >= 0:
                yield i, e, row.nonzero()[:, 0].tolist()


def test_mean_over_phrases_of_the_cross_entropy_with_evenly_spread_targets():
    samples, output, logits = batch()
    scores = output["scores"].detach().view(B, E, R)
    each = [sum(-float(scores[i, e, r]) / len(gold) for r in gold) for i, e, gold in with_target(samples)]
    assert 3 < len(each) < 7
    loss = PhraseCrossEntropy()(samples, output)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(sum(each) / len(each), rel=1e-6)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[1, 1] == 0).all() and (logits.grad[2, 3] == 0).all() and (logits.grad[0, 0] != 0).any()


def test_released_reduction_is_torchs_divergence_over_captions():
    samples, output, _ = batch()
    targets = torch.zeros(B, E, R)
    for i, e, gold in with_target(samples):
        targets[i, e, gold] = 1 / len(gold)
    scores = output["scores"].view(B, E, R).clamp(min=-1e4)
    expected = torch.nn.KLDivLoss(reduction="batchmean")(scores, targets)
    torch.testing.assert_close(PhraseCrossEntropy(reduction="released")(samples, output), expected)


@pytest.mark.parametrize("reduction", ["phrases", "released"])
def test_no_target_in_the_batch_gives_zero_not_nan(reduction):
    samples, output, logits = batch()
    samples["phrase_targets"][:] = False
    loss = PhraseCrossEntropy(reduction)(samples, output)
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_unknown_reduction_is_refused():
    with pytest.raises(InputError, match="'sum'; set one of phrases, released"):
        PhraseCrossEntropy("sum")
