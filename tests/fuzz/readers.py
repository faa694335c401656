"""Every reader of a file that is not ours: a good file of its kind, and how it is read until it would be used."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as save_safetensors

from mmf_visualbert import submissions
from mmf_visualbert.checkpoints.files import read_checkpoint
from mmf_visualbert.coverage import expected_keys
from mmf_visualbert.features import converters, records
from mmf_visualbert.features.extraction.given_boxes import check_boxes, given_boxes
from mmf_visualbert.features.extraction.images import ImageFile, Size, image_size, read_image
from mmf_visualbert.features.extraction.weights import read_weights
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.interpretation import interpret
from mmf_visualbert.features.sizes import image_sizes
from mmf_visualbert.places import MODEL_YAML
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import read_model, read_visual_bert
from mmf_visualbert.tasks.captions.records import choose_parts, require_captions
from mmf_visualbert.tasks.captions.records import read_captions as read_captioned
from mmf_visualbert.tasks.flickr30k.annotations import read_annotation, read_sentences, read_split, read_unrelated
from mmf_visualbert.tasks.nlvr2.records import read_nlvr2
from mmf_visualbert.tasks.vcr.frames import load_frame
from mmf_visualbert.tasks.vcr.objects import mentioned_objects, read_objects
from mmf_visualbert.tasks.vcr.predictions import merge_predictions
from mmf_visualbert.tasks.vcr.records import VcrAnnotations
from mmf_visualbert.tasks.vcr.regions import DetectedRegions
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary
from mmf_visualbert.tasks.vqa2.records import read_questions
from mmf_visualbert.yaml_config import container, read_yaml
from tests.fuzz.mutations import as_json, as_lines

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "what", "is", "it", "?", "a", "##b"]


class Reader(NamedTuple):
    """A reader under test.

    Attributes:
        file: name of the file that is spoilt.
        good: its content: a value that `write` writes, or bytes.
        read: reads it, and what else the folder holds.
        write: the value as bytes; None where `good` is bytes.
        beside: other files that have to be there.
    """

    file: str
    good: Any
    read: Callable[[Path], Any]
    write: Callable[[Any], bytes] | None = None
    beside: dict[str, bytes] = {}  # noqa: RUF012  # of a NamedTuple: never changed

    def bytes(self, value: Any) -> bytes:
        """The file with this content."""
        return value if self.write is None else self.write(value)


QUESTIONS = {
    "data_subtype": "val2014",
    "questions": [{"question_id": 10 + n, "image_id": n, "question": f"What is {n}?"} for n in range(2)],
}
ANSWERS = [
    {"answer": answer, "answer_confidence": "yes", "answer_id": n} for n, answer in enumerate(["yes", "no", "2"])
]
ANNOTATIONS = {
    "annotations": [
        {
            "question_id": 10 + n,
            "image_id": n,
            "answer_type": "other",
            "multiple_choice_answer": "no",
            "answers": ANSWERS,
        }
        for n in range(2)
    ]
}
IMDB = [
    {"version": 1},
    {"question_id": 1, "image_id": 2, "image_name": "COCO_val2014_2", "question_str": "what ?", "answers": ["a", "b"]},
    {
        "question_id": 2,
        "image_id": "t",
        "feature_path": "t.npy",
        "question_tokens": ["what"],
        "all_answers": ["a"] * 10,
    },
]
CAPTIONS = {
    "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(2)],
    "annotations": [{"id": n, "image_id": n // 2, "caption": f"a {n}"} for n in range(4)],
}
VCR = {
    "annot_id": "val-1",
    "img_fn": "m/1.jpg",
    "metadata_fn": "m/1.json",
    "objects": ["person", "car"],
    "question": ["why", "is", [0], "?"],
    "answer_choices": [["a", [0, 1], "."]] * 4,
    "rationale_choices": [["b"]] * 4,
    "answer_label": 1,
    "rationale_label": 2,
}
METADATA = {
    "boxes": [[0.5, 1, 20, 30, 0.9], [3, 3, 9, 9, 0.5]],
    "segms": [[[[1, 1], [5, 5], [1, 5]]], []],
    "names": ["person", "car"],
    "width": 64,
    "height": 48,
}
RECORD = {
    "feature_path": "x",
    "features": np.ones((3, 4), np.float32),
    "bbox": [[0, 0, 5, 5], [1, 1, 3, 3], [2, 2, 9, 9]],
    "image_width": 10,
    "image_height": 10,
    "objects": [1, 2, 3],
    "scores": [0.5, 0.25, 0.125],
    "num_boxes": 3,
}
OURS = records.RegionRecord(np.ones((3, 4), np.float16), np.array(RECORD["bbox"], np.float32), 10, 10)
XML = """<annotation><size><width>40</width><height>30</height><depth>3</depth></size>
<object><name>1</name><name>2</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>0</nobndbox></object></annotation>"""
VCR_SCORES = [{"annot_id": "val-1", **{f"answer_{n}": n / 4 for n in range(4)}}]
VCR_RATIONALES = [
    {"annot_id": "val-1", **{f"rationale_conditioned_on_a{a}_{n}": n / 4 for a in range(4) for n in range(4)}}
]


def of(read: Callable[[Path], Any], file: str) -> Callable[[Path], Any]:
    """A reader of one file, which is given its path."""
    return lambda folder: read(folder / file)


def of_text(read: Callable[[str], Any], file: str) -> Callable[[Path], Any]:
    """A reader of one file, which is given its path as text."""
    return lambda folder: read(str(folder / file))


def npy(value: Any) -> bytes:
    """An array of objects, or of numbers, as numpy writes it."""
    stream = io.BytesIO()
    array = np.empty(len(value), object) if isinstance(value, list) else np.array(value, object)
    if isinstance(value, list):
        array[:] = value
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    """Arrays in a zip."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def picture(kind: str) -> bytes:
    """A small photograph."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(64 * 48 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(stream, kind)
    return stream.getvalue()


def torch_bytes(value: Any) -> bytes:
    """What torch saves."""
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def tsv(*fields: Any) -> bytes:
    """One row of a table of features."""
    return "\t".join(map(str, fields)).encode() + b"\n"


def base64(*numbers: Any, kind: Any = np.float32) -> str:
    """Numbers as such tables have them."""
    import base64

    return base64.b64encode(np.array(numbers, kind).tobytes()).decode()


def converted(form: str, file: str = "") -> Callable[[Path], None]:
    """Reads every image of another format, as a conversion does."""

    def read(folder: Path) -> None:
        reading = converters.Reading()
        for image in converters.FORMATS[form](str(folder / file), reading):
            interpret(image.read(), image.identity, image.where, reading, None)

    return read


def used(folder: Path) -> None:
    """A record of MMF's, as a model is given it."""
    record = records.decode(memoryview((folder / "record").read_bytes()), ("x",), "record 'x'")
    RegionFeatures(5, 4, geometry=True)(record, "x")


