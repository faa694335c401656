"""Stops trainings and lets them go on, until they end; their ends have to be that of one never stopped, bit for bit.

    python tests/kills.py CONFIG --kills 50 [--written 10] [--signals 10] [key=value ...]

Each training is a process of its own, forked from this one, which has imported what takes long. A part of the kills
(-9) comes at random moments, the rest in the middle of writing a checkpoint: in place of a call that changes the disk.
Signals are what a scheduler sends, which then starts the training again.
"""

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mmf_visualbert.plugin.preemption import REQUEUE
from mmf_visualbert.plugin.save_folder import LOCK

CALLS = ("write", "fsync", "replace", "link", "unlink")  # of `os`, that change the disk
CHECKPOINTS = 3  # updates between two


class Tried(NamedTuple):
    """What came of it.

    Attributes:
        stops: how many processes were stopped, by kind.
        processes: in how many processes each training came to its end.
        differing: what of the ends was not equal.
    """

    stops: Counter[str]
    processes: list[int]
    differing: list[str]


def try_stops(words: list[str], plan: Counter[str], seed: int, folder: Path) -> Tried:
    """Trains once without a stop, and then as often as it takes for all stops.

    Args:
        words: of the command line, without `env.save_dir`.
        plan: how many stops of each kind: "killed" at any moment, "writing" a checkpoint, by a "signal".
        seed: of their order and moments.
        folder: an empty one.
    """
    draws = random.Random(seed)
    begun = time.monotonic()
    assert wait(start(words, folder / "never")) == 0, (folder / "never.log").read_text()[-2000:]
    seconds = time.monotonic() - begun
    kinds = sorted(plan.elements())
    draws.shuffle(kinds)
    tried = Tried(Counter(), [], [])
    while kinds:
        processes, code = 0, -1
        while code != 0:
            kind = kinds[-1] if kinds else None
            process = start(words, folder / "stopped", draws.randrange(1, 40) if kind == "writing" else None)
            moment = draws.uniform(0, seconds) if kind in ("killed", "signal") else None
            code = wait(process, moment, signal.SIGUSR1 if kind == "signal" else signal.SIGKILL)
            processes += 1
            if code:
                expected = REQUEUE if kind == "signal" else -signal.SIGKILL
                assert kind and code == expected, f"{kind}: {code}: {(folder / 'stopped.log').read_text()[-2000:]}"
                tried.stops[kinds.pop()] += 1
        differing = list(differences(folder / "never", folder / "stopped"))
        tried = Tried(tried.stops, [*tried.processes, processes], tried.differing + differing)
        shutil.rmtree(folder / "stopped")
    return tried


def start(words: list[str], folder: Path, at_write: int | None = None) -> int:
    """Forks a training that goes on where there is something to go on from; gives its process.

    Args:
        words: of the command line.
        folder: `env.save_dir`; what is said goes to a file beside it.
        at_write: the process kills itself in place of this call that changes the disk.
    """
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        log = os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        resume = ["checkpoint.resume=true"] if (folder / LOCK).exists() else []
        sys.argv = ["mmf_run", *words, f"env.save_dir={folder}", *resume]
        if at_write is not None:
            kill_in_place_of(at_write)
        importlib.import_module("mmf_visualbert.plugin.command").run()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def kill_in_place_of(number: int) -> None:
    """Kills this process where it makes call number `number` of those that change the disk."""
    calls = iter(range(1, number + 1))

    def counted(call: Any) -> Any:
        def killing(*given: Any, **options: Any) -> Any:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **options)

        return killing

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def wait(process: int, seconds: float | None = None, by: int = signal.SIGKILL) -> int:
    """The exit code of a process, which is sent a signal after some seconds, when it has begun to listen."""
    if seconds is not None:
        time.sleep(seconds)
        while by != signal.SIGKILL and not listens(process, by):
            time.sleep(0.01)
        os.kill(process, by)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def listens(process: int, number: int) -> bool:
    """Whether a process catches a signal, or has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")), "f" * 16)
    return "State:\tZ" in status or bool(int(caught, 16) >> (number - 1) & 1)


def differences(ours: Path, theirs: Path) -> Iterator[str]:
    """In what the checkpoints of two folders differ, but for their settings and the name of the run."""
    for name in ("current.ckpt", "best.ckpt"):
        one, other = (dict(flat(torch.load(folder / name, weights_only=False))) for folder in (ours, theirs))
        for key in sorted(one.keys() | other.keys()):
            if key.startswith("config.") or key == "visualbert.run":
                continue
            values = one.get(key), other.get(key)
            if not (torch.equal(*values) if all(map(torch.is_tensor, values)) else values[0] == values[1]):
                yield f"{name}: {key}"


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All that a checkpoint holds, with names."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from flat(entry, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, entry in enumerate(value):
            yield from flat(entry, f"{key}[{place}]")
    else:
        yield key, value


def main() -> int:
    """Tries and tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--written", type=int, default=4, help="of the kills, those while a checkpoint is written")
    parser.add_argument("--signals", type=int, default=0, help="SIGUSR1, as a scheduler sends it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*", help="key=value, as mmf_run takes them")
    given = parser.parse_intermixed_args()
    importlib.import_module("mmf_cli.run")
    plan = Counter(killed=given.kills - given.written, writing=given.written, signal=given.signals)
    with tempfile.TemporaryDirectory() as folder:
        words = [f"config={given.config}", f"training.checkpoint_interval={CHECKPOINTS}", *given.words]
        tried = try_stops(words, plan, given.seed, Path(folder))
    stops = ", ".join(f"{number} {kind}" for kind, number in sorted(tried.stops.items()))
    print(
        f"{given.config}: stops: {stops}; {len(tried.processes)} trainings in {sum(tried.processes)} processes; "
        f"{len(tried.differing)} values differ from those of a training never stopped {tried.differing[:5]}"
    )
    return bool(tried.differing)


if __name__ == "__main__":
    sys.exit(main())
