"""A page of the explorer, written once."""

import pytest
from task_checkpoint import checkpoint

from mmf_visualbert.cli import main


@pytest.fixture(scope="session")
def grounded(small_world, tmp_path_factory):
    """A checkpoint of Flickr30K's fine-tuning with its dataset, and a page of six captions."""
    folder = tmp_path_factory.mktemp("explore")
    path, dataset, _ = checkpoint(small_world, "flickr30k", "defaults", folder)
    heads = folder / "heads.csv"
    rows = [f"{layer},{head},{0.9 if head == layer + 1 else 0.1}" for layer in (1, 2) for head in (1, 2, 3, 4)]
    heads.write_text("layer,head,accuracy\n" + "\n".join(rows) + "\n")
    page = folder / "explore.html"
    images = str(small_world / "images")
    given = ["explore", str(path), "--count", "6", "--out", str(page), "--images", images, "--heads", str(heads)]
    assert main.main(given) == 0
    return path, dataset, page
