"""A data set from a table: `[CLS] text [SEP] second text [SEP]` + the regions of no, one or two images."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import DatasetFacts, RegionQuery, Sample
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.regions import ImageRegions
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.text import Assembled, TextAssembler
from mmf_visualbert.tasks.table.kinds import Kind, kind_of
from mmf_visualbert.tasks.table.records import Table, TableExample, read_table
from mmf_visualbert.tasks.table.settings import Settings

logger = logging.getLogger(__name__)

NAME = "visualbert_table"


class TableDataset:
    """One sample for each row of a split.

    Args:
        table: the examples.
        kind: what a label is.
        names: what labels stand for, in the order of the head's outputs; empty for kinds without names.
        text: assembles word pieces.
        regions: the regions of the images; None for a table without images.
        masking: hides word pieces: masked language modeling on these texts and images (§3.3).
        repeatable: draw the same masks at every visit of a sample (for validation).
        rows: which examples, in order; None for all.

    Raises:
        InputError: for a label that `names` lacks, an image without features, or rows of different numbers of choices.
    """

    def __init__(
        self,
        table: Table,
        kind: Kind,
        names: Sequence[str],
        text: TextAssembler,
        regions: ImageRegions | None = None,
        *,
        masking: MaskedLanguageModeling | None = None,
        repeatable: bool = False,
        rows: Sequence[int] | None = None,
    ) -> None:
        self.table, self.kind, self.text, self.regions = table, kind, text, regions
        self.names = list(names)
        self.masking, self.repeatable = masking, repeatable
        self.rows = range(len(table)) if rows is None else rows
        self.places = {name: place for place, name in enumerate(self.names)}
        self._check()

    def _check(self) -> None:
        lengths: dict[int, str] = {}
        for example in self.table:
            lengths.setdefault(len(example.texts), example.where)
            if example.label is not None:
                self._target(example)
        if len(lengths) > 1:
            (few, _), (many, where) = sorted(lengths.items())[:2]
            raise InputError(f"{where} has {many - 1} choices where other rows have {few - 1}; give all rows as many")
        if self.regions is not None:
            self.regions.check(RegionQuery(key, each.where) for each in self.table for key in each.images)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def facts(self) -> DatasetFacts:
        """Its size, its word pieces, and the names of its labels."""
        return DatasetFacts(len(self), self.text.tokenizer.vocab_size, self.names or None)

    def __getitem__(self, index: int) -> Sample:
        """`id` (); `input_ids`, `text_mask`, `text_segments` (T,), or (C, T) for choices; with images `region_features`
        (R, D), `region_mask`, `region_segments` (R,); where there is a label `targets`; with masking
        `masked_lm_labels` (T,)."""
        example = self.table[self.rows[index]]
        assembled = self._assemble(example.texts)
        tensors = [each.tensors() for each in assembled]
        if self.masking is not None:
            with repeatable_draws(index if self.repeatable else None):
                for text, each in zip(tensors, assembled, strict=True):
                    text |= self.masking(each)._asdict()
        if self.kind.has_choices:
            sample = {name: torch.stack([text[name] for text in tensors]) for name in tensors[0]}
        else:
            sample = dict(tensors[0])
        sample["id"] = torch.tensor(index)
        sample |= self._regions(example)
        if example.label is not None:
            sample["targets"] = self._target(example)
        elif self.masking is not None:
            sample["targets"] = sample["masked_lm_labels"]
        return sample

    def _assemble(self, texts: Sequence[str]) -> list[Assembled]:
        if self.kind.has_choices:
            return [self.text.pair(texts[0], choice) for choice in texts[1:]]
        return [self.text.single(texts[0]) if len(texts) == 1 else self.text.pair(texts[0], texts[1])]

    def _regions(self, example: TableExample) -> Sample:
        if self.regions is None:
            return {}
        if not example.images:
            return self.regions.processor.nothing()
        return self.regions.sequence([RegionQuery(key, example.where) for key in example.images])

    def _target(self, example: TableExample) -> Tensor:
        try:
            return self.kind.target(example.label, self.places)
        except KeyError as error:
            raise InputError(
                f"{example.where}: the label {error} is none of train's ({', '.join(self.names[:20])}); correct it, or "
                "give all names in label_processor.params.names"
            ) from None

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """One entry a row: `id`, and by kind `label` with `probability`, `labels` with `probabilities`, or `value`.

        Args:
            output: `id` (B,) and `scores` (B, N) logits, or (B, 1) a number.
        """
        ids, scores = output["id"].tolist(), output["scores"].detach().float().cpu()
        return [
            {"id": self.table.ids[self.rows[index]], **self._said(row)} for index, row in zip(ids, scores, strict=True)
        ]

    def _said(self, scores: Tensor) -> dict[str, Any]:
        if self.kind.name == "regression":
            return {"value": float(scores[0])}
        if self.kind.name == "multilabel":
            named = dict(zip(self.names, scores.sigmoid().tolist(), strict=True))
            return {"labels": [name for name, share in named.items() if share >= 0.5], "probabilities": named}
        probabilities = scores.softmax(-1)
        best = int(probabilities.argmax())
        said: dict[str, Any] = {"label": self.names[best] if self.names else best}
        said["probability"] = float(probabilities[best])
        if self.kind.name == "binary":
            said["score"] = float(probabilities[-1])
        return said


@register("dataset", NAME, settings=Settings)
def build_table(config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> TableDataset:
    """A table as configured: see `configs/datasets/table.yaml`.

    Raises:
        InputError: naming the file, the row and the mend.
    """
    settings = read_settings(Settings, config, f"dataset_config.{NAME}")
    kind, columns, shares = kind_of(settings.kind), settings.columns, settings.shares
    masking = processors.get("masking_processor")
    required = split != "test" and masking is None

    def read(which: str, labelled: bool) -> Table:
        paths = configured_paths(settings.data_dir, settings.annotations, "annotations", which)
        return read_table(paths, which, kind, columns, shares, labelled)

    table = read(split, required)
    names = []
    if columns.label is not None:
        source = table if split == "train" else None
        names = processors["label_processor"].names(kind, lambda: _labels(source or read("train", required)))
    regions = None
    if columns.image is not None:
        store = configured_store(settings, split)
        regions = ImageRegions(store, processors["region_processor"])
    rows = None
    if split == "train" and settings.examples_a_class:
        rows = few_of_each(table, settings.examples_a_class, shares.seed)
    text, repeatable = processors["text_processor"], split != "train"
    dataset = TableDataset(table, kind, names, text, regions, masking=masking, repeatable=repeatable, rows=rows)
    _report(dataset, split)
    return dataset


def _labels(table: Table) -> Iterator[Any]:
    return (table.label(index) for index in range(len(table)))


def few_of_each(table: Table, count: int, seed: int) -> list[int]:
    """`count` examples of each label, drawn by seed, for learning from few.

    Raises:
        InputError: where a label has fewer.
    """
    by_label: dict[str, list[int]] = {}
    for index, label in enumerate(_labels(table)):
        by_label.setdefault(str(label), []).append(index)
    generator = torch.Generator().manual_seed(seed)
    chosen: list[int] = []
    for label, places in sorted(by_label.items()):
        if len(places) < count:
            raise InputError(f"examples_a_class is {count}, and the label '{label}' has {len(places)}; lower it")
        order = torch.randperm(len(places), generator=generator)[:count]
        chosen += [places[place] for place in order.tolist()]
    return sorted(chosen)


def _report(dataset: TableDataset, split: str) -> None:
    counts: Counter[str] = Counter()
    for label in _labels(dataset.table):
        counts.update(label if isinstance(label, list) else [] if label is None else [str(label)])
    if dataset.names:
        most = ", ".join(f"{name} {count}" for name, count in counts.most_common(8))
        logger.info("table %s: %d rows, %d labels: %s", split, len(dataset), len(dataset.names), most)
    room = dataset.text.max_seq_length - 2
    texts = [example.texts[0] for example in dataset.table]
    cut = dataset.text.tokenizer.longer_than(texts, room)
    if cut:
        logger.warning(
            "table %s: %d of %d texts are longer than %d word pieces and are cut, the first in %s",
            split,
            len(cut),
            len(texts),
            room,
            dataset.table.wheres[cut[0]],
        )
