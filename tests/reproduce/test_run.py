"""Phases run one after the other, once; what changed runs again; what failed says so."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmf_runs import CONFIGS
from torch.utils.tensorboard import SummaryWriter

from mmf_visualbert.errors import InputError
from mmf_visualbert.reproduce import run as running
from mmf_visualbert.reproduce.plan import make_plan
from mmf_visualbert.reproduce.run import prepare, run_all
from mmf_visualbert.tasks.chains import FINE, TASK

TOOL = Path(__file__).parents[2] / "tools" / "reproduce.py"


class FakeMmf:
    """Stands in for the program `mmf_run`, so that the keeping of books can be seen without training."""

    def __init__(self):
        self.calls, self.code, self.evaluates, self.accuracy, self.clock = [], 0, True, 0.25, count(1)

    def __call__(self, command, check):
        self.calls.append(command[1:])
        folder = Path(command[1].removeprefix("config=")).with_suffix("")
        folder.mkdir(exist_ok=True)
        self.write(folder / "current.ckpt")
        if self.code == 0 and self.evaluates:
            self.write(folder / "best.ckpt")
            with SummaryWriter(str(folder / "logs")) as writer:
                writer.add_scalar("val/visualbert_vqa2/visualbert_vqa_accuracy", self.accuracy, 1)
        return SimpleNamespace(returncode=self.code)

    def write(self, path):
        """Each file later than all before, whatever the clock's grain."""
        path.write_text("x")
        os.utime(path, ns=(0, next(self.clock) * 10**9))

    @property
    def phases(self):
        return [Path(call[0].removeprefix("config=")).stem for call in self.calls]


@pytest.fixture
def mmf(monkeypatch):
    fake = FakeMmf()
    monkeypatch.setattr(running.subprocess, "run", fake)
    return fake


def steps(folder, *overrides, configs=CONFIGS, seed=1):
    return prepare(make_plan("vqa2", "no_coco", "sample"), configs, folder, seed, overrides)


def test_each_phase_starts_from_the_best_checkpoint_before(tmp_path):
    first, second = steps(tmp_path, "training.max_epochs=1", seed=7)
    assert first.arguments == [f"config={tmp_path / TASK}.yaml", "training.seed=7", "training.max_epochs=1"]
    assert second.arguments[3:] == [
        f"checkpoint.resume_file={tmp_path / TASK / 'best.ckpt'}",
        "checkpoint.resume_pretrained=true",
    ]
    assert first.config_file.is_file() and second.config_file.is_file()


def test_a_finished_phase_is_not_repeated(mmf, tmp_path, capsys):
    first = run_all(steps(tmp_path))
    assert mmf.phases == [TASK, FINE] and first[FINE]["metrics"] == {"visualbert_vqa_accuracy": 0.25}
    assert run_all(steps(tmp_path)) == first
    assert mmf.phases == [TASK, FINE]
    assert f"[{FINE}] is finished already" in capsys.readouterr().out


def test_another_argument_runs_everything_again(mmf, tmp_path):
    run_all(steps(tmp_path))
    mmf.accuracy = 0.75
    again = run_all(steps(tmp_path, "training.max_epochs=2"))
    assert mmf.phases == [TASK, FINE] * 2 and again[FINE]["metrics"] == {"visualbert_vqa_accuracy": 0.75}
    run_all(steps(tmp_path, "training.max_epochs=2", seed=2))
    assert mmf.phases == [TASK, FINE] * 3
    assert not any("checkpoint.resume=true" in call for call in mmf.calls)


def test_another_yaml_runs_its_phase_and_those_after_it_again(mmf, tmp_path):
    configs = tmp_path / "configs"
    shutil.copytree(CONFIGS, configs)
    run = tmp_path / "run"
    run_all(steps(run, configs=configs))
    for file, repeated in (
        (configs / "vqa2" / "defaults.yaml", [FINE]),
        (configs / "masked_lm.yaml", [TASK, FINE]),  # included by the first phase only
        (configs / "vqa2" / "pretrain_coco.yaml", []),  # not a phase of this variant
    ):
        mmf.calls.clear()
        file.write_text(file.read_text() + "# changed\n")
        run_all(steps(run, configs=configs))
        assert mmf.phases == repeated, file


