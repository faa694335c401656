"""Photographs become features without detectron2: torchvision's detector and grid, from files to a store."""

import pytest
import torch
from extraction_world import make_images

from mmf_visualbert.cli.main import main
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.extraction.detector import build_detector
from mmf_visualbert.features.store import FeatureStore


@pytest.mark.parametrize(
    ("detector", "least", "most", "dimension"),
    [
        ("torchvision_r50_fpn_v2", 10, 36, 1024),
        ("torchvision_grid", 49, 49, 2048),
    ],
)
def test_a_store_is_made(detector, least, most, dimension, tmp_path, capsys):
    make_images(tmp_path / "photos", 2)
    words = ["extract", "--detector", detector, "--weights", "random:1", "--images", str(tmp_path / "photos")]
    small = ["--shortest", "32", "--longest", "64", "--workers", "0", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out.lmdb"), *small]) == 0
    assert "2 of 2 images, 2 in this run" in capsys.readouterr().out
    store = FeatureStore(tmp_path / "out.lmdb")
    assert store.info.detector == detector and store.info.weights == "random:1"
    for key in store.keys():
        record = store.read(key)
        assert least <= len(record.features) <= most and record.features.shape[1] == dimension
        assert (record.boxes >= 0).all() and (record.boxes[:, 2] <= record.width).all()


def test_cells_of_a_grid_tile_the_image():
    preset = presets.load("torchvision_grid").changed(most=4)
    (found,) = build_detector(preset, "random").detector([torch.zeros(3, 64, 96, dtype=torch.uint8)])
    assert found.boxes.tolist() == [[0, 0, 48, 32], [48, 0, 96, 32], [0, 32, 48, 64], [48, 32, 96, 64]]
    with pytest.raises(InputError, match="as many rows as columns, and not 5 cells"):
        build_detector(preset.changed(most=5), "random")


def test_weights_from_a_file(tmp_path):
    preset = presets.load("torchvision_grid")
    import torchvision

    model = torchvision.models.resnet50()
    state = model.state_dict()
    torch.save({"model": state}, tmp_path / "whole.pth")
    built = build_detector(preset, str(tmp_path / "whole.pth"))
    assert built.weights == "whole.pth" and len(built.weights_hash) == 16
    state.pop("layer1.0.conv1.weight")
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(
        InputError, match=r"part.pth lacks 1 weights of torchvision's resnet50.*'layer1.0.conv1.weight'"
    ):
        build_detector(preset, str(tmp_path / "part.pth"))


def test_an_image_without_a_detection_is_one_region(tmp_path, capsys):
    from extraction_world import PRESET, GridDetector, find_images

    from mmf_visualbert.features.extraction.detector import Built
    from mmf_visualbert.features.extraction.extract import extract

    class Blind(GridDetector):
        def __call__(self, images, given=None):
            found = super().__call__(images, given)
            return found if given is not None else [type(one)(*(part[:0] for part in one[:4])) for one in found]

    make_images(tmp_path / "photos", 2)
    files = find_images(str(tmp_path / "photos"))
    report = extract(files, tmp_path / "o.lmdb", PRESET, Built(Blind(), "none", ""), workers=0, progress=False)
    assert report.whole == ["image000", "image001"] and not report.failures
    record = FeatureStore(tmp_path / "o.lmdb").read("image000")
    assert record.boxes[0].tolist() == pytest.approx([0, 0, 40, 30], abs=1e-4) and len(record.boxes) == 1
