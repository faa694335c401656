"""A data set from a table: `[CLS] text [SEP] second text [SEP]` + the regions of no, one or two images."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import Dataset, DatasetFacts, Sample
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.answering import AnswersDataset, majority_answers
from mmf_visualbert.tasks.table.kinds import Kind, kind_of
from mmf_visualbert.tasks.table.labelled import LabelsDataset
from mmf_visualbert.tasks.table.pairs import PairsDataset
from mmf_visualbert.tasks.table.phrases import PhrasesDataset
from mmf_visualbert.tasks.table.reading import read_table
from mmf_visualbert.tasks.table.records import Table
from mmf_visualbert.tasks.table.rows import Rows, TableImages
from mmf_visualbert.tasks.table.settings import Settings

logger = logging.getLogger(__name__)

NAME = "visualbert_table"
LOOKED_AT = 20_000  # long texts whose word pieces are counted before a run; `visualbert table check` counts all


class Renamed:
    """One split of a table under the names that its predictions are to have.

    Args:
        dataset: of its kind.
        names: our name of a column of predictions -> the wanted one.

    Raises:
        InputError: where a name is wanted twice.
    """

    def __init__(self, dataset: Dataset, names: Mapping[str, str]) -> None:
        self.dataset, self.names = dataset, names
        if len(set(names.values())) != len(names):
            raise InputError(
                f"predictions names two columns alike: {', '.join(names.values())}; give each its own name"
            )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """The dataset's sample."""
        return self.dataset[index]

    @property
    def facts(self) -> DatasetFacts:
        """The dataset's."""
        return self.dataset.facts

    def predictions(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The dataset's entries, with the wanted columns alone, in their order.

        Raises:
            InputError: for a column that this kind does not have.
        """
        entries = self.dataset.predictions(output)
        unknown = [name for name in self.names if entries and name not in entries[0]]
        if unknown:
            raise InputError(
                f"predictions wants the column '{unknown[0]}', and this kind has {', '.join(entries[0])}; name these"
            )
        return [{wanted: entry[name] for name, wanted in self.names.items()} for entry in entries]


@register("dataset", NAME, settings=Settings)
def build_table(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> Dataset:
    """A table as configured: see `configs/datasets/table.yaml`.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    kind = kind_of(settings.kind)
    rows = read_split(settings, kind, split, processors)
    dataset = _of_kind(settings, kind, split, rows, processors)
    report(rows, kind, split, dataset)
    return Renamed(dataset, settings.predictions) if settings.predictions else dataset


def read_split(settings: Settings, kind: Kind, split: str, processors: Mapping[str, Any]) -> Rows:
    """The rows of a split with what reads their texts and images.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    masking = processors.get("masking_processor")
    table = read_split_table(settings, kind, split, labelled=split != "test" and masking is None)
    images, columns = None, settings.columns
    if columns.image is not None:
        store = configured_store(settings, split)
        regions = ImageRegions(store, processors["region_processor"], settings.missing_regions)
        images = TableImages(regions, 1 + (columns.image_b is not None))
    chosen = None
    if split == "train" and settings.examples_a_class:
        chosen = few_of_each(table, settings.examples_a_class, settings.shares.seed)
    return Rows(table, processors["text_processor"], images, masking, split != "train", chosen)


def read_split_table(settings: Settings, kind: Kind, split: str, labelled: bool | None = None) -> Table:
    """The examples of a split; `labelled`: whether each has to have a label, None: all but test's.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    paths = configured_paths(settings.data_dir, settings.annotations, "annotations", split)
    required = split != "test" if labelled is None else labelled
    return read_table(paths, split, kind, settings.columns, settings.shares, required)


def _of_kind(settings: Settings, kind: Kind, split: str, rows: Rows, processors: Mapping[str, Any]) -> Dataset:
    def train() -> Table:
        if split == "train":
            return rows.table
        return read_split_table(settings, kind, "train", labelled=rows.masking is None)

    if kind.name == "answers":
        vocabulary = None
        if rows.masking is None:
            vocabulary = processors["answer_processor"].vocabulary(lambda: majority_answers(train()))
        return AnswersDataset(rows, vocabulary, official=split != "train")
    if kind.name == "phrases":
        return PhrasesDataset(rows, settings.box_form, settings.max_phrases)
    if kind.name == "retrieval":
        return PairsDataset(rows, couples=split != "train" and rows.masking is None, pool=settings.pool)
    names = []
    if settings.columns.label is not None:
        names = processors["label_processor"].names(kind, lambda: (label for label, *_ in train().first_of_label()))
    return LabelsDataset(rows, kind, names)


def few_of_each(table: Table, count: int, seed: int) -> list[int]:
    """`count` examples of each label, drawn by seed, for learning from few; where rows have several labels, rows until
    each label has as many.

    Raises:
        InputError: where a label has fewer, or labels are no names.
    """
    rows_of: dict[str, list[int]] = {}
    for label, _, first in table.first_of_label():
        for name in label if isinstance(label, list) else [label]:
            if not isinstance(name, str):
                raise InputError(f"examples_a_class is {count}, and labels of this kind are no names; leave it out")
            rows = np.flatnonzero(table.label_numbers == table.label_numbers[first]).tolist()
            rows_of.setdefault(name, []).extend(rows)
    generator = torch.Generator().manual_seed(seed)
    chosen: set[int] = set()
    for name, rows in sorted(rows_of.items()):
        if len(rows) < count:
            raise InputError(f"examples_a_class is {count}, and the label '{name}' has {len(rows)}; lower it")
        order = [rows[place] for place in torch.randperm(len(rows), generator=generator).tolist()]
        lacking = count - sum(row in chosen for row in rows)
        chosen.update([row for row in order if row not in chosen][: max(0, lacking)])
    return sorted(chosen)


def report(rows: Rows, kind: Kind, split: str, dataset: Dataset) -> None:
    """Says how many rows and labels there are, which labels one example alone has, and which texts are cut."""
    counts: Counter[str] = Counter()
    if kind.names is not None:
        for label, count, _ in rows.table.first_of_label():
            counts.update(dict.fromkeys(label if isinstance(label, list) else [str(label)], count))
    said = f", {len(counts)} labels: " + ", ".join(f"{name} {count}" for name, count in counts.most_common(8))
    logger.info("table %s: %d rows, %d samples%s", split, len(rows), len(dataset), said if counts else "")
    lone = [name for name, count in counts.items() if count == 1]
    if split == "train" and lone:
        logger.warning("table train: %d labels have one example alone, '%s' among them", len(lone), lone[0])
    cut = rows.cut(most=LOOKED_AT)
    if cut:
        logger.warning(
            "table %s: %d texts are longer than %d word pieces and are cut, the first in %s",
            split,
            len(cut),
            rows.text.max_seq_length - 2,
            rows.table.where(cut[0]),
        )
