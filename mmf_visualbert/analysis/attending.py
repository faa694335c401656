"""Asks every attention head whether it looks from words at the right regions, over a whole split.

One pass of the model as it was trained, with the "eager" kernel that gives weights; of each batch only sums are kept.

Shapes: B examples, R regions, L layers that see regions, Q questions of a batch, G groups of questions.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

from mmf_visualbert.analysis.intervals import Resamples
from mmf_visualbert.contracts import Sample
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.modules.visual_bert import VisualBertEncoder

BASELINES = 2  # columns of the resamples behind the heads: the most confident region, a region at random


class Question(NamedTuple):
    """Do these word pieces look at one of these regions?

    Attributes:
        group: what it is counted under, 0 to G - 1.
        pieces: positions of the pieces that are asked; none where they were cut, which is a miss.
        targets: (R,) bool, the regions that are right.
    """

    group: int
    pieces: tuple[int, ...]
    targets: Tensor


class Example(NamedTuple):
    """A text with its image, and what is asked of it.

    Attributes:
        image: its name, by which it is resampled.
        sample: `input_ids`, `text_mask`, `text_segments` (T,); `region_features` (R, D), `region_mask`,
            `region_segments` (R,).
        questions: about it.
        confidences: (N,) of the detections, where the store has them.
    """

    image: str
    sample: Sample
    questions: list[Question]
    confidences: Tensor | None


@dataclass
class Measured:
    """What was found, by group. Counts are float64.

    Attributes:
        layers: numbers, from 1, of the L layers that see regions (without early fusion only the last does).
        hits: (G, L, heads), questions whose most attended region is right.
        mass: (G, L, heads), sum of what the asked pieces give to all regions.
        count: (G,) questions.
        cut: (G,) those whose pieces were cut.
        matched: (G,) those for which any region is right.
        random: (G,) sum of the chance that a region at random is right.
        confident: (G,) those for which the most confident region is right; None where confidences are missing.
        left_out: questions without a right region that were not asked.
        resamples: with L * heads columns, then the baselines (a missing one is 0).
    """

    layers: tuple[int, ...]
    hits: Tensor
    mass: Tensor
    count: Tensor
    cut: Tensor
    matched: Tensor
    random: Tensor
    confident: Tensor | None
    left_out: int
    resamples: Resamples

    def accuracy(self, group: int) -> Tensor:
        """(L, heads) of a group, as shares."""
        return self.hits[group] / self.count[group]

    def attention_to_regions(self, group: int) -> Tensor:
        """(L, heads) of a group, on average over what was not cut."""
        return self.mass[group] / (self.count[group] - self.cut[group]).clamp(min=1)


class _Asked(NamedTuple):
    """The questions of a batch, side by side.

    Attributes:
        example, group: (Q,) of each question.
        targets: (Q, R) bool.
        chance: (Q,) that a region at random is right.
        readable: (Q,) bool, some piece was kept.
        rows, owner: (P,) the pieces of all readable questions, and whose they are.
    """

    example: Tensor
    group: Tensor
    targets: Tensor
    chance: Tensor
    readable: Tensor
    rows: Tensor
    owner: Tensor


@torch.no_grad()
def measure(
    visual_bert: VisualBertEncoder,
    examples: Iterable[Example],
    groups: int = 1,
    *,
    strongest: bool = False,
    leave_out_unmatched: bool = False,
    batch_size: int = 8,
    resamples: Resamples | None = None,
) -> Measured:
    """Asks all heads, on the device of the model.

    Args:
        visual_bert: a trained model. It is put into evaluation mode.
        examples: read once, a batch at a time.
        groups: G.
        strongest: of several pieces take the largest weight on each region, in place of the mean.
        leave_out_unmatched: do not ask what no region is right for; otherwise that is a miss.
        batch_size: B; the attention of all layers is held, (layers, heads, length, length) floats an example.
        resamples: where sums for intervals go; 1,000 resamples where None.

    Raises:
        ValueError: where nothing is asked at all.
    """
    visual_bert.eval()
    device = next(visual_bert.parameters()).device
    total: Measured | None = None
    left_out = 0
    for batch in _batches(examples, batch_size):
        if leave_out_unmatched:
            kept = [one._replace(questions=[q for q in one.questions if q.targets.any()]) for one in batch]
            left_out += sum(len(one.questions) for one in batch) - sum(len(one.questions) for one in kept)
            batch = kept
        if not any(one.questions for one in batch):
            continue
        tensors = {name: value.to(device) for name, value in default_collate([one.sample for one in batch]).items()}
        encoded = visual_bert(*visual_bert_inputs(tensors), output_attentions=True)
        asked = _Asked(*(part.to(device) for part in _side_by_side(batch)))
        layers, choice, mass = look(encoded, asked, strongest)
        if total is None:
            total = _nothing(layers, choice.shape[2], groups, resamples or Resamples())
        _add(total, batch, asked, choice, mass)
    if total is None:
        raise ValueError("there is nothing to ask")
    total.left_out = left_out
    return total


def look(encoded: Encoded, asked: _Asked, strongest: bool = False) -> tuple[tuple[int, ...], Tensor, Tensor]:
    """What each head looks at.

    Returns:
        The numbers of the L layers that see regions; the most attended region (L, Q, heads) int64; what is given to
        all regions (L, Q, heads), 0 for questions that are not readable.

    Raises:
        ValueError: where the texts were encoded without attentions.
    """
    if encoded.attentions is None:
        raise ValueError("attention weights are missing: encode with output_attentions=True")
    text = encoded.text_mask.shape[1]
    length = text + encoded.region_mask.shape[1]
    seeing = [(n, weights) for n, weights in enumerate(encoded.attentions, start=1) if weights.shape[3] == length]
    captions, questions = asked.example[asked.owner], len(asked.example)
    choices, masses = [], []
    for _, weights in seeing:
        picked = weights[captions, :, asked.rows, text:]  # (P, heads, R)
        each = picked
        mass = picked.sum(dim=2)
        if len(asked.owner) != questions or bool((asked.owner[1:] == asked.owner[:-1]).any()):
            counts = asked.owner.bincount(minlength=questions).clamp(min=1)
            empty = picked.new_zeros(questions, *picked.shape[1:])
            mass = mass.new_zeros(questions, mass.shape[1]).index_add(0, asked.owner, mass) / counts[:, None]
            if strongest:
                index = asked.owner[:, None, None].expand_as(picked)
                each = empty.scatter_reduce(0, index, picked, "amax")
            else:
                each = empty.index_add(0, asked.owner, picked) / counts[:, None, None]
        choices.append(each.argmax(dim=2))
        masses.append(mass)
    return tuple(number for number, _ in seeing), torch.stack(choices), torch.stack(masses)


def _batches(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    several = iter(examples)
    while batch := list(itertools.islice(several, size)):
        yield batch


def _side_by_side(batch: Sequence[Example]) -> _Asked:
    questions = [(number, question) for number, one in enumerate(batch) for question in one.questions]
    regions = torch.tensor([int(one.sample["region_mask"].sum()) for one in batch])
    example = torch.tensor([number for number, _ in questions])
    targets = torch.stack([question.targets for _, question in questions])
    rows = [piece for _, question in questions for piece in question.pieces]
    owner = [index for index, (_, question) in enumerate(questions) for _ in question.pieces]
    return _Asked(
        example=example,
        group=torch.tensor([question.group for _, question in questions]),
        targets=targets,
        chance=targets.sum(1) / regions[example].clamp(min=1),
        readable=torch.tensor([bool(question.pieces) for _, question in questions]),
        rows=torch.tensor(rows, dtype=torch.int64),
        owner=torch.tensor(owner, dtype=torch.int64),
    )


def _nothing(layers: tuple[int, ...], heads: int, groups: int, resamples: Resamples) -> Measured:
    each = torch.zeros(groups, len(layers), heads, dtype=torch.float64)
    count, cut, matched, random, confident = torch.zeros(5, groups, dtype=torch.float64)
    return Measured(layers, each, each.clone(), count, cut, matched, random, confident, 0, resamples)


def _add(total: Measured, batch: Sequence[Example], asked: _Asked, choice: Tensor, mass: Tensor) -> None:
    """Adds a batch. `choice`, `mass`: (L, Q, heads)."""
    right = asked.targets.gather(1, choice.transpose(0, 1).flatten(1)) & asked.readable[:, None]  # (Q, L * heads)
    group = asked.group.cpu()
    confident = _confident(batch)
    rows = torch.cat(
        (
            right.double().cpu(),
            (confident if confident is not None else torch.zeros(len(group))).double()[:, None],
            asked.chance.double().cpu()[:, None],
            torch.ones(len(group), 1, dtype=torch.float64),
        ),
        dim=1,
    )
    columns, groups = rows.shape[1], len(total.count)
    cells = torch.zeros(len(batch) * groups, columns, dtype=torch.float64)
    cells.index_add_(0, asked.example.cpu() * groups + group, rows)
    cells = cells.view(len(batch), groups, columns)
    total.resamples.add([one.image for one in batch], cells)
    sums = cells.sum(0)
    total.hits += sums[:, : -BASELINES - 1].view_as(total.hits)
    total.random += sums[:, -2]
    total.count += sums[:, -1]
    if total.confident is not None:
        total.confident = None if confident is None else total.confident + sums[:, -3]
    readable = mass.transpose(0, 1).double().cpu()  # (Q, L, heads)
    total.mass.index_add_(0, group, readable)
    total.cut.index_add_(0, group, (~asked.readable).double().cpu())
    total.matched.index_add_(0, group, asked.targets.any(1).double().cpu())


def _confident(batch: Sequence[Example]) -> Tensor | None:
    """(Q,) bool, whether the most confident region is right; None where a confidence is missing."""
    right = []
    for one in batch:
        if one.confidences is None:
            return None
        if len(one.confidences):
            best = int(one.confidences.argmax())
            right += [bool(question.targets[best]) for question in one.questions]
        else:
            right += [False] * len(one.questions)
    return torch.tensor(right)
