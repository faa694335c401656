"""Every bad input that docs/robustness.md tells of, and what is said about it.

    python -m tests.docs.bad_inputs          # writes the page anew; a test fails where it is stale

A case is one line of `CASES`: add yours there, and write the page.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mmf_visualbert.datasets.presence import require_files
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_torch
from tests.fuzz.readers import READERS, torch_bytes
from tests.fuzz.test_readers import spoil

PAGE = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
STOPS = Path(__file__).with_name("stops.txt")
HEAD = """# Bad input, stops and faults

What is said about files that are damaged, of another kind, or hold what no record can: one sentence, with the file, the
record, the field and what was there, and what mends it. Commands print it in one line and end with exit code 2; nothing
is written then. Numbers in JSON are never cut or rounded into what is expected: 123.7 and `true` are no ids.

The tables are made from the tests, by `python -m tests.docs.bad_inputs`. Beside them every reader is tried with files
that hypothesis spoils, a few at each run of the tests, and as many as `FUZZ=2000 python -m pytest tests/fuzz` asks for.
Small files that would take all of a machine (`tests/fuzz/bombs.py`: aliases and references of a yaml, numbers of a
million digits, lists nested without end, packed zeros, pictures, pickles, links out of a file) are refused within 20
seconds and 3 GiB. After each message what it tells to do is done, and the same then works (`tests/docs/test_mends.py`).
"""


class Attempt(NamedTuple):
    """A file for one of the readers of `tests.fuzz`, read as a user's command reads it.

    Attributes:
        reader: its name.
        content: bytes, or a value as its files have.
    """

    reader: str
    content: Any

    def __call__(self, folder: Path) -> Any:
        """Writes and reads it."""
        own = READERS[self.reader]
        spoil(own, folder, self.content if isinstance(self.content, bytes) else own.bytes(self.content))
        return own.read(folder)


Act = Callable[[Path], Any]


class Case(NamedTuple):
    """A bad input.

    Attributes:
        kind: the table that it is in.
        what: what is wrong with it, in a few words.
        refused: given an empty folder, does what a user would, and raises the sentence.
        mends: what the sentence says to do -> does it, and then again what was refused; `test_mends.py` has those that
            are the same everywhere.
    """

    kind: str
    what: str
    refused: Act
    mends: Mapping[str, Act] = MappingProxyType({})


def file(reader: str, content: Any) -> Attempt:
    """A file with this content: bytes, or a value as the reader's files have."""
    return Attempt(reader, content)


def changed(reader: str, *path: Any, to: Any) -> Attempt:
    """The good file of a reader with another value at a place; `to` GONE: with none."""
    value = copy.deepcopy(READERS[reader].good)
    inside = value
    for step in path[:-1]:
        inside = inside[step]
    if to is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = to
    return file(reader, value)


class TorchFile(NamedTuple):
    """A file of weights."""

    raw: bytes

    def __call__(self, folder: Path) -> Any:
        """Writes and reads it."""
        (folder / "model.pth").write_bytes(self.raw)
        return read_torch(folder / "model.pth")


def no_files(folder: Path) -> None:
    """The first command on a machine without data."""
    require_files("visualbert_vqa2", {**SECTION, "data_dir": str(folder)})


def put_files(folder: Path) -> None:
    """What is asked for, put there."""
    (folder / "vqa2").mkdir()
    (folder / "vqa2/questions.json").write_text("{}")
    no_files(folder)


GONE = object()
XML = READERS["flickr30k boxes"].good
NAN, INFINITE = float("nan"), float("inf")
VQA, CAPTIONS, FLICKR, REGIONS, WEIGHTS = "VQA 2.0", "Captions, NLVR2", "Flickr30K Entities", "Regions", "Weights"
FRAMES, TEXT = "VCR", "Files of any kind"
SECTION = {"data_dir": "data", "annotations": {"train": ["vqa2/questions.json"], "val": [], "test": []}}

LATIN_1 = b'{"identifier": "dev-1-0-0", "sentence": "caf\xe9", "label": "True"}'
UTF_8 = file("nlvr2", LATIN_1.decode("latin-1").encode())
ANSWER = ("vqa annotations", "annotations", 0, "answers", 2)
WITHOUT_IT = {"leave it out": changed(*ANSWER, to=GONE)}
YES = {'write "yes" or "no"': changed(*ANSWER, "answer", to="yes")}
TYPE = ("vqa annotations", "annotations", 1, "answer_type")
WITHOUT_TYPE = {"leave it out": changed(*TYPE, to=GONE)}
OUTSIDE = XML.replace(b">9<", b">99<")
LENIENT = {"set strict: false to have such boxes cut": file("flickr30k boxes, lenient", OUTSIDE)}

