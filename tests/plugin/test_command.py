"""Bad input is run_command in one line, with exit code 2; everything else is as MMF has it."""

import os
import signal
from pathlib import Path

import pytest
import torch

from mmf_visualbert.ending import sentence_of
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.command import run_command

WORDS = Path(__file__).resolve().parents[1] / "toy_project" / "run_words.yaml"


class Broken(torch.utils.data.Dataset):
    """Fails in the worker."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise InputError("a.json: record 3 has no image; mend it")


class Killed(Broken):
    """Ends its worker, as the system does where memory runs out."""

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def fail(rank):
    raise InputError("b.json is cut off; download it again")


def test_one_line_and_exit_code(capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: fail(0))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "mmf_visualbert: error: b.json is cut off; download it again\n"


def test_a_worker_of_a_loader(capsys):
    with pytest.raises(SystemExit):
        run_command(lambda: list(torch.utils.data.DataLoader(Broken(), num_workers=1)))
    assert capsys.readouterr().err == "mmf_visualbert: error: a.json: record 3 has no image; mend it\n"


def test_a_worker_that_is_killed(capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: list(torch.utils.data.DataLoader(Killed(), num_workers=1)))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "was killed, as the system does where memory runs out; take fewer workers" in said and said.count("\n") == 1


def test_a_spawned_process(capsys):
    with pytest.raises(SystemExit):
        run_command(lambda: torch.multiprocessing.start_processes(fail, nprocs=1, start_method="fork"))
    assert capsys.readouterr().err == "mmf_visualbert: error: b.json is cut off; download it again\n"


def test_an_error_raised_from_bad_input():
    error = RuntimeError("while building")
    error.__cause__ = InputError("c.yaml is wrong; mend it")
    assert sentence_of(error) == "c.yaml is wrong; mend it"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda: 1 / 0)
    assert sentence_of(ValueError("InputError is only mentioned")) is None


def test_mmf_run_says_one_line(mmf_run):
    done = mmf_run(WORDS, "dataset_config.toy_words.broken=True", "training.num_workers=1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mmf_visualbert: error: record ") and last.endswith(" is broken; mend it")


def test_mmf_predict_is_wrapped_too(mmf_run):
    done = mmf_run(WORDS, "training.batchsize=3", program="mmf_predict")
    assert done.returncode == 2
    assert "'training.batchsize' (did you mean 'training.batch_size'?)" in done.stderr.splitlines()[-1]


def test_python_m_keeps_working(start, forked):
    done = start(str(forked / "python"), "-m", "mmf_cli.run", "--help")
    assert done.returncode == 0
    assert "config_override" in done.stdout
