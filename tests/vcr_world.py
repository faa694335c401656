"""A VCR of two frames and three questions in the official formats, for tests of its reader and what follows it."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from mmf_visualbert.processors.text import TextAssembler, WordPieceTokenizer

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] ? . , does is what who why are no yes live lives likes the in house here a and "
    "near holds because it everyone happy one two casey ri ##ley jess ##ie jackie avery car cell ##phone dog 1 2 3"
).split()
SQUARE = [[[0, 0], [10, 0], [10, 10], [0, 10]]]


def tokenizer() -> WordPieceTokenizer:
    """Splits riley and jessie and cellphone in two; letters for everything else."""
    letters = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in WORDS]
    rest = [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return WordPieceTokenizer({word: index for index, word in enumerate([*WORDS, *letters, *rest])})


def assembler(max_seq_length: int = 40) -> TextAssembler:
    return TextAssembler(tokenizer(), max_seq_length)


def record(**changes) -> dict:
    """An official record about frame `a`, with `changes`; a change to None takes the field away."""
    fields = {
        "movie": "m",
        "objects": ["person", "person", "cellphone", "car"],
        "img_fn": "m/a.png",
        "metadata_fn": "m/a.json",
        "question": ["What", "does", [1], "hold", "?"],
        "answer_choices": [
            [[1], "holds", [2], "."],
            ["A", "car", "."],
            [[0, 1], "likes", [1], "."],
            ["No", "one", "lives", "here", "."],
        ],
        "answer_label": 0,
        "rationale_choices": [
            [[1], "is", "happy", "."],
            [[0], "likes", [1], "."],
            ["It", "is", "the", "house", "."],
            ["Because", [2], "is", "near", "."],
        ],
        "rationale_label": 3,
        "annot_id": "train-0",
        "question_number": 0,
    }
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not None}


def records() -> list[dict]:
    """Three records of two frames: with tags, about everyone, and with no tag at all."""
    plain = [["Yes", "."], ["No", "."], ["The", "house", "."], ["A", "dog", "."]]
    other = {"objects": ["person", "dog", "person"], "img_fn": "m/b.png", "metadata_fn": "m/b.json"}
    return [
        record(),
        record(
            annot_id="train-1",
            question=["Is", "Everyone", "happy", "?"],
            answer_choices=[["Yes", ",", [1], "is", "."], *plain[1:]],
            rationale_choices=plain,
            answer_label=2,
            rationale_label=1,
            **other,
        ),
        record(
            annot_id="train-2",
            question=["Why", "?"],
            answer_choices=plain,
            rationale_choices=plain,
            answer_label=3,
            rationale_label=0,
            **other,
        ),
    ]


def metadata(frame: str) -> dict:
    """Boxes, polygons and names of frame `a` (100 x 40) or `b` (60 x 50)."""
    if frame == "a":
        boxes = [[5, 4, 45, 38, 0.9], [50, 2, 95, 39, 0.8], [60, 20, 70, 30, 0.7], [0, 0, 20, 10, 0.9]]
        names, width, height = ["person", "person", "cellphone", "car"], 100, 40
    else:
        boxes = [[2, 2, 30, 48, 0.9], [31, 20, 58, 49, 0.9], [10, 5, 50, 45, 0.6]]
        names, width, height = ["person", "dog", "person"], 60, 50
    segms = [[[[x1, y1], [x2, y1], [x2, y2]]] for x1, y1, x2, y2, _ in boxes]
    return {"boxes": boxes, "segms": segms, "names": names, "width": width, "height": height}


def write_lines(path: Path, lines: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def write_world(folder: Path) -> Path:
    """`vcr/{train,val,test}.jsonl` (test without labels) and `vcr/vcr1images/m/` below `folder`, its data_dir."""
    unlabelled = [{k: v for k, v in line.items() if not k.endswith("_label")} for line in records()]
    for split, lines in (("train", records()), ("val", records()), ("test", unlabelled)):
        lines = [{**line, "annot_id": line["annot_id"].replace("train", split)} for line in lines]
        write_lines(folder / "vcr" / f"{split}.jsonl", lines)
    images = folder / "vcr" / "vcr1images" / "m"
    images.mkdir(parents=True)
    random = np.random.default_rng(0)
    for frame in "ab":
        fields = metadata(frame)
        (images / f"{frame}.json").write_text(json.dumps(fields))
        pixels = random.integers(0, 256, (fields["height"], fields["width"], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{frame}.png")
    return folder


def config(data_dir: Path, **changes) -> dict:
    """What `dataset_config.visualbert_vcr` of this world is, with `changes`."""
    splits = ("train", "val", "test")
    return {
        "data_dir": str(data_dir),
        "annotations": {split: [f"vcr/{split}.jsonl"] for split in splits},
        "image_size": [96, 48],
        **changes,
    }
