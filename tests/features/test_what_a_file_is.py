"""A converter says what it took a file for, refuses what could be something else, and its mends work as written."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.cli.main import main
from mmf_visualbert.features import maintenance
from mmf_visualbert.features.interpretation import as_regions
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.features.suspicions import like_other_numbers

DIMENSION = 64


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def features_of(seed: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 5, (count, DIMENSION)).astype(np.float32)


def boxes_of(seed: int, count: int = 5) -> np.ndarray:
    corner = np.random.default_rng(seed).uniform(0, 20, (count, 2))
    return np.concatenate([corner, corner + 9], 1).astype(np.float32)


def row(seed: int, features=None, boxes=None, size=("40", "30"), count=None) -> str:
    """A line of bottom-up attention's TSV."""
    features = features_of(seed) if features is None else features
    boxes = boxes_of(seed) if boxes is None else boxes
    texts = [part if isinstance(part, str) else encoded(part) for part in (boxes, features)]
    return "\t".join([str(seed), *size, str(len(boxes) if count is None else count), *texts])


class Converted:
    """The command, run on a source, and what it left."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture) -> None:
        self.folder, self.out, self.capsys = folder, folder, capsys

    def __call__(self, source: Path, *options: str, form: str = "bottom_up_tsv") -> int:
        self.out = self.folder / f"made{len(list(self.folder.glob('made*')))}.lmdb"
        given = [str(source), "--out", str(self.out), "--detector", "toy", "--dtype", "float32", "--quiet", *options]
        code = main(["features", "convert", "--from", form, *given])
        self.said, self.error = self.capsys.readouterr()
        assert code == 0 or (self.error.count("\n") == 1 and not self.out.exists()), self.error
        return code

    def store(self) -> FeatureStore:
        return FeatureStore(self.out)

    def report(self) -> dict:
        return json.loads(Path(f"{self.out}.report.json").read_text())


@pytest.fixture
def converted(tmp_path, capsys):
    return Converted(tmp_path, capsys)


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{one}\n" for one in rows))
    return path


def refused_and_mended(converted, source, words, *mend, form="bottom_up_tsv"):
    """Without the option refused, with words that name it; with it read."""
    assert converted(source, form=form) == 2 and re.search(words, converted.error), converted.error
    assert all(option in converted.error for option in mend), converted.error
    assert converted(source, *mend, form=form) == 0, converted.error


# grids


def grid(folder: Path, array: np.ndarray) -> Path:
    folder.mkdir()
    np.save(folder / "x.npy", array)
    return folder


CELLS = np.random.default_rng(0).uniform(0, 5, (2048, 6 * 8)).astype(np.float32)
PLAIN = [
    ((1, 2048, 6, 8), False),
    ((2048, 6, 8), False),
    ((2048, 3, 16), None),
    ((1, 2048, 48), None),
    ((2048, 48), None),
    ((1, 6, 8, 2048), True),
    ((6, 8, 2048), True),
]


@pytest.mark.parametrize(("shape", "last"), PLAIN)
def test_a_grid_is_a_region_for_each_cell(tmp_path, converted, shape, last):
    array = (CELLS.T if last else CELLS).reshape(shape)
    source = grid(tmp_path / "grids", array)
    if last is None:
        refused_and_mended(converted, source, "--layout channels-first", "--layout", "channels-first", form="npy")
    else:
        assert converted(source, form="npy") == 0
        words = "channels last" if last else "channels first"
        assert f"a region for each cell of a grid with {words}" in converted.said
        assert any(words in note for note in converted.report()["taken_for"])
    assert np.array_equal(converted.store().read("x").features, CELLS.T)
    assert list(maintenance.check([str(converted.out)])) == []


@pytest.mark.parametrize(
    "shape", [(64, 64, 64), (32, 32, 30), (2, 7, 7, 2048), (10, 36, 2048), (3, 2, 2048, 7, 7), (2048,)]
)
def test_what_may_be_several_things_is_refused(tmp_path, converted, shape):
    source = grid(tmp_path / "x", np.zeros(shape, np.float32))
    assert converted(source, form="npy") == 2
    assert f"shape {shape}" in converted.error
    assert ("--layout" in converted.error) == (len(shape) == 3)


def test_layouts_that_are_said_are_taken():
    array = np.arange(300 * 7, dtype=np.float32).reshape(300, 7)
    assert np.array_equal(as_regions(array, "regions", "x")[0], array)
    assert np.array_equal(as_regions(array, "channels-first", "x")[0], array.T)
    cube = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    assert as_regions(cube, "channels-last", "x")[0].shape == (20, 6)
    assert np.array_equal(as_regions(cube, "channels-first", "x")[0][1], cube[:, 0, 1])
    for count, dimension in ((36, 2048), (100, 1024), (144, 1024), (255, 7), (300, 1024), (10, 24)):
        assert as_regions(np.zeros((count, dimension), np.float32), None, "x")[0].shape == (count, dimension)


# numbers in base64


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_numbers_than_float32_are_refused_and_read_when_said(tmp_path, converted, dtype):
    source = write(tmp_path / "a.tsv", *(row(seed, features_of(seed).astype(dtype)) for seed in (1, 2)))
    words = f"make sense as numbers in {dtype} and none in float32"
    refused_and_mended(converted, source, words, "--dtype-of-source", dtype)
    assert f"features in {dtype}" in converted.said
    found = converted.store().read("1").features
    assert np.allclose(found, features_of(1), atol=1e-2) and found.shape == (5, DIMENSION)


def test_boxes_and_ids_of_any_size_are_known_by_their_number(tmp_path, converted):
    boxes = boxes_of(1).astype(np.float16)
    fields = [encoded(np.arange(5, dtype="<i4")), encoded(np.full(5, 0.5, "<f2"))] * 2
    line = "\t".join(["1", "30", "40", *fields, "5", encoded(boxes.astype("<f8")), encoded(features_of(1))])
    assert converted(write(tmp_path / "a.tsv", line), form="lxmert_tsv") == 0
    record = converted.store().read("1")
    assert np.array_equal(record.boxes, boxes.astype(np.float32)) and record.class_ids.tolist() == [0, 1, 2, 3, 4]
    assert record.scores.tolist() == [0.5] * 5


def test_real_features_are_known_for_what_they_are(shared):
    lines = (shared / "realdata" / "features" / "train2014_obj36.tsv").read_text().splitlines()
    assert len(lines) == 10
    for line in lines:
        single = np.frombuffer(base64.b64decode(line.split("\t")[-1]), "<f4")
        assert like_other_numbers(single.tobytes()) is None
        assert like_other_numbers(single.astype("<f2").astype("<f4").tobytes()) is None  # stored in halves before
        assert like_other_numbers(single.astype("<f2").tobytes()) == "float16"
        assert like_other_numbers(single.astype("<f8").tobytes()) == "float64"


# boxes


def test_fractions_are_not_taken_for_pixels(tmp_path, converted):
    fractions = (boxes_of(1) / np.array([40, 30, 40, 30])).astype(np.float32)
    source = write(tmp_path / "a.tsv", row(1, boxes=fractions))
    refused_and_mended(converted, source, "nothing lies beyond 1", "--boxes", "fractions")
    assert np.allclose(converted.store().read("1").boxes, boxes_of(1), atol=1e-4)
    assert "boxes as fractions, made pixels" in converted.said
    assert converted(source, "--boxes", "pixels") == 0
    assert np.array_equal(converted.store().read("1").boxes, fractions)
    pixels = write(tmp_path / "b.tsv", row(1))
    assert converted(pixels, "--boxes", "fractions") == 2 and "no fractions" in converted.error


def test_fractions_of_an_image_of_unknown_size_ask_for_sizes(tmp_path, converted):
    folder = grid(tmp_path / "x", np.array({"features": features_of(1), "bbox": boxes_of(1) / 50}, dtype=object))
    refused_and_mended(converted, folder, "--boxes fractions", "--boxes", "pixels", form="npy")
    assert converted(folder, "--boxes", "fractions", form="npy") == 2 and "--sizes FILE" in converted.error
    sizes = tmp_path / "coco.json"
    sizes.write_text(json.dumps({"images": [{"file_name": "x.jpg", "width": 40, "height": 30}]}))
    assert converted(folder, "--boxes", "fractions", "--sizes", str(sizes), form="npy") == 0
    expected = boxes_of(1) / 50 * np.array([40, 30, 40, 30])
    assert np.allclose(converted.store().read("x").boxes, expected, atol=1e-4)


BAD_BOXES = {
    "not finite": [[np.nan, 1, 2, 3], [np.inf, 1, 2, 3], [1e39, 1, 2, 3]],
    "before the left": [[9, 1, 2, 3], [1, 9, 2, 3]],
    "outside the image of 40 x 30": [[1, 1, 99, 9], [1, 1, 9, 99], [-50, 1, 9, 9], [1e30, 1e30, 2e30, 2e30]],
}


@pytest.mark.parametrize("words", BAD_BOXES)
def test_bad_boxes_are_refused(tmp_path, converted, words):
    for box in BAD_BOXES[words]:
        with np.errstate(over="ignore"):
            boxes = np.array([*boxes_of(1)[:4], box], np.float32)
        assert converted(write(tmp_path / "a.tsv", row(1), row(2, boxes=boxes))) == 2
        assert words in converted.error and "a.tsv, line 2 has box 4 at" in converted.error


def test_boxes_that_reach_over_the_edge_by_rounding_are_cut_and_said(tmp_path, converted):
    boxes = np.array([[-1, 0, 41, 30], *boxes_of(1)[:4]], np.float32)
    assert converted(write(tmp_path / "a.tsv", row(1, boxes=boxes))) == 0
    assert converted.store().read("1").boxes[0].tolist() == [0, 0, 40, 30]
    assert "some cut at the edge" in converted.said


# broken rows


def broken_rows() -> dict[str, str]:
    whole = row(3)
    return {
        "no base64": whole[:-5],
        "columns": whole.rsplit("\t", 1)[0],
        "no region": row(3, np.zeros((0, DIMENSION), np.float32), np.zeros((0, 4), np.float32)),
        "5 rows of numbers": row(3, features_of(3).ravel()[:-1]),
        "whole number": row(3, size=("forty", "30")),
        "second image of the key '1'": row(1),
        "features of dimension 32": row(3, features_of(3)[:, :32]),
        "not finite": row(3, np.full((5, DIMENSION), np.nan, np.float32)),
        "rows of 4 numbers": row(3, boxes=boxes_of(3)[:, :3].copy()),
    }


@pytest.mark.parametrize("words", broken_rows())
def test_a_broken_row_stops_or_is_passed_over_when_said(tmp_path, converted, words):
    source = write(tmp_path / "a.tsv", row(1), broken_rows()[words], row(2), row(4))
    assert converted(source) == 2 and words in converted.error and "a.tsv, line 2" in converted.error
    assert "--skip-broken N" in converted.error
    assert converted(source, "--skip-broken", "1") == 0
    assert "3 images, 1 passed over" in converted.said and "passed over: " in converted.said
    assert sorted(converted.store().keys()) == ["1", "2", "4"]
    (skipped,) = converted.report()["skipped"]
    assert words in skipped["problem"] and converted.report()["images"] == 3


def test_no_more_are_passed_over_than_said(tmp_path, converted):
    good, bad = [row(seed) for seed in (1, 2)], [row(seed)[:-5] for seed in (3, 4, 5)]
    source = write(tmp_path / "a.tsv", bad[0], *good, *bad[1:])
    assert converted(source, "--skip-broken", "2") == 2
    assert "by now 3 images cannot be used, and --skip-broken 2 passes over no more" in converted.error
    assert converted(source, "--skip-broken", "3") == 0 and len(converted.store()) == 2
    assert converted(write(tmp_path / "b.tsv", *bad), "--skip-broken", "9") == 2
    assert "holds no features that are whole" in converted.error


def test_a_byte_that_is_no_text_spoils_its_own_row(tmp_path, converted):
    source = tmp_path / "a.tsv"
    lines = [row(1).encode(), row(2).encode()[:-40] + b"\xff" * 40, row(4).encode()]
    source.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines) + b"\r\n")
    assert converted(source, "--skip-broken", "1") == 0
    assert sorted(converted.store().keys()) == ["1", "4"]


def test_a_header_is_no_image_and_other_tables_are_named(tmp_path, converted):
    header = "image_id\timage_w\timage_h\tnum_boxes\tboxes\tfeatures"
    assert converted(write(tmp_path / "a.tsv", header, row(1))) == 0 and len(converted.store()) == 1
    assert converted(tmp_path / "a.tsv", form="lxmert_tsv") == 2
    assert "--from bottom_up_tsv reads files of so many" in converted.error


# VinVL


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vinvl_features_in_three_columns(tmp_path, converted, dtype):
    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 0.5, (7, 2))
    geometry = np.concatenate([corner, corner + 0.4, np.full((7, 2), 0.4)], 1)
    features = np.concatenate([generator.uniform(0, 5, (7, 2048)), geometry], 1).astype(dtype)
    source = write(tmp_path / "features.tsv", *("\t".join([str(one), "7", encoded(features)]) for one in (9, 25)))
    options = () if dtype == "float32" else ("--dtype-of-source", dtype)
    if options:
        refused_and_mended(converted, source, "float16", *options, form="vinvl_tsv")
    assert converted(source, *options, form="vinvl_tsv") == 0
    assert (
        "2 images" in converted.said and "2 of them have no boxes; of fractions, --sizes makes pixels" in converted.said
    )
    record = converted.store().read("25")
    assert np.array_equal(record.features, features[:, :2048].astype(np.float32)) and record.boxes is None
    sizes = tmp_path / "coco.json"
    sizes.write_text(
        json.dumps({"images": [{"file_name": f"{one}.jpg", "width": 40, "height": 30} for one in (9, 25)]})
    )
    assert converted(source, *options, "--sizes", str(sizes), form="vinvl_tsv") == 0  # the mend
    expected = geometry[:, :4] * np.array([40, 30, 40, 30])
    assert np.allclose(converted.store().read("25").boxes, expected, atol=0.05)


def test_vinvl_of_other_widths_is_not_cut_in_silence(tmp_path, converted):
    features = np.random.default_rng(0).uniform(0, 5, (7, 4096)).astype(np.float32)
    assert converted(write(tmp_path / "a.tsv", "\t".join(["9", "7", encoded(features)])), form="vinvl_tsv") == 2
    assert "features of 4096 numbers" in converted.error
    for line in (
        "9\t7\tx\ty",
        "9",
        '9\t{"num_boxes": 1}',
        "9\t[]",
        '9\t{"objects": 3}',
        '9\t{"objects": [{"rect": 1}]}',
    ):
        assert converted(write(tmp_path / "b.tsv", line), form="vinvl_tsv") == 2
        assert "b.tsv, line 1" in converted.error


# a store that was made of something else


def test_check_finds_what_was_taken_for_something_else(tmp_path, capsys):
    halves = np.frombuffer(features_of(1, 8).astype("<f2").tobytes(), "<f4").reshape(8, -1)
    good = RegionRecord(features_of(1), boxes_of(1), 40, 30)
    wrong = {
        "--layout channels-first": RegionRecord(np.ones((14336, 7), np.float32)),
        "--boxes fractions": good._replace(boxes=boxes_of(1) / 50),
        "--dtype-of-source": RegionRecord(halves),
    }
    for number, (words, record) in enumerate(wrong.items()):
        path = tmp_path / f"{number}.lmdb"
        with FeatureStoreWriter(path, StoreInfo("toy", record.features.shape[1], 20000), "float32") as writer:
            writer.add("a", record)
        assert main(["features", "check", str(path), "--quiet"]) == 1
        assert words in capsys.readouterr().out
        halved = tmp_path / f"{number}_half.lmdb"
        if words != "--dtype-of-source":
            with FeatureStoreWriter(halved, StoreInfo("toy", record.features.shape[1], 20000), "float16") as writer:
                writer.add("a", record)
            assert any(words in fault for fault in maintenance.check([str(halved)]))
