"""The paper's rows as contracts: the runs that make one up, what they have to get through, the numbers it has.

Part of `contracts`, from where all else takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Phase(NamedTuple):
    """One run of MMF.

    Attributes:
        name: of the task's yaml, and of the run's folder.
        start_from: the phase whose best checkpoint it starts from; None for BERT's weights.
        overlays: yaml files over the phase's own, as paths below the configs folder without their ending.
        overrides: `key=value` with dots, over all of these.
    """

    name: str
    start_from: str | None
    overlays: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


class Merge(NamedTuple):
    """Two phases whose models answer together.

    Attributes:
        task: name of their task.
        answers: name of the phase that trains the model of the answers.
        rationales: of the one that trains the model of the rationales.
        merge: (predictions of the answers, of the rationales, annotations) -> leaderboard entries and metrics.
        overrides: of the second model's prediction on a split.
        splits: that both predict.
    """

    task: str
    answers: str
    rationales: str
    merge: Callable[[Path, Path, Path], Merged]
    overrides: Callable[[str], list[str]]
    splits: tuple[str, ...] = ("val", "test")


class Merged(NamedTuple):
    """Entries of a leaderboard file, and metrics by name where the split has labels (fractions)."""

    entries: list[dict[str, Any]]
    metrics: dict[str, float]


class Column(NamedTuple):
    """One number of a row.

    Attributes:
        title: as the paper's table has it.
        metric: name of our registered metric, or of one that `Merge` gives; its values are fractions.
    """

    title: str
    metric: str


class Row(NamedTuple):
    """What the paper reports for a variant.

    Attributes:
        table: where it stands.
        label: the paper's own name of the variant.
        values: by column title, in per cent; None where the paper gives none.
    """

    table: str
    label: str
    values: dict[str, float | None]


class Load(NamedTuple):
    """What a phase of the paper has to get through.

    Attributes:
        samples: of one epoch (official sizes of the splits).
        epochs: as the paper has them.
        batch: samples an update.
        words: word pieces of a sample, about, over all its sequences.
        sequences: sequences a sample (VCR has one for each choice).
        regions: of each sequence.
    """

    samples: int
    epochs: int
    batch: int
    words: int
    sequences: int
    regions: int
