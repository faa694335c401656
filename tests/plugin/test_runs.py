"""MMF's own training loop, in one process and in two, on a model of its own and on ours."""

import re
from pathlib import Path

import pytest
import torch
import warm

from mmf_visualbert.compat.installed import is_release

PROJECT = Path(__file__).resolve().parents[1] / "toy_project"
POINTS, WORDS = PROJECT / "run.yaml", PROJECT / "run_words.yaml"
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "mmf_cli.run")


def curve(folder: Path, *words: str, processes: int = 1) -> list[float]:
    """The loss of each update of the toy run without dropout, whose draws are each process's own."""
    return warm.losses([f"config={WORDS}", f"env.user_dir={PROJECT}", *words], folder, processes)


def updates(folder: Path) -> int:
    """Updates that a run has made."""
    return torch.load(folder / "current.ckpt", weights_only=True)["num_updates"]


@pytest.fixture
def two_processes(start, tmp_path):
    """A run in two processes, as torchrun starts it."""

    def run(config, *opts):
        folders = (f"env.user_dir={PROJECT}", f"env.save_dir={tmp_path / 'save'}")
        return start("python", *TWO, f"config={config}", *folders, *opts)

    return run


def test_a_model_of_others_trains_and_stops_on_time(mmf_run, tmp_path):
    done = mmf_run(POINTS, "model=toy", "dataset=toy_points")
    assert done.returncode == 0, done.stderr
    assert updates(tmp_path / "save") == 6
    log = (tmp_path / "save" / "train.log").read_text()
    assert "test/toy_points/accuracy" in log
    assert "some elements are missing" not in done.stderr + log, "warnings that nobody can mend"


def test_our_model_trains_and_shows_it_on_the_console(mmf_run, tmp_path):
    done = mmf_run(WORDS)
    assert done.returncode == 0, done.stderr
    assert updates(tmp_path / "save") == 6
    assert re.search(r"progress: ./6, .*test/toy_words/accuracy", done.stdout)


def test_two_processes_share_the_work(two_processes, tmp_path):
    done = two_processes(WORDS)
    assert done.returncode == 0, done.stderr
    assert updates(tmp_path / "save") == 6
    assert re.search(r"progress: ./6, .*test/toy_words/accuracy", done.stdout)
    assert done.stdout.count("Starting training") == 1, "one of the two speaks"


def test_early_stopping_ends_in_two_processes(two_processes, tmp_path):
    opts = ("training.early_stop.enabled=True", "training.early_stop.patience=1", "training.evaluation_interval=1")
    done = two_processes(WORDS, *opts, "training.max_updates=100", "optimizer.params.lr=0.")
    assert done.returncode == 0, done.stderr
    assert updates(tmp_path / "save") == 3


def test_processes_and_layouts_learn_the_same(tmp_path):
    """One, two and four processes, with padding and without."""
    one = curve(tmp_path / "one")
    assert len(one) == 6 and one[0] != one[-1]
    for processes in (2, 4):
        assert curve(tmp_path / str(processes), processes=processes) == pytest.approx(one, rel=1e-5)
    for attention in ("packed", "sdpa", "eager"):
        found = curve(tmp_path / attention, f"model_config.visualbert.attention={attention}")
        assert found == pytest.approx(one, rel=1e-5)


def test_no_step_runs_under_anomaly_detection(run_words, monkeypatch):
    import toy_project.words

    seen = []
    take = toy_project.words.Words.__getitem__

    def noting(self, index):
        seen.append(torch.is_anomaly_enabled())
        return take(self, index)

    monkeypatch.setattr(toy_project.words.Words, "__getitem__", noting)
    run_words("training.max_updates=2", "training.batch_size=16")
    assert len(seen) > 32
    first = 16 if is_release() else 0  # the first batch is drawn before the first step
    assert not any(seen[first:])
    assert not torch.is_anomaly_enabled()


def test_a_log_in_a_folder_of_its_own(run_words, tmp_path):
    saved = run_words(f"env.log_dir={tmp_path / 'logs'}", "training.max_updates=1")
    assert "Finished run" in (saved / "train.log").read_text() and any((tmp_path / "logs").glob("train_*.log"))
