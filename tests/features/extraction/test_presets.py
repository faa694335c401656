"""Detectors by name."""

import pytest

from mmf_visualbert.compat.optional import has_detectron2, require, require_detectron2
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.extraction.selection import Selection

PAPER = {"pythia_x152": (100, 100, 2048), "detectron_r101_fpn": (144, 144, 1024), "bottom_up_r101_c4": (10, 100, 2048)}


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_loads_and_says_its_own_name(name):
    preset = presets.load(name)
    assert preset.detector == name and preset.weights and preset.dimension in (1024, 2048)
    assert presets.FOLDER.joinpath(f"{name}.yaml").read_text().startswith("# visualbert extract")
    if name in PAPER:
        assert (preset.selection.least, preset.selection.most, preset.dimension) == PAPER[name]


def test_changes_touch_only_what_is_given():
    preset = presets.load("pythia_x152")
    changed = preset.changed(shortest=600, most=36, layer=None, nms=None)
    assert (changed.shortest, changed.selection.most, changed.layer) == (600, 36, "fc6")
    assert changed.selection.nms == preset.selection.nms and preset.selection.most == 100
    assert str(Selection(100, 10, 0.2, 0.3)) == "10 to 100 from score 0.2, nms 0.3 by class"


def test_wrong_presets_are_named(tmp_path):
    with pytest.raises(InputError, match="no detector 'x'; take one of bottom_up_r101_c4"):
        presets.load("x")
    good = presets.FOLDER.joinpath("detectron_r101_fpn.yaml").read_text()
    for text, words in (
        (good + "colour: red\n", "unknown key 'colour'"),
        (good.replace("nms: 0.5", "mns: 0.5"), "unknown key 'mns'"),
        (good.replace("layer: fc6\n", ""), "lacks a key"),
        (good.replace("selection:", "choice:"), "no section 'selection'"),
        ("a: [", "cannot be read"),
        (good + "resize: nearest\n", "resize is one of"),
    ):
        (tmp_path / "p.yaml").write_text(text)
        with pytest.raises(InputError, match=words):
            presets.load(str(tmp_path / "p.yaml"))


def test_a_missing_package_is_one_sentence_with_its_command():
    with pytest.raises(InputError, match="reading X needs the package no_such_package; pip install no_such_package"):
        require("no_such_package", "reading X")
    if has_detectron2():
        pytest.skip("detectron2 is installed")
    with pytest.raises(InputError, match=r"detectron2.*pip install --no-build-isolation git\+https"):
        require_detectron2()
