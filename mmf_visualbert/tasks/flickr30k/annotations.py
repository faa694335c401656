"""The official files of Flickr30K Entities (Plummer et al., 2015) as typed records.

`Sentences/<image>.txt` has one caption a line, its phrases in brackets:

    [/EN#137644/people A group of friends] playing [/EN#137645/other cards] .

`Annotations/<image>.xml` has the size of the image and, for every chain of coreferring phrases, its boxes, or a flag
that it is the whole scene or not in the picture. Chain 0 holds phrases that nobody annotated ("notvisual").
"""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from sys import intern
from typing import NamedTuple

import numpy as np

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_text, reading

PHRASE_TYPES = ("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other")
NOT_ANNOTATED = 0
# The official boxes count pixels from 1, so one pixel beyond a frame that counts from 0 is inside.
TOLERANCE = 1
Corners = tuple[int, int, int, int]
# Ids are numbers of 64 bits; image ids are names of files, which lead to no other folder.
NUMBER = re.compile(r"[0-9]{1,18}")
COORDINATE = re.compile(r"-?[0-9]{1,9}")
IMAGE_ID = re.compile(r"[^/\0]{1,251}")
OPENING = re.compile(r"\[/EN#([0-9]{1,18})((?:/[^\s/\[\]]+)+)")


class Phrase(NamedTuple):
    """A phrase of a caption.

    Attributes:
        chain: id of its coreference chain in the image; 0 where it was not annotated.
        types: its types, the first of which counts.
        first_word: index of its first word among the words of the caption.
        last_word: index of its last word, included.
    """

    chain: int
    types: tuple[str, ...]
    first_word: int
    last_word: int

    def text(self, words: tuple[str, ...]) -> str:
        """Its words among those of the caption."""
        return " ".join(words[self.first_word : self.last_word + 1])


class Sentence(NamedTuple):
    """A caption: its number in the file (from 1), its words split at blanks, its phrases from left to right."""

    number: int
    words: tuple[str, ...]
    phrases: tuple[Phrase, ...]


class ImageAnnotation(NamedTuple):
    """The boxes of an image.

    Attributes:
        width: pixels.
        height: pixels.
        boxes: per chain id its gold boxes (G, 4) float32, x1, y1, x2, y2 in pixels, as the file has them.
        without_boxes: chain ids that are the whole scene or not in the picture.
        mended: faulty boxes that were cut or left out (only where `strict` is false).
    """

    width: int
    height: int
    boxes: dict[int, np.ndarray]
    without_boxes: frozenset[int]
    mended: int = 0


def read_split(path: Path) -> list[str]:
    """The image ids of a split file, one a line.

    Raises:
        InputError: for a missing or empty file and for an id that stands twice.
    """
    ids = _read_text(path, "the split file").split()
    if not ids:
        raise InputError(f"{path} names no image; write one image id a line")
    seen: set[str] = set()
    for image_id in ids:
        if not IMAGE_ID.fullmatch(image_id) or len(image_id.encode()) > 251:
            raise InputError(f"{path} names the image '{image_id[:80]}', which is no name of a file; correct it")
        if image_id in seen:
            raise InputError(f"{path} names the image {image_id} twice; remove one of the two lines")
        seen.add(image_id)
    return ids


