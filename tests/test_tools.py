"""Every command in tools/ explains itself."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
COMMANDS = sorted(TOOLS.glob("*.py"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_help(path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location(f"{path.stem}_command", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [path.name, "--help"])
    spec.loader.exec_module(module)
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 0
    out, error = capsys.readouterr()
    assert out.startswith("usage: ") and error == ""
    first = module.__doc__.split("\n\n")[0].split()
    assert " ".join(first[:4]) in " ".join(out.split()), "the help says what the command does"


def test_every_command_shows_how_it_is_called():
    assert len(COMMANDS) >= 10
    for path in COMMANDS:
        if path.name == "demo_summary.py":  # the last step of demo.sh, not for people
            continue
        assert f"tools/{path.name}" in path.read_text().split('"""')[1], path.name
