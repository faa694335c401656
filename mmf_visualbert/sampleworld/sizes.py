"""How many pictures each set of the world has."""

from dataclasses import dataclass

from mmf_visualbert.errors import InputError

SMALLEST = 40
"""Fewest train scenes with which every kind of question finds its balanced pairs."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of pictures by split; NLVR2 counts sets of four pairs, VCR frames."""

    coco: dict[str, int]
    nlvr2: dict[str, int]
    flickr30k: dict[str, int]
    vcr: dict[str, int]


def sizes_for(images: int) -> Sizes:
    """Scales everything with the number of COCO's train scenes.

    Raises:
        InputError: for fewer than SMALLEST.
    """
    if images < SMALLEST:
        raise InputError(f"--images {images} is too few to balance the questions; ask for at least {SMALLEST}")

    def share(divisor: float, least: int) -> int:
        return max(round(images / divisor), least)

    return Sizes(
        coco={"train2014": images, "val2014": share(4, 30), "test2015": share(10, 20)},
        nlvr2={"train": share(6, 8), "dev": share(40, 3), "test1": share(60, 2), "test2": share(60, 2)},
        flickr30k={"train": share(2, 20), "val": share(15, 8), "test": share(15, 8)},
        vcr={"train": share(3, 20), "val": share(12, 8), "test": share(24, 5)},
    )
