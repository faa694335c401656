"""A training loop as users of transformers write it, on what a run of MMF would read: `benchmark.whole_run` starts it.

python -m mmf_visualbert.benchmark.transformers_run WORKLOAD DTYPE UPDATES config=FILE [KEY=VALUE ...]

Our dataset reads the samples, torch's loader stacks them, transformers' model learns from them: forward pass, its own
loss, backward pass, clipping, AdamW with a linear schedule.
"""

import itertools
import sys
from pathlib import Path
from typing import cast

import torch
import transformers
from omegaconf import DictConfig, OmegaConf
from torch.utils import data
from torch.utils.data import DataLoader

from mmf_visualbert.benchmark.ours import stated_size
from mmf_visualbert.benchmark.transformers_rival import Transformers
from mmf_visualbert.benchmark.workloads import LABELS
from mmf_visualbert.ending import finish
from mmf_visualbert.plugin.timer import start_if_asked
from mmf_visualbert.runs import open_dataset, read_config


def main() -> None:
    """Trains."""
    workload, dtype, count, file, *overrides = sys.argv[1:]
    start_if_asked()
    config = read_config(Path(file.removeprefix("config=")), overrides)
    updates = int(count)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = itertools.chain.from_iterable(itertools.repeat(loader(config)))
    contender = None
    for batch in itertools.islice(batches, updates):
        sample = {name: value.to(device) for name, value in batch.items() if isinstance(value, torch.Tensor)}
        sample["region_features"] = sample["region_features"].float()
        if contender is None:
            contender = Transformers(workload, sample, device, LABELS[workload], stated_size(config))
            contender = contender.in_bf16(casts=True) if dtype == "bf16" else contender
            contender.model.train()
            optimizer = contender.optimizer()
            schedule = transformers.get_linear_schedule_with_warmup(optimizer, 1, updates)
        contender.give(sample)
        optimizer.zero_grad()
        contender.loss().backward()
        torch.nn.utils.clip_grad_norm_(contender.model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def loader(config: DictConfig) -> DataLoader:
    """Batches of the run's training data, shuffled."""
    dataset = cast(data.Dataset, open_dataset(config, str(config.datasets), "train"))
    workers = int(OmegaConf.select(config, "training.num_workers", default=0) or 0)
    return DataLoader(dataset, config.training.batch_size, shuffle=True, num_workers=workers, drop_last=True)


if __name__ == "__main__":
    sys.exit(finish(main, "transformers' training loop"))
