"""Every yaml of the project, found recursively, builds, learns, saves and loads; every registered name is MMF's too."""

from pathlib import Path

import pytest
import torch
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config

from mmf_visualbert import catalog
from mmf_visualbert.yaml_config import read_yaml

OVERLAYS = {"variants", "scales"}
SAMPLE = CONFIGS / "scales" / "sample" / "common.yaml"


def runnable() -> list[Path]:
    """Yaml files that open with the command that runs them."""
    return sorted(path for path in CONFIGS.rglob("*.yaml") if path.read_text().startswith("# mmf_run config="))


def skip_where_mmf_lacks(config: Path) -> None:
    """Some of MMF's own datasets are GitHub's alone."""
    import mmf  # noqa: F401
    import mmf_cli.run  # noqa: F401
    from mmf.common.registry import registry
    from mmf.utils.env import setup_imports

    setup_imports()
    for name in str(read_yaml(config).config.datasets).split(","):
        if registry.get_builder_class(name) is None:
            pytest.skip(f"the installed MMF has no dataset {name}")


def test_every_yaml_says_how_it_is_run_or_that_it_is_included():
    for path in CONFIGS.rglob("*.yaml"):
        first, text = path.read_text().splitlines()[0], path.read_text()
        if first.startswith("# mmf_run"):
            assert first == f"# mmf_run config={path.relative_to(CONFIGS.parents[2])}"
        else:
            assert "overlay" in text.lower() or "included" in text.lower(), path


@pytest.mark.parametrize("config", runnable(), ids=lambda path: str(path.relative_to(CONFIGS)))
def test_config_builds_learns_saves_and_loads(config, tmp_path, request):
    skip_where_mmf_lacks(config)
    world = request.getfixturevalue("mmf_world" if config.parent.name == "mmf_datasets" else "small_world")
    of_task, of_phase = (SAMPLE.with_name(f"{config.parent.name}{ending}.yaml") for ending in ("", f"_{config.stem}"))
    overlays = [SAMPLE, *(file for file in (of_task, of_phase) if file.exists())]
    run = write_config(tmp_path, config, *overlays, env={"data_dir": str(world), "save_dir": str(tmp_path / "save")})
    trainer = load_trainer(run, "training.batch_size=4")
    model = trainer.model
    model.train()
    output = model(first_batch(trainer))
    losses = output["losses"]
    assert losses and all(torch.isfinite(loss).all() for loss in losses.values())
    sum(loss.mean() for loss in losses.values()).backward()
    unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused, f"parameters without a gradient hang distributed training: {unused}"
    trainer.optimizer.step()

    torch.save(model.state_dict(), tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    again = load_trainer(run, "training.batch_size=4").model
    assert not any(again.load_state_dict(state, strict=True))
    model.eval(), again.eval()
    batch = first_batch(trainer, "val")
    with torch.no_grad():
        ours, theirs = model(batch), again(batch)
    for name, value in ours.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            torch.testing.assert_close(value, theirs[name])


@pytest.mark.parametrize("kind", ["dataset", "processor", "loss", "metric", "optimizer", "scheduler"])
def test_every_registered_name_is_known_to_mmf(kind):
    import mmf  # noqa: F401
    from mmf.common.registry import registry

    getter = {"dataset": "builder"}.get(kind, kind)
    assert catalog.names(kind)
    for name in catalog.names(kind):
        assert getattr(registry, f"get_{getter}_class")(name) is not None, name
        assert "val" not in name.removeprefix("visualbert_"), "MMF reads meaning into it"
