"""Polygons on a grid, worked out by hand and against matplotlib, which R2C rasterises with."""

import numpy as np
import pytest

from mmf_visualbert.tasks.vcr.segmentation import box_grid, inside_polygon, rasterise


def polygon(*points):
    return np.array(points, dtype=np.float32)


def test_grid_points_are_the_cells_centres():
    assert box_grid((0, 10, 4, 12), size=2).tolist() == [[1, 10.5], [3, 10.5], [1, 11.5], [3, 11.5]]


def test_rectangles_by_hand():
    box = (0, 0, 8, 8)  # centres at 1, 3, 5, 7
    left = polygon((0, 0), (4, 0), (4, 8), (0, 8))
    assert rasterise(box, [left], size=4).tolist() == [[1, 1, 0, 0]] * 4
    corner = polygon((4, 4), (8, 4), (8, 8), (4, 8))
    union = rasterise(box, [left, corner], size=4)
    assert union.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert union.dtype == np.float32


def test_triangle_and_hole_by_hand():
    box = (0, 0, 8, 8)
    # Below the diagonal from (0, 0) to (8, 8), moved so that no centre lies on it: x < y + 1.
    triangle = polygon((0, -1), (9, 8), (0, 8))
    assert rasterise(box, [triangle], size=4).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    # One line drawn around twice encloses a hole: a C.
    c = polygon((0, 0), (8, 0), (8, 2), (2, 2), (2, 6), (8, 6), (8, 8), (0, 8))
    assert rasterise(box, [c], size=4).tolist() == [[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]]


def test_a_ray_through_a_corner_counts_once():
    diamond = polygon((2, 0), (4, 2), (2, 4), (0, 2))
    assert inside_polygon(np.array([[2.0, 2.0], [-1.0, 2.0], [5.0, 2.0], [-1.0, 0.0]]), diamond).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_polygons_that_enclose_nothing():
    line = polygon((0, 0), (8, 8))
    assert rasterise((0, 0, 8, 8), [line, polygon((1, 1))]).sum() == 0
    assert rasterise((0, 0, 8, 8), []).shape == (14, 14)


def test_equals_matplotlib():
    path = pytest.importorskip("matplotlib.path")
    random = np.random.default_rng(0)
    for _ in range(30):
        points = box_grid(random.uniform(0, 50, 4).reshape(2, 2).cumsum(0).ravel())
        shape = random.uniform(0, 100, (random.integers(3, 12), 2))
        assert (inside_polygon(points, shape) == path.Path(shape).contains_points(points)).all()


def test_real_polygons_fill_their_boxes(shared):
    import json

    file = next((shared / "realdata/vcr/vcr1images").rglob("*.json"))
    fields = json.loads(file.read_text())
    for box, polygons in zip(fields["boxes"], fields["segms"], strict=True):
        mask = rasterise(box, [np.array(each) for each in polygons])
        assert 0.3 < mask.mean() < 1
        assert mask.any(axis=0).mean() > 0.8 and mask.any(axis=1).mean() > 0.8