CASES = [
    Case(TEXT, "cut off", file("vqa questions", b'{"questions": [{"question_id": 1')),
    Case(TEXT, "empty", file("vqa questions", b"")),
    Case(TEXT, "a web page", file("vqa questions", b"<!DOCTYPE html><html>")),
    Case(TEXT, "a Git LFS pointer", file("vqa questions", b"version https://git-lfs.github.com/spec/v1\noid sha256:0")),
    Case(TEXT, "another encoding", file("nlvr2", LATIN_1), {"save it as UTF-8": UTF_8}),
    Case(TEXT, "lists nested without end", file("vqa questions", b'{"a": ' + b"[" * 100_000)),
    Case(TEXT, "no files at all", no_files, {"put them there": put_files}),
    Case(VQA, "an id that is no whole number", changed("vqa questions", "questions", 1, "question_id", to=123.7)),
    Case(VQA, "true as an id", changed("vqa questions", "questions", 1, "question_id", to=True)),
    Case(VQA, "an id of more than 64 bits", changed("vqa questions", "questions", 0, "question_id", to=1 << 63)),
    Case(VQA, "a question that is null", changed("vqa questions", "questions", 1, "question", to=None)),
    Case(VQA, "a question without its image", changed("vqa questions", "questions", 0, "image_id", to=GONE)),
    Case(VQA, "NaN", changed("vqa questions", "questions", 0, "image_id", to=NAN)),
    Case(
        VQA, "an answer that is null", changed(*ANSWER, "answer", to=None), {"leave it out": changed(*ANSWER, to=GONE)}
    ),
    Case(VQA, "an answer that is true", changed(*ANSWER, "answer", to=True), YES),
    Case(VQA, "no answers", changed("vqa annotations", "annotations", 1, "answers", to=[])),
    Case(
        VQA,
        "a type that there is not",
        changed(*TYPE, to="riddle"),
        WITHOUT_TYPE,
    ),
    Case(VQA, "an imdb's record without an id", changed("vqa imdb", 1, "question_id", to="x")),
    Case(CAPTIONS, "a caption that is a number", changed("coco captions", "annotations", 2, "caption", to=3)),
    Case(CAPTIONS, "an image without a file's name", changed("coco captions", "images", 1, "file_name", to=GONE)),
    Case(CAPTIONS, "captions that are one text", changed("caption lines", 1, "captions", to="a cat")),
    Case(CAPTIONS, "an unknown label", changed("nlvr2", 1, "label", to="maybe")),
    Case(CAPTIONS, "a label that is a number", changed("nlvr2", 1, "label", to=1)),
    Case(FLICKR, "brackets that do not fit", file("flickr30k sentences", b"[/EN#1/people A man runs .\n")),
    Case(FLICKR, "an image's name that leads elsewhere", file("flickr30k split", b"1\n../../x\n")),
    Case(
        FLICKR,
        "a size that is no number",
        file("flickr30k boxes", XML.replace(b"40", b"\xc2\xb2")),
    ),
    Case(FLICKR, "a box outside its image", file("flickr30k boxes", OUTSIDE), LENIENT),
    Case(FRAMES, "a tag that is true", changed("vcr", 0, "question", 2, to=[True])),
    Case(FRAMES, "three choices", changed("vcr", 0, "answer_choices", to=[["a"]] * 3)),
    Case(FRAMES, "a frame outside the folder", changed("vcr", 0, "img_fn", to="../../x.jpg")),
    Case(FRAMES, "a box of three numbers", changed("vcr metadata", "boxes", 1, to=[1, 2, 3])),
    Case(FRAMES, "a width of 0", changed("vcr metadata", "width", to=0)),
    Case(FRAMES, "a box without area", changed("vcr metadata", "boxes", 1, to=[9, 3, 3, 9])),
    Case(FRAMES, "a polygon far outside", changed("vcr metadata", "segms", 1, to=[[[1e9, 1], [2, 2], [3, 3]]])),
    Case(REGIONS, "a box that is NaN", changed("record", "bbox", 1, to=[0, 0, NAN, 1])),
    Case(REGIONS, "an infinite box", changed("record", "bbox", 1, to=[0, 0, INFINITE, 1])),
    Case(REGIONS, "swapped corners", changed("record", "bbox", 1, to=[5, 5, 1, 1])),
    Case(REGIONS, "a box far outside", changed("record", "bbox", 1, to=[0, 0, 1e30, 5])),
    Case(REGIONS, "fewer boxes than regions", changed("record", "bbox", to=[[0, 0, 1, 1]])),
    Case(REGIONS, "a width below 0", changed("record", "image_width", to=-5)),
    Case(REGIONS, "no features", changed("record", "features", to=GONE)),
    Case(REGIONS, "features that are NaN", changed("record", "features", to=np.full((3, 4), NAN, np.float32))),
    Case(REGIONS, "given boxes that are no lists", changed("given boxes", "a", to=7)),
    Case(WEIGHTS, "a web page in place of weights", TorchFile(b"<html><body>Sign in</body></html>")),
    Case(WEIGHTS, "a Git LFS pointer", TorchFile(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")),
    Case(WEIGHTS, "a download that was cut off", TorchFile(torch_bytes({"a": torch.zeros(3)})[:300])),
    Case(WEIGHTS, "a checkpoint of another model", file("checkpoint", {"model": {"a": torch.zeros(1)}})),
]


def said(case: Case) -> str:
    """The sentence about a case, its folder left out."""
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(InputError) as caught:
            case.refused(Path(folder))
        return str(caught.value).replace(f"{folder}/", "").replace(folder, "DATA")


def page() -> str:
    """docs/robustness.md, from the cases, and what was measured of stops and faults."""
    return "\n".join([HEAD, *_tables()]) + "\n" + STOPS.read_text(encoding="utf-8")


def _tables() -> Iterator[str]:
    for kind in dict.fromkeys(case.kind for case in CASES):
        yield f"## {kind}\n\n| what is wrong | what is said |\n|---|---|"
        for case in CASES:
            if case.kind == kind:
                message = said(case).replace("|", "\\|").replace("<", "\\<").replace("][", "]\\[")
                yield f"| {case.what} | {message} |"
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