def test_a_lost_checkpoint_runs_its_phase_again(mmf, tmp_path):
    run_all(steps(tmp_path))
    (tmp_path / FINE / "best.ckpt").unlink()
    run_all(steps(tmp_path))
    assert mmf.phases == [TASK, FINE, FINE]


def test_a_phase_that_fails_stops_the_chain_and_goes_on_later(mmf, tmp_path):
    mmf.code = 3
    with pytest.raises(InputError, match=f"the phase {TASK} failed with exit code 3; mend what it says above"):
        run_all(steps(tmp_path))
    assert mmf.phases == [TASK] and not (tmp_path / TASK / "finished.json").exists()
    mmf.code = 0
    run_all(steps(tmp_path))
    assert mmf.phases == [TASK, TASK, FINE]
    assert "checkpoint.resume=true" in mmf.calls[1] and "checkpoint.resume=true" not in mmf.calls[2]


def test_a_checkpoint_of_other_arguments_is_not_gone_on_from(mmf, tmp_path, monkeypatch):
    run_all(steps(tmp_path))

    def cut_off_at_once(command, check):
        mmf.calls.append(command[1:])
        return SimpleNamespace(returncode=-9)

    monkeypatch.setattr(running.subprocess, "run", cut_off_at_once)
    with pytest.raises(InputError, match="failed with exit code -9"):
        run_all(steps(tmp_path, "training.max_epochs=2"))  # leaves the checkpoint of the run before as it was
    monkeypatch.setattr(running.subprocess, "run", mmf)
    run_all(steps(tmp_path, "training.max_epochs=2"))
    assert not any("checkpoint.resume=true" in call for call in mmf.calls)


def test_a_phase_without_an_evaluation_is_no_result(mmf, tmp_path):
    mmf.evaluates = False
    with pytest.raises(InputError, match=r"left no best.ckpt in .*; train more updates or lower training.evaluation"):
        run_all(steps(tmp_path))
    mmf.evaluates = True
    run_all(steps(tmp_path))
    mmf.evaluates = False  # the best checkpoint of other arguments is still there, and is not taken for this run's
    with pytest.raises(InputError, match=r"left no best.ckpt"):
        run_all(steps(tmp_path, "training.max_epochs=2"))


def test_a_config_that_is_missing_is_named(mmf, tmp_path):
    with pytest.raises(InputError, match=r"pretrain_task\.yaml does not exist; the configs folder is incomplete"):
        run_all(steps(tmp_path / "run", configs=tmp_path))
    assert mmf.calls == []


def load_tool():
    spec = importlib.util.spec_from_file_location("reproduce_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_plan_prints_commands_and_costs_and_runs_nothing(mmf, tmp_path, monkeypatch, capsys):
    arguments = ["--task", "vcr", "--scale", "paper", "--out", str(tmp_path), "--plan"]
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments])
    load_tool().main()
    out = capsys.readouterr().out
    assert mmf.calls == [] and out.count("mmf_run config=") == 4
    assert "53,232 updates" in out and "together about" in out


def test_unknown_variant_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--task", "vqa2", "--variant", "none", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        load_tool().main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(
        "reproduce.py: error: there is no variant of vqa2 'none'; choose one of full"
    )


def test_two_phases_really_run(forked, small_world, tmp_path):
    command = [
        str(forked / "python"),
        str(TOOL),
        "--task",
        "vqa2",
        "--variant",
        "no_coco",
        "--out",
        str(tmp_path / "run"),
    ]
    overrides = ["training.max_epochs=1", "training.batch_size=16", f"env.data_dir={small_world}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command + overrides, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert list(result["phases"]) == [TASK, FINE]
    assert "visualbert_masked_lm_accuracy" in result["phases"][TASK]["metrics"]
    assert 0 < result["metrics"]["visualbert_vqa_accuracy"] < 1
    ours, theirs = done.stdout[done.stdout.index("no_coco, sample scale") :].splitlines()[:2]
    assert float(ours.split()[-1]) == pytest.approx(100 * result["metrics"]["visualbert_vqa_accuracy"], abs=0.01)
    assert theirs.split()[-1] == "70.18"
    # The second phase took over the weights of the first.
    assert "Pretrained model loaded" in done.stdout + done.stderr
