"""Making the environment: what it refuses, and how MMF is put into it."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def install_mmf():
    """The module tools/install_mmf.py."""
    spec = importlib.util.spec_from_file_location("install_mmf", ROOT / "tools" / "install_mmf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def setup(**environment: str) -> subprocess.CompletedProcess:
    """Run tools/setup.sh."""
    return subprocess.run(
        ["bash", str(ROOT / "tools" / "setup.sh")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_another_python_is_refused_in_one_sentence(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nif [ $1 = --version ]; then echo Python 3.9.18; else exit 1; fi\n")
    old.chmod(0o755)
    done = setup(PYTHON=str(old), VENV=str(tmp_path / "venv"))
    assert done.returncode == 1
    assert done.stderr == f"setup: PYTHON={old} is Python 3.9.18, but Python 3.10 to 3.13 is needed\n"
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PYTHON": "/nowhere/python"}, "setup: PYTHON=/nowhere/python does not exist\n"),
        ({"MMF": "newest"}, "setup: MMF=newest is neither 'rc10' nor 'main' nor a folder\n"),
    ],
)
def test_wrong_choices_are_refused_in_one_sentence(tmp_path, environment, sentence):
    done = setup(VENV=str(tmp_path / "venv"), **environment)
    assert (done.returncode, done.stderr) == (1, sentence)


def test_a_release_is_unpacked_without_its_pins_and_extension(install_mmf, tmp_path, monkeypatch):
    wheel = tmp_path / "mmf-1.0.0rc10-cp38-cp38-manylinux1_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mmf/__init__.py", "")
        archive.writestr("mmf/configs/defaults.yaml", "training: {}\n")
        archive.writestr("mmf/utils/phoc/cphoc.so", "binary")
        archive.writestr("mmf-1.0.0rc10.dist-info/METADATA", "Name: mmf\nRequires-Dist: torch (==1.5.0)\n\nAbout\n")
    site = tmp_path / "site"
    with pytest.raises(SystemExit, match="1 yaml files instead of 209"):
        install_mmf.unpack_release(wheel, site)
    monkeypatch.setattr(install_mmf, "RELEASE_YAML", 1)
    install_mmf.unpack_release(wheel, site)
    assert (site / "mmf-1.0.0rc10.dist-info" / "METADATA").read_text() == "Name: mmf\n\nAbout\n"
    assert not list(site.rglob("*.so"))


def test_a_wheel_of_another_hash_is_not_installed(install_mmf, tmp_path, monkeypatch):
    wheel = tmp_path / "mmf-1.0.0rc10-cp38-cp38-manylinux1_x86_64.whl"
    monkeypatch.setattr(install_mmf, "pip", lambda *arguments: wheel.write_bytes(b"something else"))
    with pytest.raises(SystemExit, match="it is not installed"):
        install_mmf.download_release(tmp_path)


def test_a_checkout_is_only_put_on_the_path(install_mmf, tmp_path, monkeypatch):
    site, checkout = tmp_path / "site", tmp_path / "checkout"
    site.mkdir()
    monkeypatch.setattr(install_mmf, "site_packages", lambda: site)
    (site / "mmf").mkdir()
    with pytest.raises(SystemExit, match="no checkout of MMF"):
        install_mmf.install_checkout(tmp_path)
    assert (site / "mmf").exists(), "nothing is removed before the choice is known to be good"
    (checkout / "mmf" / "configs").mkdir(parents=True)
    (checkout / "mmf" / "configs" / "defaults.yaml").touch()
    install_mmf.install_checkout(checkout)
    assert not (site / "mmf").exists(), "no other MMF stays in the way"
    assert (site / "mmf_checkout.pth").read_text() == f"{checkout}\n"


def test_the_start_up_file_is_installed_and_silent_where_the_package_is_gone(tmp_path):
    lines = [path / "mmf_visualbert.pth" for path in map(Path, sys.path) if (path / "mmf_visualbert.pth").is_file()]
    assert lines, "the package is installed without its start-up file"
    (tmp_path / "mmf_visualbert.pth").write_text(lines[0].read_text())
    script = f"import site, sys; site.addsitedir({str(tmp_path)!r}); assert 'mmf_visualbert' not in sys.modules"
    python = [sys.executable, "-S", "-c", script]
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
