"""A sample world appears as a whole or not at all, the same for the same arguments, and only where nothing else is."""

import json
import os
import resource

import numpy as np
import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.sampleworld.build import MARKER, Arguments, build, table
from mmf_visualbert.sampleworld.sizes import SMALLEST

SAME = Arguments(images=SMALLEST, seed=0, dimension=128)


def silent(line):
    pass


def plain_files(folder):
    """Relative path -> bytes of every file that is no feature store (LMDB's pages may differ, its records not)."""
    files = {file.relative_to(folder): file for file in folder.rglob("*") if file.is_file()}
    return {path: file.read_bytes() for path, file in files.items() if ".lmdb" not in str(path)}


def stores(folder):
    return {path.relative_to(folder): FeatureStore(path) for path in sorted(folder.glob("features/*/*.lmdb"))}


def test_the_same_arguments_draw_the_same_world(small_world, tmp_path):
    build(tmp_path / "again", SAME, silent)
    ours, again = plain_files(small_world), plain_files(tmp_path / "again")
    assert ours.keys() == again.keys() and len(ours) > 300
    assert [path for path in ours if ours[path] != again[path]] == []
    first, second = stores(small_world), stores(tmp_path / "again")
    assert first.keys() == second.keys() and len(first) == 14
    for path, store in first.items():
        assert list(store.keys()) == list(second[path].keys())
        assert store.info == second[path].info
        for key in store.keys():
            for one, other in zip(store.read(key), second[path].read(key), strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{path} {key}")


def test_another_seed_draws_another_world(small_world, tmp_path):
    build(tmp_path / "other", Arguments(images=SMALLEST, seed=1, dimension=8), silent)
    ours, other = plain_files(small_world), plain_files(tmp_path / "other")
    for name in ("vqa2/v2_mscoco_train2014_annotations.json", "nlvr2/dev.json", "vcr/val.jsonl"):
        path = next(path for path in ours if str(path) == name)
        assert ours[path] != other[path], name
    assert not {path for path in ours if path.suffix == ".png" and ours[path] == other.get(path)}
    store = stores(tmp_path / "other")
    assert all(s.info.dimension == 8 and s.read(next(s.keys())).features.shape[1] == 8 for s in store.values())


def test_a_repeat_changes_nothing(small_world):
    before = {path: path.stat().st_mtime_ns for path in small_world.rglob("*")}
    said = []
    rows = build(small_world, SAME, said.append)
    assert said == [f"{small_world} holds this world already"]
    assert {path: path.stat().st_mtime_ns for path in small_world.rglob("*")} == before
    assert [list(row) for row in rows] == json.loads((small_world / MARKER).read_text())["summary"]


def test_a_world_of_other_arguments_is_not_touched(small_world):
    message = "holds a sample world with seed 0 instead of 5, dimension 128 instead of 64; delete it or choose another"
    with pytest.raises(InputError, match=message):
        build(small_world, Arguments(images=SMALLEST, seed=5, dimension=64), silent)


@pytest.mark.parametrize("marker", [None, "{}", "no json", '{"version": 1, "images": 40, "seed": 0}'])
def test_a_foreign_folder_is_refused(tmp_path, marker):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    if marker is not None:
        (folder / MARKER).write_text(marker)
    before = plain_files(tmp_path)
    with pytest.raises(InputError, match="data is not empty and holds no sample world; choose another --out"):
        build(folder, SAME, silent)
    assert plain_files(tmp_path) == before


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(InputError, match="data is a file; choose another --out"):
        build(tmp_path / "data", SAME, silent)
    with pytest.raises(InputError, match="cannot be written"):
        build(tmp_path / "data" / "below", SAME, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("error", "seen"),
    [(OSError(28, "No space left on device"), InputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_nothing_half_written_is_left(tmp_path, error, seen):
    said = []

    def fail_at_third(line):
        said.append(line)
        if len(said) == 3:
            drawn = [path for path in tmp_path.rglob("*.json") if path.is_file()]
            assert drawn  # something is there to be taken away
            raise error

    with pytest.raises(seen):
        build(tmp_path / "world", SAME, fail_at_third)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_counts_what_is_there(small_world):
    rows = build(small_world, SAME, silent)
    assert all((small_world / row.where).exists() for row in rows)
    lines = {str(row.where): row.counts for row in rows}
    questions = json.loads((small_world / "vqa2/v2_OpenEnded_mscoco_val2014_questions.json").read_text())["questions"]
    assert lines["vqa2/v2_OpenEnded_mscoco_val2014_questions.json"] == f"{len(questions)} questions"
    assert lines["features/nlvr2/dev.lmdb"] == f"{len(FeatureStore(small_world / 'features/nlvr2/dev.lmdb'))} pictures"
    text = table(rows)
    assert len(text.splitlines()) == len(rows) + 2 and text in (small_world / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (Arguments(images=SMALLEST - 1), "--images 39"),
        (Arguments(images=100_001), "--images 100001"),
        (Arguments(dimension=7), "--dimension 7"),
        (Arguments(dimension=4097), "--dimension 4097"),
        (Arguments(seed=-1), "--seed -1"),
        (Arguments(seed=1 << 32), "--seed 4294967296"),
    ],
)
def test_arguments_out_of_range_are_named(tmp_path, arguments, option):
    with pytest.raises(InputError, match=f"^{option} "):
        build(tmp_path / "world", arguments, silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("largest", [0, 3_000, 40_000])
def test_a_disk_that_takes_no_more_leaves_no_world(tmp_path, largest):
    """The largest size of a file is lowered for a process of its own, so that a text, a picture or a store fails."""
    folder = tmp_path / "world"
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        code = 0
        try:
            build(folder, SAME, silent)
        except InputError as error:
            said = str(error)
            code = 2 if f"{folder} cannot be written" in said and "\n" not in said else 3
        except BaseException:
            code = 4
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert list(tmp_path.iterdir()) == [], "neither a world nor a part of one"
