"""A checkpoint of any task's phase, as a run leaves it, with random weights: for tests of what reads checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import OmegaConf

from mmf_visualbert import catalog
from mmf_visualbert.modules.parts import build_parts
from mmf_visualbert.runs import modules_of, plain, read_config
from mmf_visualbert.tasks.captions import dataset as captions  # noqa: F401  registers
from mmf_visualbert.tasks.flickr30k import dataset as flickr30k  # noqa: F401  registers
from mmf_visualbert.tasks.nlvr2 import dataset as nlvr2  # noqa: F401  registers
from mmf_visualbert.tasks.vcr import dataset as vcr  # noqa: F401  registers
from mmf_visualbert.tasks.vqa2 import dataset as vqa2  # noqa: F401  registers

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "projects" / "visualbert" / "configs"
SMALL = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32},
    **{"max_position_embeddings": 128, "initializer_range": 0.5},
}

_ENCODER = "model_config.visualbert.region_encoder.params"
VCR_FRAMES = [
    "dataset_config.visualbert_vcr.image_size=[96,48]",
    f"{_ENCODER}.backbone=small",
    f"{_ENCODER}.weights=null",
]


def checkpoint(world: Path, task: str, phase: str, folder: Path, dimension: int = 128, overrides: Sequence[str] = ()):
    """A checkpoint as a run of this phase leaves it, with random weights, and its val dataset and parts."""
    settings = [f"env.data_dir={world}", "model_config.visualbert.bert=null"]
    settings += [
        "model_config.visualbert.region_dimension=128",
        f"model_config.visualbert.tokenizer={world}/bert/vocab.txt",
    ]
    config = read_config(CONFIGS / task / f"{phase}.yaml", [*settings, *overrides])
    config.model_config.visualbert.size = SMALL
    section = plain(config, f"dataset_config.{config.datasets}")
    processors = {key: catalog.build("processor", given) for key, given in section["processors"].items() if given}
    dataset = catalog.get("dataset", config.datasets)(section, "val", processors)
    config.model_config.visualbert.region_dimension = dimension
    torch.manual_seed(0)
    parts = build_parts(
        plain(config, "model_config.visualbert"), getattr(dataset, "answers", None), dataset.facts.vocab_size
    )
    state = modules_of(parts).eval().state_dict()
    path = folder / "best.ckpt"
    torch.save({"model": state, "config": OmegaConf.to_container(config, resolve=False)}, path)
    return path, dataset, parts
