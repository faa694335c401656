"""VCR's batches in the benchmark: lengths of real or stated texts, and how much of a batch is padding."""

import pytest
import vcr_world

from mmf_visualbert.benchmark.vcr import REGIONS, padding_share, read_questions
from mmf_visualbert.errors import InputError


def test_drawn_questions_have_the_stated_means():
    answers = read_questions("vcr_answer", [], 64, seed=0)
    rationales = read_questions("vcr_rationale", [], 64, seed=0)
    assert answers.pieces.shape == (64 * 64, 4)
    assert answers.pieces.mean() == pytest.approx(1.15 * (6.6 + 7.5) + 3, rel=0.03)
    assert rationales.pieces.mean() == pytest.approx(1.15 * (6.6 + 7.5 + 16.2) + 3, rel=0.03)
    assert answers.regions.min() >= 2 and answers.regions.max() <= REGIONS


def test_lengths_of_annotations(tmp_path):
    world = vcr_world.write_world(tmp_path)
    questions = read_questions("vcr_answer", [world / "vcr/train.jsonl"], 1, seed=0)
    assert questions.pieces.shape[1] == 4 and (questions.pieces > 3).all() and (questions.regions >= 1).all()
    count = len(questions.regions)
    with pytest.raises(InputError, match=rf"hold {count} questions, fewer than --batch {count + 1}; give more"):
        read_questions("vcr_answer", [world / "vcr/train.jsonl"], count + 1, seed=0)


def test_padding_of_the_packed_and_of_the_padded_way():
    questions = read_questions("vcr_answer", [], 8, seed=0).part(0, 24)
    assert padding_share("vcr_answer", questions, 8, ["model_config.visualbert.attention=packed"]) == 0
    assert 0.1 < padding_share("vcr_answer", questions, 8, ["model_config.visualbert.attention=sdpa"]) < 0.9
