"""The files of the task as typed records."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json_lines

LABELS = ("no", "yes")
"""Names of the classes 0 and 1."""


class Example(NamedTuple):
    """A text about an image.

    Attributes:
        id: its own, in all files of a split once.
        image: key of the image's region features: its file name without extension.
        text: the text.
        label: index into `LABELS`; None where it is not known.
        where: what errors call it.
    """

    id: str
    image: str
    text: str
    label: int | None
    where: str


def read_examples(paths: Iterable[Path], labels_required: bool = True) -> list[Example]:
    """The examples of JSON lines files, in their order.

        {"id": "7", "image": "cat.jpg", "text": "a cat", "label": "yes"}

    Raises:
        InputError: for a line without a field, a label that is none of `LABELS`, or an id that stands twice.
    """
    examples: dict[str, Example] = {}
    for path in paths:
        for number, record in read_json_lines(path):
            where = f"{path} line {number}"
            for field in ("id", "image", "text", *(["label"] if labels_required else [])):
                if not isinstance(record.get(field), str) or not record[field].strip():
                    raise InputError(f"{where}: the field '{field}' is {record.get(field)!r}; write a text there")
            label = record.get("label")
            if label is not None and label not in LABELS:
                raise InputError(f"{where}: the label is {label!r}; it has to be one of {', '.join(LABELS)}")
            if record["id"] in examples:
                raise InputError(f"{where}: the id {record['id']} stands there twice; give each example its own")
            index = None if label is None else LABELS.index(label)
            image = str(Path(record["image"]).with_suffix(""))
            examples[record["id"]] = Example(record["id"], image, record["text"], index, where)
    if not examples:
        raise InputError("the annotation files have no example; name files that have")
    return list(examples.values())