def read_unrelated(path: Path) -> set[tuple[str, int]]:
    """The official UNRELATED_CAPTIONS: pairs of image id and caption number (from 1) that do not describe the image.

    Raises:
        InputError: for a missing file or a line that is not an image id and a number.
    """
    pairs = set()
    for number, line in enumerate(_read_text(path, "the list of unrelated captions").splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        if len(fields) != 2 or not NUMBER.fullmatch(fields[1]):
            raise InputError(f"{path} line {number} is '{line}'; write an image id and the number of its caption")
        pairs.add((fields[0], int(fields[1])))
    return pairs


def read_sentences(path: Path) -> list[Sentence]:
    """The captions of one image.

    Raises:
        InputError: for a missing or empty file and for a caption whose brackets do not fit.
    """
    lines = _read_text(path, "the captions").split("\n")
    sentences = [_sentence(line, number, path) for number, line in enumerate(lines, start=1) if line.strip()]
    if not sentences:
        raise InputError(f"{path} holds no caption; unpack it again from the official annotations.zip")
    return sentences


def _sentence(line: str, number: int, path: Path) -> Sentence:
    words: list[str] = []
    phrases: list[Phrase] = []
    opened: tuple[int, tuple[str, ...], int] | None = None
    for token in line.split():
        if token.startswith("["):
            match = OPENING.fullmatch(token)
            if match is None or opened is not None:
                raise _bad_brackets(path, number, token)
            opened = (int(match[1]), tuple(intern(name) for name in match[2][1:].split("/")), len(words))
            continue
        closes = token.endswith("]")
        if closes and opened is None:
            raise _bad_brackets(path, number, token)
        word = token[:-1] if closes else token
        if word:
            words.append(intern(word))
        if closes and opened is not None:
            chain, types, first_word = opened
            if first_word == len(words):
                raise _bad_brackets(path, number, token)
            phrases.append(Phrase(chain, types, first_word, len(words) - 1))
            opened = None
    if opened is not None:
        raise _bad_brackets(path, number, line.split()[-1])
    return Sentence(number, tuple(words), tuple(phrases))


def _bad_brackets(path: Path, number: int, token: str) -> InputError:
    return InputError(
        f"{path} caption {number}: the brackets do not fit at '{token}'; a phrase is [/EN#<chain id>/<type> words]"
    )


def read_annotation(path: Path, strict: bool = True) -> ImageAnnotation:
    """The boxes of one image.

    Args:
        path: `Annotations/<image>.xml`.
        strict: refuse boxes without an area or beyond the image; otherwise the former are left out, the latter cut at
            the edge of the image, and both counted.

    Raises:
        InputError: for a missing file, XML that cannot be read, no object at all, an object without a name, an object
            with neither a box nor a flag that it has none, and, if strict, for faulty boxes.
    """
    root = _xml(path)
    width, height = _integer(root, "size/width", path), _integer(root, "size/height", path)
    if not (0 < width < 1 << 20 and 0 < height < 1 << 20):
        raise InputError(f"{path} is of an image of {width} x {height} pixels; unpack it again")
    objects = root.findall("object")
    if not objects:
        raise InputError(f"{path} names no box; unpack it again from the official annotations.zip")
    boxes: dict[int, list[Corners]] = {}
    without: set[int] = set()
    mended = 0
    for element in objects:
        chains = _chains(element, path)
        if element.find("bndbox") is None:
            _require_flag(element, chains, path)
            without.update(chains)
            continue
        box = _corners(element, path)
        fault = _fault(box, width, height)
        if fault and strict:
            raise InputError(
                f"{path} chain {chains[0]}: the box {box} {fault}; correct it, or set strict: false to have such boxes "
                "cut at the edge of the image or left out"
            )
        if fault:
            mended += 1
            box = _cut(box, width, height)
        for chain in chains if _fault(box, width, height) is None else ():
            boxes.setdefault(chain, []).append(box)
    arrays = {chain: np.array(found, dtype=np.float32) for chain, found in boxes.items()}
    return ImageAnnotation(width, height, arrays, frozenset(without - boxes.keys()), mended)


def _xml(path: Path) -> ET.Element:
    try:
        return ET.fromstring(_read_text(path, "the boxes"))
    except (ET.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not readable as XML ({error}); unpack it again") from None


def _chains(element: ET.Element, path: Path) -> list[int]:
    names = [(name.text or "").strip() for name in element.findall("name")]
    if not names or not all(map(NUMBER.fullmatch, names)):
        raise InputError(f"{path} has an object with the names {names}; an object names the ids of its chains")
    return [int(name) for name in names]


def _require_flag(element: ET.Element, chains: list[int], path: Path) -> None:
    if not any((element.findtext(flag) or "").strip() == "1" for flag in ("scene", "nobndbox")):
        raise InputError(f"{path} chain {chains[0]} names no box; give it a bndbox, or set scene or nobndbox to 1")


def _corners(element: ET.Element, path: Path) -> Corners:
    x1, y1, x2, y2 = (_integer(element, f"bndbox/{corner}", path) for corner in ("xmin", "ymin", "xmax", "ymax"))
    return x1, y1, x2, y2


def _fault(box: Corners, width: int, height: int) -> str | None:
    x1, y1, x2, y2 = box
    if x1 < -TOLERANCE or y1 < -TOLERANCE or x2 > width + TOLERANCE or y2 > height + TOLERANCE:
        return f"is outside the image of {width} x {height}"
    return None if x1 < x2 and y1 < y2 else "has no area"


def _cut(box: Corners, width: int, height: int) -> Corners:
    x1, y1, x2, y2 = box
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def _integer(element: ET.Element, tag: str, path: Path) -> int:
    text = (element.findtext(tag) or "").strip()
    if not COORDINATE.fullmatch(text):
        raise InputError(f"{path} has '{text[:80]}' in place of a number in {tag}; unpack it again")
    return int(text)


def _read_text(path: Path, what: str) -> str:
    with reading(path):
        missing = not Path(path).exists()
    if missing:
        raise InputError(f"{what} {path} is missing; unpack the official Flickr30K Entities files there")
    return read_text(path)
