"""MMF into the environment that runs this, without its pins of 2020, which pip could not satisfy.

The release on PyPI: its source archive holds no yaml; its wheels for Python 3.6-3.8 do, and are pure Python but for one
extension that only models of scene text use. So a wheel is fetched, verified and unpacked anywhere.

GitHub's main is built without that extension, because a compiler is not asked for. A checkout is only put on the path
and stays as it is.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from mmf_visualbert.errors import InputError

RELEASE = "1.0.0rc10"
RELEASE_SHA256 = "e416250ea75fd21dc89921f76c280f87c7a60fd1e25287f778bb8f470f83e7a0"
RELEASE_YAML = 209
MAIN_URL = os.environ.get("MMF_MAIN_URL", "https://github.com/facebookresearch/mmf/archive/refs/heads/main.tar.gz")
CHECKOUT_PATH_FILE = "mmf_checkout.pth"
SCRIPTS = ("mmf_run", "mmf_predict")


def site_packages() -> Path:
    """The folder that packages are installed into."""
    return Path(sysconfig.get_path("purelib"))


def pip(*arguments: str, **environment: str) -> None:
    """Run this environment's pip.

    Raises:
        InputError: where it fails; its own message is shown.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    if subprocess.run(command, env={**os.environ, **environment}, check=False).returncode != 0:
        raise InputError(f"pip could not do '{' '.join(arguments)}'; see its message above")


def remove_installed() -> None:
    """Remove an MMF that was installed before, so that no file of another version stays behind."""
    site = site_packages()
    (site / CHECKOUT_PATH_FILE).unlink(missing_ok=True)
    for folder in (site / "mmf", site / "mmf_cli", *site.glob("mmf-*.dist-info")):
        if folder.is_dir():
            shutil.rmtree(folder)


def download_release(folder: Path) -> Path:
    """Fetch the release's wheel into `folder` and return it after its hash is verified."""
    tags = ["--implementation", "cp", "--python-version", "3.8", "--abi", "cp38", "--platform", "manylinux1_x86_64"]
    pip("download", "--no-deps", "--only-binary=:all:", *tags, "--pre", "-d", str(folder), f"mmf=={RELEASE}")
    wheel = next(folder.glob("mmf-*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != RELEASE_SHA256:
        raise InputError(f"{wheel.name} has sha256 {digest} instead of {RELEASE_SHA256}; it is not installed")
    return wheel


def unpack_release(wheel: Path, site: Path) -> None:
    """Unpack the wheel's Python and yaml."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(".so")]
        archive.extractall(site, names)
    drop_pins(site)
    found = sum(1 for _ in (site / "mmf").rglob("*.yaml"))
    if found < RELEASE_YAML:
        raise InputError(f"{wheel.name} holds {found} yaml files instead of {RELEASE_YAML}")


def drop_pins(site: Path) -> None:
    """Take the requirements out of MMF's metadata: its pins would make pip complain for ever."""
    for metadata in site.glob("mmf-*.dist-info/METADATA"):
        lines = metadata.read_text(encoding="utf-8").splitlines(keepends=True)
        metadata.write_text("".join(line for line in lines if not line.startswith("Requires-Dist:")), encoding="utf-8")


def install_release() -> None:
    """Install MMF's newest release on PyPI."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = download_release(Path(folder))
        remove_installed()
        unpack_release(wheel, site_packages())


def install_main() -> None:
    """Install GitHub's main; READTHEDOCS is MMF's own switch for a build without its C extension."""
    remove_installed()
    with our_scripts():
        pip("install", "--no-deps", "--no-cache-dir", "--force-reinstall", MAIN_URL, READTHEDOCS="1")
    drop_pins(site_packages())


@contextlib.contextmanager
def our_scripts() -> Iterator[None]:
    """Puts our `mmf_run` and `mmf_predict` back afterwards: MMF brings commands of the same names."""
    folder = Path(sysconfig.get_path("scripts"))
    ours = {folder / name: (folder / name).read_bytes() for name in SCRIPTS if (folder / name).is_file()}
    yield
    for path, content in ours.items():
        path.write_bytes(content)


def install_checkout(folder: Path) -> None:
    """Put the checkout on the path of this environment."""
    if not (folder / "mmf" / "configs" / "defaults.yaml").is_file():
        raise InputError(f"{folder} is no checkout of MMF, as there is no mmf/configs/defaults.yaml in it")
    remove_installed()
    (site_packages() / CHECKOUT_PATH_FILE).write_text(f"{folder.resolve()}\n", encoding="utf-8")


def install(choice: str) -> None:
    """Install what `choice` names: rc10, main, or the folder of a checkout.

    Raises:
        InputError: for anything else, and where the download or the installation fails.
    """
    if choice == "rc10":
        install_release()
    elif choice == "main":
        install_main()
    elif Path(choice).is_dir():
        install_checkout(Path(choice))
    else:
        raise InputError(f"MMF={choice} is neither 'rc10' nor 'main' nor a folder")
