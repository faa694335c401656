"""MMF's commands in processes of their own, forked from a clean one that has imported what takes long."""

import importlib
import json
import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

COMMANDS = {"mmf_run": "run", "mmf_predict": "predict"}
PRELOADED = ["mmf_cli.run", "mmf_cli.predict", "mmf_visualbert.plugin.command"]


class Done(NamedTuple):
    """How a command ended: its exit code, and all that it said."""

    code: int | None
    said: str


def start(program: str, arguments: list[str], folder: Path, limit: float) -> Done:
    """Runs a command in `folder` for at most `limit` seconds."""
    return start_together(program, arguments, folder, limit, [{}])[0]


def start_together(
    program: str, arguments: list[str], folder: Path, limit: float, environments: list[dict[str, str]]
) -> list[Done]:
    """Runs a command in several processes at once, each with what its environment has besides."""
    os.environ["OMP_NUM_THREADS"] = "1"  # what the clean process starts with
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    logs = [folder / f"{program}.{number}.said" for number in range(len(environments))]
    given = [(program, arguments, folder, log, each) for log, each in zip(logs, environments, strict=True)]
    processes = [context.Process(target=command, args=one) for one in given]
    for process in processes:
        process.start()
    until = time.monotonic() + limit
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
    return [Done(process.exitcode, log.read_text()) for process, log in zip(processes, logs, strict=True)]


def losses(words: list[str], folder: Path, processes: int = 1) -> list[float]:
    """The loss of each update of a run of `mmf_run` without dropout, whose draws are each process's own."""
    folder.mkdir()
    words = [*words, f"env.save_dir={folder}", "training.seed=1"]
    words += ["training.log_interval=1", "model_config.visualbert.dropout=0.0"]
    done = start_together("mmf_run", words, folder, 300, ranks(processes) if processes > 1 else [{}])
    if any(one.code for one in done):
        raise AssertionError([one.said[-2000:] for one in done])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["train/total_loss"] for row in rows if row["split"] == "train"]


def ranks(number: int) -> list[dict[str, str]]:
    """What torchrun tells each of several processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(number)]


def command(program: str, arguments: list[str], folder: Path, log: Path, environment: dict[str, str]) -> None:
    """What the forked process does: all of the command but its imports."""
    os.environ.update(environment)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.chdir(folder)
    sys.argv = [program, *arguments]
    getattr(importlib.import_module("mmf_visualbert.plugin.command"), COMMANDS[program])()
