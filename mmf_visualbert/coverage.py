"""Which images the annotation files of the tasks need, by their keys."""

import json
from pathlib import Path

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile
from mmf_visualbert.errors import InputError


def expected_keys(path: str) -> list[str]:
    """Keys of all images that an annotation file names, each once.

    Whose file it is, is asked of each task in turn (`Task.images`).

    Raises:
        InputError: for a file of another form.
    """
    try:
        content = read_annotation_file(Path(path))
        found = (task.images(content) for task in catalog.tasks().values())
        keys = next((keys for keys in found if keys is not None), None)
        if keys is None:
            raise ValueError("no task has files of this form")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no annotation file that names images ({type(error).__name__}: {error})") from None
    if not keys:
        raise InputError(f"{path} names no image; check the file")
    return list(dict.fromkeys(keys))


def read_annotation_file(path: Path) -> AnnotationFile:
    """A file by its content: json, JSON lines, or lines of text (`.txt`, `.lst`).

    Raises:
        ValueError: where it is none of them.
    """
    text = path.read_text(encoding="utf-8-sig")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if path.suffix in (".txt", ".lst"):
        return AnnotationFile(path, None, [], lines)
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return AnnotationFile(path, None, [json.loads(line) for line in lines], [])
    return AnnotationFile(path, whole, [whole] if isinstance(whole, dict) else [], [])
