"""Official VCR annotations ({train,val,test}.jsonl) as typed, checked records (§4.2)."""

import bisect
import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import IndexedLines, require_below
from mmf_visualbert.files.typed import Name, Number, Schema, Text
from mmf_visualbert.tasks.vcr.ontology import CLASS_IDS, spelled

Token: TypeAlias = "str | list[int]"
Tokens: TypeAlias = list[Token]
CHOICES = 4


class Fields(Struct, gc=False):
    """A line of the official files."""

    annot_id: Name
    img_fn: Name
    metadata_fn: Name
    objects: list[Name]
    question: list[Text | list[Number]]
    answer_choices: list[list[Text | list[Number]]]
    rationale_choices: list[list[Text | list[Number]]]
    answer_label: Number | None = None
    rationale_label: Number | None = None


FIELDS = Schema(Fields, "use the official annotations", called="annot_id")


class VcrRecord(NamedTuple):
    """One question about one movie frame.

    Attributes:
        where: `file:line (annot_id)`, how messages name the record.
        annot_id: official id, e.g. `val-1`.
        frame: image file below the image folder.
        metadata: json file of the frame's objects, below the image folder.
        objects: class name of each of the frame's N objects, in the ontology's spelling.
        question: tokens; a token is a word, or a tag: the list of indices of the objects it names.
        answers: the 4 answers.
        rationales: the 4 rationales.
        answer_label: index of the right answer; None in the test split.
        rationale_label: index of the right rationale; None in the test split.
    """

    where: str
    annot_id: str
    frame: str
    metadata: str
    objects: tuple[str, ...]
    question: Tokens
    answers: list[Tokens]
    rationales: list[Tokens]
    answer_label: int | None
    rationale_label: int | None

    def query(self, chosen: Sequence[int] | None = None) -> RegionQuery:
        """The regions of its frame: the whole image and the `chosen` objects, all of them where None.

        The key is the metadata's path without extension.
        """
        key = str(Path(self.metadata).with_suffix(""))
        return RegionQuery(key, self.where, self.frame, self.objects, None if chosen is None else tuple(chosen))


class VcrAnnotations:
    """Records of one or more official files, read from disk one at a time, so that workers share no memory.

    Args:
        paths: JSON-lines files, in the order in which their records are counted.
        labels_required: whether a record without its two labels is an error (train, val) or not (test).

    Raises:
        InputError: for a missing or empty file; on access, for a record that cannot be used.
    """

    def __init__(self, paths: Sequence[str | Path], *, labels_required: bool) -> None:
        self.labels_required = labels_required
        self._files = [_lines_of(Path(path)) for path in paths]
        self._ends = list(itertools.accumulate(map(len, self._files)))
        self._kept: Sequence[int] | np.ndarray = range(self._ends[-1] if self._ends else 0)

    def leave_out(self, indices: Collection[int]) -> None:
        """Counts records no longer, as if they were not in the files."""
        left_out = frozenset(indices)
        self._kept = np.array([place for index, place in enumerate(self._kept) if index not in left_out], np.int32)

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> VcrRecord:
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        index = int(self._kept[index])
        which = bisect.bisect_right(self._ends, index)
        file = self._files[which]
        place = index - self._ends[which] + len(file)
        return parse_record(file[place], file.path, file.number(place), self.labels_required)

    def __iter__(self) -> Iterator[VcrRecord]:
        for index in range(len(self)):
            yield self[index]


def _lines_of(path: Path) -> IndexedLines:
    """The lines of a file that are not blank."""
    if not path.is_file():
        raise InputError(f"{path} is missing; unpack the official VCR annotations so that this file exists")
    lines = IndexedLines(path)
    if not len(lines):
        raise InputError(f"{path} holds no record; download it again")
    return lines


def parse_record(line: str, path: str, number: int, labels_required: bool) -> VcrRecord:
    """A checked record from one line of an official file.

    Raises:
        InputError: where a field is missing or malformed, a tag names no object, a choice is empty, an object has a
            class outside COCO's, or a label is missing that has to be there. Names file, line and annot_id.
    """
    fields = FIELDS.decode(line.encode(), f"{path}:{number}")
    where = f"{path}:{number} ({fields.annot_id})"
    objects = _objects(fields.objects, where)
    for name, below in (("img_fn", fields.img_fn), ("metadata_fn", fields.metadata_fn)):
        require_below(below, f"{where}: {name}")
    record = VcrRecord(
        where=where,
        annot_id=fields.annot_id,
        frame=fields.img_fn,
        metadata=fields.metadata_fn,
        objects=objects,
        question=_tokens(fields.question, "question", len(objects), where),
        answers=_choices(fields.answer_choices, "answer_choices", len(objects), where),
        rationales=_choices(fields.rationale_choices, "rationale_choices", len(objects), where),
        answer_label=_label(fields.answer_label, "answer_label", where),
        rationale_label=_label(fields.rationale_label, "rationale_label", where),
    )
    if labels_required and (record.answer_label is None or record.rationale_label is None):
        missing = "answer_label" if record.answer_label is None else "rationale_label"
        raise InputError(f"{where} has no '{missing}', which only items of the test split may lack; mend the record")
    return record


def _objects(names: list[str], where: str) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if spelled(name) not in CLASS_IDS:
            raise InputError(
                f"{where}: object {index} is a '{name}', which is none of COCO's 80 classes; mend its name"
            )
    return tuple(map(spelled, names))


def _choices(choices: list[Tokens], name: str, objects: int, where: str) -> list[Tokens]:
    if len(choices) != CHOICES:
        raise InputError(f"{where}: '{name}' does not hold {CHOICES} choices; use the official annotations")
    return [_tokens(choice, f"{name}[{index}]", objects, where) for index, choice in enumerate(choices)]


def _tokens(tokens: Tokens, name: str, objects: int, where: str) -> Tokens:
    if not any(isinstance(token, list) or token.strip() for token in tokens):
        raise InputError(f"{where}: '{name}' is empty; give it at least one word")
    for token in tokens:
        if isinstance(token, str):
            continue
        if not token:
            raise InputError(f"{where}: '{name}' holds {token!r}, neither a word nor a list of object indices; mend it")
        for tag in token:
            if not 0 <= tag < objects:
                raise InputError(
                    f"{where}: '{name}' has the tag {tag!r}, but the frame has the objects 0 to {objects - 1}; mend it"
                )
    return tokens


def _label(label: int | None, name: str, where: str) -> int | None:
    if label is not None and not 0 <= label < CHOICES:
        raise InputError(f"{where}: '{name}' is {label!r}; it has to be a whole number from 0 to {CHOICES - 1}")
    return label
