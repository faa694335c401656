"""The script of `visualbert launch` under a scheduler that stops it and has it requeued."""

import os
import subprocess
from pathlib import Path

import pytest

from mmf_visualbert.cli.main import main

CONFIG = "config=projects/visualbert/configs/vqa2/defaults.yaml"
# Trains two updates at a start, and is stopped by a signal in the first two of three.
SRUN = """#!/bin/bash
echo "$@" >> srun.log
mkdir -p {folder}
touch {folder}/current.ckpt
[ "$(wc -l < srun.log)" -lt 3 ] && exit 75
exit 0
"""
SCONTROL = """#!/bin/bash
echo "$@" > again
"""


@pytest.fixture
def scheduler(tmp_path):
    """A folder with Slurm's commands; gives a function that runs a script as often as it is requeued."""
    for name, text in {
        "srun": SRUN.format(folder=tmp_path / "run"),
        "scontrol": '#!/bin/bash\necho "$@" > again\n',
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def submit(script: Path) -> list[int]:
        codes = []
        while not codes or (tmp_path / "again").exists():
            (tmp_path / "again").unlink(missing_ok=True)
            environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
            codes.append(subprocess.run(["bash", str(script)], cwd=tmp_path, env=environment, check=False).returncode)
            assert len(codes) < 9
        return codes

    return submit


def test_it_is_requeued_until_it_is_at_its_end_and_each_start_goes_on(scheduler, tmp_path, capsys):
    script = tmp_path / "job.sbatch"
    assert main(["launch", CONFIG, f"env.save_dir={tmp_path / 'run'}", "--nodes", "2", "--out", str(script)]) == 0
    assert f"sbatch {script}" in capsys.readouterr().out
    assert scheduler(script) == [75, 75, 0]
    starts = (tmp_path / "srun.log").read_text().splitlines()
    assert starts == [f"mmf_run {CONFIG} env.save_dir={tmp_path / 'run'} checkpoint.resume=true"] * 3
    text = script.read_text()
    assert "#SBATCH --nodes=2\n" in text and "#SBATCH --signal=USR1@120\n" in text and "#SBATCH --requeue\n" in text


def test_a_dry_run_prints_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [
        "launch",
        "--by",
        "torchrun",
        "--nodes",
        "2",
        "--devices",
        "4",
        "--dry-run",
        CONFIG,
        "env.data_dir=my data",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert (
        "--nnodes 2 --rdzv-backend c10d" in said and "--nproc-per-node 4" in said and "'env.data_dir=my data'" in said
    )
    assert "./save/vqa2/defaults/current.ckpt" in said, "the yaml's own folder"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["env.save_dir=x"], "there is no config=FILE"),
        ([CONFIG, "checkpoint.resume=true"], "leave checkpoint.resume out"),
        ([CONFIG, "--devices", "5"], "training.batch_size=64 is of all processes together, and 1 × 5 cannot"),
        ([CONFIG, "--devices", "0"], "--devices is 0"),
        ([CONFIG, "--notice", "5"], "--notice is 5 seconds"),
        ([CONFIG, "env.save_dir=./save"], "nothing names the folder of the run"),
        (["config=absent.yaml"], "absent.yaml does not exist"),
    ],
)
def test_what_could_not_run_is_said_before_it_waits(words, said, capsys):
    assert main(["launch", "--dry-run", *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
