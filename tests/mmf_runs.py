"""Builds what a run of MMF builds, in this process: for tests that look inside."""

import argparse
from pathlib import Path

from omegaconf import OmegaConf

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "projects" / "visualbert" / "configs"


def write_config(folder: Path, *files: Path, **content) -> Path:
    """A yaml in `folder` that includes `files` in their order, with `content` over them."""
    path = folder / "run.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create({"includes": [str(file) for file in files], **content})))
    return path


def load_trainer(config: Path, *overrides: str):
    """MMF's trainer of a config, loaded: datasets, model, optimizer, metrics."""
    import mmf.utils.logger
    import mmf_cli.run  # noqa: F401  (imports what a run imports)
    from mmf.common.registry import registry
    from mmf.utils.build import build_config, build_trainer
    from mmf.utils.configuration import Configuration
    from mmf.utils.env import set_seed, setup_imports

    setup_imports()
    args = argparse.Namespace(opts=[f"config={config}", "training.seed=1", *overrides], config_override=None)
    configuration = Configuration(args)
    configuration.args = args
    plain = configuration.get_config()
    plain.start_rank, plain.device_id = 0, 0
    set_seed(1)
    registry.register("seed", 1)
    built = build_config(configuration)
    if hasattr(mmf.utils.logger, "Logger") and registry.get("writer", no_warning=True) is None:  # the release's
        registry.register("writer", mmf.utils.logger.Logger(built, name="mmf.test"))
    trainer = build_trainer(built)
    trainer.load()
    return trainer


def first_batch(trainer, split: str = "train"):
    """The first batch of a split, ready for the model."""
    loader = getattr(trainer, f"{split}_loader")
    return trainer.dataset_loader.prepare_batch(next(iter(loader)))


def dataset_of(trainer, split: str):
    """Our dataset of a split, out of what MMF (release or main) wraps it in."""
    whole = getattr(trainer.dataset_loader, f"{split}_dataset", None)  # the release's
    if whole is not None:
        return whole.datasets[0].dataset
    return next(iter(getattr(trainer, f"{split}_loader").loaders.values())).dataset.dataset
