"""Annotations and region features that benchmarks make for themselves, with texts of real lengths."""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.benchmark.workloads import ANSWERS, VOCABULARY, WORKLOADS
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.files import write_json, write_text
from mmf_visualbert.processors.text import SPECIAL_TOKENS

SIGNS = (".", "?")


class World(NamedTuple):
    """What was written for a workload's training.

    Attributes:
        annotations: files, below the folder.
        images: whose features it needs.
        section: more of `dataset_config.<name>`.
    """

    annotations: list[str]
    images: list[str]
    section: dict[str, Any]


def words(draw: random.Random) -> list[str]:
    """Words that are one word piece each, as many as fill BERT's vocabulary."""
    made: dict[str, None] = {}
    while len(made) < VOCABULARY - len(SPECIAL_TOKENS) - len(SIGNS):
        made["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8)))] = None
    return list(made)


def write_vocabulary(path: Path, made: Sequence[str]) -> Path:
    """A vocab.txt of BERT's size with these words."""
    write_text(path, "\n".join([*SPECIAL_TOKENS, *SIGNS, *made]) + "\n")
    return path


def sentence(draw: random.Random, made: Sequence[str], pieces: int, sign: str = ".") -> str:
    """A text of so many word pieces, its sign counted."""
    return " ".join([*draw.choices(made, k=max(1, pieces - 1)), sign])


def write_store(path: Path, images: Sequence[str], regions: int, dimension: int) -> None:
    """A store in which all images have the same features."""
    features = np.random.default_rng(0).random((regions, dimension), dtype=np.float32).astype(np.float16)
    with FeatureStoreWriter(path, StoreInfo("benchmark", dimension, regions)) as writer:
        for image in images:
            writer.add(image, RegionRecord(features))


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def captions(folder: Path, images: int, lengths: Callable[[], int], made: Sequence[str], draw: random.Random) -> World:
    """Five captions an image."""
    names = [f"image-{number}" for number in range(images)]
    texts = ([sentence(draw, made, lengths()) for _ in range(5)] for _ in names)
    records = ({"image": name, "captions": five} for name, five in zip(names, texts, strict=True))
    write_lines(folder / "captions.jsonl", records)
    return World(["captions.jsonl"], names, {"split_file": None})


def nlvr2(folder: Path, images: int, lengths: Callable[[], int], made: Sequence[str], draw: random.Random) -> World:
    """Two sentences a pair of images."""
    pairs = images // 2
    records = (
        {"identifier": f"train-{pair}-0-{number}", "sentence": sentence(draw, made, lengths()), "label": "True"}
        for pair in range(pairs)
        for number in (0, 1)
    )
    write_lines(folder / "nlvr2.jsonl", records)
    return World(["nlvr2.jsonl"], [f"train-{pair}-0-img{side}" for pair in range(pairs) for side in (0, 1)], {})


def vqa2(folder: Path, images: int, lengths: Callable[[], int], made: Sequence[str], draw: random.Random) -> World:
    """Five questions an image, in the official files, over a vocabulary of the paper's size."""
    answers = [f"answer {number}" for number in range(ANSWERS)]
    questions, annotations = [], []
    for image in range(images):
        for number in range(5):
            ids = {"image_id": image, "question_id": 5 * image + number}
            answer = draw.choice(answers)
            ten = [{"answer": answer, "answer_confidence": "yes", "answer_id": place} for place in range(1, 11)]
            questions.append({**ids, "question": sentence(draw, made, lengths(), "?")})
            kinds = {"question_type": "what", "answer_type": "other", "multiple_choice_answer": answer}
            annotations.append({**ids, **kinds, "answers": ten})
    about = {"data_type": "mscoco", "data_subtype": "train2014"}
    write_json(folder / "questions.json", {**about, "task_type": "Open-Ended", "questions": questions}, indent=None)
    write_json(folder / "annotations.json", {**about, "annotations": annotations}, indent=None)
    write_text(folder / "answers.txt", "\n".join(answers) + "\n")
    names = [f"COCO_train2014_{image:012d}" for image in range(images)]
    vocabulary = {"processors": {"answer_processor": {"params": {"vocabulary": str(folder / "answers.txt")}}}}
    return World(["questions.json", "annotations.json"], names, vocabulary)


WORLDS = {"pretrain": captions, "nlvr2": nlvr2, "vqa": vqa2}


def length_of_text(workload: str, draw: random.Random) -> Callable[[], int]:
    """Draws the word pieces of a text without the special tokens around it; of a caption, half of a pair's."""
    spread = WORKLOADS[workload].lengths
    if spread is None:
        raise ValueError(f"the workload {workload} states no lengths of its texts")
    special, texts = {"pretrain": (3, 2), "vqa": (3, 1)}.get(workload, (2, 1))

    def length() -> int:
        pieces = min(max(draw.gauss(spread.mean, spread.deviation), spread.least), spread.most)
        return round((pieces - special) / texts)

    return length
