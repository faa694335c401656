"""Runs of MMF on the toy project: in this process to look inside, and as a user starts them."""

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
WORDS = HERE / "toy_project" / "run_words.yaml"
POINTS = HERE / "toy_project" / "run.yaml"
TIME_LIMIT = 300  # seconds, for a process on a busy machine


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a program of this environment in a folder of its own, and returns its output and exit code."""

    def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )

    return run


@pytest.fixture
def mmf_run(start: Callable, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """`mmf_run` on the toy project, saving into the test's folder."""

    def run(config: Path, *opts: str, program: str = "mmf_run", **environment: str) -> subprocess.CompletedProcess:
        folders = (f"env.user_dir={HERE / 'toy_project'}", f"env.save_dir={tmp_path / 'save'}")
        return start(program, f"config={config}", *folders, *opts, **environment)

    return run


@pytest.fixture
def toy_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy project, registered with MMF in this process, and MMF's registry as it was before, afterwards."""
    importlib.import_module("mmf_cli.run")
    registry = importlib.import_module("mmf.common.registry").registry
    importlib.import_module("mmf.utils.env").setup_imports()
    monkeypatch.syspath_prepend(HERE)
    importlib.import_module("toy_project")
    before = dict(registry.mapping["state"])
    yield
    registry.mapping["state"].clear()
    registry.mapping["state"].update(before)


@pytest.fixture
def configure(toy_project: None, tmp_path: Path) -> Callable:
    """MMF's Configuration, as a command line makes it."""

    def build(*opts: str):
        configuration = importlib.import_module("mmf.utils.configuration")
        return configuration.Configuration(argparse.Namespace(opts=list(opts), config_override=None))

    return build


@pytest.fixture
def run_words(toy_project: None, tmp_path: Path) -> Callable[..., Path]:
    """Runs our model on the toy project in this process and returns the folder that it saved into."""

    def run(*opts: str, save: str = "save") -> Path:
        folder = tmp_path / save
        common = (f"config={WORDS}", f"env.save_dir={folder}", "training.seed=1")
        importlib.import_module("mmf_cli.run").run([*common, *opts])
        return folder

    return run
