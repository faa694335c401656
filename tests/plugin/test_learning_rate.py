"""The learning rates that the optimizer uses in MMF's own loop, update by update."""

from pathlib import Path

import mmf_cli.run
import pytest
import torch
from mmf_runs import write_config
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mmf_visualbert.modules.optimizer import warmup_linear

WORDS = Path(__file__).resolve().parents[1] / "toy_project" / "run_words.yaml"
UPDATES, BREAK, HIGHEST = 8, 3, 0.01
SCHEDULE = {
    "optimizer": {"type": "visualbert_adam", "params": {"lr": HIGHEST}},
    "scheduler": {"type": "visualbert_warmup_linear", "params": {"warmup_ratio": 0.25}},
    "training": {
        "lr_scheduler": True,
        "max_updates": UPDATES,
        "checkpoint_interval": 1,
        "evaluation_interval": 100,
        "seed": 1,
    },
}
FORMULA = [HIGHEST * factor for factor in (0, 1 / 2, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6)]


class BrokenError(Exception):
    """The machine goes down."""


@pytest.fixture
def used(toy_project, tmp_path):
    """Runs the toy project, at most for some updates, and gives the rate of each update of all groups."""
    config = write_config(tmp_path, WORDS, env={"save_dir": str(tmp_path / "save")}, **SCHEDULE)

    def run(*opts: str, stop_after: int | None = None) -> list[float]:
        rates: list[float] = []

        def note(optimizer: torch.optim.Optimizer, *given) -> None:
            if len(rates) == stop_after:
                raise BrokenError
            (rate,) = {group["lr"] for group in optimizer.param_groups}
            rates.append(rate)

        hook = register_optimizer_step_pre_hook(note)
        try:
            mmf_cli.run.run([f"config={config}", *opts])
        except BrokenError:
            pass
        finally:
            hook.remove()
        return rates

    return run


def test_each_update_has_the_rate_of_the_formula(used):
    assert used() == pytest.approx(FORMULA)


def test_a_resumed_run_goes_on_with_the_formula(used):
    assert used(stop_after=BREAK) == pytest.approx(FORMULA[:BREAK])
    assert used("checkpoint.resume=True") == pytest.approx(FORMULA[BREAK:])


def test_a_resumed_run_that_became_longer_has_the_rates_of_the_longer_one(used):
    used(stop_after=BREAK)
    rates = used("checkpoint.resume=True", f"training.max_updates={2 * UPDATES}")
    assert rates == pytest.approx([HIGHEST * warmup_linear(done / 16, 0.25) for done in range(BREAK, 16)])


def test_fresh_optimizer_states_go_on_with_the_formula_too(used):
    used(stop_after=BREAK)
    rates = used("checkpoint.resume=True", "checkpoint.reset.optimizer=True")
    assert rates == pytest.approx(FORMULA[BREAK:])
