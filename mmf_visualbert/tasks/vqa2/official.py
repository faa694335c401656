"""The schemas of VQA 2.0's json files and of MMF's imdb of them: what a question and an annotation may hold.

OK-VQA's annotations are of the same form without `multiple_choice_answer`; own questions may name their images in words
in place of COCO's numbers.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import Name, Number, Schema, Text
from mmf_visualbert.tasks.vqa2.answers import ANSWER_TYPES, normalize_answer

# The test-dev questions are part of the test questions, on the same images.
IMAGE_FOLDERS = {"train2014": "train2014", "val2014": "val2014", "test2015": "test2015", "test-dev2015": "test2015"}

Written: TypeAlias = Text | int | float | bool | None
"""An answer as files have it: a text, or what a program made of one."""
ImageId: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] | Name


class Content(Struct, gc=False):
    """A file of questions, or of annotations: their records as they stand there, and which images they are about."""

    questions: list[Raw] | None = None
    annotations: list[Raw] | None = None
    data_subtype: Written = None


class Question(Struct, gc=False):
    """A record of `questions`."""

    question_id: Number
    image_id: ImageId
    question: Text


class Asked(Struct, gc=False):
    """A record of `questions`, where only its image matters."""

    image_id: ImageId


class GivenAnswer(Struct, gc=False):
    """What one annotator said."""

    answer: Written


class Annotation(Struct, gc=False):
    """A record of `annotations`."""

    question_id: Number
    answers: Annotated[list[GivenAnswer], Meta(min_length=1, max_length=1000)]
    multiple_choice_answer: Written = None
    answer_type: Text | None = None


class ImdbRecord(Struct, gc=False):
    """A record of MMF's imdb."""

    question_id: Number
    image_id: ImageId
    image_name: Name | None = None
    feature_path: Name | None = None
    question_str: Text | None = None
    question_tokens: list[Text] | None = None
    all_answers: list[Written] | None = None
    answers: list[Written] | None = None
    valid_answers: list[Written] | None = None


CONTENT = Schema(Content, "give VQA's official json files")
QUESTION = Schema(Question, called="question_id")
ASKED = Schema(Asked)
ANNOTATION = Schema(Annotation, called="question_id")
IMDB = Schema(ImdbRecord, "make the file again, or give VQA's official json files")


class Image(NamedTuple):
    """The image of a question: its number, -1 where it is named in words, and the name of its file without extension,
    which is the key of its features."""

    number: int
    name: str


def image_of(image_id: int | str, folder: str | None, where: str) -> Image:
    """The image that a question's `image_id` means: COCO's number, in digits or as one, or a name in words.

    Args:
        image_id: as the file has it.
        folder: see `image_folder`.
        where: names the record in messages.

    Raises:
        InputError: for a number, where no folder is said.
    """
    if isinstance(image_id, int) and folder is not None:
        return Image(image_id, f"COCO_{folder}_{image_id:012d}")
    if isinstance(image_id, str) and not (image_id.isascii() and image_id.isdigit() and len(image_id) < 19):
        return Image(-1, without_extension(image_id))
    if folder is None:
        raise InputError(
            f"{where}: the file does not say in 'data_subtype' of which images {image_id} is one; write one of "
            f"{', '.join(IMAGE_FOLDERS)} there, or the name of the image's file as image_id"
        )
    return Image(int(image_id), f"COCO_{folder}_{int(image_id):012d}")


def without_extension(name: str) -> str:
    """The key of an image's features."""
    return re.sub(r"\.(npy|jpe?g|png)$", "", name)


def image_folder(subtype: object, path: Path) -> str | None:
    """train2014, val2014 or test2015, of which the names of COCO's images are made; None where neither the stated
    `data_subtype` nor the file's name is one."""
    named = re.search(r"test-dev2015|test2015|train2014|val2014", path.name)
    return IMAGE_FOLDERS.get(str(subtype)) or IMAGE_FOLDERS.get(named.group() if named else "")


def spelled(answer: str | float | None, field: str, where: str) -> str:
    """An answer as text: numbers as they are written.

    Raises:
        InputError: for null, true and false, of which nobody knows what was said.
    """
    if isinstance(answer, str):
        return answer
    if answer is None or isinstance(answer, bool):
        there, mend = ("null", "leave it out") if answer is None else (str(answer).lower(), 'write "yes" or "no"')
        raise InputError(f"{where}: {field} is {there}, and an answer in words is expected; {mend}, or correct it")
    return str(int(answer) if abs(answer) < 1 << 53 and answer == int(answer) else answer)


def majority_of(answers: Sequence[str]) -> str:
    """The most frequent answer, the first of those that are equally frequent."""
    return Counter(answers).most_common(1)[0][0]


def type_index(stated: str | None, majority: str, where: str) -> int:
    """Place in `ANSWER_TYPES` of what a file says, or of what the answer looks like where it says nothing.

    Raises:
        InputError: for a type that there is not.
    """
    if stated is None:
        return ANSWER_TYPES.index(type_of(majority))
    if stated not in ANSWER_TYPES:
        raise InputError(
            f'{where}: answer_type is "{stated[:80]}", and one of {", ".join(ANSWER_TYPES)} is expected; correct '
            "it, or leave it out"
        )
    return ANSWER_TYPES.index(stated)


def type_of(majority_answer: str) -> str:
    """The answer's type, where a file does not say it: of official val questions, 98 in 100 get theirs."""
    answer = normalize_answer(majority_answer)
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if answer.replace(".", "", 1).isdigit() else "other"


def imdb_record(record: Any, where: str) -> ImdbRecord:
    """A record of an imdb, checked.

    Raises:
        InputError: where a field is missing or of another type.
    """
    known = {field.encode_name for field in msgspec.structs.fields(ImdbRecord)}
    if isinstance(record, Mapping):
        record = {name: value for name, value in record.items() if name in known}
    return IMDB.convert(record, where)
