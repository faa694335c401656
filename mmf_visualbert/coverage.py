"""Which images the annotation files of the tasks need, by their keys."""

from pathlib import Path

from mmf_visualbert import catalog
from mmf_visualbert.contracts import AnnotationFile
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import parse_json, read_text


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
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} is no annotation file that names images ({type(error).__name__}: {error})") from None
    if not keys:
        raise InputError(f"{path} names no image; check the file")
    return list(dict.fromkeys(keys))


def read_annotation_file(path: Path) -> AnnotationFile:
    """A file by its content: json, JSON lines, or lines of text (`.txt`, `.lst`).

    Raises:
        InputError: where it is none of them.
    """
    text = read_text(path)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if path.suffix in (".txt", ".lst"):
        return AnnotationFile(path, None, [], lines)
    try:
        whole = parse_json(text, str(path))
    except InputError:
        return AnnotationFile(path, None, [parse_json(line, str(path)) for line in lines], [])
    return AnnotationFile(path, whole, [whole] if isinstance(whole, dict) else [], [])
