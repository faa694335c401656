"""Fixtures that all rooms share."""

import logging
from pathlib import Path

import pytest
import torch

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
    """A small sample world, drawn once for the whole session."""
    from mmf_visualbert.sampleworld.build import Arguments, build
    from mmf_visualbert.sampleworld.sizes import SMALLEST

    folder = tmp_path_factory.mktemp("world") / "sample"
    build(folder, Arguments(images=SMALLEST, seed=0, dimension=128), say=lambda line: None)
    return folder
