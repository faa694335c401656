"""A file of texts answered, a batch at a time; one that was stopped goes on."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from mmf_visualbert.contracts import Reply
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import parse_json, read_json_lines, sync_folder, write_errors


class Question(NamedTuple):
    """One line of a file.

    Attributes:
        where: what errors call it.
        record: all that it holds.
        text: what is asked.
        images: keys or files.
        choices: the candidates, where one is chosen.
        objects: what the image shows, where its model makes regions of that: a file, or its content.
    """

    where: str
    record: dict[str, Any]
    text: Any
    images: tuple[str, ...]
    choices: tuple[Any, ...] = ()
    objects: Any = None


Ask = Callable[[Sequence[Question]], list[list[Reply]]]


def answer_file(file: Path, out: Path, ask: Ask, batch_size: int, progress: bool = True) -> int:
    """Answers each line of `file` into `out`, which appears when all are there.

    Replies are kept in `out` + .partial as they come; a later call goes on after the last whole line there.

    Args:
        file: JSON lines with `text` and `image`, one key or a list; for choices with `choices`, and `objects` for
            models of scenes.
        out: JSON lines: what a line held, and `replies`, the most probable first.
        ask: questions -> replies.
        batch_size: lines at a time.
        progress: show a bar.

    Returns:
        How many were answered.

    Raises:
        InputError: for a line that is no question, or a partial file of other questions.
    """
    questions = list(read_questions(file))
    partial = out.with_name(f"{out.name}.partial")
    done = resumed(partial, questions, file)
    with write_errors(partial), partial.open("ab") as stream, tqdm(total=len(questions), disable=not progress) as bar:
        bar.update(done)
        for start in range(done, len(questions), batch_size):
            batch = questions[start : start + batch_size]
            for question, replies in zip(batch, asked(ask, batch), strict=True):
                record = {**question.record, "replies": [reply._asdict() for reply in replies]}
                stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            stream.flush()
            bar.update(len(batch))
    with write_errors(out):
        partial.replace(out)
        sync_folder(out.parent)
    return len(questions)


def asked(ask: Ask, batch: Sequence[Question]) -> list[list[Reply]]:
    """The replies to a batch; an error names the line where there is but one."""
    try:
        return ask(batch)
    except InputError as error:
        if len(batch) == 1:
            raise InputError(f"{batch[0].where}: {error}") from error
    # One of them is at fault: asked one by one, the sentence names it.
    return [asked(ask, [one])[0] for one in batch]


def read_questions(file: Path) -> Iterator[Question]:
    """The lines of a file.

    Raises:
        InputError: for one without a text or an image.
    """
    for number, record in read_json_lines(file):
        where = f"{file} line {number}"
        text, images, choices = record.get("text"), record.get("image"), record.get("choices")
        images = [images] if isinstance(images, str) else images
        if choices is not None and (not isinstance(choices, list) or len(choices) < 2):
            raise InputError(f"{where} has 'choices' that are no choice; write a list of two or more")
        # Texts of choices may be tokens, as VCR's files have them; a choice may be of texts alone.
        if (
            not isinstance(text, str | list if choices else str)
            or not text
            or (isinstance(text, str) and not text.strip())
        ):
            raise InputError(f"{where} has no 'text'; write what is asked")
        images = [] if images is None and choices else images
        if not isinstance(images, list) or not (images or choices) or not all(isinstance(one, str) for one in images):
            raise InputError(f"{where} has no 'image'; write the key of its image, or a list of them")
        yield Question(where, record, text, tuple(images), tuple(choices or ()), record.get("objects"))


def resumed(partial: Path, questions: Sequence[Question], file: Path) -> int:
    """How many questions a stopped run answered; what it left of a line is cut off.

    Raises:
        InputError: where these are other questions.
    """
    if not partial.exists():
        return 0
    whole, _, rest = partial.read_bytes().rpartition(b"\n")
    lines = whole.splitlines() if whole else []
    for number, (question, line) in enumerate(zip(questions, lines, strict=False), start=1):
        record = parse_json(line.decode(errors="replace"), f"{partial} line {number}")
        if not isinstance(record, dict) or {**record, "replies": None} != {**question.record, "replies": None}:
            raise InputError(
                f"{partial} answers other questions than {question.where}; remove it, or name another --out"
            )
    if len(lines) > len(questions):
        raise InputError(f"{partial} answers more questions than {file} has; remove it, or name another --out")
    if rest:
        with write_errors(partial), partial.open("r+b") as stream:
            stream.truncate(len(whole) + 1 if whole else 0)
    return len(lines)
