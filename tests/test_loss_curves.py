"""The losses of the first 20 updates of each task are what they were; a change that moves them has to say why.

`python tests/test_loss_curves.py` writes them anew.
"""

import importlib
import json
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parent / "fixtures"
CURVES = FIXTURES / "loss_curves.json"
UPDATES = 20
RUNS = (
    "vqa2_pretrain_coco",
    "vqa2_pretrain_task",
    "vqa2_defaults",
    "nlvr2_defaults",
    "flickr30k_defaults",
    "vcr_defaults",
)


def unpack(folder: Path) -> Path:
    """The small world and the runs of the first release."""
    with tarfile.open(FIXTURES / "release_0_1_0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "release_0_1_0"


def curve(release: Path, run: str, folder: Path) -> list[float]:
    """The loss of each update, of all terms together."""
    run_mmf = importlib.import_module("mmf_cli.run").run
    importlib.import_module("mmf.utils.env").setup_imports()
    model = importlib.import_module("mmf_visualbert.plugin.model")
    losses, check = [], model.check_losses

    def note(of, batch, terms):
        if of.training:
            losses.append(float(sum(value.detach().mean() for value in terms.values())))
        check(of, batch, terms)

    model.check_losses = note
    try:
        run_mmf(
            [
                f"config={release / run / 'run.yaml'}",
                f"env.data_dir={release / 'world'}",
                f"env.save_dir={folder / run}",
                f"training.max_updates={UPDATES}",
                "training.checkpoint_interval=1000",
                "training.evaluation_interval=1000",
                "training.log_interval=1000",
                "training.num_workers=0",
                "run_type=train",
            ]
        )
    finally:
        model.check_losses = check
    return losses


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    return unpack(tmp_path_factory.mktemp("release"))


@pytest.mark.parametrize("run", RUNS)
def test_the_first_updates_are_what_they_were(toy_project, release, run, tmp_path):
    known = json.loads(CURVES.read_text())[run]
    assert len(known) == UPDATES
    assert curve(release, run, tmp_path) == pytest.approx(known, rel=2e-3)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        place = unpack(Path(made))
        curves = {run: [round(loss, 5) for loss in curve(place, run, Path(made))] for run in RUNS}
    lines = ",\n".join(f'  "{run}": {json.dumps(losses)}' for run, losses in curves.items())
    CURVES.write_text("{\n" + lines + "\n}\n")
    sys.stdout.write(f"wrote {CURVES}\n")
