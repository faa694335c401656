"""One question to a model, as a page puts it: what came, within limits, and what goes back, in plain values."""

import base64
import binascii
import io
import itertools
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmf_visualbert.analysis.pictures import find_pictures
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.pretrained import VisualBERT
from mmf_visualbert.pretrained.model import way_of


class Limits(NamedTuple):
    """What a question may have.

    Attributes:
        size: bytes of the whole, its images written in base64.
        pixels: of an image.
        letters: of the text.
        seconds: until it is answered.
    """

    size: int = 20 << 20
    pixels: int = 50_000_000
    letters: int = 2000
    seconds: float = 60


class BusyError(Exception):
    """Other questions take too long."""


class Asker:
    """Asks a model, one question at a time.

    Args:
        model: with at least one head that can be asked.
        store: of regions, for images given by key; None where all are photographs.
        folders: where the pictures of these images lie.
        limits: of a question.

    Attributes:
        head: which is asked.
        images: how many of them a text has.

    Raises:
        InputError: for a model that nothing asks.
    """

    def __init__(
        self,
        model: VisualBERT,
        store: FeatureStore | None = None,
        folders: Sequence[Path] = (),
        limits: Limits | None = None,
    ) -> None:
        if not model.heads:
            raise InputError(f"{model.source.origin} has no head that could be asked; give a model of a task")
        self.model, self.store, self.folders, self.limits = model, store, folders, limits or Limits()
        self.head = model.heads[0]
        self.images = model.images_of(way_of(self.head))
        self._one = threading.Lock()

    def about(self, examples: int = 100) -> dict[str, Any]:
        """What the page begins with: the model, how it is asked, and keys of its store."""
        keys = [] if self.store is None else list(itertools.islice(self.store.keys(), examples))
        return {
            "model": Path(self.model.source.origin).name,
            "head": self.head.removeprefix("visualbert_").replace("_", " "),
            "images": self.images,
            "keys": keys,
            "photographs": self.model.detector is not None,
            "limits": self.limits._asdict(),
        }

    def picture(self, key: str) -> Path | None:
        """The file of an image of the store."""
        if self.store is None or key not in self.store:
            return None
        return find_pictures(self.folders, {key}).get(key)

    def ask(self, asked: Any) -> dict[str, Any]:
        """Answers.

        Args:
            asked: `text`, and `images`, each a mapping with a `key` or with the `photograph` in base64.

        Returns:
            `replies`, each with `about`, `answer`, `probability` and the `box` of a region; `images`, each with
            `width`, `height` and `boxes`; and, where the text has one image, `words` with `weights` (words, regions):
            how much each word looks at each region, in the last layer, mean over its heads.

        Raises:
            InputError: for a question that cannot be asked.
            BusyError: where others take too long.
        """
        text, images = self.read(asked)
        if not self._one.acquire(timeout=self.limits.seconds):
            raise BusyError
        try:
            records = self.model.records(images, self.images)
            one = records[0] if self.images == 1 else records
            replies = self.model.ask(self.head, text, one, 5)
            looks = self.looks(text, one) if self.images == 1 else {}
        finally:
            self._one.release()
        return {
            "replies": [
                {"about": r.about, "answer": str(r.answer), "probability": float(r.probability), "box": numbers(r.box)}
                for r in replies
            ],
            "images": [{"width": r.width, "height": r.height, "boxes": numbers(r.boxes)} for r in records],
            **looks,
        }

    def looks(self, text: str, record: Any) -> dict[str, Any]:
        """How much each word piece looks at each region."""
        encoding = self.model.encode(text, record, attentions=True)
        weights = encoding.attentions[-1][0].mean(0)
        places = encoding.text_mask.shape[1]
        words, regions = len(encoding.tokens[0]), int(encoding.region_mask.sum())
        return {
            "words": encoding.tokens[0],
            "weights": weights[:words, places : places + regions].tolist(),
        }

    def read(self, asked: Any) -> tuple[str, list[Any]]:
        """The text and the images of a question.

        Raises:
            InputError: for what is none, or more than may be.
        """
        if not isinstance(asked, Mapping) or not isinstance(asked.get("text"), str):
            raise InputError('a question is {"text": "...", "images": [...]}; give both')
        text, images = asked["text"], asked.get("images")
        if not text.strip():
            raise InputError("the text is empty; write one")
        if len(text) > self.limits.letters:
            raise InputError(f"the text has {len(text)} letters where {self.limits.letters} may be; shorten it")
        if not isinstance(images, list) or len(images) != self.images:
            raise InputError(f"this model reads a text with {self.images} images; give so many")
        return text, [self.image(one) for one in images]

    def image(self, given: Any) -> Any:
        """The regions of an image given by key, or a photograph's bytes.

        Raises:
            InputError: for what is neither, or too large.
        """
        given = given if isinstance(given, Mapping) else {}
        key, photograph = given.get("key"), given.get("photograph")
        if isinstance(key, str) and self.store is not None:
            return self.store.read(key)
        if not isinstance(photograph, str):
            raise InputError("an image is given by its key in the store, or as a photograph; give one of them")
        try:
            content = base64.b64decode(photograph.partition("base64,")[2] or photograph, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InputError("a photograph is not written in base64; write it so") from error
        refuse_large(content, self.limits.pixels)
        return content


def refuse_large(content: bytes, pixels: int) -> None:
    """Looks at a photograph's size before it is decoded.

    Raises:
        InputError: for one that is no image, or has more pixels.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except Exception as error:  # Pillow raises of many kinds
        raise InputError("the photograph is no image that can be read; give a JPEG or PNG") from error
    if not 0 < width * height <= pixels:
        raise InputError(f"the photograph has {width}x{height} pixels where {pixels} may be; make it smaller")


def numbers(values: Any) -> Any:
    """An array as lists."""
    return None if values is None else np.asarray(values, dtype=float).tolist()
