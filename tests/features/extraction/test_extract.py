"""Extraction around the detector: batches, resuming, shards, reports, bad images. The detector is a simple one."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from extraction_world import PRESET, GridDetector, built, make_images
from PIL import Image

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.detector import Built
from mmf_visualbert.features.extraction.extract import extract
from mmf_visualbert.features.extraction.given_boxes import given_boxes
from mmf_visualbert.features.extraction.images import find_images
from mmf_visualbert.features.extraction.shards import Shard
from mmf_visualbert.features.maintenance import check
from mmf_visualbert.features.store import FeatureStore, shard_name

QUIET = dict(progress=False, workers=0)


def contents(store: FeatureStore) -> dict[str, list]:
    return {
        key: [None if part is None else np.asarray(part).tolist() for part in store.read(key)] for key in store.keys()
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_images_become_records(tmp_path, workers):
    make_images(tmp_path / "images", 10)
    detector = GridDetector()
    files = find_images(str(tmp_path / "images"))
    report = extract(
        files, tmp_path / "a.lmdb", PRESET, Built(detector, "w", "h"), batch_size=3, workers=workers, progress=False
    )
    assert (report.images, report.stored, report.extracted, report.failures) == (10, 10, 10, [])
    store = FeatureStore(tmp_path / "a.lmdb")
    assert list(check([str(tmp_path / "a.lmdb")])) == []
    record = store.read("image000")
    assert (record.width, record.height) == (40, 30) and np.allclose(record.boxes[3], [20, 15, 40, 30])
    pixels = np.asarray(Image.open(tmp_path / "images" / "image000.png"))[:15, :20, ::-1]
    assert np.abs(record.features[0].astype(float) - pixels.mean((0, 1))).max() < 4  # resizing moves the border
    assert store.info.detector == "grid" and store.info.weights_hash == "h" and store.info.regions == 4
    assert max(detector.batches) == 3 and sum(detector.batches) == 10


def test_given_boxes_are_kept_to_the_last_bit(tmp_path):
    make_images(tmp_path / "images", 3)
    boxes = {f"image{number:03d}": [[1.25, 2.5, 17.75, 21.125]] for number in range(3)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    preset = PRESET.changed(whole_image=True)
    source = given_boxes(str(tmp_path / "boxes.json"))
    extract(find_images(str(tmp_path / "images")), tmp_path / "a.lmdb", preset, built(), source, **QUIET)
    record = FeatureStore(tmp_path / "a.lmdb").read("image001")
    assert record.boxes.tolist() == [[0, 0, 30, 40], [1.25, 2.5, 17.75, 21.125]]
    assert FeatureStore(tmp_path / "a.lmdb").info.selection == "given boxes, the whole image first"
    with pytest.raises(InputError, match="takes given boxes"):
        extract(find_images(str(tmp_path / "images")), tmp_path / "b.lmdb", PRESET.changed(given_boxes=True), built())


def test_boxes_outside_an_image_are_reported(tmp_path):
    make_images(tmp_path / "images", 3)
    boxes = {"image000": [[0, 0, 5, 5]], "image001": [[0, 0, 31, 5]], "image002": [[0, 0, 5, 5]]}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    source = given_boxes(str(tmp_path / "boxes.json"))
    report = extract(find_images(str(tmp_path / "images")), tmp_path / "a.lmdb", PRESET, built(), source, **QUIET)
    assert report.stored == 2 and "box 0 of the image 'image001' is (0, 0, 31, 5)" in report.failures[0].problem


def test_broken_images_are_reported_and_do_not_stop_the_run(tmp_path):
    make_images(tmp_path / "images", 5)
    (tmp_path / "images" / "image001.png").write_bytes(b"junk")
    whole = (tmp_path / "images" / "image003.png").read_bytes()
    (tmp_path / "images" / "image003.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (1, 700)).save(tmp_path / "images" / "narrow.png")
    files = find_images(str(tmp_path / "images"))
    report = extract(files, tmp_path / "a.lmdb", PRESET, built(), **QUIET)
    assert report.stored == 4 and {failure.key for failure in report.failures} == {"image001", "image003"}
    saved = json.loads((tmp_path / "a.lmdb.report.json").read_text())
    assert [one["key"] for one in saved["failures"]] == ["image001", "image003"]
    assert "not an image" in saved["failures"][0]["problem"] and "damaged" in saved["failures"][1]["problem"]
    again = extract(files, tmp_path / "a.lmdb", PRESET, built(), **QUIET)
    assert again.extracted == 0 and len(again.failures) == 2
    with pytest.raises(InputError, match=r"image001.*without --strict"):
        extract(files, tmp_path / "b.lmdb", PRESET, built(), strict=True, **QUIET)


def test_a_folder_of_nothing_usable_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"junk")
    with pytest.raises(InputError, match="none of the 1 images could be used"):
        extract(find_images(str(tmp_path)), tmp_path / "a.lmdb", PRESET, built(), **QUIET)


def test_features_too_large_for_half_precision_are_reported(tmp_path):
    class Loud(GridDetector):
        def __call__(self, images, given=None):
            return [one._replace(features=one.features * 1e6) for one in super().__call__(images, given)]

    make_images(tmp_path / "images", 1)
    files = find_images(str(tmp_path / "images"))
    with pytest.raises(InputError, match="none of the 1"):
        extract(files, tmp_path / "a.lmdb", PRESET, Built(Loud(), "", ""), **QUIET)
    assert "not finite" in (tmp_path / "a.lmdb.report.json").read_text()
    assert extract(files, tmp_path / "b.lmdb", PRESET, Built(Loud(), "", ""), dtype="float32", **QUIET).stored == 1


def test_what_is_left_of_another_run_is_refused(tmp_path):
    make_images(tmp_path / "images", 6)
    files = find_images(str(tmp_path / "images"))

    class Stops(GridDetector):
        def __call__(self, images, given=None):
            if len(self.batches) == 2:
                raise KeyboardInterrupt
            return super().__call__(images, given)

    with pytest.raises(KeyboardInterrupt):
        extract(files, tmp_path / "a.lmdb", PRESET, Built(Stops(), "", ""), batch_size=1, **QUIET)
    with pytest.raises(InputError, match="which is not among these images"):
        extract(files[4:], tmp_path / "a.lmdb", PRESET, Built(GridDetector(), "", ""), **QUIET)
    with pytest.raises(InputError, match="left from a run with other settings"):
        extract(files, tmp_path / "a.lmdb", PRESET, Built(GridDetector(), "other", ""), **QUIET)
    report = extract(files, tmp_path / "a.lmdb", PRESET, Built(GridDetector(), "", ""), batch_size=1, **QUIET)
    assert (report.stored, report.extracted) == (6, 4)
    with pytest.raises(InputError, match="has the image 'image000', which is not asked for"):
        extract(files[1:], tmp_path / "a.lmdb", PRESET, Built(GridDetector(), "", ""), **QUIET)


def test_shards_together_are_the_whole(tmp_path):
    make_images(tmp_path / "images", 11)
    files = find_images(str(tmp_path / "images"))
    for index in range(3):
        out = tmp_path / "shards" / shard_name(index, 3)
        extract(Shard(index, 3).of(files), out, PRESET, built(), **QUIET)
    extract(files, tmp_path / "whole.lmdb", PRESET, built(), **QUIET)
    assert contents(FeatureStore(tmp_path / "shards")) == contents(FeatureStore(tmp_path / "whole.lmdb"))


def run(images: Path, out: Path, seconds: float = 0.0) -> subprocess.Popen:
    here = Path(__file__).parent
    environment = dict(os.environ, PYTHONPATH=str(here.parents[2]), OMP_NUM_THREADS="1")
    command = [
        sys.executable,
        str(here.parents[1] / "extraction_world.py"),
        str(images),
        str(out),
        "--seconds",
        str(seconds),
    ]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def test_a_run_killed_again_and_again_ends_with_the_same_store(tmp_path):
    make_images(tmp_path / "images", 60)
    extract(find_images(str(tmp_path / "images")), tmp_path / "whole.lmdb", PRESET, built(), batch_size=4, **QUIET)
    chance, kills = random.Random(0), 0
    out = tmp_path / "killed.lmdb"
    started = time.monotonic()
    while kills < 4:
        process = run(tmp_path / "images", out, seconds=0.25)
        while not Path(f"{out}.partial").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1.2))
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.wait()
        kills += 1
        assert not out.exists() and time.monotonic() - started < 120
    process = run(tmp_path / "images", out)
    assert process.wait(60) == 0, process.stderr.read()
    assert contents(FeatureStore(out)) == contents(FeatureStore(tmp_path / "whole.lmdb"))
