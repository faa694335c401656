"""What pyproject.toml cannot say: the start-up file that goes beside the package, and the project's yaml inside it."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
STARTUP = "mmf_visualbert.pth"
# One statement, because Python's start reads a .pth line by line. It is silent where the package has been removed.
STARTUP_LINE = (
    "import sys; exec("
    "'try:\\n import mmf_visualbert\\n"
    'except ModuleNotFoundError as error:\\n if error.name != "mmf_visualbert": raise\''
    ")\n"
)


class BuildWithStartup(build_py):
    """Adds the start-up file beside the package and the project's yaml inside it."""

    def run(self) -> None:
        """Build as usual, then add what lies outside the package's folder."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib)
        write_startup(target)
        shutil.copytree(ROOT / "projects", target / "mmf_visualbert" / "projects", dirs_exist_ok=True)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Also name what was added, so that it is uninstalled."""
        outputs = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        target = Path(self.build_lib)
        added = [
            target / "mmf_visualbert" / path.relative_to(ROOT)
            for path in (ROOT / "projects").rglob("*")
            if path.is_file()
        ]
        return [*outputs, str(target / STARTUP), *map(str, added)]


class DistributionWithData(Distribution):
    """Says that there are data files under the name that setuptools asks for in editable installs."""

    def has_data(self) -> bool:
        """Whether `data_files` is set."""
        return bool(self.data_files)


def write_startup(folder: Path) -> Path:
    """Write the start-up file that makes `import mmf` find our repairs, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / STARTUP
    path.write_text(STARTUP_LINE, encoding="utf-8")
    return path


def editable_startup() -> list[tuple[str, list[str]]]:
    """The start-up file as a data file, for editable installs, where no build folder is copied to site-packages."""
    if "editable_wheel" not in sys.argv:
        return []
    relative = os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)
    return [(relative, [str(write_startup(ROOT / "build" / "startup").relative_to(ROOT))])]


setup(
    data_files=editable_startup(),
    distclass=DistributionWithData,
    cmdclass={"build_py": BuildWithStartup},
)
