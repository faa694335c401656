"""Which method explains: accuracy as what it calls most, or least, relevant is taken away (Chefer et al., §4).

Where a method is right about what an answer rests on, accuracy falls fast as the most relevant regions or words go, and
stays as the least relevant ones go. What is taken away at random is the measure of both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.analysis.intervals import Interval, Resamples, interval
from mmf_visualbert.analysis.looks import is_right
from mmf_visualbert.analysis.watching import Seen, WatchedModel
from mmf_visualbert.contracts import Dataset, Depicted, Sample, Task
from mmf_visualbert.datasets.one_answer import FILL
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_rows
from mmf_visualbert.predict import ask
from mmf_visualbert.runs import LoadedModel, RunOfModel

METHODS = ("raw", "rollout", "relevance", "random")
WHAT = ("regions", "words")
ORDERS = ("most", "least")
STEPS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)


class Curve(NamedTuple):
    """Which curve: what is taken away, by which method, and whether the most or the least relevant goes first."""

    what: str
    method: str
    order: str


@dataclass(frozen=True)
class Perturbations:
    """Accuracies as parts are taken away.

    Attributes:
        accuracy: of each curve, at each of `STEPS`.
        area: of each curve, its mean over the steps after the first, with its interval.
        behind_random: of each curve but those at random, its area minus that at random, with its interval: below 0 is
            good where the most relevant goes first, above 0 where the least does.
        examples: number of examples.
        left_out: why others are missing.
    """

    accuracy: dict[Curve, list[float]]
    area: dict[Curve, tuple[float, Interval]]
    behind_random: dict[Curve, tuple[float, Interval]]
    examples: int
    left_out: dict[str, int]

    def write_csv(self, path: Path) -> None:
        """One line a curve and step."""
        rows: list[Sequence[object]] = [("what", "method", "first", "taken_away", "accuracy")]
        rows += [
            (*curve, step, f"{value:.6f}")
            for curve, values in self.accuracy.items()
            for step, value in zip(STEPS, values, strict=True)
        ]
        write_rows(path, rows)


def perturb(
    run: RunOfModel, dataset: Dataset, task: Task, wanted: Sequence[int], seed: int = 0, masked: bool = False
) -> Perturbations:
    """Takes regions, then words, away from examples of a split.

    [CLS], [SEP] and the words that the head reads stay.

    Args:
        run: the model.
        dataset: a split of its data.
        task: of its data.
        wanted: which examples.
        seed: of what is taken away at random.
        masked: ask for the words that a phase of pre-training hides, in place of an answer; the accuracy is the share
            of them that is predicted.

    Raises:
        InputError: for a model that answers no questions whose answers are known, or has no such phase's head.
    """
    ways = _masked_words(dataset, task) if masked else _answers(dataset, task)
    if task.depict is None or ways.head not in run.parts.heads:
        heads = ", ".join(run.parts.heads)
        if masked:
            raise InputError(f"masked words need {FILL.head}, and this model has {heads}; name a phase of pre-training")
        raise InputError(
            f"perturbation needs a model that answers, and this one has {heads}; a phase of pre-training takes --masked"
        )
    curves = [Curve(what, method, order) for what in WHAT for method in METHODS for order in ORDERS]
    watched = WatchedModel(run.parts, run.text, run.regions)
    model = LoadedModel(run.parts, run.text, run.regions)
    resamples, left_out = Resamples(), dict[str, int]()
    total, count = torch.zeros(len(curves), len(STEPS), dtype=torch.float64), 0
    for index in wanted:
        depicted = task.depict(dataset, index)
        try:
            rights = _of_example(watched, model, ways, ways.example(model, depicted, index), curves, seed + index)
        except InputError as error:
            left_out[str(error)] = left_out.get(str(error), 0) + 1
            continue
        total, count = total + rights, count + 1
        areas = rights[:, 1:].mean(1)
        resamples.add([depicted.images[0]], torch.cat((areas, torch.ones(1, dtype=areas.dtype)))[None, None])
    if not count:
        raise InputError(f"no example can be perturbed: {'; '.join(left_out) or 'the split is empty'}")
    return _summary(curves, total / count, resamples, count, left_out)


class _Example(NamedTuple):
    """One that is asked: its sample, and (what is left of it, the head's output) -> how right that is, 0..1 or None."""

    sample: Sample
    right: Callable[[Sample, Any], float | None]


class _Ways(NamedTuple):
    """How examples are asked: the head, and (model, as it is shown, its index) -> the example."""

    head: str
    example: Callable[[LoadedModel, Depicted, int], _Example]


def _answers(_: Dataset, task: Task) -> _Ways:
    """Answers of the task's own head."""
    way = task.answer
    if way is None:
        raise InputError(f"examples of {task.title} cannot be asked one by one")

    def example(model: LoadedModel, depicted: Depicted, _: int) -> _Example:
        asked = ask(model, way, depicted.text or "", depicted.records, depicted.images, 1)

        def right(sample: Sample, output: Any) -> float | None:
            return is_right(depicted, way.tell(model, asked._replace(sample=sample), output))

        return _Example(asked.sample, right)

    return _Ways(way.head, example)


def _masked_words(dataset: Dataset, _: Task) -> _Ways:
    """The words that a sample hides."""

    def right(_: Sample, output: Any) -> float:
        return float(output.masked_lm_correct.sum() / output.masked_lm_count.sum())

    def example(model: LoadedModel, depicted: Depicted, index: int) -> _Example:
        sample = dict(dataset[index])
        if not bool((sample.get("masked_lm_labels", torch.tensor(-1)) != -1).any()):
            raise InputError("no word of the text is hidden")
        return _Example(sample, right)

    return _Ways(FILL.head, example)


def _of_example(
    watched: WatchedModel, model: LoadedModel, ways: _Ways, example: _Example, curves: Sequence[Curve], seed: int
) -> Tensor:
    """(curves, steps) float64, how right the answer is."""
    sample = example.sample
    watched.run(ways.head, sample)
    seen = watched.seen
    assert seen is not None
    ranks = rankings(seen, torch.Generator().manual_seed(seed), watched.text.tokenizer.special_ids)
    reduced = [sample]  # the whole, then what is left at each step of each curve
    for curve in curves:
        ordered = ranks[curve.what, curve.method]
        ordered = ordered if curve.order == "most" else ordered.flip(0)
        for step in STEPS[1:]:
            reduced.append(without(sample, curve.what, ordered[: round(step * len(ordered))]))
    rights = []
    for each, output in zip(reduced, model.run(ways.head, reduced), strict=True):
        right = example.right(each, output)
        if right is None:
            raise InputError("what is right is not known")
        rights.append(float(right))
    later = torch.tensor(rights[1:], dtype=torch.float64).view(len(curves), -1)
    return torch.cat((torch.full((len(curves), 1), rights[0], dtype=torch.float64), later), dim=1)


def without(sample: Sample, what: str, places: Tensor) -> Sample:
    """A sample of which some regions, or words, are not read."""
    name = {"regions": "region_mask", "words": "text_mask"}[what]
    return {**sample, name: sample[name].index_fill(0, places, False)}


def rankings(seen: Seen, generator: torch.Generator, special_ids: Sequence[int]) -> dict[tuple[str, str], Tensor]:
    """By what is taken away and method: places in the sample, the most relevant first."""
    words = len(seen.words)
    free = ~seen.read & ~torch.isin(seen.words, torch.tensor(special_ids))
    places = {"words": free.nonzero().squeeze(1), "regions": seen.regions}
    found = {}
    for method in METHODS:
        scores = (
            torch.rand(words + len(seen.regions), generator=generator) if method == "random" else seen.rests[method]
        )
        of_what = {"words": scores[:words][free], "regions": scores[words:]}
        for what, values in of_what.items():
            found[what, method] = places[what][values.argsort(descending=True, stable=True)]
    return found


def _summary(
    curves: Sequence[Curve], accuracy: Tensor, resamples: Resamples, count: int, left_out: dict[str, int]
) -> Perturbations:
    shares, areas = resamples.shares(0), accuracy[:, 1:].mean(1)
    edges = interval(shares)
    area = {curve: (float(areas[row]), Interval(*edges[:, row].tolist())) for row, curve in enumerate(curves)}
    behind = {}
    for row, curve in enumerate(curves):
        if curve.method != "random":
            other = curves.index(curve._replace(method="random"))
            low, high = interval((shares[:, row] - shares[:, other])[:, None])[:, 0].tolist()
            behind[curve] = (float(areas[row] - areas[other]), Interval(low, high))
    accuracies = {curve: accuracy[row].tolist() for row, curve in enumerate(curves)}
    return Perturbations(accuracies, area, behind, count, left_out)


def table(result: Perturbations) -> str:
    """Areas under the curves, and how they differ from taking away at random."""
    lines = [
        f"examples  {result.examples}, accuracy with everything {100 * next(iter(result.accuracy.values()))[0]:.1f}"
    ]
    lines += [f"left out  {count}: {reason}" for reason, count in result.left_out.items()]
    lines.append("taken away  by         first  area under the curve    minus random's")
    for curve, (area, (low, high)) in result.area.items():
        line = f"{curve.what:10s}  {curve.method:9s}  {curve.order:5s}  {100 * area:6.1f}"
        line += f" ({100 * low:.1f} to {100 * high:.1f})"
        if curve in result.behind_random:
            behind, (low, high) = result.behind_random[curve]
            line = f"{line:54s}  {100 * behind:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        lines.append(line)
    return "\n".join([*lines, "the most relevant first: lower is better; the least relevant first: higher is better"])
