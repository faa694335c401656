"""The command `visualbert sample-data`: what it refuses, in one sentence and with exit code 2."""

import importlib.util
import sys
from pathlib import Path

import pytest

from mmf_visualbert.sampleworld.sizes import SMALLEST

TOOL = Path(__file__).parents[2] / "tools" / "sample_data.py"


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command; gives its exit code, output and error output."""
    spec = importlib.util.spec_from_file_location("sample_data_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["sample_data.py", *map(str, arguments)])
        try:
            code = module.main()
        except SystemExit as stop:
            code = stop.code
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "--out"),
        (["--out", "w", "--images", "many"], "'many'"),
        (["--out", "w", "--images", "3"], "--images 3 is too few"),
        (["--out", "w", "--seed", "-1"], "--seed -1"),
        (["--out", "w", "--dimension", "0"], "--dimension 0"),
        (["--out", "w", "--colour", "red"], "--colour"),
    ],
)
def test_bad_arguments_are_one_sentence(run, tmp_path, monkeypatch, arguments, names):
    monkeypatch.chdir(tmp_path)
    code, out, error = run(*arguments)
    assert code == 2 and out == ""
    assert error.startswith("sample_data.py: ") and error.count("\n") == 1 and names in error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_is_refused(run, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    code, _, error = run("--out", tmp_path, "--images", SMALLEST)
    assert code == 2 and "holds no sample world; choose another --out" in error and error.count("\n") == 1


def test_a_world_that_is_there_is_shown(run, small_world):
    code, out, error = run("--out", small_world, "--images", SMALLEST, "--seed", 0, "--dimension", 128)
    assert code == 0 and error == ""
    assert out.startswith(f"{small_world} holds this world already\n") and "bert/vocab.txt" in out


def test_help(run):
    code, out, _ = run("--help")
    assert code == 0 and "--dimension" in out
