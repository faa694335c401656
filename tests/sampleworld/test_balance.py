"""Words alone tell next to nothing in the sample world: the picture is needed."""

import json
from collections import Counter, defaultdict

from mmf_visualbert.tasks.vqa2.answers import normalize_answer

# By chance, a share over N questions strays by about 0.5 / sqrt(N); with the world's 184 val questions three of those
# are 0.11, which is what the bounds leave over what the large world has (0.41, and 0.25 of VCR).


def questions(world, split):
    """(text, how often each answer was given, the true answer) of each question."""
    asked = json.loads((world / f"vqa2/v2_OpenEnded_mscoco_{split}_questions.json").read_text())["questions"]
    told = json.loads((world / f"vqa2/v2_mscoco_{split}_annotations.json").read_text())["annotations"]
    for question, answers in zip(asked, told, strict=True):
        given = Counter(normalize_answer(answer["answer"]) for answer in answers["answers"])
        yield question["question"], given, answers["multiple_choice_answer"]


def official_score(given, answer):
    """Mean over the ten ways to leave one annotator out of min(1, votes / 3)."""
    votes = given[answer]
    return (votes * min((votes - 1) / 3, 1) + (10 - votes) * min(votes / 3, 1)) / 10


def test_vqa_cannot_be_answered_blind(small_world):
    by_text, over_all = defaultdict(Counter), Counter()
    for text, given, _ in questions(small_world, "train2014"):
        by_text[text] += given
        over_all += given
    scores = [
        official_score(given, (by_text.get(text) or over_all).most_common(1)[0][0])
        for text, given, _ in questions(small_world, "val2014")
    ]
    assert sum(scores) / len(scores) <= 0.55


def test_vqa_asks_each_question_in_pairs_that_answer_differently(small_world):
    for split in ("train2014", "val2014"):
        answers = defaultdict(Counter)
        for text, _, answer in questions(small_world, split):
            answers[text][answer] += 1
        assert all(max(several.values()) * 2 <= several.total() for several in answers.values())


def test_vqa_can_be_answered_perfectly(small_world):
    for _, given, answer in questions(small_world, "train2014"):
        assert official_score(given, answer) == 1.0
    assert any(len(given) > 1 for _, given, _ in questions(small_world, "train2014"))


def test_nlvr2_sentences_are_true_as_often_as_false(small_world):
    for split in ("train", "dev", "test1", "test2"):
        labels = defaultdict(Counter)
        for line in (small_world / f"nlvr2/{split}.json").read_text().splitlines():
            record = json.loads(line)
            labels[record["identifier"].split("-")[1], record["sentence"]][record["label"]] += 1
        assert labels and all(several == {"True": 2, "False": 2} for several in labels.values())


def vcr_choices(world):
    """(kind, position of the right choice, the four texts with every tag alike) of each question of train."""
    for line in (world / "vcr/train.jsonl").read_text().splitlines():
        record = json.loads(line)
        for kind in ("answer", "rationale"):
            texts = [[token if isinstance(token, str) else "TAG" for token in t] for t in record[f"{kind}_choices"]]
            yield kind, record[f"{kind}_label"], [" ".join(text) for text in texts], record[f"{kind}_choices"]


def test_vcr_labels_stand_everywhere_and_choices_differ(small_world):
    positions = Counter()
    for kind, label, _, choices in vcr_choices(small_world):
        assert len({json.dumps(choice) for choice in choices}) == 4
        positions[kind, label] += 1
    assert len(positions) == 8
    total = positions.total() / 2
    assert all(0.1 < number / total < 0.4 for number in positions.values()), positions


def test_vcr_texts_are_right_no_more_often_than_wrong(small_world):
    right, offered = Counter(), Counter()
    for _, label, texts, _ in vcr_choices(small_world):
        offered.update(texts)
        right[texts[label]] += 1
    common = {text for text in offered if offered[text] >= 20}  # rarer ones are single tosses
    assert len(common) >= 10
    assert all(right[text] < offered[text] for text in common), "a right text is a wrong choice elsewhere"
    assert all(0.05 < right[text] / offered[text] < 0.5 for text in common)
    guessed = [
        max(range(4), key=lambda i: right[texts[i]] / offered[texts[i]]) for _, _, texts, _ in vcr_choices(small_world)
    ]
    hits = [guess == label for guess, (_, label, _, _) in zip(guessed, vcr_choices(small_world), strict=True)]
    assert sum(hits) / len(hits) < 0.5  # counted on the very texts that it guesses; chance is 0.25
