"""Making the environment: what it refuses, and how MMF is put into it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import mmf_visualbert
from mmf_visualbert import install_mmf
from mmf_visualbert.cli.main import main
from mmf_visualbert.compat.installed import mmf_folder
from mmf_visualbert.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


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


def test_a_release_is_unpacked_without_its_pins_and_extension(tmp_path, monkeypatch):
    wheel = tmp_path / "mmf-1.0.0rc10-cp38-cp38-manylinux1_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mmf/__init__.py", "")
        archive.writestr("mmf/configs/defaults.yaml", "training: {}\n")
        archive.writestr("mmf/utils/phoc/cphoc.so", "binary")
        archive.writestr("mmf-1.0.0rc10.dist-info/METADATA", "Name: mmf\nRequires-Dist: torch (==1.5.0)\n\nAbout\n")
    site = tmp_path / "site"
    with pytest.raises(InputError, match="1 yaml files instead of 209"):
        install_mmf.unpack_release(wheel, site)
    monkeypatch.setattr(install_mmf, "RELEASE_YAML", 1)
    install_mmf.unpack_release(wheel, site)
    assert (site / "mmf-1.0.0rc10.dist-info" / "METADATA").read_text() == "Name: mmf\n\nAbout\n"
    assert not list(site.rglob("*.so"))


def test_a_wheel_of_another_hash_is_not_installed(tmp_path, monkeypatch):
    wheel = tmp_path / "mmf-1.0.0rc10-cp38-cp38-manylinux1_x86_64.whl"
    monkeypatch.setattr(install_mmf, "pip", lambda *arguments: wheel.write_bytes(b"something else"))
    with pytest.raises(InputError, match="it is not installed"):
        install_mmf.download_release(tmp_path)


def test_a_checkout_is_only_put_on_the_path(tmp_path, monkeypatch):
    site, checkout = tmp_path / "site", tmp_path / "checkout"
    site.mkdir()
    monkeypatch.setattr(install_mmf, "site_packages", lambda: site)
    (site / "mmf").mkdir()
    with pytest.raises(InputError, match="no checkout of MMF"):
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
    python = [sys.executable, "-S", "-E", "-c", script]  # -E: a checkout may be on PYTHONPATH
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_our_commands_stay_where_mmf_brings_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(install_mmf.sysconfig, "get_path", lambda name: str(tmp_path))
    ours = tmp_path / "mmf_run"
    ours.write_text("ours")
    ours.chmod(0o755)
    monkeypatch.setattr(install_mmf, "pip", lambda *arguments, **environment: ours.write_text("MMF's"))
    install_mmf.install_main()
    assert ours.read_text() == "ours" and os.access(ours, os.X_OK)


def test_what_is_no_mmf_is_refused(capsys):
    assert main(["install-mmf", "newest"]) == 2
    said = "visualbert install-mmf: error: MMF=newest is neither 'rc10' nor 'main' nor a folder\n"
    assert capsys.readouterr().err == said


@pytest.fixture
def installed(tmp_path):
    """An environment with our wheel, which takes all else from the one that runs this."""
    source, wheels, folder = tmp_path / "source", tmp_path / "wheels", tmp_path / "environment"
    for name in ("mmf_visualbert", "projects"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True)
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", *wheels.glob("*.whl")], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n{mmf_folder().parent}\n")
    return folder


def test_the_wheel_alone_is_enough(installed, small_world, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program, *arguments):
        done = subprocess.run(
            [installed / "bin" / program, *arguments], cwd=home, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    package = Path(run("python", "-c", "import mmf_visualbert; print(mmf_visualbert.__path__[0])").strip())
    assert installed in package.parents and (package / "py.typed").is_file()
    assert run("visualbert", "--version") == f"mmf_visualbert {mmf_visualbert.__version__}\n"
    assert "sample-data" in run("visualbert", "--help")
    plan = run("visualbert", "reproduce", "--task", "vqa2", "--plan")
    assert plan.count("mmf_run config=save/reproduce/vqa2/") == 3
    overrides = ["training.max_updates=1", "training.max_epochs=1", "training.num_workers=0", "run_type=train"]
    config = "config=projects/visualbert/configs/vqa2/sample.yaml"
    run("mmf_run", config, f"env.data_dir={small_world}", f"env.save_dir={home / 'save'}", *overrides)
    assert list((home / "save").rglob("*.pth"))
