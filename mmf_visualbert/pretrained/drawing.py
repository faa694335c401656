"""Boxes of replies on a photograph."""

from collections.abc import Sequence
from pathlib import Path

from mmf_visualbert.contracts import Reply
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import writing

COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#9a6324")


def draw(photograph: str | Path, replies: Sequence[Reply], out: Path) -> None:
    """Writes the photograph as PNG, with the box of each reply in a color of its phrase, and the phrase beside it.

    Raises:
        InputError: where no reply has a box, or the image cannot be read.
    """
    from PIL import Image, ImageDraw

    from mmf_visualbert.features.extraction.images import read_image

    boxed = [reply for reply in replies if reply.box is not None]
    if not boxed:
        raise InputError("no reply has a box that could be drawn; ask a model of phrases, with [brackets] in the text")
    image = Image.fromarray(read_image(str(photograph)))
    pen = ImageDraw.Draw(image)
    phrases = list(dict.fromkeys(reply.about for reply in boxed))
    for reply in reversed(boxed):  # the most probable last, on top
        color = COLORS[phrases.index(reply.about) % len(COLORS)]
        left, top, right, bottom = reply.box or ()
        pen.rectangle((left, top, right, bottom), outline=color, width=max(2, image.width // 300))
        pen.text((left + 4, top + 2), f"{reply.about} {reply.probability:.0%}", fill=color)
    with writing(out) as file:
        image.save(file, format="PNG")
