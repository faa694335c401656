"""Detectors by name: one small yaml each, in `configs/detectors/`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import choices
from mmf_visualbert.features.extraction.selection import Selection

FOLDER = choices.DETECTORS
WEIGHT_FORMATS = ("detectron2", "maskrcnn_benchmark", "torchvision")
RESIZES = ("pillow", "opencv")


@dataclass(frozen=True)
class DetectorPreset:
    """All that decides what a detector's features are.

    Attributes:
        detector: the name that the store states.
        config: a config of detectron2's model zoo, or the path of a yaml; of torchvision the name of a model.
        overrides: detectron2 keys that differ from it, as `MODEL.RESNETS.DEPTH: 152`; torchvision's keywords.
        weights: where the weights are published: a URL, or `zoo` for the model zoo's own.
        format: names of the weights, `detectron2`, `maskrcnn_benchmark`, or `torchvision` for a model of torchvision's.
        layer: `fc6`, `fc7` (first and second layer of an FPN box head) or `res5` (mean over a C4 head's last stage); of
            torchvision `fc7` (the last layer of its box head) or `grid` (cells of a ResNet's last map).
        dimension: D; 0 takes what the detector's layer has.
        selection: which proposals are kept.
        given_boxes: regions are given, not proposed.
        whole_image: with given boxes, the first region is the whole image.
        shortest: pixels, to which an image's shorter side is resized.
        longest: pixels, which its longer side does not exceed.
        resize: `pillow` (detectron2's way) or `opencv` (bilinear on floats, as caffe and maskrcnn-benchmark do).
        inclusive_boxes: x2, y2 are the last pixel within the box, as before detectron2.
        caffe_max_pool: the stem pools as caffe does, rounding up, without padding.
        res5_dilation: 2 for a C4 head that keeps the 14 x 14 resolution.
        attributes: keywords of `AttributeHead` but for `classes` and `dimension`; empty for a detector without.
        attribute_names: prefix of the attribute head's weights in a `detectron2` file, by layer.
    """

    detector: str
    config: str
    layer: str
    selection: Selection
    dimension: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    format: str = "detectron2"
    given_boxes: bool = False
    whole_image: bool = False
    shortest: int = 800
    longest: int = 1333
    resize: str = "pillow"
    inclusive_boxes: bool = False
    caffe_max_pool: bool = False
    res5_dilation: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)
    attribute_names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in (("format", WEIGHT_FORMATS), ("resize", RESIZES)):
            if getattr(self, name) not in allowed:
                raise InputError(f"a detector's {name} is one of {', '.join(allowed)}, not '{getattr(self, name)}'")

    def changed(self, **changes: Any) -> "DetectorPreset":
        """The same with other values; None changes nothing, fields of `selection` can be given by their own name."""
        given = {name: value for name, value in changes.items() if value is not None}
        rule = {name: given.pop(name) for name in Selection._fields if name in given}
        return replace(self, **given, selection=self.selection._replace(**rule))


def names() -> list[str]:
    """Names of all presets."""
    return choices.detectors()


def load(name_or_path: str) -> DetectorPreset:
    """A preset by name, or from a yaml of the same form.

    Raises:
        InputError: for an unknown name, and for a key that is missing or unknown.
    """
    path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        path = Path(name_or_path)
    if not path.is_file():
        raise InputError(f"there is no detector '{name_or_path}'; take one of {', '.join(names())}, or a yaml's path")
    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); compare it with {FOLDER}") from None
    return from_values(values, str(path))


def from_values(values: Any, where: str) -> DetectorPreset:
    """A preset from a yaml's contents; `where` names the yaml in messages."""
    if not isinstance(values, dict) or not isinstance(values.get("selection"), dict):
        raise InputError(f"{where} has no section 'selection'; compare it with the presets in {FOLDER}")
    values = dict(values)
    rule = values.pop("selection")
    known = {one.name for one in fields(DetectorPreset)}
    for found, allowed in ((values, known), (rule, set(Selection._fields))):
        unknown = sorted(set(found) - allowed)
        if unknown:
            raise InputError(f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(sorted(allowed))}")
    try:
        return DetectorPreset(**values, selection=Selection(**rule))
    except TypeError as error:
        raise InputError(f"{where} lacks a key: {error}") from None
