"""What is installed, found out without importing it."""

import importlib.util
import re
import sys
from pathlib import Path

# The newest release on PyPI. What GitHub's main has repaired since is only needed up to this version.
RELEASE = "1.0.0rc10"


def mmf_folder() -> Path | None:
    """The folder of the package `mmf`, None where there is none."""
    spec = importlib.util.find_spec("mmf")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def mmf_version() -> str | None:
    """MMF's version as its own `version.py` has it, None where it cannot be read."""
    folder = mmf_folder()
    if folder is None or not (folder / "version.py").is_file():
        return None
    found = re.search(r"__version__ = ['\"]([^'\"]+)['\"]", (folder / "version.py").read_text(encoding="utf-8"))
    return found.group(1) if found else None


def is_release() -> bool:
    """Whether the installed MMF is the release on PyPI or older, rather than GitHub's main."""
    version = mmf_version()
    return version is not None and numbers(version) <= numbers(RELEASE)


def numbers(version: str) -> tuple[int, ...]:
    """`1.0.0rc10` as (1, 0, 0, 10), so that versions can be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def python_fits() -> bool:
    """Whether this Python is one that the package is made for."""
    return (3, 10) <= sys.version_info < (3, 14)
