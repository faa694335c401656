"""Scenes, pictures, regions and their features."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.sampleworld.descriptor import describe
from mmf_visualbert.sampleworld.draw import draw_scene
from mmf_visualbert.sampleworld.phrases import groups, names
from mmf_visualbert.sampleworld.regions import Detector
from mmf_visualbert.sampleworld.scene import OVERLAP, Scene, Thing, covered, random_scene
from mmf_visualbert.sampleworld.words import COLORS, SHAPES, counted, plural, relation_words


def scenes(number: int, seed: int = 0) -> list[Scene]:
    return [random_scene(np.random.default_rng([seed, index])) for index in range(number)]


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) and (M, 4), worked out here on its own."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) for boxes in (first, second)]
    return both / (areas[0][:, None] + areas[1] - both)


def thing(shape: str = "circle", color: str = "red", size: str = "large", x: float = 80, y: float = 60) -> Thing:
    return Thing(shape, color, size, x, y, 16.0, 0.0, COLORS[color])


def test_scenes_hold_three_to_eight_things_inside_that_cover_each_other_little():
    for scene in scenes(60):
        assert 3 <= len(scene.things) <= 8
        boxes = np.array([one.box for one in scene.things])
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (scene.width, scene.height)).all()
        assert all(covered(a, b) <= OVERLAP for a in scene.things for b in scene.things if a is not b)


def test_things_occlude_each_other_somewhere():
    assert any(covered(a, b) > 0.05 for scene in scenes(60) for a in scene.things for b in scene.things if a is not b)


def test_relations_need_a_plain_distance():
    left, right, near = thing(x=40), thing(x=90), thing(x=45)
    assert left.is_to("left of", right) is True
    assert left.is_to("right of", right) is False
    assert left.is_to("left of", near) is None
    assert left.is_to("above", right) is None
    assert thing(y=20).is_to("above", thing(y=90)) is True
    assert thing(y=20).is_to("below", thing(y=90)) is False


def test_phrases_mean_what_they_fit():
    twins = Scene(160, 120, (thing(x=30), thing(x=70), thing("star", x=120), thing("star", "blue", "small", x=20)), 0)
    called = names(twins)
    assert called[twins.things[0]] == []
    assert [phrase.words for phrase in called[twins.things[2]]] == ["red star", "large star", "large red star"]
    assert {phrase.counted for phrase in groups(twins)} >= {"two circles", "two red circles", "two stars"}


def test_words():
    assert plural("cross") == "crosses" and plural("red star") == "red stars"
    assert counted(1, "orange star") == "an orange star" and counted(3, "star") == "three stars"
    assert relation_words("left of") == "to the left of" and relation_words("above") == "above"


def test_pictures_show_the_things():
    for scene in scenes(10):
        pixels = draw_scene(scene)
        assert pixels.shape == (120, 160, 3) and pixels.dtype == np.uint8
        top = scene.things[-1]
        seen = pixels[round(top.y), round(top.x)].astype(int)
        nearest = min(COLORS, key=lambda color: np.abs(seen - COLORS[color]).sum())
        assert nearest == top.color


def test_regions_lie_inside_in_order_of_confidence():
    detector = Detector("test", 64)
    for index, scene in enumerate(scenes(30)):
        regions = detector.detect(draw_scene(scene), [one.box for one in scene.things], np.random.default_rng(index))
        assert 10 <= len(regions.boxes) <= 18
        assert (np.diff(regions.scores) <= 0).all()
        assert (regions.boxes[:, 2:] - regions.boxes[:, :2] > 2.9).all()
        assert (regions.boxes >= 0).all() and (regions.boxes[:, 2:] <= (160, 120)).all()
        assert regions.features.shape == (len(regions.boxes), 64)


def test_detector_misses_few_things_and_invents_some_regions():
    detector, best, shares = Detector("test", 16), [], []
    for index, scene in enumerate(scenes(150)):
        things = np.array([one.box for one in scene.things])
        regions = detector.detect(draw_scene(scene), [one.box for one in scene.things], np.random.default_rng(index))
        ious = overlap(things, regions.boxes)
        best += ious.max(axis=1).tolist()
        shares.append((ious.max(axis=0) < 0.5).mean())
    assert 0.95 < np.mean(np.array(best) >= 0.5) < 1.0
    assert np.mean(best) < 0.95  # they jitter
    assert 0.3 < np.mean(shares) < 0.8


def _probe(features: np.ndarray, labels: list[str]) -> float:
    """Accuracy of a linear least squares classifier, fitted on three quarters and tested on the rest."""
    names_of = sorted(set(labels))
    targets = np.eye(len(names_of))[[names_of.index(label) for label in labels]]
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    cut = len(inputs) * 3 // 4
    weights = np.linalg.lstsq(inputs[:cut], targets[:cut], rcond=None)[0]
    return float(((inputs[cut:] @ weights).argmax(axis=1) == targets[cut:].argmax(axis=1)).mean())


@pytest.mark.parametrize("dimension", [128, 48])
def test_features_tell_color_shape_size_and_place(dimension):
    detector, features, found = Detector("test", dimension), [], []
    for index, scene in enumerate(scenes(250)):
        regions = detector.detect(draw_scene(scene), [one.box for one in scene.things], np.random.default_rng(index))
        ious = overlap(np.array([one.box for one in scene.things]), regions.boxes)
        for one, row in zip(scene.things, ious, strict=True):
            if row.max() >= 0.5:
                features.append(regions.features[row.argmax()])
                found.append(one)
    features = np.stack(features)
    assert _probe(features, [one.color for one in found]) > 0.97
    assert _probe(features, [one.shape for one in found]) > 0.95
    assert _probe(features, [one.size for one in found]) > 0.97
    assert _probe(features, ["left" if one.x < 80 else "right" for one in found]) > 0.9
    assert 0.7 < features.std(axis=0).mean() < 1.5


def test_description_of_a_plain_square():
    pixels = np.full((60, 80, 3), 128, dtype=np.uint8)
    pixels[20:40, 30:50] = COLORS["blue"]
    told = describe(pixels, np.array([[30.0, 20, 50, 40], [0, 0, 15, 15], [20, 10, 60, 50]]))
    blue, square = list(COLORS).index("blue"), SHAPES.index("square")
    assert told.main.tolist() == [blue, -1, blue]
    assert told.colors[0, blue] == pytest.approx(1.0) and told.colors[2, blue] == pytest.approx(0.25)
    assert told.colors[1, -1] == pytest.approx(1.0)
    assert told.likeness[0].argmax() == square and told.likeness[1].sum() == 0
    assert told.places[0, :8] == pytest.approx([30 / 80, 20 / 60, 50 / 80, 40 / 60, 0.25, 1 / 3, 0.5, 0.5])


def test_drawing_needs_neither_torch_nor_mmf():
    code = (
        "import sys, mmf_visualbert.sampleworld.build; "
        "print(sorted({'torch', 'mmf', 'transformers'} & {name.split('.')[0] for name in sys.modules}))"
    )
    repository = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=True)
    assert done.stdout.strip() == "[]"


def test_each_task_has_a_detector_of_its_own(small_world):
    infos = [
        FeatureStore(small_world / f"features/{name}.lmdb").info for name in ("vqa2/val2014", "nlvr2/coco_val2014")
    ]
    assert infos[0].detector != infos[1].detector
