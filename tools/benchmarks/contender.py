#!/usr/bin/env python
"""One contender of a benchmark, in a process of its own: reads "step" lines, answers with seconds.

Its own process, because MMF's visual_bert needs another transformers than ours, and so that peak memory is its alone.
Started by tools/benchmark.py: contender.py NAME WORKLOAD MODE DTYPE DEVICE BATCH_FILE
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contenders import CONTENDERS


def main() -> None:
    """Builds the model, says so, then makes a step for each line until the input ends."""
    name, workload, mode, dtype, device, batch_file = sys.argv[1:]
    torch.manual_seed(0)
    replies = sys.stdout
    sys.stdout = sys.stderr  # libraries print what they like; the replies stay clean
    sample = {key: value.to(device) for key, value in torch.load(batch_file, weights_only=True).items()}
    contender = CONTENDERS[name](workload, sample, device)
    step = trainer(contender, dtype, device) if mode == "train" else inferrer(contender, dtype, device)
    about = {"tokens": contender.tokens, "fixed_mib": fixed(contender.model, mode, device)}
    answer(replies, {"ready": True, "torch": torch.__version__, **about, **contender.versions})
    for _ in sys.stdin:
        begin = time.perf_counter()
        loss = step()
        if device == "cuda":
            torch.cuda.synchronize()
        answer(replies, {"seconds": time.perf_counter() - begin, "loss": loss, "peak_mib": peak(device)})


def trainer(contender: "object", dtype: str, device: str) -> Callable[[], float]:
    """A step: forward, loss, backward, clipping as MMF does it, optimizer."""
    contender.model.train()
    optimizer = contender.optimizer()

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=dtype == "bf16"):
            loss = contender.loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(contender.model.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return step


def inferrer(contender: "object", dtype: str, device: str) -> Callable[[], float]:
    """A step: forward in eval mode."""
    contender.model.eval()

    def step() -> float:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=dtype == "bf16"):
            return float(contender.scores().float().mean())

    return step


def fixed(model: torch.nn.Module, mode: str, device: str) -> float:
    """MiB that no implementation can do without: libraries (on CPU), weights, in training gradients and Adam."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) / 2**20
    copies = 4 if mode == "train" else 1
    return copies * weights + (0 if device == "cuda" else resident() - weights)


def resident() -> float:
    """Memory that the process has now, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def peak(device: str) -> float:
    """Most memory the process has used so far, in MiB: of the GPU there, else resident."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(replies: "object", content: dict) -> None:
    """One line of JSON."""
    replies.write(json.dumps(content) + "\n")
    replies.flush()


if __name__ == "__main__":
    main()
