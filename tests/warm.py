"""MMF's commands in processes of their own, forked from a clean one that has imported what takes long."""

import importlib
import multiprocessing
import os
import sys
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
    os.environ["OMP_NUM_THREADS"] = "1"  # what the clean process starts with
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    log = folder / f"{program}.said"
    process = context.Process(target=command, args=(program, arguments, folder, log))
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
    return Done(process.exitcode, log.read_text())


def command(program: str, arguments: list[str], folder: Path, log: Path) -> None:
    """What the forked process does: all of the command but its imports."""
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.chdir(folder)
    sys.argv = [program, *arguments]
    getattr(importlib.import_module("mmf_visualbert.plugin.command"), COMMANDS[program])()
