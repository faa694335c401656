"""All attention heads over many images, beside a plain forward pass of the same batches with the same kernel.

visualbert benchmark analysis --json benchmarks/analysis_cpu.json
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import default_collate

from mmf_visualbert.analysis.attending import Example, Question, measure
from mmf_visualbert.benchmark.contender import resident
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.modules.visual_bert import VisualBertEncoder

WORDS, PHRASES = 14, 3  # of a caption, about as Flickr30K has them
POOL = 64  # captions that are made; they come again under other images' names


def run(args: argparse.Namespace) -> dict:
    """Seconds an image of both, in turn, and the memory of the process as images go by."""
    torch.manual_seed(args.seed)
    model = build_visual_bert(
        region_dimension=args.dimension, random_init=True, attention="eager", pooler=False, **sizes(args)
    )
    model.eval().to(args.device)
    pool = [caption(number, args.regions, args.dimension) for number in range(POOL)]
    share = max(args.images // args.rounds, args.batch)
    seconds: dict[str, list[float]] = {"forward": [], "all_heads": []}
    memory: list[float] = []
    for turn in range(args.rounds + 1):  # the first warms up
        several = images(pool, turn * share, share if turn else 2 * args.batch)
        measured = {
            "forward": forward(model, several, args.batch, args.device),
            "all_heads": heads(model, several, args.batch, memory if turn else []),
        }
        for name, value in measured.items():
            if turn:
                seconds[name].append(value / share)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "images": share * args.rounds,
        "regions": args.regions,
        "heads": model.num_heads * len(model.encoder.layers),
        "seconds_an_image": middle,
        "slowest": {name: max(values) for name, values in seconds.items()},
        "resident_mib": {"first_tenth": memory[len(memory) // 10], "end": memory[-1]},
        "time_ratios": {"all_heads / forward": middle["all_heads"] / middle["forward"]},
    }


def sizes(args: argparse.Namespace) -> dict[str, Any]:
    """Fewer layers than BERT-base's, where asked for."""
    return {"num_hidden_layers": args.layers} if args.layers else {}


def caption(number: int, regions: int, dimension: int) -> Example:
    """A caption of three phrases over an image."""
    generator = torch.Generator().manual_seed(number)
    sample = {
        "input_ids": torch.randint(1000, 30000, (WORDS + 2,), generator=generator),
        "text_mask": torch.ones(WORDS + 2, dtype=torch.bool),
        "text_segments": torch.zeros(WORDS + 2, dtype=torch.int64),
        "region_features": torch.rand(regions, dimension, generator=generator),
        "region_mask": torch.ones(regions, dtype=torch.bool),
        "region_segments": torch.zeros(regions, dtype=torch.int64),
    }
    targets = torch.rand(PHRASES, regions, generator=generator) < 0.1
    questions = [Question(0, (1 + 4 * phrase,), targets[phrase]) for phrase in range(PHRASES)]
    return Example(str(number), sample, questions, torch.rand(regions, generator=generator))


def images(pool: list[Example], start: int, count: int) -> list[Example]:
    """So many images of the pool, each with a name of its own; tensors are shared."""
    return [
        example._replace(image=str(start + place))
        for place, example in enumerate(itertools.islice(itertools.cycle(pool), count))
    ]


@torch.no_grad()
def forward(model: VisualBertEncoder, several: list[Example], batch: int, device: str) -> float:
    """Seconds of the forward pass alone, batches put together as for the analysis."""
    begin = time.perf_counter()
    for start in range(0, len(several), batch):
        tensors = default_collate([one.sample for one in several[start : start + batch]])
        model(*visual_bert_inputs({name: value.to(device) for name, value in tensors.items()}))
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def heads(model: VisualBertEncoder, several: list[Example], batch: int, memory: list[float]) -> float:
    """Seconds of the analysis, intervals of 1,000 resamples included; the process's memory after each image."""

    def watched() -> Iterator[Example]:
        for one in several:
            memory.append(resident())
            yield one

    begin = time.perf_counter()
    measure(model, watched(), batch_size=batch)
    return time.perf_counter() - begin
