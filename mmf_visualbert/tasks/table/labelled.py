"""A table of texts with labels: names, several names, numbers, or the right one of some choices."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmf_visualbert.contracts import DatasetFacts, Sample
from mmf_visualbert.datasets.draws import repeatable_draws
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.text import Assembled
from mmf_visualbert.tasks.table.kinds import Kind
from mmf_visualbert.tasks.table.rows import Rows


class LabelsDataset:
    """One sample for each row.

    Args:
        rows: the examples.
        kind: what a label is.
        names: what labels stand for, in the order of the head's outputs; empty for kinds without names.

    Raises:
        InputError: for a label that `names` lacks, an image without features, or rows of different numbers of choices.
    """

    def __init__(self, rows: Rows, kind: Kind, names: Sequence[str]) -> None:
        self.rows, self.kind, self.names = rows, kind, list(names)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.counts = [0] * len(self.names)  # rows of each label, where a row has one
        self._check()

    def _check(self) -> None:
        table = self.rows.table
        for label, count, first in table.first_of_label():
            target = self._target(label, table.where(first))
            if self.kind.one_name:
                self.counts[int(target)] += count
        if table.choices is not None:
            self._check_choices()
        self.rows.check()

    def _check_choices(self) -> None:
        """All rows have as many choices, and the right one is among them."""
        lengths: dict[int, str] = {}
        for example in self.rows.table:
            choices = len(example.texts) - 1
            lengths.setdefault(choices, example.where)
            if example.label is not None and example.label >= choices:
                raise InputError(
                    f"{example.where}: the right choice is {example.label}, and there are {choices}; count from 0"
                )
        if len(lengths) > 1:
            (few, _), (many, where) = sorted(lengths.items())[:2]
            raise InputError(f"{where} has {many} choices where other rows have {few}; give all rows as many")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def facts(self) -> DatasetFacts:
        """Its size, its word pieces, and the names of its labels."""
        return self.rows.facts(self.names)

    def __getitem__(self, index: int) -> Sample:
        """`id` (); `input_ids`, `text_mask`, `text_segments` (T,), or (C, T) for choices; with images `region_features`
        (R, D), `region_mask`, `region_segments` (R,); where there is a label `targets`, and where it is one name
        `label_weights` (); with masking `masked_lm_labels` (T,)."""
        example = self.rows[index]
        assembled = self._assemble(example.texts)
        tensors = [each.tensors() for each in assembled]
        if self.rows.masking is not None:
            with repeatable_draws(index if self.rows.repeatable else None):
                for text, each in zip(tensors, assembled, strict=True):
                    text |= self.rows.masking(each)._asdict()
        if self.kind.has_choices:
            sample = {name: torch.stack([text[name] for text in tensors]) for name in tensors[0]}
        else:
            sample = dict(tensors[0])
        sample |= self.rows.beginning(index, example)
        if example.label is not None:
            sample["targets"] = self._target(example.label, example.where)
            if self.kind.one_name:
                sample["label_weights"] = self._weight(int(sample["targets"]))
        elif self.rows.masking is not None:
            sample["targets"] = sample["masked_lm_labels"]
        return sample

    def _weight(self, place: int) -> Tensor:
        """(), by which all labels of the split weigh alike, however many rows they have: 1 on average over the rows."""
        rows, labels = sum(self.counts), sum(count > 0 for count in self.counts)
        return torch.tensor(rows / (labels * self.counts[place]))

    def _assemble(self, texts: Sequence[str]) -> list[Assembled]:
        text = self.rows.text
        if self.kind.has_choices:
            return [text.pair(texts[0], choice) for choice in texts[1:]]
        return [text.single(texts[0]) if len(texts) == 1 else text.pair(texts[0], texts[1])]

    def _target(self, label: Any, where: str) -> Tensor:
        assert self.kind.target is not None
        try:
            return self.kind.target(label, self.places)
        except KeyError as error:
            raise InputError(
                f"{where}: the label {error} is none of train's ({', '.join(self.names[:20])}); correct it, or "
                "give all names in label_processor.params.names"
            ) from None

    def predictions(self, output: Mapping[str, Tensor]) -> list[dict[str, Any]]:
        """One entry a row: `id`, and by kind `label` with `probability`, `labels` with `probabilities`, or `value`.

        Args:
            output: `id` (B,) and `scores` (B, N) logits, or (B, 1) a number.
        """
        ids, scores = output["id"].tolist(), output["scores"].detach().float().cpu()
        return [{"id": self.rows.id_of(index), **self._said(row)} for index, row in zip(ids, scores, strict=True)]

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
