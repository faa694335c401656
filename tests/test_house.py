"""The house: which way imports run, what needs no MMF, and that nobody looks into a part to find out what it is."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mmf_visualbert

PACKAGE = Path(mmf_visualbert.__file__).parent
# From the ground up. A module imports from its own floor or from those below.
FLOORS = (
    ("errors",),
    ("characters", "unpickle", "files", "contracts", "paper_rows", "places", "ending", "yaml_config", "launching"),
    ("catalog",),
    ("modules", "processors", "losses", "metrics"),
    ("datasets", "features"),
    ("tasks",),
    ("checkpoints",),
    ("plugin",),
    ("runs", "predict", "submissions", "coverage", "pretrained", "doctor", "install_mmf", "sampleworld"),
    ("reproduce", "analysis", "benchmark"),
    ("serving",),
    ("cli", "__main__"),
)
# Asked for at any height: what is installed, and the optional parts.
ASIDE = {"compat", "__init__"}
WITHOUT_MMF = ("modules", "features", "checkpoints", "tasks", "datasets", "processors", "losses", "metrics", "runs")


def sources() -> list[Path]:
    """Every module of the package, templates too."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "projects" not in path.parts)


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The first name below the package."""
    return module.split(".")[1] if "." in module else "__init__"


def imported(path: Path, for_types: bool) -> set[str]:
    """Modules of ours that a file imports; `for_types`: also those that only a type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in hidden and not for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            if isinstance(node.args[0], ast.Constant):
                found.add(node.args[0].value)
    return {name for name in found if name.split(".")[0] == "mmf_visualbert" and name != "mmf_visualbert"}


HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def test_every_room_has_a_floor():
    rooms = {room_of(name_of(path)) for path in sources()} - ASIDE
    assert rooms <= set(HEIGHT)


def test_no_arrow_runs_back_up():
    up = []
    for path in sources():
        module = name_of(path)
        own = room_of(module)
        if own in ASIDE:
            continue
        for other in imported(path, for_types=False):
            room = room_of(other)
            if room in HEIGHT and HEIGHT[room] > HEIGHT[own]:
                up.append(f"{module} -> {other}")
    assert not up, "\n".join(sorted(set(up)))


def test_only_two_rooms_import_mmf():
    wrong = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sources()
        if room_of(name_of(path)) not in ("plugin", "compat")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.match(r"\s*(import|from) mmf(_cli)?(\.|\s|$)", line)
    ]
    assert not wrong


def test_parts_are_known_by_their_contracts():
    """No `hasattr`, `inspect` or `getattr` with a default, outside of what repairs and reads others' objects."""
    wrong = []
    for path in sources():
        if room_of(name_of(path)) in ("plugin", "compat", "features"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("hasattr", "inspect.signature") or (called == "getattr" and len(node.args) == 3):
                    wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {called}")
    assert not wrong, "\n".join(wrong)


def test_all_but_the_plugin_works_where_mmf_is_not():
    modules = [name_of(path) for path in sources() if room_of(name_of(path)) in WITHOUT_MMF]
    modules = [module for module in modules if "._" not in module]
    code = f"""
import importlib, sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mmf", "mmf_cli"):
            raise ModuleNotFoundError(f"hidden: {{name}}", name=name)
sys.meta_path.insert(0, Hide())
for name in {modules!r}:
    importlib.import_module(name)
assert not any(name.split(".")[0] == "mmf" for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_sizes(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 500, "split it"
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 40, f"{node.name} has {length} lines"
