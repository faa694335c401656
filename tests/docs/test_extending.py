"""docs/extending.md, as it is written: its blocks are run in order, first in an empty folder, then in a checkout.

The commands are processes of their own, forked from one that has torch and the like already (`forked_commands.py`).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_commands import forked_commands
from pages import ROOT, Block, section

PAGE = ROOT / "docs" / "extending.md"
CHECKOUT = ("mmf_visualbert", "projects", "tests", "pyproject.toml")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a checkout has, for a task to be written into."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in CHECKOUT:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    return folder


@pytest.fixture(scope="module")
def commands(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the commands, which take the package from the copy."""
    with forked_commands(tmp_path_factory.mktemp("commands"), checkout) as folder:
        yield folder


@pytest.fixture
def run_blocks(checkout: Path, commands: Path) -> Callable[[list[Block], Path], str]:
    """Runs shell blocks in a folder with the package of the copy; gives what the last one says."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join((str(commands), str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(checkout),
    }

    def run(blocks: list[Block], folder: Path) -> str:
        said = ""
        for block in blocks:
            script = f"set -euo pipefail\n{block.text}"
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{PAGE.name} line {block.line}:\n{said[-3000:]}"
        return said

    return run


def test_a_table_is_checked_trains_and_predicts(run_blocks, tmp_path):
    begin, check, run = section(PAGE, "## A table of your own")
    said = run_blocks([begin], tmp_path)
    assert "pictures.yaml is written; next:" in said and "visualbert table check pictures.yaml" in said
    said = run_blocks([check], tmp_path)
    assert "val and test" not in said and "leak: " in said and "pictures.yaml has no fault" in said
    said = run_blocks([run], tmp_path)
    rows = sum(line.endswith("test") for line in (tmp_path / "pictures.csv").read_text().splitlines())
    assert f"pictures_answers.csv: {rows} entries, not checked" in said
    assert "val/visualbert_table/visualbert_vqa_accuracy: " in said
    lines = (tmp_path / "pictures_answers.csv").read_text().splitlines()
    assert lines[0] == "id,label,probability" and len(lines) == rows + 1


def test_a_package_of_ones_own_trains_predicts_and_is_known(run_blocks, tmp_path):
    steps = {heading: section(PAGE, f"### {heading}") for heading in ("Copy and rename", "Data", "Run")}
    said = {heading: run_blocks(blocks, tmp_path) for heading, blocks in steps.items()}
    assert "0 faults" in said["Data"]
    assert "val/visualbert_yes_no/visualbert_yes_no_accuracy: " in said["Run"]

    *predict, ask = section(PAGE, "### Predict and submit")
    count = len((tmp_path / "data/sample/yes_no/test.jsonl").read_text().splitlines())
    assert f"yes_no.csv is a valid yes_no submission of {count} entries" in run_blocks(predict, tmp_path)
    (report,) = (tmp_path / "save/yes_no/reports").glob("*.json")
    entries = json.loads(report.read_text())
    assert len(entries) == count > 10 and {entry["label"] for entry in entries} <= {"no", "yes"}
    reply = run_blocks([ask], tmp_path)
    assert "Is there a green star?  ->  yes" in reply and "Is there a green star?  ->  no" in reply
    assert {path.name for path in tmp_path.iterdir()} == {
        "yes_no",
        "yes_no_data.py",
        "small.yaml",
        "data",
        "save",
        "yes_no.csv",
    }


def test_a_task_inside_the_package_is_tested_with_the_others(run_blocks, checkout):
    program = next(block for block in section(PAGE, "### Data") if "yes_no_data.py" in block.text)
    (checkout / "yes_no_data.py").write_text(program.text.split("<<'END'\n")[1].split("\nEND\n")[0] + "\n")
    before = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()}

    *copied, tested = section(PAGE, "## Inside the package")
    run_blocks(copied, checkout)
    added = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()} - before
    own = [path for path in added if "__pycache__" not in path.parts]
    assert own and all("yes_no" in path.parts[:-1] for path in own), "files of its own folders alone"
    said = run_blocks([tested], checkout)
    assert "3 passed" in said, said
