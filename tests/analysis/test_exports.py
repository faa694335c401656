"""Attention for bertviz, and what captum attributes."""

import importlib.util

import numpy as np
import pytest
import torch
from task_checkpoint import checkpoint

from mmf_visualbert.analysis.exports import scores_of_features, to_bertviz
from mmf_visualbert.errors import InputError
from mmf_visualbert.pretrained import VisualBERT


def test_attention_for_bertviz_is_the_models_without_padding(small_world, tmp_path):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    model = VisualBERT.from_pretrained(path)
    records = [dataset.regions.record(dataset.questions[n].image_name) for n in (0, 12)]
    encoding = model.encode(["what is red?", "is a large star to the left of it?"], records, attentions=True)
    shown = to_bertviz(encoding, 0)
    regions = len(records[0].features)
    assert shown.tokens[-regions:] == [f"region {number}" for number in range(regions)]
    assert shown.tokens[:-regions] == encoding.tokens[0] and shown.tokens[0] == "[CLS]"
    for weights in shown.attention:
        assert weights.shape == (1, 4, len(shown.tokens), len(shown.tokens))
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-5, rtol=0)
    if importlib.util.find_spec("bertviz") is not None and importlib.util.find_spec("IPython") is not None:
        import bertviz

        page = bertviz.head_view(shown.attention, shown.tokens, html_action="return")
        assert "region 0" in page.data
    with pytest.raises(InputError, match="attentions=True"):
        to_bertviz(model.encode("what?", records[0]))


def test_attributions_of_captum_add_up_to_the_score(small_world, tmp_path):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    model = VisualBERT.from_pretrained(path).model
    sample = {name: value for name, value in dataset[0].items() if name not in ("targets", "answer_types")}
    scores = scores_of_features(model, "visualbert_answer", sample)
    features = sample["region_features"][None].float()
    plain = model.run("visualbert_answer", [sample])[0].scores
    torch.testing.assert_close(scores(features).detach(), plain, atol=1e-4, rtol=1e-4)
    if importlib.util.find_spec("captum") is None:
        pytest.skip("captum is not installed")
    from captum.attr import IntegratedGradients

    best = int(plain.argmax())
    found = IntegratedGradients(scores).attribute(features, target=best, n_steps=64, internal_batch_size=16)
    difference = float((scores(features) - scores(torch.zeros_like(features)))[0, best].detach())
    assert float(found.sum()) == pytest.approx(difference, abs=0.05 * max(1.0, abs(difference)))
    assert np.isfinite(found.detach().numpy()).all()
