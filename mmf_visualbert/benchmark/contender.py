"""One contender of a benchmark, in a process of its own: reads "step" lines, answers with seconds.

Its own process, because MMF's visual_bert needs another transformers than ours, and so that peak memory is its alone.
`benchmark.steps` starts it:

python -m mmf_visualbert.benchmark.contender NAME WORKLOAD MODE DTYPE DEVICE BATCH_FILE [KEY=VALUE ...]
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
from torch import Tensor, nn

from mmf_visualbert.benchmark.workloads import LABELS
from mmf_visualbert.ending import finish

# Steps for a line, whose mean is a figure: a GPU is not waited for at the end of each, as no run does.
STEPS = {"cpu": 1, "cuda": 10}


class Contender(Protocol):
    """A model with a batch.

    Attributes:
        tokens: that its first layer computes; known after the first step.
        versions: of what it is made with.
    """

    tokens: int
    versions: dict[str, str]

    @property
    def model(self) -> nn.Module:
        """All its modules."""

    def loss(self) -> Tensor:
        """The loss of the batch, ()."""

    def scores(self) -> Tensor:
        """What a user reads."""

    def optimizer(self) -> torch.optim.Optimizer:
        """As its users train it."""


def main() -> None:
    """Builds the model, says so, then makes a step for each line until the input ends."""
    name, workload, mode, dtype, device, batch_file, *overrides = sys.argv[1:]
    torch.manual_seed(0)
    replies = sys.stdout
    sys.stdout = sys.stderr  # libraries print what they like; the replies stay clean
    sample = {key: value.to(device) for key, value in torch.load(batch_file, weights_only=True).items()}
    contender = build(name, workload, mode, sample, device, dtype, overrides)
    kept = Kept(contender.model)
    step = trainer(contender, kept) if mode == "train" else inferrer(contender)
    versions = {"torch": torch.__version__, **contender.versions}
    answer(replies, {"fixed_mib": fixed(contender.model, mode, device), "versions": versions})
    for _ in sys.stdin:
        begin = time.perf_counter()
        for _ in range(STEPS[device]):
            result = step()
        loss = float(result)  # waits for the device
        seconds = (time.perf_counter() - begin) / STEPS[device]
        measured = {"peak_mib": peak(device), "kept_mib": kept.mib, "tokens": contender.tokens}
        answer(replies, {"seconds": seconds, "loss": loss, **measured})


def build(
    name: str, workload: str, mode: str, sample: dict[str, Tensor], device: str, dtype: str, overrides: list[str]
) -> Contender:
    """The contender of this name; the others are not imported, and need not be installed where this runs."""
    if name == "ours":
        from mmf_visualbert.benchmark.ours import Ours

        return Ours(workload, sample, device, dtype, overrides)
    if name == "hf":
        from mmf_visualbert.benchmark.transformers_rival import Transformers

        model = Transformers(workload, sample, device, LABELS[workload])
        return model.in_bf16(casts=mode == "train") if dtype == "bf16" else model
    from mmf_visualbert.plugin.rivals import MmfVisualBert

    return MmfVisualBert(workload, sample, device, LABELS[workload])


def trainer(contender: Contender, kept: "Kept") -> Callable[[], Tensor]:
    """A step: forward, loss, backward, clipping as MMF does it, optimizer. The first one counts what is kept."""
    contender.model.train()
    optimizer = contender.optimizer()

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = contender.loss() if kept.mib else kept.count(contender.loss)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(contender.model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    return step


def inferrer(contender: Contender) -> Callable[[], Tensor]:
    """A step: forward in eval mode."""
    contender.model.eval()

    def step() -> Tensor:
        with torch.inference_mode():
            return contender.scores().float().mean()

    return step


class Kept:
    """What the forward pass keeps for the backward pass beside the weights.

    Attributes:
        mib: MiB; 0 until it was counted.
    """

    def __init__(self, model: nn.Module) -> None:
        self.weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        self.mib = 0.0

    def count(self, forward: Callable[[], Tensor]) -> Tensor:
        """Runs `forward`, counts, gives its result."""
        storages: dict[int, int] = {}
        held = []  # until the end, so that no storage's address is used twice

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self.weights:
                storages[storage.data_ptr()] = storage.nbytes()
                held.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            result = forward()
        self.mib = sum(storages.values()) / 2**20
        return result


def fixed(model: nn.Module, mode: str, device: str) -> float:
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


def answer(replies: TextIO, content: dict[str, Any]) -> None:
    """One line of JSON."""
    replies.write(json.dumps(content) + "\n")
    replies.flush()


if __name__ == "__main__":
    sys.exit(finish(main, f"the contender {sys.argv[1]}"))
