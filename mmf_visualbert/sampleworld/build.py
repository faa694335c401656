"""Makes a sample world appear in a folder as a whole, or not at all."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, writing_folder
from mmf_visualbert.sampleworld.files import write_json, write_text
from mmf_visualbert.sampleworld.sizes import sizes_for
from mmf_visualbert.sampleworld.world import Row, World

MARKER = "sample_world.json"
VERSION = 5
"""Raised by one whenever the same arguments give another world."""


@dataclass(frozen=True)
class Arguments:
    """What decides a world: number of COCO train scenes, seed, dimension of the region features."""

    images: int = 1500
    seed: int = 1
    dimension: int = 128

    def check(self) -> None:
        """Refuses what no world can be made of.

        Raises:
            InputError: naming the option.
        """
        if not 8 <= self.dimension <= 4096:
            raise InputError(f"--dimension {self.dimension} is not possible; give a number from 8 to 4096")
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"--seed {self.seed} is not possible; give a number from 0 to {(1 << 32) - 1}")
        if self.images > 100_000:
            raise InputError(f"--images {self.images} is more than the world has numbers for; give at most 100000")
        sizes_for(self.images)


def build(folder: Path, arguments: Arguments, say: Callable[[str], None]) -> list[Row]:
    """Draws the world into `folder` and gives its summary; a folder that holds this very world is left as it is.

    Everything is drawn beside the folder and moved there at the end.

    Raises:
        InputError: for arguments out of range, or a folder that holds anything else.
    """
    arguments.check()
    rows = _already_there(folder, arguments)
    if rows is not None:
        say(f"{folder} holds this world already")
        return rows
    with writing_folder(folder) as partial:  # an empty folder gives way
        world = World(partial, arguments.seed, arguments.dimension, sizes_for(arguments.images), say)
        world.draw()
        write_text(partial / "README.md", _readme(arguments, world.rows))
        write_json(partial / MARKER, {"version": VERSION, **asdict(arguments), "summary": world.rows})
    return world.rows


def _already_there(folder: Path, arguments: Arguments) -> list[Row] | None:
    """The summary of the world that is there, None where there is nothing yet."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; choose another --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        marker = read_json(folder / MARKER)
        there = {name: marker[name] for name in ("version", *asdict(arguments))}
        rows = [Row(*row) for row in marker["summary"]]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{folder} is not empty and holds no sample world; choose another --out") from None
    wanted = {"version": VERSION, **asdict(arguments)}
    different = [f"{name} {there[name]} instead of {wanted[name]}" for name in wanted if there[name] != wanted[name]]
    if different:
        raise InputError(
            f"{folder} holds a sample world with {', '.join(different)}; delete it or choose another --out"
        )
    return rows


def table(rows: list[Row]) -> str:
    """The summary as a table of plain text."""
    heads = Row("set", "split", "holds", "where")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _readme(arguments: Arguments, rows: list[Row]) -> str:
    return f"""# Sample world

Everything here is generated: no photograph, no text of a real data set. `visualbert sample-data --images \
{arguments.images} --seed {arguments.seed} --dimension {arguments.dimension}` of mmf_visualbert draws it again, byte \
for byte (version {VERSION} of the world; region features record by record).

The files have the names and formats of the official ones: VQA 2.0, COCO captions with Karpathy's split file, NLVR2,
Flickr30K Entities, VCR. Region features have {arguments.dimension} numbers a region: a fixed descriptor of the crop
(colours, likeness to each shape, place), projected at random, with a little noise; each of the three detectors has
its own projection. `vcr/coco_detections_*.json` is {{image file name: the fields of VCR's metadata}}.

```
{table(rows)}
```
"""
