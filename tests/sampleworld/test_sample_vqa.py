"""VQA 2.0 of the world: official form, balance, annotators."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.sampleworld.scene import Scene
from mmf_visualbert.sampleworld.vqa import KINDS, Question, annotate, ask, askable
from mmf_visualbert.sampleworld.world import coco_scene
from mmf_visualbert.tasks.vqa2.answers import normalize_answer
from mmf_visualbert.tasks.vqa2.records import read_questions


@pytest.fixture(scope="module")
def train() -> list[Question]:
    return ask(some_scenes(300, 1), 6, np.random.default_rng(1))


@pytest.fixture(scope="module")
def val() -> list[Question]:
    return ask(some_scenes(120, 2), 6, np.random.default_rng(2))


def some_scenes(number: int, seed: int) -> list[Scene]:
    return [coco_scene(np.random.default_rng([seed, index])) for index in range(number)]


def load(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_number_and_kinds_of_questions(train):
    assert len(train) == pytest.approx(300 * 6, rel=0.03)
    shares = Counter(question.kind for question in train)
    for kind, described in KINDS.items():
        assert shares[kind] / len(train) == pytest.approx(described.share, abs=0.02)


def test_answers_are_true_of_the_scenes(val):
    scenes = some_scenes(120, 2)
    for question in val:
        assert (question.kind, question.text, question.answer) in set(askable(scenes[question.scene]))
    assert len({(question.scene, question.text) for question in val}) == len(val)


def test_known_scene_is_asked_what_is_true(val):
    counts = Counter(question.scene for question in val)
    assert max(counts.values()) <= 9 and len(counts) > 0.95 * 120


def test_yes_and_no_are_equally_frequent_in_every_text(train):
    answers = defaultdict(Counter)
    for question in train:
        if KINDS[question.kind].answer_type == "yes/no":
            answers[question.text][question.answer] += 1
    assert answers
    assert all(counter["yes"] == counter["no"] for counter in answers.values())


def test_the_words_alone_tell_little(train, val):
    by_text, by_kind = defaultdict(Counter), Counter(question.answer for question in train)
    for question in train:
        by_text[question.text][question.answer] += 1
    guesses = [by_text[q.text].most_common(1)[0][0] if q.text in by_text else "yes" for q in val]
    blind = np.mean([guess == question.answer for guess, question in zip(guesses, val, strict=True)])
    majority = np.mean([by_kind.most_common(1)[0][0] == question.answer for question in val])
    assert blind <= 0.45
    assert majority <= 0.30
    # even a guess that knows how often val gives each answer to each text stays low
    in_val = defaultdict(Counter)
    for question in val:
        in_val[question.text][question.answer] += 1
    assert sum(counter.most_common(1)[0][1] for counter in in_val.values()) / len(val) <= 0.55


def official_accuracy(answer: str, given: list[str]) -> float:
    """The official formula, written out: mean over annotators of min(1, others that agree / 3)."""
    if len(set(given)) > 1:
        answer, given = normalize_answer(answer), [normalize_answer(one) for one in given]
    scores = []
    for left_out in range(10):
        others = given[:left_out] + given[left_out + 1 :]
        scores.append(min(1.0, others.count(answer) / 3))
    return float(np.mean(scores))


def test_annotators_disagree_in_part_and_a_perfect_model_scores_high(train):
    rng = np.random.default_rng(0)
    given = [annotate(question.answer, rng) for question in train]
    assert all(len(several) == 10 for several in given)
    perfect = np.mean([official_accuracy(q.answer, several) for q, several in zip(train, given, strict=True)])
    assert perfect > 0.93
    agreeing = np.mean([len(set(several)) == 1 for several in given])
    assert 0.2 < agreeing < 0.8
    assert any("two" in several or "three" in several for several in given)  # normalisation has something to do


def test_annotators_say_the_true_answer_most_often():
    rng = np.random.default_rng(3)
    for answer in ("yes", "3", "0", "circle", "left", "orange"):
        said = Counter(normalize_answer(one) for _ in range(200) for one in annotate(answer, rng))
        assert said.most_common(1)[0][0] == answer and len(said) > 1


def test_questions_and_annotations_belong_together(small_world):
    questions = load(small_world, "vqa2/v2_OpenEnded_mscoco_train2014_questions.json")["questions"]
    annotations = load(small_world, "vqa2/v2_mscoco_train2014_annotations.json")["annotations"]
    pairs = [(record["question_id"], record["image_id"]) for record in questions]
    assert pairs == [(record["question_id"], record["image_id"]) for record in annotations]
    assert len(set(pairs)) == len(pairs) and all(number // 1000 == image for number, image in pairs)
    for record in questions[:20]:
        assert (small_world / f"images/train2014/COCO_train2014_{record['image_id']:012d}.png").is_file()


def test_test_dev_is_part_of_test(small_world):
    whole = load(small_world, "vqa2/v2_OpenEnded_mscoco_test2015_questions.json")["questions"]
    part = load(small_world, "vqa2/v2_OpenEnded_mscoco_test-dev2015_questions.json")["questions"]
    assert 0 < len(part) < len(whole)
    assert {record["question_id"] for record in part} < {record["question_id"] for record in whole}
    assert not (small_world / "vqa2/v2_mscoco_test2015_annotations.json").exists()


def test_our_reader_takes_every_split(small_world):
    folder = small_world / "vqa2"
    for split in ("train2014", "val2014"):
        names = [f"v2_OpenEnded_mscoco_{split}_questions.json", f"v2_mscoco_{split}_annotations.json"]
        assert len(read_questions([folder / name for name in names], labelled=True)) > 100
    assert len(read_questions([folder / "v2_OpenEnded_mscoco_test2015_questions.json"], labelled=False)) > 50
