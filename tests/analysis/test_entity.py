"""What `analyze entity` adds to the accuracies: which word speaks, what is left out, baselines, intervals, figures."""

import csv

import numpy as np
import pytest
import torch
from grounding_world import model, world
from task_checkpoint import ROOT, checkpoint

from mmf_visualbert.analysis.attending import Example, Question, measure
from mmf_visualbert.analysis.grounding import accuracies, ground_heads
from mmf_visualbert.analysis.intervals import Resamples, interval, margin
from mmf_visualbert.analysis.subjects import detector_of
from mmf_visualbert.cli import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.inputs import Encoded

CONFIG = ROOT / "projects" / "visualbert" / "configs" / "flickr30k" / "defaults.yaml"


@torch.no_grad()
def by_loops(visual_bert, dataset, word, leave_out):
    """Hits of every head with plain loops over captions, phrases and sub-words."""
    visual_bert.eval()
    hits, total = np.zeros((2, 4)), 0
    for index, caption in enumerate(dataset.captions):
        sample = dataset[index]
        encoded = visual_bert(*visual_bert_inputs({k: v[None] for k, v in sample.items()}), output_attentions=True)
        pieces = int(sample["text_mask"].sum())
        for phrase, targets in zip(caption.phrases, sample["phrase_targets"], strict=False):
            if leave_out and not targets.any():
                continue
            total += 1
            places = list(range(phrase.first_word + 1, phrase.last_word + 2))  # every word of this world is one piece
            places = {"first": places[:1], "last": places[-1:]}.get(word, places)
            if not (places := [place for place in places if place < pieces - 1]):
                continue
            for layer, weights in enumerate(encoded.attentions):
                for head in range(4):
                    rows = weights[0, head, places, pieces:].numpy()
                    chosen = (rows.max(0) if word == "max" else rows.mean(0)).argmax()
                    hits[layer, head] += bool(targets[chosen])
    return hits / total, total


@pytest.mark.parametrize("word", ["first", "last", "mean", "max"])
@pytest.mark.parametrize("leave_out", [False, True])
def test_the_word_that_speaks_and_what_is_left_out(tmp_path, word, leave_out):
    dataset, visual_bert = world(tmp_path / "s.lmdb", max_seq_length=10), model()
    result = ground_heads(visual_bert, dataset, word=word, leave_out_unmatched=leave_out, batch_size=5, resamples=20)
    expected, total = by_loops(visual_bert, dataset, word, leave_out)
    assert result.phrases == total
    np.testing.assert_allclose(result.accuracy.numpy(), expected)
    assert (result.left_out > 0) == leave_out and (result.upper_bound == 1) == leave_out


def test_a_region_at_random_is_right_as_often_as_there_are_right_regions(tmp_path):
    dataset = world(tmp_path / "s.lmdb")
    result = ground_heads(model(), dataset, resamples=20)
    chances = []
    for index, caption in enumerate(dataset.captions):
        sample = dataset[index]
        right = sample["phrase_targets"][: len(caption.phrases)].sum(1) / sample["region_mask"].sum()
        chances += right.tolist()
    assert result.random == pytest.approx(np.mean(chances))