def vcr(folder: Path) -> None:
    """VCR's records with what is made of them."""
    for record in VcrAnnotations([folder / "val.jsonl"], labels_required=True):
        mentioned_objects(record)
        record.query([0])


def checked_boxes(name: str) -> Callable[[Path], None]:
    """Boxes that are given for an image of 64 x 48."""

    def read(folder: Path) -> None:
        check_boxes(given_boxes(str(folder / name))(ImageFile("a", "a.jpg")), Size(64, 48), "it")

    return read


def text(folder: Path) -> None:
    """A tokenizer, and what it makes of a text."""
    TextAssembler(str(folder), 16).single("what \U0001f600 ab")


def encoder(folder: Path) -> None:
    """The encoder alone out of a checkpoint."""
    defaults = read_yaml(MODEL_YAML).config.model_config.visualbert
    read_visual_bert(folder / "c.pth", container(defaults, resolve=False))


def lines_of(value: Any) -> bytes:
    """A list of words as lines."""
    return "\n".join(map(str, value)).encode("utf-8", "surrogatepass") if isinstance(value, list) else as_json(value)


def submission(task: str, annotations: str) -> Callable[[Path], None]:
    """A leaderboard file, as it is checked."""
    return lambda folder: submissions.check(task, folder / "out", folder / annotations)


def read_vqa(folder: Path) -> None:
    """VQA's questions, and what the answer vocabulary is made of."""
    questions = read_questions([folder / "q.json", folder / "a.json"], labelled=True)
    assert questions.annotations is not None
    questions.annotations.majority_counts()
    _ = [questions[index] for index in range(len(questions))]


def read_imdb(folder: Path) -> None:
    """MMF's imdb of VQA."""
    questions = read_questions([folder / "imdb.npy"], labelled=False)
    _ = [questions[index] for index in range(len(questions))]


def read_corpus(name: str) -> Callable[[Path], None]:
    """Captioned images."""
    return lambda folder: require_captions(read_captioned([folder / name]))


