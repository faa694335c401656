"""Reading VQA 2.0's official question and annotation files, and MMF's imdb of the same.

Questions and annotations, a million of them, are kept in columns, and become a typed record when one is asked for.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.datasets.columns import RepeatedStrings, Strings
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import no_garbage_collection, read_npy_records
from mmf_visualbert.files.typed import parts_of
from mmf_visualbert.tasks.vqa2.answers import ANSWER_TYPES, normalize_answer
from mmf_visualbert.tasks.vqa2.gathered import NO_ANSWER, GatheredAnnotations, GatheredQuestions, NoTextError
from mmf_visualbert.tasks.vqa2.official import (
    ANNOTATION,
    CONTENT,
    QUESTION,
    Annotation,
    Image,
    ImdbRecord,
    image_folder,
    image_of,
    imdb_record,
    majority_of,
    spelled,
    type_index,
    without_extension,
)

TYPE_PLACES: dict[str | None, int] = {name: place for place, name in enumerate(ANSWER_TYPES)}


class VQA2Question(NamedTuple):
    """One question.

    Attributes:
        question_id: the official number.
        image_id: the official number of the image; -1 where the file names it in words.
        image_name: file name of the image without extension, which is the key of its features.
        question: as it was typed.
        answers: of the annotators, as typed; None in the test splits.
        majority_answer: the official `multiple_choice_answer`, or the most frequent of them where the file has none;
            None in the test splits.
        answer_type: one of `ANSWER_TYPES`; None in the test splits.
    """

    question_id: int
    image_id: int
    image_name: str
    question: str
    answers: tuple[str, ...] | None
    majority_answer: str | None
    answer_type: str | None


class VQA2Annotations(NamedTuple):
    """Annotations in columns.

    Attributes:
        question_ids: (N,) int64.
        answers: (N, A) int32, places in `table`, -1 where an annotator is missing.
        majority: (N,) int32, places in `table`.
        types: (N,) int8, places in `ANSWER_TYPES`.
        table: the different answers.
    """

    question_ids: np.ndarray
    answers: np.ndarray
    majority: np.ndarray
    types: np.ndarray
    table: Strings

    def majority_counts(self) -> Counter[str]:
        """For each normalised answer the number of questions whose majority answer it is."""
        counts: Counter[str] = Counter()
        for place, count in zip(*np.unique(self.majority, return_counts=True), strict=True):
            counts[normalize_answer(self.table[int(place)])] += int(count)
        return counts


class VQA2Questions:
    """The questions of one split in columns, a sequence of `VQA2Question`.

    Args:
        question_ids, image_ids: (N,) int64.
        image_names: (N,) strings, kept once an image.
        texts: (N,) strings.
        files: where each question is from: (N,) places in `paths`.
        annotations: in the order of the questions; None without.
    """

    def __init__(
        self,
        question_ids: np.ndarray,
        image_ids: np.ndarray,
        image_names: RepeatedStrings,
        texts: Strings,
        files: np.ndarray,
        paths: Sequence[Path],
        annotations: VQA2Annotations | None = None,
    ) -> None:
        self.question_ids = question_ids
        self.image_ids = image_ids
        self.image_names = image_names
        self.texts = texts
        self.files = files
        self.paths = [str(path) for path in paths]
        self.annotations = annotations

    def __len__(self) -> int:
        return len(self.question_ids)

    def __getitem__(self, index: int) -> VQA2Question:
        answers = majority = answer_type = None
        if self.annotations is not None:
            places, table = self.annotations.answers[index].tolist(), self.annotations.table
            different = {
                place: table[place] for place in {*places, int(self.annotations.majority[index])} - {NO_ANSWER}
            }
            answers = tuple(different[place] for place in places if place != NO_ANSWER)
            majority = different[int(self.annotations.majority[index])]
            answer_type = ANSWER_TYPES[self.annotations.types[index]]
        return VQA2Question(
            int(self.question_ids[index]),
            int(self.image_ids[index]),
            self.image_names[index],
            self.texts[index],
            answers,
            majority,
            answer_type,
        )

    def name(self, index: int) -> str:
        """What errors call a question."""
        return f"question {self.question_ids[index]} in {self.paths[self.files[index]]}"

    def names(self, indices: Sequence[int]) -> Iterator[str]:
        """As `name`, of many."""
        ids, files = self.question_ids[indices].tolist(), self.files[indices].tolist()
        return (f"question {number} in {self.paths[file]}" for number, file in zip(ids, files, strict=True))


def read_questions(paths: Sequence[Path], labelled: bool) -> VQA2Questions:
    """The questions of one split, in the order of the files.

    Args:
        paths: official question files and official annotation files in any order (told apart by what they hold), and
            MMF's imdb files (`.npy`).
        labelled: whether every question has to have an annotation.

    Raises:
        InputError: unreadable files; empty questions; a question twice; an annotation twice or without its question;
            questions without annotation where `labelled`, or beside others that have one.
    """
    questions, annotations = _read(paths)
    if not questions.ids:
        raise InputError(f"{', '.join(map(str, paths))} hold no questions; name a question file beside the annotations")
    read = _question_columns(questions, paths)
    _check_questions(read, questions.empty)
    if annotations.ids:
        read.annotations = _joined(read, annotations, paths)
    elif labelled:
        raise InputError(
            f"{read.name(0)} and all others have no annotation; name the annotation file beside the question file"
        )
    return read


def read_annotations(paths: Sequence[Path]) -> VQA2Annotations:
    """The annotations alone of official files and imdb files, in their order: enough to build the answer vocabulary.

    Raises:
        InputError: unreadable files, or no annotation in them.
    """
    _, annotations = _read(paths)
    if not annotations.ids:
        raise InputError(f"{', '.join(map(str, paths))} hold no annotations; name the official annotation files")
    return _annotation_columns(annotations)


@no_garbage_collection()
def _read(paths: Sequence[Path]) -> tuple[GatheredQuestions, GatheredAnnotations]:
    questions, annotations = GatheredQuestions(), GatheredAnnotations()
    for place, path in enumerate(paths):
        if path.suffix == ".npy":
            _read_imdb(path, place, questions, annotations)
        else:
            _read_official(path, place, questions, annotations)
    return questions, annotations


def _read_official(path: Path, file: int, questions: GatheredQuestions, annotations: GatheredAnnotations) -> None:
    content = CONTENT.read(path)
    if (content.questions is None) == (content.annotations is None):
        raise InputError(
            f"{path} has neither a list 'questions' nor a list 'annotations' in it, or both; give VQA's official json "
            "files"
        )
    folder = image_folder(content.data_subtype, path)
    images: dict[int | str, int] = {}
    for name, asked in parts_of(path, "questions", content.questions or (), QUESTION):
        wanted = [question.image_id for question in asked]
        for image in [image for image in dict.fromkeys(wanted) if image not in images]:
            where = name(wanted.index(image)) if folder is None else ""  # it is all that can be wrong with one
            images[image] = questions.images.add(image_of(image, folder, where))
        ids = [question.question_id for question in asked]
        questions.add(ids, map(images.__getitem__, wanted), [question.question for question in asked], file)
    for name, given in parts_of(path, "annotations", content.annotations or (), ANNOTATION):
        _add_official_annotations(given, name, file, annotations)


def _add_official_annotations(
    records: Sequence[Annotation], name: Callable[[int], str], file: int, annotations: GatheredAnnotations
) -> None:
    """Puts some away, column by column: by record only where one of them is not as nearly all are."""
    majority: list[Any] = [record.multiple_choice_answer for record in records]
    try:
        answers = annotations.numbers([one.answer for record in records for one in record.answers])
        most = annotations.numbers(majority)
    except NoTextError:
        said = [_in_words(record, name(place)) for place, record in enumerate(records)]
        majority = [_majority(record, said[place], name(place)) for place, record in enumerate(records)]
        answers, most = annotations.numbers([*chain.from_iterable(said)]), annotations.numbers(majority)
    types: list[Any] = [TYPE_PLACES.get(record.answer_type) for record in records]
    if None in types:
        types = [type_index(record.answer_type, majority[place], name(place)) for place, record in enumerate(records)]
    counts = [len(record.answers) for record in records]
    annotations.add([record.question_id for record in records], answers, counts, most, types, file)


def _in_words(record: Annotation, where: str) -> list[str]:
    """What the annotators said."""
    return [spelled(one.answer, f"answers[{place}].answer", where) for place, one in enumerate(record.answers)]


def _majority(record: Annotation, said: Sequence[str], where: str) -> str:
    stated = record.multiple_choice_answer
    return majority_of(said) if stated is None else spelled(stated, "multiple_choice_answer", where)


def _read_imdb(path: Path, file: int, questions: GatheredQuestions, annotations: GatheredAnnotations) -> None:
    for number, record in enumerate(read_npy_records(path)):
        if number == 0 and isinstance(record, dict) and "question_id" not in record:
            continue  # MMF's header
        where = f"{path}, record {number}"
        _add_imdb_record(imdb_record(record, where), where, file, questions, annotations)


def _add_imdb_record(
    record: ImdbRecord, where: str, file: int, questions: GatheredQuestions, annotations: GatheredAnnotations
) -> None:
    name = record.image_name or record.feature_path
    if name is None:
        raise InputError(f"{where} has neither image_name nor feature_path, which name its image; make the file again")
    text = record.question_str or " ".join(record.question_tokens or ())
    number = image_of(record.image_id, "", where).number
    image = questions.images.add(Image(number, without_extension(name)))
    questions.add([record.question_id], [image], [text], file)
    # `valid_answers` are those in MMF's vocabulary: fewer than ten, so the others are preferred where they are.
    given = record.all_answers or record.answers or record.valid_answers
    if given:
        answers = [spelled(answer, f"answer {place}", where) for place, answer in enumerate(given)]
        majority = majority_of(answers)
        numbers = annotations.numbers(answers), [len(answers)], annotations.numbers([majority])
        annotations.add([record.question_id], *numbers, [type_index(None, majority, where)], file)


def _question_columns(read: GatheredQuestions, paths: Sequence[Path]) -> VQA2Questions:
    about = np.array(read.about, dtype=np.int32)
    return VQA2Questions(
        np.array(read.ids, dtype=np.int64),
        np.array(read.images.numbers, dtype=np.int64)[about],
        RepeatedStrings(Strings(read.images.names), np.array(read.images.named, dtype=np.int32)[about]),
        read.texts.whole(),
        np.array(read.files, dtype=np.int16),
        paths,
    )


def _annotation_columns(read: GatheredAnnotations) -> VQA2Annotations:
    return VQA2Annotations(
        np.array(read.ids, dtype=np.int64),
        read.answers(),
        read.majority(),
        np.array(read.types, dtype=np.int8),
        Strings(read.table),
    )


def _check_questions(questions: VQA2Questions, empty: int | None) -> None:
    order = np.argsort(questions.question_ids, kind="stable")
    ordered = questions.question_ids[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        first, second = (questions.name(int(order[twice[0] + i])) for i in (0, 1))
        raise InputError(f"{second} is there already, as {first}; name each file once, or drop one of the two records")
    if empty is not None:
        raise InputError(f"{questions.name(empty)} is empty; write the question, or drop the record")


def _joined(questions: VQA2Questions, annotations: GatheredAnnotations, paths: Sequence[Path]) -> VQA2Annotations:
    """The annotations in the order of the questions."""
    columns = _annotation_columns(annotations)

    def name(place: int) -> str:
        return f"the annotation of question {columns.question_ids[place]} in {paths[annotations.files[place]]}"

    order = np.argsort(columns.question_ids, kind="stable")
    ordered = columns.question_ids[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        raise InputError(
            f"{name(int(order[twice[0] + 1]))} is there twice; name each file once, or drop one of the two"
        )
    places = np.searchsorted(ordered, questions.question_ids)
    found = ordered[np.minimum(places, len(ordered) - 1)] == questions.question_ids
    if not found.all():
        missing = np.flatnonzero(~found)
        raise InputError(
            f"{questions.name(int(missing[0]))} and {len(missing) - 1} more of {len(questions)} have no annotation; "
            "name their annotation file too, or leave their question file out"
        )
    if len(ordered) > len(questions):
        extra = np.flatnonzero(~np.isin(columns.question_ids, questions.question_ids))
        raise InputError(
            f"{name(int(extra[0]))} and {len(extra) - 1} more have no question; name their question file too, or leave "
            "their annotation file out"
        )
    rows = order[places]
    return VQA2Annotations(
        questions.question_ids, columns.answers[rows], columns.majority[rows], columns.types[rows], columns.table
    )
