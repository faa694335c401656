"""The object classes of VCR: those of COCO, in COCO's order, with the spaces removed (R2C's cocoontology.json)."""

from typing import Any

BACKGROUND = "__background__"

OBJECT_NAMES = tuple(
    (
        "person bicycle car motorcycle airplane bus train truck boat trafficlight firehydrant stopsign "
        "parkingmeter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella handbag "
        "tie suitcase frisbee skis snowboard sportsball kite baseballbat baseballglove skateboard surfboard "
        "tennisracket bottle wineglass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot "
        "hotdog pizza donut cake chair couch pottedplant bed diningtable toilet tv laptop mouse remote keyboard "
        "cellphone microwave oven toaster sink refrigerator book clock vase scissors teddybear hairdrier "
        "toothbrush"
    ).split()
)

CLASS_IDS = {name: index for index, name in enumerate([BACKGROUND, *OBJECT_NAMES])}
"""Name -> class id; 0 is the background, which is also the class of the whole image."""


def spelled(name: Any) -> str:
    """A class name as the ontology spells it: GD-VCR's "traffic light", COCO's own, is VCR's "trafficlight"."""
    return "".join(str(name).split())
