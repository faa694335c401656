"""The script that trains on several devices and machines: under Slurm, or by torchrun."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.yaml_config import read_yaml

REQUEUE = 75  # with which a run ends that was sent SIGTERM or SIGUSR1, see plugin/preemption.py
RESUME = "checkpoint.resume"
SAVE_DIR = "env.save_dir"


class Job(NamedTuple):
    """What is asked for.

    Attributes:
        words: of mmf_run, `config=...` first.
        nodes: machines.
        devices: on each of them; a process each.
        cpus: of each process.
        minutes: that the job may take at once.
        notice: seconds before their end at which Slurm says so.
        name: of the job.
    """

    words: tuple[str, ...]
    nodes: int = 1
    devices: int = 1
    cpus: int = 5
    minutes: int = 1440
    notice: int = 120
    name: str = "visualbert"


def check(job: Job) -> None:
    """Raises InputError for a job that could not run, before it has waited in a queue."""
    for field in ("nodes", "devices", "cpus", "minutes", "notice"):
        if getattr(job, field) < 1:
            raise InputError(f"--{field} is {getattr(job, field)}; give 1 or more")
    if job.notice < 30 or job.notice >= job.minutes * 60:
        raise InputError(f"--notice is {job.notice} seconds; give 30 or more, and fewer than the job has")
    if any(word.partition("=")[0] == RESUME for word in job.words):
        raise InputError(f"leave {RESUME} out: the script gives it at every start")
    batch, processes = setting(job, "training.batch_size"), job.nodes * job.devices
    if isinstance(batch, int) and batch % processes:
        raise InputError(
            f"training.batch_size={batch} is of all processes together, and {job.nodes} × {job.devices} cannot share "
            f"it evenly; add training.batch_size={-(-batch // processes) * processes}, or name other numbers"
        )


def setting(job: Job, key: str) -> object:
    """What a key of the run is set to: by its words, else by its yaml and what that includes; None where by neither."""
    given = [word.partition("=")[2] for word in job.words if word.partition("=")[0] == key]
    if given:
        return OmegaConf.create({"value": given[-1]}).value if not given[-1].isdigit() else int(given[-1])
    config = read_yaml(Path(job.words[0].partition("=")[2])).config
    return OmegaConf.select(config, key)


def save_dir(job: Job) -> str:
    """The folder of the run.

    Raises:
        InputError: where nothing names it.
    """
    folder = setting(job, SAVE_DIR)
    if not folder or folder == "./save":
        raise InputError(
            f"nothing names the folder of the run, in which it goes on after a stop; add {SAVE_DIR}=FOLDER"
        )
    return str(folder)


def slurm(job: Job) -> str:
    """The text of a file for `sbatch`: a task a device, requeued until the run is at its end."""
    folder = save_dir(job)
    hours, minutes = divmod(job.minutes, 60)
    return f"""#!/bin/bash
#SBATCH --job-name={job.name}
#SBATCH --nodes={job.nodes}
#SBATCH --ntasks-per-node={job.devices}
#SBATCH --gpus-per-node={job.devices}
#SBATCH --cpus-per-task={job.cpus}
#SBATCH --time={hours:02}:{minutes:02}:00
#SBATCH --signal=USR1@{job.notice}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={job.name}-%j.log

# The first start begins, and each later one goes on from {folder}/current.ckpt
srun mmf_run {words(job)} {RESUME}=true
code=$?
# {REQUEUE}: stopped by a signal after it saved a checkpoint.
if [ "$code" = {REQUEUE} ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def torchrun(job: Job) -> str:
    """The text of a script to start on each machine alike."""
    folder = save_dir(job)
    if job.nodes == 1:
        meeting, told = "--standalone", ""
    else:
        meeting = f'--nnodes {job.nodes} --rdzv-backend c10d --rdzv-id {job.name} --rdzv-endpoint "$1:29500"'
        told = f"# Start this on all {job.nodes} machines: bash FILE FIRST_MACHINE, each time the same name.\n"
    return f"""#!/bin/bash
{told}# The first start begins, and each later one goes on from {folder}/current.ckpt
torchrun {meeting} --nproc-per-node {job.devices} "$(command -v mmf_run)" {words(job)} {RESUME}=true
"""


def torchrun_here(processes: int) -> list[str]:
    """What starts a program, whose words follow, in as many processes on this machine."""
    start = [sys.executable, "-m", "torch.distributed.run"]
    return [*start, "--standalone", f"--nproc-per-node={processes}", "--no-python"]


def words(job: Job) -> str:
    """Those of mmf_run, as bash reads them."""
    return " ".join(map(shlex.quote, job.words))


def job_of(given: Sequence[str], **asked: int | str) -> Job:
    """A job that can run.

    Raises:
        InputError: for words that do not begin with `config=...`, and as `check` does.
    """
    ordered = sorted(given, key=lambda word: not word.startswith("config="))
    if not ordered or not ordered[0].startswith("config="):
        raise InputError("there is no config=FILE among the words for mmf_run; name the yaml to run")
    job = Job(tuple(ordered), **asked)  # type: ignore[arg-type]
    check(job)
    return job
