"""NLVR2's official JSON lines as typed records (Suhr et al., 2019; §4.3)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import Name, Schema, Text

LABELS = ("False", "True")
"""Names of the classes 0 and 1."""


class Example(Struct, gc=False):
    """A line of the official files."""

    identifier: Name
    sentence: Text
    label: Text | bool | None = None


EXAMPLE = Schema(Example, called="identifier")


class ImagePair(NamedTuple):
    """A sentence about two images.

    Attributes:
        identifier: `split-set-pair-sentence`, e.g. "dev-850-0-0".
        sentence: the sentence.
        label: 1 if it is true of the images, 0 if not; None where it is not known (test).
        group: number of its consistency group: the examples of one sentence, over up to four pairs of images.
        source: the file that it comes from.
    """

    identifier: str
    sentence: str
    label: int | None
    group: int
    source: Path

    @property
    def images(self) -> tuple[str, str]:
        """Keys of the left and of the right image: the official file names without extension."""
        pair = self.identifier.rpartition("-")[0]
        return f"{pair}-img0", f"{pair}-img1"

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the example {self.identifier} of {self.source}"


def read_nlvr2(paths: Iterable[Path], labels_required: bool = True) -> list[ImagePair]:
    """The examples of the official JSON lines, in their order.

    Args:
        paths: train.json, dev.json, test1.json, test2.json, or the official balanced and unbalanced parts.
        labels_required: false for a test split: then labels are there for all examples or for none.

    Raises:
        InputError: a missing sentence, an identifier that is not official or stands twice, a label that is missing or
            neither True nor False.
    """
    examples: list[ImagePair] = []
    groups: dict[str, int] = {}
    seen: set[str] = set()
    for path in paths:
        for number, record in EXAMPLE.read_lines(path):
            identifier, place = record.identifier, f"{path} line {number}"
            if identifier.count("-") != 3 or "" in identifier.split("-"):
                raise InputError(
                    f"{place}: the identifier is {identifier!r}; it has to be split-set-pair-sentence, as in the "
                    "official files"
                )
            if identifier in seen:
                raise InputError(f"{place}: the example {identifier} stands there twice; remove one")
            if not record.sentence.strip():
                raise InputError(f"{place}: the example {identifier} has no sentence; get the file again")
            seen.add(identifier)
            group = groups.setdefault(consistency_group(identifier), len(groups))
            label = read_label(record.label, identifier, place)
            examples.append(ImagePair(identifier, record.sentence, label, group, path))
    if not examples:
        raise InputError("NLVR2's annotation files have no example; name the official files")
    _check_labels(examples, labels_required)
    return examples


def consistency_group(identifier: str) -> str:
    """The identifier without its pair id: examples that share it are about the same sentence.

    >>> consistency_group("dev-850-2-0")
    'dev-850-0'
    """
    split, image_set, _, sentence = identifier.split("-")
    return f"{split}-{image_set}-{sentence}"


def read_label(label: Any, identifier: str, place: str) -> int | None:
    """1 for True, 0 for False, as a word in any case or a json boolean; None for none.

    Raises:
        InputError: for anything else.
    """
    if label is None:
        return None
    word = str(label).capitalize() if isinstance(label, str | bool) else ""
    if word not in LABELS:
        raise InputError(f"{place}: the label of {identifier} is {label!r}; it has to be True or False")
    return LABELS.index(word)


def _check_labels(examples: Sequence[ImagePair], required: bool) -> None:
    without = [example for example in examples if example.label is None]
    if without and required:
        raise InputError(
            f"{without[0].name} and {len(without) - 1} more have no label; only a test split may lack labels"
        )
    if without and len(without) < len(examples):
        raise InputError(
            f"{without[0].name} and {len(without) - 1} more of {len(examples)} have no label; give all labels or none"
        )
