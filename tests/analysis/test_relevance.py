"""Relevance and rollout are their formulas written out; taking parts away does what it says."""

import csv

import numpy as np
import pytest
import torch
from task_checkpoint import checkpoint
from tiny_model import ragged, tiny

from mmf_visualbert.analysis.explorer import spread
from mmf_visualbert.analysis.judged import judge
from mmf_visualbert.analysis.perturbation import STEPS, Curve, perturb, rankings, without
from mmf_visualbert.analysis.relevance import gradients_of, relevance, rollout, score_of
from mmf_visualbert.analysis.watching import Seen, WatchedModel
from mmf_visualbert.cli import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.heads.pooled import PooledHead
from mmf_visualbert.runs import LoadedModel, read_dataset, read_model
from mmf_visualbert.tasks.vqa2.task import TASK


def test_relevance_of_two_layers_is_the_formula_written_out():
    """R = I; R += Ā R after each layer, Ā = mean over heads of max(gradient * attention, 0)."""
    model, head = tiny(pooler=True), PooledHead(hidden_size=32).eval()
    text, regions = ragged((5,), (3,), columns=5)
    encoded = model(text, regions, output_attentions=True)
    score = score_of(head(encoded, {}))
    gradients = gradients_of(score, encoded.attentions)
    found = relevance([a[0].detach() for a in encoded.attentions], [g[0] for g in gradients], 8)
    expected = np.eye(8)
    for layer in range(2):
        mean = np.zeros((8, 8))
        for number in range(4):
            for row in range(8):
                for column in range(8):
                    place = (0, number, row, column)
                    mean[row, column] += (
                        max(float(gradients[layer][place] * encoded.attentions[layer][place].detach()), 0.0) / 4
                    )
        expected = expected + mean @ expected
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert np.abs(expected - np.eye(8)).max() > 1e-4


def test_gradients_are_those_of_small_changes():
    """The score moves with a weight of the last layer as its gradient says."""
    values = torch.tensor([[0.3, 0.7], [0.6, 0.4]], dtype=torch.float64)
    weights = torch.tensor([[0.2, 0.8], [0.5, 0.5]], dtype=torch.float64, requires_grad=True)
    (gradient,) = gradients_of(((weights @ values) ** 2).sum(), [weights])
    moved = weights.detach().clone()
    moved[0, 1] += 1e-6
    difference = (((moved @ values) ** 2).sum() - ((weights.detach() @ values) ** 2).sum()) / 1e-6
    assert float(gradient[0, 1]) == pytest.approx(float(difference), rel=1e-4)


def test_rollout_by_hand():
    first, second = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]]), torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    # (A + I) / 2 are [[.75, .25], [0, 1]] and [[1, 0], [.25, .75]]; the later layer stands left.
    torch.testing.assert_close(rollout([first, second], 2), torch.tensor([[0.75, 0.25], [0.1875, 0.8125]]))


def test_layers_that_see_the_text_alone_leave_regions_as_they_are():
    """Late fusion (§4): one layer over two words, then one over two words and a region."""
    text, joint = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]), torch.full((1, 3, 3), 1 / 3)
    rolled = rollout([text, joint], 3)
    torch.testing.assert_close(rolled.sum(1), torch.ones(3))
    assert float(rolled[2, 2]) == pytest.approx(2 / 3)
    rested = relevance([text, joint], [torch.ones(1, 2, 2), torch.ones(1, 3, 3)], 3)
    assert rested[0].tolist() == pytest.approx([1.5 + 2 / 3, 0.5 + 2 / 3, 1 / 3])


