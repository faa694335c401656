"""What is installed, found out without importing it."""

import re
import sys
from pathlib import Path

from mmf_visualbert.compat import probes

# The newest release on PyPI.
RELEASE = "1.0.0rc10"


def mmf_folder() -> Path | None:
    """The folder of the package `mmf`, None where there is none."""
    return probes.folder_of("mmf")


def mmf_version() -> str | None:
    """MMF's version as its own `version.py` has it, None where it cannot be read."""
    folder = mmf_folder()
    if folder is None or not (folder / "version.py").is_file():
        return None
    found = re.search(r"__version__ = ['\"]([^'\"]+)['\"]", (folder / "version.py").read_text(encoding="utf-8"))
    return found.group(1) if found else None


def is_release() -> bool:
    """Whether the installed MMF is the release on PyPI or older, rather than GitHub's main.

    For messages and tests; a repair looks at the code itself (`probes`).
    """
    version = mmf_version()
    return version is not None and numbers(version) <= numbers(RELEASE)


def numbers(version: str) -> tuple[int, ...]:
    """`1.0.0rc10` as (1, 0, 0, 10), so that versions can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def python_fits() -> bool:
    """Whether this Python is one that the package is made for."""
    return (3, 10) <= sys.version_info < (3, 14)
