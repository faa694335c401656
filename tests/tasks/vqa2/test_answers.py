"""VQA's normalisation, soft scores and answer vocabulary."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vqa2.answers import (
    CONTRACTIONS,
    AnswerProcessor,
    AnswerVocabulary,
    normalize_answer,
    score_of_votes,
    soft_score,
    unknown_index,
)


@pytest.mark.parametrize(
    ("raw", "normalized"),
    [
        ("Yes", "yes"),
        ("the red car", "red car"),
        ("An apple a day", "apple day"),
        ("two", "2"),
        ("none", "0"),
        ("ten dogs", "10 dogs"),
        ("dont walk", "don't walk"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("mcdonald's", "mcdonald's"),
        ("1,000", "1000"),
        ("1,000-2,000", "10002000"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("t-shirt", "t shirt"),
        ("t- shirt", "t shirt"),
        ("3.5", "3.5"),
        ("3.", "3"),
        ("u.s.a.", "usa"),
        ("what?", "what"),
        (" line\nbreak\ttab ", "line break tab"),
        ("a", ""),
    ],
)
def test_normalization_by_hand(raw, normalized):
    assert normalize_answer(raw) == normalized


def test_normalization_equals_the_rivals(shared):
    """MMF's copy of the official script: its processor also splits off 's first, so its two steps are called."""
    package = importlib.util.find_spec("mmf")
    if package is None or not package.submodule_search_locations:
        pytest.skip("MMF is not installed")
    path = Path(package.submodule_search_locations[0]) / "utils/m4c_evaluators.py"
    spec = importlib.util.spec_from_file_location("m4c_evaluators", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    theirs = module.EvalAIAnswerProcessor()
    reachable = {key: value for key, value in theirs.CONTRACTIONS.items() if key == key.lower() and key != value}
    assert reachable == CONTRACTIONS
    for answer in real_answers(shared):
        assert normalize_answer(answer) == theirs.process_digit_article(theirs.process_punctuation(answer.strip()))


def annotations(shared):
    path = shared / "realdata/vqa2/val100/v2_mscoco_val2014_annotations.json"
    return json.loads(path.read_text())["annotations"]


def real_answers(shared):
    return [answer["answer"] for record in annotations(shared) for answer in record["answers"]]


def official_accuracy(prediction, answers):
    """The official evaluation, written out: leave each annotator out, normalise only where they disagree."""
    answers = [answer.replace("\n", " ").replace("\t", " ").strip() for answer in answers]
    if len(set(answers)) > 1:
        answers = [normalize_answer(answer) for answer in answers]
        prediction = normalize_answer(prediction)
    accuracies = []
    for left_out in range(len(answers)):
        others = answers[:left_out] + answers[left_out + 1 :]
        accuracies.append(min(1, others.count(prediction) / 3))
    return sum(accuracies) / len(accuracies)


def test_soft_scores():
    assert [round(soft_score(votes, 10), 9) for votes in range(11)] == [0, 0.3, 0.6, 0.9] + [1] * 7
    for annotators in (1, 3, 10):
        for votes in range(1, annotators + 1):
            answers = ["yes"] * votes + ["no"] * (annotators - votes)
            assert soft_score(votes, annotators) == pytest.approx(official_accuracy("yes", answers))


def test_scores_follow_from_however_many_answers_there_are():
    assert [score_of_votes(votes, 10) for votes in range(11)] == [soft_score(votes, 10) for votes in range(11)]
    assert score_of_votes(1, 1) == 1 and [score_of_votes(votes, 2) for votes in (1, 2)] == [0.5, 1]
    assert [score_of_votes(votes, 3) for votes in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(score_of_votes(many, many) == 1 and score_of_votes(0, many) == 0 for many in range(1, 12))
    vocabulary = AnswerVocabulary(["yes", "no"])
    assert vocabulary.targets(["Yes"]).tolist() == vocabulary.targets(["yes"], official=True).tolist() == [1, 0]


def test_targets_by_hand():
    vocabulary = AnswerVocabulary(["<unk>", "yes", "2", "don't know", "dog"])
    given = ["two", "2", "2", "the 2", "yes", "yes", "dont know", "a dog", "cat", "cat"]
    assert vocabulary.targets(given).tolist() == pytest.approx([0, 0.6, 1.0, 0.3, 0.3])
    assert vocabulary.targets(given, official=True).tolist() == vocabulary.targets(given).tolist()


def test_official_scores_of_unanimous_answers():
    vocabulary = AnswerVocabulary(["0", "yes", "don't"])
    assert vocabulary.targets(["yes"] * 10, official=True).tolist() == [0, 1, 0]
    # The official script leaves these as they are, so the vocabulary's "0" and "don't" score nothing ...
    assert vocabulary.targets(["none"] * 10, official=True).tolist() == [0, 0, 0]
    assert vocabulary.targets(["dont"] * 10, official=True).tolist() == [0, 0, 0]
    # ... but one other annotator changes that, and training always counts them.
    assert vocabulary.targets(["none"] * 9 + ["no"], official=True).tolist() == [1, 0, 0]
    assert vocabulary.targets(["none"] * 10).tolist() == [1, 0, 0]


def test_official_targets_on_real_records(shared):
    vocabulary = AnswerVocabulary.from_file(shared / "realdata/vqa2/answers/answers_vqa.txt")
    unanimous = 0
    for record in annotations(shared):
        answers = [answer["answer"] for answer in record["answers"]]
        unanimous += len(set(answers)) == 1
        targets = vocabulary.targets(answers, official=True)
        scored = targets.nonzero().flatten().tolist()
        for index in {*scored, 1, 500, 1000, *(i for i, a in enumerate(vocabulary.answers) if a in answers)}:
            assert float(targets[index]) == pytest.approx(official_accuracy(vocabulary.answers[index], answers))
    assert unanimous == 39


def test_vocabulary_files_of_mmf_and_lxmert(shared, tmp_path):
    folder = shared / "realdata/vqa2/answers"
    mmf = AnswerVocabulary.from_file(folder / "answers_vqa.txt")
    lxmert = AnswerVocabulary.from_file(folder / "trainval_label2ans.json")
    assert len(mmf) == len(lxmert) == 3129
    assert mmf.unknown_index == 0
    assert lxmert.unknown_index == 0
    assert mmf.answers[:3] == ["<unk>", "0", "000"]
    assert lxmert.answers[:2] == ["<unk>", "woods"]
    assert set(mmf.answers) == set(lxmert.answers)
    assert AnswerVocabulary.from_file(folder / "trainval_ans2label.json").answers == lxmert.answers
    mmf.save(tmp_path / "new" / "answers.txt")
    assert (tmp_path / "new" / "answers.txt").read_bytes() == (folder / "answers_vqa.txt").read_bytes()


def test_the_unknown_answer_is_never_a_target():
    for unknown in ("<unk>", ""):
        vocabulary = AnswerVocabulary([unknown, "yes"])
        assert vocabulary.targets(["a", "", "unk", "<unk>"]).tolist() == [0, 0]
    assert unknown_index(["yes", "no"]) is None
    assert unknown_index(["yes", "<unk>"]) == 1


def test_built_from_counts_with_ties_by_the_alphabet():
    counts = Counter({"b": 2, "a": 2, "c": 3, "": 9, "d": 1})
    assert AnswerVocabulary.build(counts, size=3).answers == ["c", "a", "b"]
    assert AnswerVocabulary.build(counts, size=99).answers == ["c", "a", "b", "d"]


def test_processor_builds_once_and_prefers_the_file(tmp_path):
    calls = []

    def count():
        calls.append(1)
        return {"yes": 3}

    processor = AnswerProcessor(size=5)
    assert processor.vocabulary(count) is processor.vocabulary(count)
    assert len(calls) == 1
    (tmp_path / "answers.txt").write_text("no\nmaybe\n")
    assert AnswerProcessor(str(tmp_path / "answers.txt")).vocabulary(count).answers == ["no", "maybe"]
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "yes\nno\nyes\n", "'yes' twice"),
        ("a.txt", "<unk>\n", "no answer"),
        ("a.json", '["yes", "n', "no valid json"),
        ("a.json", '{"yes": 0, "no": 2}', "neither a list"),
        ("a.json", '["yes", 3]', "neither a list"),
    ],
)
def test_bad_vocabulary_files(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        AnswerVocabulary.from_file(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_vocabulary_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.txt cannot be read"):
        AnswerVocabulary.from_file(tmp_path / "nothing.txt")


def test_targets_are_fresh_float32():
    vocabulary = AnswerVocabulary(["yes", "no"])
    first = vocabulary.targets(["yes"])
    first.fill_(7)
    assert vocabulary.targets(["yes"]).dtype == torch.float32
    assert vocabulary.targets(["no"] * 10).tolist() == [0, 1]
