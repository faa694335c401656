"""Official accuracy of VQA 2.0."""

import json

import pytest
import torch

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vqa2.answers import ANSWER_TYPES, AnswerVocabulary
from mmf_visualbert.tasks.vqa2.metrics import answer_accuracy, best_answer


def accuracy(prediction, given, answers=("yes", "no", "2", "don't", "red car", "0")):
    vocabulary = AnswerVocabulary(answers)
    scores = torch.zeros(1, len(answers))
    scores[0, answers.index(prediction)] = 1
    return float(answer_accuracy(scores, vocabulary.targets(given, official=True).unsqueeze(0)))


@pytest.mark.parametrize(
    ("prediction", "given", "expected"),
    [
        # agreement: nothing is normalised
        ("yes", ["yes"] * 10, 1),
        ("no", ["yes"] * 10, 0),
        ("2", ["two"] * 10, 0),
        ("don't", ["dont"] * 10, 0),
        # disagreement: 1 of 10 gives 9 * (1/3) / 10, 2 of 10 give (2 * 1/3 + 8 * 2/3) / 10, 3 give (3 * 2/3 + 7) / 10
        ("yes", ["yes"] + ["no"] * 9, 0.3),
        ("yes", ["yes"] * 2 + ["no"] * 8, 0.6),
        ("yes", ["yes"] * 3 + ["no"] * 7, 0.9),
        ("yes", ["yes"] * 4 + ["no"] * 6, 1),
        ("2", ["two"] * 2 + ["2"] + ["no"] * 7, 0.9),
        ("0", ["none"] + ["2"] * 9, 0.3),
        ("don't", ["dont"] * 2 + ["yes"] * 8, 0.6),
        ("red car", ["the red car", "a red car", "red-car", "Red car!", "no", "no", "no", "no", "no", "no"], 1),
        ("no", ["the red car"] * 10, 0),
    ],
)
def test_by_hand(prediction, given, expected):
    assert accuracy(prediction, given) == pytest.approx(expected)


def test_best_answer_passes_over_the_unknown_one():
    scores = torch.tensor([[5.0, 1.0, 3.0], [0.0, 9.0, 3.0]])
    assert best_answer(scores).tolist() == [0, 1]
    assert best_answer(scores, unknown=0).tolist() == [2, 1]
    assert best_answer(scores, unknown=1).tolist() == [0, 2]
    assert scores[0, 0] == 5  # the scores themselves are left alone
    targets = torch.tensor([[0.0, 0.3, 0.6], [0.0, 1.0, 0.0]])
    assert answer_accuracy(scores, targets).tolist() == [0, 1]
    assert answer_accuracy(scores, targets, unknown=0).tolist() == pytest.approx([0.6, 1])
    assert answer_accuracy(scores.bfloat16(), targets, unknown=0).dtype == torch.float32


def test_overall_and_by_type_and_each_sample_once():
    sample_list = {"id": torch.tensor([3, 0, 1, 2, 3]), "answer_types": torch.tensor([2, 0, 0, 1, 2])}
    output = {"answer_accuracy": torch.tensor([0.3, 1.0, 0.0, 0.6, 0.9])}

    def value(name):
        metric = catalog.get("metric", name)()
        assert set(metric.required_params) <= {*sample_list, *output}
        return float(metric.calculate(sample_list, output))

    assert value("visualbert_vqa_accuracy") == pytest.approx((0.3 + 1 + 0 + 0.6) / 4)
    assert value("visualbert_vqa_accuracy_yes_no") == pytest.approx(0.5)
    assert value("visualbert_vqa_accuracy_number") == pytest.approx(0.6)
    assert value("visualbert_vqa_accuracy_other") == pytest.approx(0.3)


def test_a_model_without_answers():
    with pytest.raises(InputError, match="answer_accuracy"):
        catalog.get("metric", "visualbert_vqa_accuracy")().calculate({"id": torch.arange(2)}, {})


def test_the_majority_answers_of_real_records(shared):
    """The annotators' majority answer, predicted for each of 100 val questions, beside the formula written out."""
    path = shared / "realdata/vqa2/val100/v2_mscoco_val2014_annotations.json"
    records = json.loads(path.read_text())["annotations"]
    vocabulary = AnswerVocabulary.build({record["multiple_choice_answer"]: 1 for record in records})
    given = [[answer["answer"] for answer in record["answers"]] for record in records]
    targets = torch.stack([vocabulary.targets(answers, official=True) for answers in given])
    scores = torch.zeros_like(targets)
    for row, record in enumerate(records):
        scores[row, vocabulary.answers.index(record["multiple_choice_answer"])] = 1
    types = torch.tensor([ANSWER_TYPES.index(record["answer_type"]) for record in records])
    sample_list = {"id": torch.arange(100), "answer_types": types}
    output = {"answer_accuracy": answer_accuracy(scores, targets)}
    by_votes = [0.0, 0.3, 0.6, 0.9] + [1.0] * 7
    expected = [
        by_votes[answers.count(record["multiple_choice_answer"])]
        for answers, record in zip(given, records, strict=True)
    ]
    value = catalog.get("metric", "visualbert_vqa_accuracy")().calculate(sample_list, output)
    assert float(value) == pytest.approx(sum(expected) / 100)
    numbers = [score for score, record in zip(expected, records, strict=True) if record["answer_type"] == "number"]
    value = catalog.get("metric", "visualbert_vqa_accuracy_number")().calculate(sample_list, output)
    assert float(value) == pytest.approx(sum(numbers) / len(numbers))