class SetByHand(torch.nn.Module):
    """A model of one layer and two heads whose attention is written down: what the first image's words look at."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.Parameter(weights)

    def forward(self, text, regions, output_attentions=False):
        states = torch.zeros(*text.mask.shape, 1)
        return Encoded(states, states, text.mask, regions.mask, attentions=(self.weights[text.input_ids[:, 0]],))


def example(number, questions, confidences):
    """Image `number` of two regions under a text of two pieces."""
    sample = {"input_ids": torch.tensor([number, 0]), "text_mask": torch.ones(2, dtype=torch.bool)}
    sample |= {"text_segments": torch.zeros(2, dtype=torch.int64), "region_features": torch.zeros(2, 1)}
    sample |= {"region_mask": torch.ones(2, dtype=torch.bool), "region_segments": torch.zeros(2, dtype=torch.int64)}
    return Example(f"{number}", sample, questions, torch.tensor(confidences))


def test_attention_set_by_hand_gives_what_is_worked_out_by_hand():
    """Two images, two heads, rows word 0 and word 1, columns word 0, word 1, region 0, region 1."""
    weights = torch.zeros(2, 2, 4, 4)
    weights[0, 0, :2] = torch.tensor([[0.1, 0.1, 0.7, 0.1], [0.5, 0.3, 0.05, 0.15]])  # regions 0, 1
    weights[0, 1, :2] = torch.tensor([[0.6, 0.3, 0.04, 0.06], [0.6, 0.3, 0.04, 0.06]])  # 1, 1
    weights[1, 0, :2] = torch.tensor([[0.0, 0.0, 0.2, 0.8], [0.9, 0.0, 0.1, 0.0]])  # 1, 0
    weights[1, 1, :2] = torch.tensor([[0.9, 0.06, 0.03, 0.01], [0.2, 0.2, 0.5, 0.1]])  # 0, 0
    one, other = torch.tensor([True, False]), torch.tensor([False, True])
    first = [Question(0, (0,), one), Question(0, (1,), other), Question(1, (0, 1), other), Question(0, (), one)]
    second = [Question(0, (0,), other), Question(1, (1,), one & other)]
    found = measure(
        SetByHand(weights),
        [example(0, first, [0.9, 0.2]), example(1, second, [0.9, 0.2])],
        groups=2,
        resamples=Resamples(50),
    )
    # Group 0: head 1 is right at all but what was cut; head 2 at the second question alone.
    assert found.accuracy(0).tolist() == [[3 / 4, 1 / 4]]
    # Group 1: mean of two pieces is (0.375, 0.125) for head 1, (0.04, 0.06) for head 2; the other has no right region.
    assert found.accuracy(1).tolist() == [[0.0, 1 / 2]]
    torch.testing.assert_close(found.attention_to_regions(0), torch.tensor([[2.0 / 3, 0.24 / 3]]).double())
    torch.testing.assert_close(found.attention_to_regions(1), torch.tensor([[0.3, 0.35]]).double())
    assert found.count.tolist() == [4, 2] and found.cut.tolist() == [1, 0] and found.matched.tolist() == [4, 1]
    assert found.confident.tolist() == [2, 0]  # region 0: questions 1 and 4 of the first image
    assert found.random.tolist() == [2, 0.5]
    assert accuracies(found, 0).phrases == 4


def test_intervals_are_those_of_resampled_images():
    generator = np.random.default_rng(0)
    images = [f"image{number}" for number in range(300)]
    hits, counts = generator.binomial(5, 0.4, 300), np.full(300, 5)
    resamples = Resamples(2000)
    for start in range(0, 300, 7):  # in batches as they come
        rows = np.stack([hits, counts], axis=1)[start : start + 7, None]
        resamples.add(images[start : start + 7], torch.from_numpy(rows))
    low, high = interval(resamples.shares(0))[:, 0].tolist()
    drawn = generator.integers(0, 300, (2000, 300))
    plain = np.quantile(hits[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    assert [low, high] == pytest.approx(plain.tolist(), abs=0.006)
    again = Resamples(2000)
    again.add(images, torch.from_numpy(np.stack([hits, counts], axis=1)[:, None]))
    torch.testing.assert_close(again.shares(0), resamples.shares(0))


def test_the_best_of_many_equal_heads_is_no_better_than_they_are():
    generator = np.random.default_rng(1)
    hits = generator.binomial(1, 0.5, (200, 144)).astype(np.float32)
    resamples = Resamples(1000)
    values = torch.from_numpy(np.concatenate([hits, np.ones((200, 1), np.float32)], axis=1))
    resamples.add([str(number) for number in range(200)], values[:, None])
    found, shares = torch.from_numpy(hits.mean(0)), resamples.shares(0)
    best = int(found.argmax())
    assert float(interval(shares)[0, best]) > 0.5, "by itself it would pass for better"
    assert float(found[best]) - margin(shares, found) < 0.5 < float(found[best])


def test_the_command_writes_numbers_and_figures(small_world, tmp_path, capsys):
    path, _, _ = checkpoint(small_world, "flickr30k", "pretrain_task", tmp_path)
    arguments = ["--config", str(CONFIG), "--checkpoint", str(path), "--limit", "30", "--resamples", "50"]
    arguments += ["--out", str(tmp_path / "heads.csv"), "--figure", str(tmp_path / "figure_3")]
    overrides = [f"env.data_dir={small_world}", f"model_config.visualbert.tokenizer={small_world}/bert/vocab.txt"]
    overrides.append("model_config.visualbert.region_dimension=128")
    assert main.main(["analyze", "entity", *arguments, *overrides]) == 0
    said = capsys.readouterr().out
    assert "most confident region" in said and "for all heads at once" in said and "region at random" in said
    rows = list(csv.DictReader((tmp_path / "heads.csv").open()))
    assert len(rows) == 2 * 4
    assert all(float(row["low"]) <= float(row["accuracy"]) <= float(row["high"]) for row in rows)
    svg = (tmp_path / "figure_3.svg").read_text()
    assert svg.count("<use ") >= 8 and (tmp_path / "figure_3.png").read_bytes().startswith(b"\x89PNG")
    assert main.main(["analyze", "entity", *arguments[:-1], str(tmp_path / "a.pdf"), *overrides]) == 2
    assert "a.pdf" in capsys.readouterr().err


def test_regions_of_another_detector_are_refused(small_world, tmp_path, capsys):
    path, _, _ = checkpoint(small_world, "flickr30k", "pretrain_task", tmp_path)
    stored = torch.load(path, weights_only=True)
    assert detector_of(stored["config"]) == "sample-flickr30k"
    arguments = ["analyze", "entity", "--config", str(CONFIG), "--checkpoint", str(path), f"env.data_dir={small_world}"]
    arguments += [f"model_config.visualbert.tokenizer={small_world}/bert/vocab.txt"]
    arguments += ["model_config.visualbert.region_dimension=128"]
    stored["config"]["dataset_config"]["visualbert_flickr30k"]["features_from"] = "vinvl"
    torch.save(stored, path)
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert (
        "trained on regions of the detector vinvl" in error and "sample-flickr30k" in error and error.count("\n") == 1
    )


def test_what_cannot_be_measured_is_said(tmp_path):
    dataset = world(tmp_path / "s.lmdb")
    with pytest.raises(InputError, match="set it to one of last, first, mean, max"):
        ground_heads(model(), dataset, word="all")
    with pytest.raises(InputError, match="a number from 1 up"):
        ground_heads(model(), dataset, limit=0)
