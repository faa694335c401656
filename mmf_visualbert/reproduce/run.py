"""Runs the phases of a plan one after the other, each from the best checkpoint of the one before."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_text, write_json, write_text
from mmf_visualbert.reproduce.plan import Phase, Plan, phase_config
from mmf_visualbert.reproduce.results import final_metrics
from mmf_visualbert.yaml_config import read_yaml


class Prepared(NamedTuple):
    """A phase, ready to run: its config file, its folder, and MMF's arguments."""

    phase: Phase
    config_file: Path
    folder: Path
    arguments: list[str]


def prepare(plan: Plan, configs: Path, run: Path, seed: int, overrides: Sequence[str] = ()) -> list[Prepared]:
    """Writes each phase's config file into `run` and says how it is run. Nothing is run.

    Args:
        plan: what to run.
        configs: folder `projects/visualbert/configs`.
        run: folder for everything that comes of it.
        seed: MMF's training.seed.
        overrides: more of MMF's `key=value`, for all phases.
    """
    prepared = []
    for phase in plan.phases:
        content = OmegaConf.to_yaml(OmegaConf.create(phase_config(plan, phase, configs, run)))
        config_file = run / f"{phase.name}.yaml"
        if not config_file.exists() or read_text(config_file) != content:
            write_text(config_file, content)
        arguments = [f"config={config_file}", f"training.seed={seed}", *overrides]
        if phase.start_from is not None:
            best = run / phase.start_from / "best.ckpt"
            arguments += [f"checkpoint.resume_file={best}", "checkpoint.resume_pretrained=true"]
        prepared.append(Prepared(phase, config_file, run / phase.name, arguments))
    return prepared


def run_all(prepared: Sequence[Prepared]) -> dict[str, dict[str, Any]]:
    """Runs what is not finished yet. Returns each phase's record: seconds, metrics, arguments.

    A phase is finished when its record says so and was made from the same files and arguments. One that was cut off
    goes on from its last checkpoint.

    Raises:
        InputError: where MMF fails, or a phase leaves no best checkpoint.
    """
    records: dict[str, dict[str, Any]] = {}
    for step in prepared:
        made_from = fingerprint(step, records)
        record = finished(step, made_from)
        if record is None:
            record = run_phase(step, made_from)
        else:
            print(f"[{step.phase.name}] is finished already, in {step.folder}", flush=True)
        records[step.phase.name] = record
    return records


def run_phase(step: Prepared, made_from: str) -> dict[str, Any]:
    """Runs one phase with MMF, with its output on ours, and writes its record."""
    started, best, current = (step.folder / name for name in ("started.json", "best.ckpt", "current.ckpt"))
    arguments, found = list(step.arguments), _changed(current)
    before = _read(started) if started.exists() else {}
    # Checkpoints that an earlier run, of other files or arguments, left in the folder neither go on nor count.
    goes_on = before.get("made_from") == made_from and found not in (None, before.get("found"))
    if goes_on:
        arguments.append("checkpoint.resume=true")
        found = before.get("found")
    old_best = None if goes_on else _changed(best)
    write_json(started, {"made_from": made_from, "arguments": arguments, "found": found})
    print(f"[{step.phase.name}] mmf_run {' '.join(arguments)}", flush=True)
    begin = time.time()
    code = subprocess.run([str(Path(sys.executable).with_name("mmf_run")), *arguments], check=False).returncode
    if code != 0:
        raise InputError(
            f"the phase {step.phase.name} failed with exit code {code}; mend what it says above, and repeat"
        )
    if _changed(best) == old_best:
        raise InputError(
            f"the phase {step.phase.name} left no best.ckpt in {step.folder}: it never came to an evaluation; "
            "train more updates or lower training.evaluation_interval"
        )
    record = {
        "made_from": made_from,
        "arguments": arguments,
        "seconds": round(time.time() - begin, 1),
        "metrics": final_metrics(step.folder, since=begin),
    }
    write_json(step.folder / "finished.json", record)
    return record


def finished(step: Prepared, made_from: str) -> dict[str, Any] | None:
    """The record of a phase that need not be run again, else None."""
    path = step.folder / "finished.json"
    if not path.exists() or not (step.folder / "best.ckpt").exists():
        return None
    record = _read(path)
    return record if record.get("made_from") == made_from else None


def fingerprint(step: Prepared, before: dict[str, dict[str, Any]]) -> str:
    """Hash of all that decides a phase's result: its yaml files, its arguments, and the phase it starts from."""
    digest = hashlib.sha256()
    for file in read_yaml(step.config_file).files:
        digest.update(file.read_bytes())
    digest.update("\n".join(step.arguments).encode())
    if step.phase.start_from is not None:
        digest.update(before[step.phase.start_from]["made_from"].encode())
    return digest.hexdigest()


def _changed(path: Path) -> int | None:
    """When the file was last written, in nanoseconds; None where there is none."""
    return path.stat().st_mtime_ns if path.exists() else None


def _read(path: Path) -> dict[str, Any]:
    record = read_json(path)
    if not isinstance(record, dict):
        raise InputError(f"{path} is no json object; remove it, and the phase is run again")
    return record