def karpathy(folder: Path) -> None:
    """Karpathy's splits of COCO's captions."""
    choose_parts(read_captioned([folder / "captions.json"]), folder / "split.json", ["train"])


def frame(folder: Path) -> None:
    """The objects of a frame, against its record."""
    (record,) = VcrAnnotations([folder / "val.jsonl"], labels_required=True)
    read_objects(folder / "1.json", record.query())


BOTTOM_UP = tsv("7", 64, 48, 2, base64(*[1, 1, 5, 5] * 2), base64(*[0.5] * 8))
LXMERT = tsv(
    *("img_7", 48, 64, base64(1, 2, kind=np.int64), base64(0.5, 0.5), base64(1, 2, kind=np.int64), base64(0.5, 0.5)),
    *(2, base64(*[1, 1, 5, 5] * 2), base64(*[0.5] * 8)),
)
VINVL = tsv("7", json.dumps({"num_boxes": 2, "features": base64(*[0.5] * (2 * 2054))}))
STATE = {"visual_bert.embeddings.word_embeddings.weight": torch.zeros(11, 4), "heads.x.weight": torch.zeros(2, 4)}
CHECKPOINT = {"config": {"datasets": "visualbert_vqa2", "model_config": {"visualbert": {}}}, "model": STATE}


def checkpoint_of(config: Any) -> bytes:
    """A checkpoint with this configuration in it."""
    return torch_bytes({**CHECKPOINT, "config": config})


SETTINGS = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "strip_accents": None}
VOCABULARY = {"vocab.txt": lines_of(WORDS)}