def test_rankings_keep_what_the_head_reads():
    words = torch.tensor([2, 7, 8, 4, 3])  # [CLS] two words [MASK] [SEP]
    rests = torch.tensor([9.0, 0.1, 0.5, 9.0, 9.0, 0.3, 0.2, 0.4])
    nothing = torch.zeros(0)
    seen = Seen(
        {}, None, words, torch.tensor([0, 1, 3]), (1,), nothing, nothing, nothing, nothing, nothing,
        torch.tensor([False, False, False, True, False]), dict.fromkeys(("raw", "rollout", "relevance"), rests),
    )  # fmt: skip
    found = rankings(seen, torch.Generator().manual_seed(0), (0, 1, 2, 3, 4))
    assert found["words", "relevance"].tolist() == [2, 1]
    assert found["regions", "relevance"].tolist() == [3, 0, 1]
    assert sorted(found["words", "random"].tolist()) == [1, 2]
    sample = {"region_mask": torch.tensor([True, True, False, True]), "text_mask": torch.ones(5, dtype=torch.bool)}
    assert without(sample, "regions", torch.tensor([3, 0]))["region_mask"].tolist() == [False, True, False, False]
    assert sample["region_mask"].tolist() == [True, True, False, True]


def test_what_is_hidden_is_not_read(small_world, tmp_path):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    loaded = read_model(path)
    model = WatchedModel(loaded.parts, loaded.text, loaded.regions)
    sample = dataset[0]
    hidden = without(sample, "regions", torch.tensor([1]))
    changed = {**hidden, "region_features": hidden["region_features"].clone()}
    changed["region_features"][1] += 5.0
    scores = [model.run("visualbert_answer", each).scores.detach() for each in (sample, hidden, changed)]
    torch.testing.assert_close(scores[1], scores[2])
    assert not torch.allclose(scores[0], scores[1], atol=1e-4)


def test_curves_begin_at_the_accuracy_of_the_whole(small_world, tmp_path, capsys):
    path, _, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    loaded = read_model(path)
    dataset = read_dataset(loaded, "val")
    wanted = spread(8, len(dataset))
    result = perturb(loaded, dataset, TASK, wanted)
    judged, _ = judge(loaded, dataset, TASK, wanted)
    whole = sum(one.right for one in judged) / len(judged)
    assert len(result.accuracy) == 16 and result.examples == len(judged)
    assert all(values[0] == pytest.approx(whole) and len(values) == len(STEPS) for values in result.accuracy.values())
    area, _ = result.area[Curve("words", "rollout", "least")]
    assert area == pytest.approx(np.mean(result.accuracy[Curve("words", "rollout", "least")][1:]))
    out = ["--out", str(tmp_path / "curves.csv"), "--figure", str(tmp_path / "curves.svg")]
    assert main.main(["analyze", "relevance", "--checkpoint", str(path), "--count", "4", *out]) == 0
    assert "regions     relevance  most" in capsys.readouterr().out
    assert len(list(csv.DictReader((tmp_path / "curves.csv").open()))) == 16 * len(STEPS)
    assert (tmp_path / "curves.png").is_file()


def test_a_phase_of_pretraining_is_asked_for_what_it_hides(small_world, tmp_path):
    path, _, _ = checkpoint(small_world, "vqa2", "pretrain_task", tmp_path)
    loaded = read_model(path)
    dataset = read_dataset(loaded, "val")
    wanted = spread(6, len(dataset))
    result = perturb(loaded, dataset, TASK, wanted, masked=True)
    model = LoadedModel(loaded.parts, loaded.text, loaded.regions)
    outputs = model.run("visualbert_masked_lm", [dict(dataset[index]) for index in wanted])
    shares = [float(one.masked_lm_correct.sum() / one.masked_lm_count.sum()) for one in outputs]
    assert result.examples == 6
    assert all(values[0] == pytest.approx(np.mean(shares)) for values in result.accuracy.values())
    answering, _, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    with pytest.raises(InputError, match="masked words need visualbert_masked_lm, and this model has"):
        perturb(read_model(answering), dataset, TASK, wanted, masked=True)


def test_a_model_that_answers_nothing_is_refused(small_world, tmp_path, capsys):
    path, _, _ = checkpoint(small_world, "vqa2", "pretrain_task", tmp_path)
    assert main.main(["analyze", "relevance", "--checkpoint", str(path)]) == 2
    assert "perturbation needs a model that answers, and this one has visualbert_masked_lm" in capsys.readouterr().err
    with pytest.raises(InputError, match="says nothing that could be explained"):
        score_of(ragged()[0])
