"""Fixtures for the repairs: packages that stand in for the installed ones."""

import sys
from pathlib import Path

import pytest

from mmf_visualbert.compat import importing, probes


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Writes files of packages that stand in for the installed ones."""
    monkeypatch.setattr(
        probes, "folder_of", lambda package: tmp_path / package if (tmp_path / package).is_dir() else None
    )

    def write(**files: str) -> Path:
        for name, text in files.items():
            package, *path = name.split("__")
            file = tmp_path / package / Path(*path).with_suffix(".yaml" if path[-1] == "defaults" else ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def no_stand_ins(monkeypatch):
    """Our finder of stand-ins as it is before any repair."""
    monkeypatch.setattr(importing._stand_ins, "makers", [])
    for name in ("torchtext", "torchtext.vocab", "demjson"):
        monkeypatch.delitem(sys.modules, name, raising=False)
