"""What a trained model says of examples of its data, beside what is right: for reports."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from mmf_visualbert.analysis.intervals import Interval, Resamples, interval
from mmf_visualbert.analysis.looks import covers
from mmf_visualbert.contracts import Dataset, Depicted, Reply, Sample, Task
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.predict import ask
from mmf_visualbert.runs import LoadedModel, RunOfModel

BINS = 10
AT_ONCE = 32  # examples in memory: those of some tasks hold an image's pixels


class Judged(NamedTuple):
    """One answer: to a question, or for one phrase of a caption.

    Attributes:
        depicted: the example.
        about: what was asked.
        said: the answer, its probability first of all.
        gold: what is right, in words.
        kind: of the question or phrase.
        right: whether the answer is.
    """

    depicted: Depicted
    about: str
    said: Reply
    gold: str
    kind: str
    right: bool


class Question(NamedTuple):
    """An example as the model is asked it: the head, its sample, and what becomes of the head's output for it."""

    depicted: Depicted
    head: str
    sample: Sample
    tell: Callable[[Any], list[Reply]]


class Bin(NamedTuple):
    """Answers of about one probability: their mean probability, the share that is right, and how many they are."""

    probability: float
    accuracy: float
    answers: int


class Share(NamedTuple):
    """Right answers of a kind."""

    kind: str
    answers: int
    accuracy: float
    interval: Interval
    probability: float


def judge(run: RunOfModel, dataset: Dataset, task: Task, wanted: Sequence[int]) -> tuple[list[Judged], dict[str, int]]:
    """Asks the model about examples.

    Returns:
        Its answers where it is known what is right, and why others are missing with their number.

    Raises:
        InputError: for a task whose examples cannot be asked one by one.
    """
    if task.depict is None or (task.answer is None and task.choice is None):
        raise InputError(f"examples of {task.title} cannot be asked one by one")
    model = LoadedModel(run.parts, run.text, run.regions)
    found: list[Judged] = []
    left_out: Counter[str] = Counter()
    for start in range(0, len(wanted), AT_ONCE):
        several: list[Question] = []
        for index in wanted[start : start + AT_ONCE]:
            depicted = task.depict(dataset, index)
            if depicted.text is None and not depicted.candidates:
                raise InputError("a phase of pre-training answers no question")
            try:
                several.append(question(model, task, dataset, index, depicted))
            except InputError as error:
                left_out[str(error)] += 1
        outputs = model.run(several[0].head, [each.sample for each in several]) if several else []
        for asked, output in zip(several, outputs, strict=True):
            one = list(judgements(asked.depicted, asked.tell(output)))
            if not one:
                left_out["what is right is not known, or outside of what the model can answer"] += 1
            found += one
    return found, dict(left_out)


def question(model: LoadedModel, task: Task, dataset: Dataset, index: int, depicted: Depicted) -> Question:
    """An example as the model is asked it.

    Raises:
        InputError: where it cannot be asked.
    """
    if depicted.text is not None and task.answer is not None:
        asked = ask(model, task.answer, depicted.text, depicted.records, depicted.images, 1)
        return Question(depicted, task.answer.head, asked.sample, partial(task.answer.tell, model, asked))
    if depicted.candidates and task.choice is not None:
        return Question(depicted, task.choice.head, dataset[index], partial(chosen, depicted))
    raise InputError(f"the model answers nothing about {depicted.name}")


def chosen(depicted: Depicted, output: Any) -> list[Reply]:
    """The candidates of an example, the likeliest first."""
    probabilities = output.scores.detach().float()[0].softmax(-1)
    about = depicted.asked or depicted.name
    return ranked(about, probabilities, depicted.candidates.__getitem__, len(depicted.candidates))


def judgements(depicted: Depicted, replies: Sequence[Reply]) -> Iterable[Judged]:
    """The replies of one example that can be judged; of each phrase its first."""
    if depicted.gold:
        said = replies[0]
        yield Judged(depicted, said.about, said, " / ".join(depicted.gold), depicted.kind, said.answer in depicted.gold)
    elif depicted.boxes:
        for reply, gold in zip(replies, depicted.boxes, strict=True):
            yield Judged(depicted, gold.label, reply, gold.label, gold.kind, covers(reply, gold.boxes))


def shares(judged: Sequence[Judged]) -> list[Share]:
    """All answers first, then by kind, the frequent first; intervals over images."""
    kinds = [kind for kind, _ in Counter(one.kind for one in judged).most_common() if kind]
    groups = [("all", list(judged)), *((kind, [one for one in judged if one.kind == kind]) for kind in kinds)]
    return [share(kind, several) for kind, several in groups if several and (kind == "all" or len(kinds) > 1)]


def share(kind: str, judged: Sequence[Judged]) -> Share:
    """How many of some answers are right."""
    resamples = Resamples()
    values = torch.tensor([[[float(one.right), 1.0]] for one in judged])
    resamples.add([one.depicted.images[0] for one in judged], values)
    low, high = interval(resamples.shares(0))[:, 0].tolist()
    count = len(judged)
    probability = sum(one.said.probability for one in judged) / count
    return Share(kind, count, sum(one.right for one in judged) / count, Interval(low, high), probability)


def calibration(judged: Sequence[Judged]) -> tuple[list[Bin], float]:
    """Answers in ten bins by their probability, and the expected calibration error (Guo et al., 2017), 0..1."""
    groups: list[list[Judged]] = [[] for _ in range(BINS)]
    for one in judged:
        groups[min(int(one.said.probability * BINS), BINS - 1)].append(one)
    bins = [
        Bin(
            sum(one.said.probability for one in group) / len(group),
            sum(one.right for one in group) / len(group),
            len(group),
        )
        for group in groups
        if group
    ]
    error = sum(each.answers * abs(each.probability - each.accuracy) for each in bins) / max(len(judged), 1)
    return bins, error


def confusions(judged: Sequence[Judged], most: int = 12) -> list[tuple[str, str, str, int]]:
    """(kind, what is right, what was said, how often) of the most frequent wrong answers in words."""
    wrong = [one for one in judged if not one.right and one.said.box is None]
    counts = Counter((one.kind, one.gold, one.said.answer) for one in wrong)
    return [(*key, count) for key, count in counts.most_common(most)]


def best_and_worst(judged: Sequence[Judged], most: int = 6) -> tuple[list[Judged], list[Judged]]:
    """The surest right answers, and the surest wrong ones; one an example."""
    ordered = sorted(judged, key=lambda one: -one.said.probability)
    found: tuple[list[Judged], list[Judged]] = ([], [])
    for right, several in ((True, found[0]), (False, found[1])):
        seen: set[str] = set()
        for one in ordered:
            if one.right == right and one.depicted.name not in seen and len(several) < most:
                seen.add(one.depicted.name)
                several.append(one)
    return found
