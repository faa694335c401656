"""Region records as fixed-shape tensors."""

import numpy as np
import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import RegionRecord
from mmf_visualbert.processors.regions import RegionFeatures, box_fractions, not_finite


def record(count=3, dimension=4, dtype=np.float32, **rest):
    features = np.arange(1, count * dimension + 1, dtype=dtype).reshape(count, dimension)
    return RegionRecord(features=features, **rest)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_fewer_are_padded_and_the_dtype_stays(dtype):
    tensors = RegionFeatures(max_regions=5, dimension=4)(record(dtype=dtype))
    assert tensors["region_features"].dtype == (torch.float16 if dtype is np.float16 else torch.float32)
    assert tensors["region_features"][:3].numpy().tolist() == record().features.tolist()
    assert not tensors["region_features"][3:].any()
    assert tensors["region_mask"].tolist() == [True] * 3 + [False] * 2
    assert tensors["region_segments"].tolist() == [0] * 5
    assert set(tensors) == {"region_features", "region_mask", "region_segments"}


def test_more_are_cut_to_the_first():
    tensors = RegionFeatures(max_regions=2, dimension=4)(record())
    assert tensors["region_features"].tolist() == record().features[:2].tolist()
    assert tensors["region_mask"].all()


def test_the_record_is_copied():
    source = record()
    tensors = RegionFeatures(max_regions=3, dimension=4)(source)
    source.features[:] = 0
    assert tensors["region_features"].all()


def test_geometry_by_hand():
    boxes = np.array([[0, 0, 200, 100], [50, 20, 100, 70]], dtype=np.float32)
    source = record(count=2, boxes=boxes, width=200, height=100)
    processor = RegionFeatures(max_regions=3, dimension=4, geometry=True)
    tensors = processor(source)
    assert processor.output_dimension == 10
    assert tensors["region_features"].shape == (3, 10)
    expected = [[0, 0, 1, 1, 1, 1], [0.25, 0.2, 0.5, 0.7, 0.25, 0.5], [0] * 6]
    torch.testing.assert_close(tensors["region_features"][:, 4:], torch.tensor(expected, dtype=torch.float32))
    np.testing.assert_allclose(box_fractions(source)[1], [0.25, 0.2, 0.5, 0.7], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_not_finite_is_found(dtype, value):
    values = np.zeros((4, 7), dtype=dtype)
    assert not not_finite(values)
    limit = np.finfo(dtype)
    values[0, 0], values[0, 1], values[0, 2], values[0, 3] = limit.max, limit.min, -0.0, limit.smallest_subnormal
    assert not not_finite(values)
    values[3, 6] = value
    assert not_finite(values)
    source = RegionRecord(features=values)
    with pytest.raises(InputError, match=r"'COCO_x'.*NaN or infinity"):
        RegionFeatures(max_regions=5, dimension=7)(source, "COCO_x")
    # What is cut off is not looked at.
    assert RegionFeatures(max_regions=3, dimension=7)(source)["region_mask"].all()


def test_another_dimension_is_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"'k' have dimension 4.*dimension 2048"):
        RegionFeatures(max_regions=3, dimension=2048)(record(), "k")


def test_no_region_bad_type_and_missing_boxes():
    processor = RegionFeatures(max_regions=3, dimension=4)
    with pytest.raises(InputError, match="'k' has no region"):
        processor(record(count=0), "k")
    with pytest.raises(InputError, match="float64"):
        processor(RegionRecord(features=np.zeros((2, 4))), "k")
    with pytest.raises(InputError, match="no boxes"):
        RegionFeatures(max_regions=3, dimension=4, geometry=True)(record(), "k")
    with pytest.raises(InputError, match="max_regions"):
        RegionFeatures(max_regions=0)
