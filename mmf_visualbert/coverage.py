"""Which images the annotation files of the tasks need, by their keys."""

import json
from pathlib import Path
from typing import Any

from mmf_visualbert.errors import InputError


def expected_keys(path: str) -> list[str]:
    """Keys of all images that an annotation file names, each once.

    Read are VQA 2.0's questions, COCO's captions and instances, Karpathy's splits, NLVR2's and VCR's JSON
    lines, and lists with a key a line (Flickr30K Entities' splits).

    Raises:
        InputError: for a file of another form.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if path.endswith((".txt", ".lst")):
            keys = [line.strip() for line in text.splitlines() if line.strip()]
        elif text.lstrip().startswith("{") and '"questions"' in text[:100_000]:
            keys = _of_questions(json.loads(text))
        else:
            keys = _of_json(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no annotation file that names images ({type(error).__name__}: {error})") from None
    if not keys:
        raise InputError(f"{path} names no image; check the file")
    return list(dict.fromkeys(keys))


def _of_questions(content: dict[str, Any]) -> list[str]:
    return [f"COCO_{content['data_subtype']}_{one['image_id']:012d}" for one in content["questions"]]


def _of_json(text: str) -> list[str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        return [key for line in text.splitlines() if line.strip() for key in _of_line(json.loads(line))]
    if "images" not in content:
        return _of_line(content)
    return [Path(one.get("file_name") or one["filename"]).stem for one in content["images"]]


def _of_line(line: dict[str, Any]) -> list[str]:
    if "img_fn" in line:  # VCR
        return [str(Path(line["img_fn"]).with_suffix(""))]
    pair = "-".join(line["identifier"].split("-")[:3])  # NLVR2: the last number is the sentence's
    return [f"{pair}-img0", f"{pair}-img1"]
