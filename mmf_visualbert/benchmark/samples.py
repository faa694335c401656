"""Samples a second that one core makes for training: reading, masking, pairing, assembling; features from a warm store.

visualbert benchmark samples --images 1000
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.captions.dataset import build_captions
from mmf_visualbert.tasks.nlvr2.dataset import build_nlvr2

WORDS = 30_000
REGIONS = {"captions": (100, 2048), "nlvr2": (144, 1024)}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Samples a second of processor time, alone and with the stacking of batches, for captions and NLVR2."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    draw = random.Random(args.seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 8))) for _ in range(WORDS)]
    pieces = dict.fromkeys([*SPECIAL_TOKENS, ".", *words])
    tokenizer = WordPieceTokenizer({piece: index for index, piece in enumerate(pieces)})
    found: dict[str, Any] = {"images": args.images, "batch": args.batch}
    with tempfile.TemporaryDirectory() as folder:
        for name, build in (("captions", build_captions), ("nlvr2", build_nlvr2)):
            files = world(name, Path(folder), args.images, words, draw)
            processors = {
                "text_processor": TextAssembler(tokenizer),
                "masking_processor": MaskedLanguageModeling(tokenizer),
                "region_processor": RegionFeatures(*REGIONS[name]),
            }
            found[name] = measure(build({"data_dir": folder, **files}, "train", processors), args.batch)
    return found


def world(name: str, folder: Path, images: int, words: list[str], draw: random.Random) -> dict[str, Any]:
    """Writes annotations and features; gives the configuration that names them."""
    regions, dimension = REGIONS[name]
    features = np.random.default_rng(0).random((regions, dimension), dtype=np.float32).astype(np.float16)
    pairs = images // 2
    with FeatureStoreWriter(folder / f"{name}.lmdb", StoreInfo("benchmark", dimension, regions)) as writer:
        for number in range(2 * pairs):
            writer.add(f"train-{number // 2}-0-img{number % 2}", RegionRecord(features))

    def sentence(length: int) -> str:
        return " ".join(draw.choices(words, k=length)) + " ."

    with (folder / f"{name}.jsonl").open("w") as file:
        for number in range(pairs):
            names = [f"train-{number}-0-img{side}" for side in (0, 1)]
            records = (
                [{"image": image, "captions": [sentence(10) for _ in range(5)]} for image in names]
                if name == "captions"
                else [
                    {"identifier": f"train-{number}-0-{i}", "sentence": sentence(15), "label": "True"} for i in (0, 1)
                ]
            )
            file.writelines(json.dumps(record) + "\n" for record in records)
    files = {"annotations": {"train": [f"{name}.jsonl"]}, "features": {"train": [f"{name}.lmdb"]}}
    return files | ({"split_file": None} if name == "captions" else {})


def measure(dataset: Any, batch: int) -> dict[str, float]:
    """Rounded samples a second of processor time over one epoch, after one to warm up."""
    order = torch.randperm(len(dataset)).tolist()

    def stacked() -> None:
        for start in range(0, len(order), batch):
            samples = [dataset[index] for index in order[start : start + batch]]
            for field in samples[0]:
                torch.stack([sample[field] for sample in samples])

    def alone() -> None:
        for index in order:
            dataset[index]

    alone()
    return {"samples_per_s": _rate(alone, len(order)), "stacked_samples_per_s": _rate(stacked, len(order))}


def _rate(work: Callable[[], None], samples: int) -> float:
    # Processor time, so that what else the machine does is not counted; features lie in memory, so nothing waits.
    start = time.process_time()
    work()
    return round(samples / (time.process_time() - start))
