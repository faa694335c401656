"""What is below a folder, links followed, by the names that the user gave."""

import os
from collections.abc import Iterator
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.opening import reading


def files_below(folder: str | Path) -> Iterator[Path]:
    """Every file below a folder, as the folder's name goes on: a linked folder is entered, a link keeps its own name.

    A link that leads to no file is given too, so that whoever reads it says so.

    Raises:
        InputError: where a folder cannot be listed, or a link leads back to a folder that it is in.
    """
    yield from _below(Path(folder), {})


def _below(folder: Path, above: dict[tuple[int, int], Path]) -> Iterator[Path]:
    with reading(folder):
        status = os.stat(folder)
        names = sorted(os.listdir(folder))
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise InputError(
            f"{folder} leads back, by a link, to {above[identity]}, which it is in; remove the link, or name a folder "
            "that does not have it"
        )
    for name in names:
        path = folder / name
        if os.path.isdir(path):
            yield from _below(path, {**above, identity: folder})
        elif os.path.isfile(path) or os.path.islink(path):
            yield path
