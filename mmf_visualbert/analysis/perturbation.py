"""Which method explains: accuracy as what it calls most, or least, relevant is taken away (Chefer et al., §4).

Where a method is right about what an answer rests on, accuracy falls fast as the most relevant regions or words go, and
stays as the least relevant ones go. What is taken away at random is the measure of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.analysis.intervals import Interval, Resamples, interval
from mmf_visualbert.analysis.looks import is_right
from mmf_visualbert.analysis.watching import Seen, WatchedModel
from mmf_visualbert.contracts import Dataset, Depicted, OneAnswer, Sample, Task
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


def perturb(run: RunOfModel, dataset: Dataset, task: Task, wanted: Sequence[int], seed: int = 0) -> Perturbations:
    """Takes regions, then words, away from examples of a split.

    [CLS], [SEP] and the words that the head reads stay.

    Raises:
        InputError: for a model that answers no questions whose answers are known.
    """
    if task.depict is None or task.answer is None or task.answer.head not in run.parts.heads:
        raise InputError(f"perturbation needs a model that answers, and this one has {', '.join(run.parts.heads)}")
    curves = [Curve(what, method, order) for what in WHAT for method in METHODS for order in ORDERS]
    watched = WatchedModel(run.parts, run.text, run.regions)
    model = LoadedModel(run.parts, run.text, run.regions)
    resamples, left_out = Resamples(), dict[str, int]()
    total, count = torch.zeros(len(curves), len(STEPS), dtype=torch.float64), 0
    for index in wanted:
        depicted = task.depict(dataset, index)
        try:
            rights = _of_example(watched, model, task.answer, depicted, curves, seed + index)
        except InputError as error:
            left_out[str(error)] = left_out.get(str(error), 0) + 1
            continue
        total, count = total + rights, count + 1
        areas = rights[:, 1:].mean(1)
        resamples.add([depicted.images[0]], torch.cat((areas, torch.ones(1, dtype=areas.dtype)))[None, None])
    if not count:
        raise InputError(f"no example can be perturbed: {'; '.join(left_out) or 'the split is empty'}")
    return _summary(curves, total / count, resamples, count, left_out)


def _of_example(
    watched: WatchedModel, model: LoadedModel, way: OneAnswer, depicted: Depicted, curves: Sequence[Curve], seed: int
) -> Tensor:
    """(curves, steps) float64, whether the answer is right."""
    asked = ask(model, way, depicted.text or "", depicted.records, depicted.images, 1)
    sample = asked.sample
    watched.run(way.head, sample)
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
    for each, output in zip(reduced, model.run(way.head, reduced), strict=True):
        right = is_right(depicted, way.tell(model, asked._replace(sample=each), output))
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
