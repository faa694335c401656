"""Fixtures that all rooms share: real records, a sample world, and runs of MMF on the toy project.

Runs are started as a user starts them, or in this process to look inside.
"""

import argparse
import importlib
import logging
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from browser import chromium  # noqa: F401  a fixture
from forked_commands import forked_commands

TOY_PROJECT = Path(__file__).resolve().parent / "toy_project"
SHARED = Path(__file__).resolve().parents[2] / "shared"
WORDS = TOY_PROJECT / "run_words.yaml"
POINTS = TOY_PROJECT / "run.yaml"
TIME_LIMIT = 300  # seconds, for a process on a busy machine


@pytest.fixture
def shared() -> Path:
    """The folder of real records beside the checkout; the test is skipped where there is none."""
    if not (SHARED / "realdata").is_dir():
        pytest.skip("no folder of real records beside this checkout")
    return SHARED


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state, and from our logger's own level (a run of MMF sets it)."""
    torch.manual_seed(0)
    logging.getLogger("mmf_visualbert").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample world, drawn once for the whole session, with what tasks outside of it add in their `world.py`."""
    from mmf_visualbert.sampleworld.build import Arguments, build
    from mmf_visualbert.sampleworld.sizes import SMALLEST

    folder = tmp_path_factory.mktemp("world") / "sample"
    build(folder, Arguments(images=SMALLEST, seed=0, dimension=128), say=lambda line: None)
    for path in sorted(Path(__file__).parent.glob("tasks/*/world.py")):
        if path.parent.name != "mmf_datasets":
            runpy.run_path(str(path))["write_world"](folder)
    return folder


@pytest.fixture(scope="session")
def mmf_world(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sample world with MMF's own datasets in it, which take longer to draw and few tests need."""
    folder = shutil.copytree(small_world, tmp_path_factory.mktemp("mmf_world") / "sample")
    runpy.run_path(str(Path(__file__).parent / "tasks" / "mmf_datasets" / "world.py"))["write_world"](folder)
    return folder


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


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of commands that are forks of one process, which has torch and the like already."""
    with forked_commands(tmp_path_factory.mktemp("commands"), Path(__file__).resolve().parents[1]) as folder:
        yield folder


@pytest.fixture
def mmf_run(start: Callable, forked: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """`mmf_run` on the toy project, saving into the test's folder."""

    def run(config: Path, *opts: str, program: str = "mmf_run", **environment: str) -> subprocess.CompletedProcess:
        folders = (f"env.user_dir={TOY_PROJECT}", f"env.save_dir={tmp_path / 'save'}")
        return start(str(forked / program), f"config={config}", *folders, *opts, **environment)

    return run


@pytest.fixture
def toy_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy project, registered with MMF in this process, and MMF's registry as it was before, afterwards."""
    importlib.import_module("mmf_cli.run")
    registry = importlib.import_module("mmf.common.registry").registry
    importlib.import_module("mmf.utils.env").setup_imports()
    monkeypatch.syspath_prepend(TOY_PROJECT.parent)
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
