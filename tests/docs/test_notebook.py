"""The notebook's cells run as they stand, in their order, on the sample world; training is cut to a few updates."""

import importlib
import json
import os
import re
import shlex
from pathlib import Path

import matplotlib
import pytest
from pages import ROOT

from mmf_visualbert.cli.main import main

NOTEBOOK = ROOT / "examples" / "visualbert.ipynb"
FEW = ["training.max_updates=2", "training.evaluation_interval=2", "training.tensorboard=false"]


def cells() -> list[tuple[str, list[str]]]:
    """The source of each cell of code, and its tags."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), "kept without its outputs"
    return [("".join(cell["source"]), cell["metadata"].get("tags", [])) for cell in code]


def shell(line: str, world: Path) -> None:
    """One line that begins with an exclamation mark, in this process."""
    program, *words = shlex.split(line.removeprefix("!"))
    if program == "mmf_run":
        importlib.import_module("mmf_cli.run").run([*words, *FEW])
    elif words[0] == "sample-data":  # drawn once for the whole session, by the same command
        assert words[1] == "--out"
        Path(words[2]).parent.mkdir(parents=True)
        os.symlink(world, words[2])
    else:
        assert program == "visualbert" and main(words) == 0, line


def test_the_cells_run(small_world, toy_project, tmp_path, monkeypatch, capsys):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for source, tags in cells():
        if "installs" in tags:  # pip is no matter of a test; what the wheel needs, its own metadata says
            continue
        lines = [line for line in source.splitlines() if line.startswith("!")]
        if lines:
            assert source.splitlines() == lines
            for line in lines:
                shell(line, small_world)
            continue
        exec(compile(source, NOTEBOOK.name, "exec"), names)
    said = capsys.readouterr().out
    assert "is a checkpoint of ours, trained on visualbert_vqa2" in said
    assert len(re.findall(r"\? -> .+%, .+%, .+%", said)) == 4 and "model.safetensors" in said
    assert len(names["plt"].gcf().axes) == 2
    names["plt"].close("all")
    for page in ("explore.html", "save/vqa2/sample/report.html"):
        assert "<html" in (tmp_path / page).read_text()[:400]


@pytest.mark.parametrize("program", ["visualbert", "mmf_run"])
def test_it_shows_what_a_user_types(program):
    assert any(line.startswith(f"!{program} ") for source, _ in cells() for line in source.splitlines())