READERS: dict[str, Reader] = {
    "vqa questions": Reader("q.json", QUESTIONS, read_vqa, as_json, {"a.json": as_json(ANNOTATIONS)}),
    "vqa annotations": Reader("a.json", ANNOTATIONS, read_vqa, as_json, {"q.json": as_json(QUESTIONS)}),
    "vqa imdb": Reader("imdb.npy", IMDB, read_imdb, npy),
    "coco captions": Reader("captions.json", CAPTIONS, read_corpus("captions.json"), as_json),
    "caption lines": Reader(
        "c.jsonl", [{"image": f"a/{n}.jpg", "captions": ["a"]} for n in range(2)], read_corpus("c.jsonl"), as_lines
    ),
    "caption imdb": Reader(
        "c.npy", [{"image_id": 1, "captions": ["a"]}, {"image_id": 2, "caption_str": "b"}], read_corpus("c.npy"), npy
    ),
    "karpathy": Reader(
        *("split.json", {"images": [{"cocoid": n, "split": "train", "sentences": []} for n in range(2)]}, karpathy),
        *(as_json, {"captions.json": as_json(CAPTIONS)}),
    ),
    "nlvr2": Reader(
        *("dev.json", [{"identifier": f"dev-{n}-0-0", "sentence": "a", "label": "True"} for n in range(2)]),
        *(lambda folder: read_nlvr2([folder / "dev.json"]), as_lines),
    ),
    "flickr30k sentences": Reader(
        "1.txt",
        b"[/EN#1/people A man] runs .\n[/EN#2/other/scene It] .\n",
        of(read_sentences, "1.txt"),
    ),
    "flickr30k boxes": Reader("1.xml", XML.encode(), of(read_annotation, "1.xml")),
    "flickr30k boxes, lenient": Reader("1.xml", XML.encode(), lambda folder: read_annotation(folder / "1.xml", False)),
    "flickr30k split": Reader("s.txt", b"1\n2\n33\n", of(read_split, "s.txt")),
    "flickr30k unrelated": Reader("u.txt", b"# a\n12 3\n", of(read_unrelated, "u.txt")),
    "vcr": Reader("val.jsonl", [VCR], vcr, as_lines),
    "vcr metadata": Reader("1.json", METADATA, frame, as_json, {"val.jsonl": as_lines([VCR])}),
    "detections": Reader(
        *("d.json", {"a.jpg": METADATA, "b.jpg": None}, lambda folder: DetectedRegions([folder / "d.json"], [folder])),
        as_json,
    ),
    "vcr predictions": Reader(
        "a.json",
        VCR_SCORES,
        lambda folder: merge_predictions(folder / "a.json", folder / "r.json"),
        as_json,
        {"r.json": as_json(VCR_RATIONALES)},
    ),
    "record": Reader("record", RECORD, used, pickle.dumps),
    "record of bytes": Reader("record", pickle.dumps(RECORD, 2), used),
    "record of ours": Reader("record", records.encode("x", OURS), used),
    "store's description": Reader(
        *("info", json.loads(StoreInfo("d", 4, 3).to_json())),
        *(lambda folder: StoreInfo.from_json((folder / "info").read_bytes(), "a store"), as_json),
    ),
    "sizes": Reader(
        *("s.json", {"images": [{"file_name": "a.jpg", "width": 3, "height": 4}]}),
        *(of_text(image_sizes, "s.json"), as_json),
    ),
    "given boxes": Reader("b.json", {"a": [[0, 0, 5, 5], [1, 1, 2, 2, 0.5]]}, checked_boxes("b.json"), as_json),
    "given boxes, lines": Reader(
        "b.jsonl", [{"image": "a", "boxes": [[0, 0, 5, 5]]}], checked_boxes("b.jsonl"), as_lines
    ),
    "coverage": Reader("q.json", QUESTIONS, of_text(expected_keys, "q.json"), as_json),
    "coverage, lines": Reader("v.jsonl", [VCR], of_text(expected_keys, "v.jsonl"), as_lines),
    "answers": Reader("a.txt", b"yes\nno\n2\n", of(AnswerVocabulary.from_file, "a.txt")),
    "answers as json": Reader("a.json", {"yes": 0, "no": 1}, of(AnswerVocabulary.from_file, "a.json"), as_json),
    "vocabulary": Reader("vocab.txt", WORDS, text, lines_of),
    "tokenizer's settings": Reader("tokenizer_config.json", SETTINGS, text, as_json, VOCABULARY),
    "submission vqa2": Reader(
        *("out", [{"question_id": 10 + n, "answer": "no"} for n in range(2)], submission("vqa2", "q.json")),
        *(as_json, {"q.json": as_json(QUESTIONS)}),
    ),
    "submission nlvr2": Reader(
        "out",
        b"dev-1-0-0,True\n",
        submission("nlvr2", "dev.json"),
        None,
        {"dev.json": as_lines([{"identifier": "dev-1-0-0", "sentence": "a", "label": "True"}])},
    ),
    "submission vcr": Reader(
        "out", b"annot_id,answer_0\nval-1,0.5\n", submission("vcr", "val.jsonl"), None, {"val.jsonl": as_lines([VCR])}
    ),
    "jpeg": Reader("a.jpg", picture("jpeg"), of_text(read_image, "a.jpg")),
    "png": Reader("a.png", picture("png"), of_text(lambda path: (image_size(path), read_image(path)), "a.png")),
    "frame": Reader("a.jpg", picture("jpeg"), lambda folder: load_frame(folder / "a.jpg", "it", (64, 48))),
    "frame png": Reader("a.jpg", picture("png"), lambda folder: load_frame(folder / "a.jpg", "it", (64, 48))),
    "bottom-up tsv": Reader("f.tsv", BOTTOM_UP * 2, converted("bottom_up_tsv", "f.tsv")),
    "lxmert tsv": Reader("f.tsv", LXMERT, converted("lxmert_tsv", "f.tsv")),
    "vinvl tsv": Reader("f.tsv", VINVL, converted("vinvl_tsv", "f.tsv")),
    "npy folder": Reader("a.npy", RECORD, converted("npy"), npy),
    "uniter npz": Reader(
        "a.npz",
        npz(features=np.ones((2, 8), np.float16), norm_bb=np.ones((2, 6), np.float16), conf=np.ones((2, 1))),
        converted("uniter"),
    ),
    "detector's weights": Reader(
        "w.pkl",
        {"model": {"backbone.w": np.ones(3, np.float32)}},
        of_text(read_weights, "w.pkl"),
        pickle.dumps,
    ),
    "detector's weights of torch": Reader(
        "w.pth",
        torch_bytes({"model": {"backbone.w": torch.zeros(3)}}),
        of_text(read_weights, "w.pth"),
    ),
    "checkpoint": Reader("c.pth", CHECKPOINT, of(read_model, "c.pth"), torch_bytes),
    "checkpoint of bytes": Reader("c.pth", torch_bytes(CHECKPOINT), encoder),
    "checkpoint's configuration": Reader("c.pth", CHECKPOINT["config"], of(read_model, "c.pth"), checkpoint_of),
    "safetensors": Reader("model.safetensors", save_safetensors(STATE), of(read_checkpoint, "model.safetensors")),
    "yaml": Reader("c.yaml", b"includes: []\na: {b: [1, 2]}\nc: ${a.b}\n", of(read_yaml, "c.yaml")),
}
