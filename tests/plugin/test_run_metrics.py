"""The file of a run's numbers: whole after a resume, apart from other runs', and equal to what MMF's log says."""

import json
import os

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin import run_metrics
from mmf_visualbert.plugin.loggers import import_service

OPTS = ("training.max_updates=6", "training.log_interval=2", "training.evaluation_interval=3")


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def places(folder):
    return [(row["update"], row["split"]) for row in rows(folder)]


def test_each_report_is_a_line(run_words):
    folder = run_words(*OPTS)
    assert places(folder)[:5] == [(2, "train"), (3, "val"), (4, "train"), (6, "train"), (6, "val")]
    last = [row for row in rows(folder) if row["split"] == "val"][-1]
    log = (folder / "train.log").read_text() if (folder / "train.log").is_file() else ""
    assert 0 <= last["val/toy_words/accuracy"] <= 1
    assert len({row["run"] for row in rows(folder)}) == 1 and last["run"]
    kept = torch.load(folder / "current.ckpt", weights_only=True)
    assert last["run"] == kept["visualbert"]["run"]
    rates = [row["lr"] for row in rows(folder) if row["split"] == "train"]
    assert all(rate > 0 for rate in rates)
    assert f"val/toy_words/accuracy: {last['val/toy_words/accuracy']:.4f}" in log or not log


def test_a_run_that_goes_on_leaves_the_lines_of_one_never_stopped(run_words):
    whole = run_words(*OPTS, "training.checkpoint_interval=2", save="whole")
    stopped = run_words(*OPTS, "training.checkpoint_interval=2", "training.max_updates=4", save="stopped")
    with (stopped / "metrics.jsonl").open("a") as file:  # of updates after the last checkpoint, and a line cut off
        file.write(json.dumps({**rows(stopped)[0], "update": 5}) + '\n{"run": "')
    run_words(*OPTS, "training.checkpoint_interval=2", "checkpoint.resume=true", save="stopped")
    train = [[row for row in rows(folder) if row["split"] == "train"] for folder in (whole, stopped)]
    assert [row["update"] for row in train[1]] == [2, 4, 6]
    assert train[0][2]["train/total_loss"] == train[1][2]["train/total_loss"]


def test_another_run_in_the_folder_begins_anew(run_words):
    first = rows(run_words(*OPTS))
    second = rows(run_words(*OPTS))
    assert len(first) == len(second) and first[0]["run"] != second[0]["run"]


def test_an_evaluation_leaves_the_trainings_lines(run_words):
    folder = run_words(*OPTS)
    trained = rows(folder)
    best = ("run_type=val", f"checkpoint.resume_file={folder / 'best.ckpt'}", "checkpoint.reset.all=true")
    for _ in range(2):
        run_words(*best)
    assert rows(folder)[:-1] == trained and rows(folder)[-1]["split"] == "val" and rows(folder)[-1]["run"] is None


def test_a_number_that_is_none_is_null(tmp_path):
    config = object()
    run_metrics.append(tmp_path / "m.jsonl", {"run": "a", "update": 1, "split": "val", "x": float("nan")}, config, 0)
    assert json.loads((tmp_path / "m.jsonl").read_text())["x"] is None


def test_a_file_that_cannot_be_written_is_said_once(tmp_path, caplog):
    (tmp_path / "m.jsonl").mkdir()
    for update in (1, 2):
        run_metrics.append(tmp_path / "m.jsonl", {"run": "a", "update": update, "split": "val"}, "config", 0)
    assert len(caplog.records) == 1 and "numbers are missing from it" in caplog.text


def test_services_are_named_and_installed(run_words):
    with pytest.raises(InputError, match=r"training\.loggers names 'mlflow'; write wandb or trackio"):
        import_service("mlflow")
    with pytest.raises(InputError, match=r"training\.loggers names 'mlflow'"):
        run_words("training.loggers=[mlflow]")


def test_a_service_that_wants_a_key_is_one_sentence(run_words, monkeypatch):
    wandb = pytest.importorskip("wandb")

    def init(**_):  # as wandb's own without a login, which leaves the next run of a process without one
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", init)
    with pytest.raises(InputError, match=r"wandb begins no run \(No API key configured. Use .*WANDB_MODE=offline"):
        run_words(*OPTS, "training.loggers=[wandb]")


def test_wandb_without_network_keeps_all_in_the_runs_folder(run_words, monkeypatch, tmp_path):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = run_words(*OPTS, "training.loggers=[wandb]")
    wandb.finish()
    assert [path for path in folder.rglob("*.wandb") if os.path.getsize(path) > 100]


def test_trackio_keeps_all_on_this_machine(run_words, monkeypatch, tmp_path):
    trackio = pytest.importorskip("trackio")
    for name, value in (("TRACKIO_DIR", str(tmp_path / "trackio")), ("HF_HUB_OFFLINE", "1")):
        monkeypatch.setenv(name, value)
    for module in ("trackio.utils", "trackio.sqlite_storage"):
        monkeypatch.setattr(f"{module}.TRACKIO_DIR", tmp_path / "trackio", raising=False)
    folder = run_words(*OPTS, "training.loggers=[trackio]")
    trackio.finish()
    (database,) = (tmp_path / "trackio").rglob("visualbert*.db")
    assert database.stat().st_size > 100 and (folder / "metrics.jsonl").is_file()


def test_a_criterion_that_no_evaluation_gives_is_named_with_those_that_there_are(run_words):
    with pytest.raises(
        InputError, match=r"criteria is 'toy_words/accuracy/yes', and an evaluation gives total_loss, toy_words/"
    ):
        run_words(*OPTS, "training.early_stop.criteria=toy_words/accuracy/yes")
