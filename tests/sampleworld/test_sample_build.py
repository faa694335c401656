"""The world appears whole or not at all, the same for the same arguments, and without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.sampleworld.build import MARKER, Arguments, build, table
from mmf_visualbert.sampleworld.sizes import SMALLEST

REPOSITORY = Path(__file__).resolve().parents[2]


def silent(line: str) -> None:
    pass


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything but the stores, whose pages depend on nothing that a reader sees."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".lmdb", ".lmdb-lock")
    }


def stores_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*.lmdb"))


def run_tool(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(REPOSITORY / "tools/sample_data.py"), *arguments]
    environment = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PATH": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_same_arguments_give_the_same_world(small_world, tmp_path):
    build(tmp_path / "again", Arguments(SMALLEST, 0, 128), silent)
    first, again = files_of(small_world), files_of(tmp_path / "again")
    assert first.keys() == again.keys()
    assert all(first[name] == again[name] for name in first)
    assert stores_of(small_world) == stores_of(tmp_path / "again")
    for store in stores_of(small_world):
        one, other = FeatureStore(small_world / store), FeatureStore(tmp_path / "again" / store)
        assert list(one.keys()) == list(other.keys())
        for key in one.keys():
            for left, right in zip(one.read(key), other.read(key), strict=True):
                assert np.array_equal(left, right)


def test_seed_and_dimension_change_the_world(small_world, tmp_path):
    build(tmp_path / "other", Arguments(SMALLEST, 7, 16), silent)
    questions = "vqa2/v2_OpenEnded_mscoco_val2014_questions.json"
    assert (small_world / questions).read_bytes() != (tmp_path / "other" / questions).read_bytes()
    store = FeatureStore(tmp_path / "other/features/nlvr2/dev.lmdb")
    assert store.info.dimension == 16
    assert store.read("dev-0-0-img1").features.shape[1] == 16


def test_expected_files_are_there(small_world):
    for name in (
        "vqa2/v2_OpenEnded_mscoco_test-dev2015_questions.json",
        "vqa2/v2_mscoco_val2014_annotations.json",
        "coco/annotations/captions_val2014.json",
        "coco/dataset_coco.json",
        "nlvr2/test2.json",
        "flickr30k_entities/val.txt",
        "vcr/test.jsonl",
        "vcr/coco_detections_train.json",
        "features/vqa2/test2015.lmdb",
        "features/nlvr2/coco_val2014.lmdb",
        "features/flickr30k/coco_train2014.lmdb",
        "bert/vocab.txt",
        "README.md",
    ):
        assert (small_world / name).stat().st_size > 0, name


def test_repeating_changes_nothing(small_world):
    before = {path: path.stat().st_mtime_ns for path in small_world.rglob("*")}
    lines = []
    rows = build(small_world, Arguments(SMALLEST, 0, 128), lines.append)
    assert len(lines) == 1 and "already" in lines[0]
    assert {path: path.stat().st_mtime_ns for path in small_world.rglob("*")} == before
    assert "NLVR2" in table(rows)


def test_other_arguments_are_refused(small_world):
    with pytest.raises(InputError, match="seed 0 instead of 3"):
        build(small_world, Arguments(SMALLEST, 3, 128), silent)


def test_foreign_folder_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not empty"):
        build(tmp_path, Arguments(SMALLEST), silent)
    (tmp_path / MARKER).write_text(json.dumps({"version": 1}))
    with pytest.raises(InputError, match="not empty"):
        build(tmp_path, Arguments(SMALLEST), silent)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_interruption_leaves_nothing(tmp_path):
    def interrupted(line: str) -> None:
        if "nlvr2/train" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "world", Arguments(SMALLEST, 0, 8), interrupted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--images", "5"], "--images 5"),
        (["--images", "many"], "--images"),
        (["--dimension", "2"], "--dimension 2"),
        (["--seed", "-1"], "--seed -1"),
        (["--size", "2"], "--size"),
    ],
)
def test_bad_arguments_end_with_one_sentence(tmp_path, arguments, named):
    done = run_tool("--out", str(tmp_path / "world"), *arguments)
    assert done.returncode == 2
    assert named in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "world").exists()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "world").write_text("")
    done = run_tool("--out", str(tmp_path / "world"))
    assert done.returncode == 2 and "is a file" in done.stderr


def test_drawing_needs_neither_torch_nor_mmf():
    code = (
        "import sys, mmf_visualbert.sampleworld.build; "
        "print(sorted({'torch', 'mmf', 'transformers'} & {name.split('.')[0] for name in sys.modules}))"
    )
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
