"""Tells what is installed and whether it works together: `visualbert doctor`.

Prints versions, the device, which MMF and from where, which repairs are active and why, and which optional parts are
missing and how to get them. Exit code 0 where training can run, 1 where it cannot.
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmf_visualbert.compat import installed, optional, probes, repairs
from mmf_visualbert.places import PACKAGE

PACKAGES = ("torch", "torchvision", "transformers", "tokenizers", "omegaconf", "lmdb", "numpy", "pytorch-lightning")
STARTUP = "mmf_visualbert.pth"
# What only an MMF needs that imports it: a file and what it says there.
IMPORTED_IN = {"pytorch-lightning": ("models/base_model.py", "import pytorch_lightning")}
CHECKOUT = (PACKAGE.parent / "tools" / "setup.sh").is_file()
# What makes whole what is missing: a package, and MMF.
PACKAGE_MEND = "run tools/setup.sh" if CHECKOUT else "pip install mmf_visualbert"
MMF_MEND = "run tools/setup.sh" if CHECKOUT else "run visualbert install-mmf"


class Optional(NamedTuple):
    """A part that only some uses need.

    Attributes:
        module: what is imported.
        what_for: the use.
        how: how to get it.
    """

    module: str
    what_for: str
    how: str


OPTIONAL = (
    Optional(
        "detectron2",
        "region features from images",
        f"{optional.DETECTRON2_INSTALL} (with a C++ compiler at hand)",
    ),
    Optional("tensorboard", "curves of a run (training.tensorboard)", "pip install tensorboard"),
    Optional("git", "git details inside checkpoints (checkpoint.save_git_details)", "pip install GitPython"),
)


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        text: what was found.
        usable: whether training can run in spite of it.
    """

    text: str
    usable: bool = True


def examine() -> Iterator[Finding]:
    """All findings, in the order in which they are printed."""
    yield from environment()
    yield from packages()
    yield from framework()
    yield from device()
    yield from active_repairs()
    yield from optional_parts()


def environment() -> Iterator[Finding]:
    """Python and where it is."""
    note = "" if installed.python_fits() else " - not supported, make the environment with Python 3.10 to 3.13"
    yield Finding(f"Python {platform.python_version()} in {sys.prefix}{note}", installed.python_fits())


def packages() -> Iterator[Finding]:
    """Versions of what we and MMF stand on."""
    for name in PACKAGES:
        if name in IMPORTED_IN and IMPORTED_IN[name][1] not in probes.text_of("mmf", IMPORTED_IN[name][0]):
            continue
        try:
            yield Finding(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding(f"{name} is missing - {PACKAGE_MEND}", False)


def framework() -> Iterator[Finding]:
    """Which MMF, from where, and whether it can be imported with our parts in it."""
    folder = installed.mmf_folder()
    if folder is None:
        yield Finding(f"MMF is missing - {MMF_MEND}", False)
        return
    yield Finding(f"MMF {installed.mmf_version()} in {folder}")
    if not (folder / "configs" / "defaults.yaml").is_file():
        yield Finding(f"MMF has no configs/defaults.yaml, as its source archive has none - {MMF_MEND}", False)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            registry = importlib.import_module("mmf.common.registry").registry
            importlib.import_module("mmf.utils.env").setup_imports()
    except Exception as error:
        yield Finding(f"MMF cannot be imported: {type(error).__name__}: {error}", False)
        return
    if registry.get_model_class("visualbert") is None:
        yield Finding("the model visualbert is not registered with MMF", False)
    if not any((Path(path) / STARTUP).is_file() for path in sys.path if path):
        yield Finding(
            f"{STARTUP} is missing, so `import mmf` needs `import mmf_visualbert` before it - install the package"
        )


def device() -> Iterator[Finding]:
    """What training would run on."""
    if importlib.util.find_spec("torch") is None:
        return
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        bfloat16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        yield Finding(f"device: {names} (CUDA {torch.version.cuda}, {bfloat16})")
    else:
        yield Finding(f"device: CPU, {torch.get_num_threads()} threads (no CUDA device is usable)")


def active_repairs() -> Iterator[Finding]:
    """The repairs that were needed, and why."""
    yield Finding(f"{len(repairs.reasons)} repairs are active:")
    for name, reason in sorted(repairs.reasons.items()):
        yield Finding(f"  {name}: {reason}")


def optional_parts() -> Iterator[Finding]:
    """Optional parts that are missing."""
    for part in OPTIONAL:
        if importlib.util.find_spec(part.module) is None:
            yield Finding(f"optional: no {part.module}, for {part.what_for}: {part.how}")


def main() -> int:
    """Print the report and return the exit code."""
    usable = True
    for finding in examine():
        print(finding.text)
        usable = usable and finding.usable
    print("ready" if usable else "not usable as it is; see above")
    return 0 if usable else 1


if __name__ == "__main__":
    sys.exit(main())
