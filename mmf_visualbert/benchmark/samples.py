"""Samples a second that one core makes for training: reading, masking, pairing, assembling; features from a warm store.

visualbert benchmark samples --images 1000
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mmf_visualbert.benchmark.made import SIGNS, WORLDS, length_of_text, write_store
from mmf_visualbert.benchmark.made import words as made_words
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import SPECIAL_TOKENS, TextAssembler, WordPieceTokenizer
from mmf_visualbert.tasks.captions.dataset import build_captions
from mmf_visualbert.tasks.nlvr2.dataset import build_nlvr2

REGIONS = {"pretrain": (100, 2048), "nlvr2": (144, 1024)}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Samples a second of processor time, alone and with the stacking of batches, for captions and NLVR2."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    draw = random.Random(args.seed)
    words = made_words(draw)
    pieces = [*SPECIAL_TOKENS, *SIGNS, *words]
    tokenizer = WordPieceTokenizer({piece: index for index, piece in enumerate(pieces)})
    found: dict[str, Any] = {"images": args.images, "batch": args.batch}
    with tempfile.TemporaryDirectory() as folder:
        for name, build in (("pretrain", build_captions), ("nlvr2", build_nlvr2)):
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
    made = WORLDS[name](folder, images, length_of_text(name, draw), words, draw)
    store = f"{name}.lmdb"
    write_store(folder / store, made.images, *REGIONS[name])
    return {"annotations": {"train": made.annotations}, "features": {"train": [store]}, **made.section}


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
