"""Files of captioned images as typed records: COCO's json, Karpathy's splits, MMF's imdb, any corpus as JSON lines."""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_npy_records
from mmf_visualbert.files.typed import records_of
from mmf_visualbert.tasks.captions.official import (
    CAPTION_LINE,
    COCO,
    COCO_CAPTION,
    COCO_IMAGE,
    KARPATHY,
    KARPATHY_IMAGE,
    caption_record,
)

logger = logging.getLogger(__name__)

# What the key of a feature record leaves away from the name of an image's file.
_PLAIN = re.compile(r"([\w-]+(?:/[\w-]+)*)(\.\w+)?")  # of which paths make nothing else
EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".npy"}


class CaptionedImage(NamedTuple):
    """An image and what people say of it.

    Attributes:
        image_id: its id in the file; COCO's are integers.
        key: of its region features: the image's file name without extension.
        captions: at least one, none of them empty.
        source: the file that it comes from.
    """

    image_id: int | str
    key: str
    captions: tuple[str, ...]
    source: Path

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"the image {self.image_id} of {self.source}"


def read_captions(paths: Iterable[Path]) -> list[CaptionedImage]:
    """The images of several files, in their order.

    `.jsonl` is read as JSON lines, `.npy` as MMF's imdb, everything else as COCO's json.

    Raises:
        InputError: an image that stands twice, and everything that the reader of one file raises.
    """
    images: list[CaptionedImage] = []
    seen: dict[str, CaptionedImage] = {}
    for path in paths:
        found = READERS.get(path.suffix, read_coco)(path)
        if not found:
            raise InputError(f"{path} has no captioned image; get the file again, or name another")
        for image in found:
            other = seen.setdefault(image.key, image)
            if other is not image:
                raise InputError(
                    f"{image.name} stands there a second time, the first time as {other.name}; write all captions of "
                    "an image into one record"
                )
            images.append(image)
    return images


def read_coco(path: Path) -> list[CaptionedImage]:
    """COCO's official captions_*.json, in the order of its `images`; images without captions are kept with none.

    They are refused by `require_captions`, after a split file has chosen.

    Raises:
        InputError: where `images` or `annotations` is missing, an image or caption id stands twice, or a caption's
            image is unknown.
    """
    whole = COCO.read(path)
    if whole.images is None or whole.annotations is None:
        raise InputError(
            f"{path} is not COCO's captions: it lacks the lists `images` and `annotations` (Karpathy's file belongs "
            "under split_file, JSON lines end in .jsonl)"
        )
    captions: dict[int | str, list[str]] = {}
    names: dict[int | str, str] = {}
    for image in records_of(path, "images", whole.images, COCO_IMAGE):
        if image.id in captions:
            raise InputError(f"{path} lists the image {image.id} twice; remove one of the two entries of `images`")
        captions[image.id], names[image.id] = [], image.file_name
    seen: set[int | str] = set()
    for annotation in records_of(path, "annotations", whole.annotations, COCO_CAPTION):
        if annotation.id in seen:
            raise InputError(f"{path} has the caption {annotation.id} twice; remove one of the two")
        if annotation.image_id not in captions:
            raise InputError(
                f"{path}: the caption {annotation.id} is of the image {annotation.image_id}, which `images` does not "
                "list; add the image or remove the caption"
            )
        seen.add(annotation.id)
        captions[annotation.image_id].append(_caption(annotation.caption, path, f"the caption {annotation.id}"))
    return [CaptionedImage(image_id, key_of(names[image_id]), tuple(own), path) for image_id, own in captions.items()]


def read_caption_lines(path: Path) -> list[CaptionedImage]:
    """JSON lines `{"image": "folder/name.jpg", "captions": ["...", ...]}`, or with `image_id` in place of `image`.

    Raises:
        InputError: a line without the two fields, without captions or with an empty one.
    """
    images = []
    for number, record in CAPTION_LINE.read_lines(path):
        place = f"line {number}"
        image_id = record.image_id if record.image is None else record.image
        if image_id is None:
            raise InputError(f"{path} {place} has no 'image_id'; add it, or get the file again")
        images.append(CaptionedImage(image_id, key_of(image_id), _captions(record.captions, path, place), path))
    return images


def read_caption_imdb(path: Path) -> list[CaptionedImage]:
    """MMF's imdb, one record an image (`captions`) or one a caption (`caption_str` or `caption_tokens`).

    Raises:
        InputError: a record without caption or without a name of its features.
    """
    grouped: dict[str, tuple[int | str, list[str]]] = {}
    for number, fields in enumerate(read_npy_records(path)):
        if number == 0 and isinstance(fields, Mapping) and "image_id" not in fields:
            continue  # older imdbs begin with a header
        place = f"record {number}"
        record = caption_record(fields, f"{path} {place}")
        own = grouped.setdefault(key_of(record.name), (record.image_id, []))[1]
        if record.captions is not None:
            if own:
                raise InputError(
                    f"{path} {place}: the image {record.image_id} stands there a second time; remove one record"
                )
            own += _captions(record.captions, path, place)
        else:
            own.append(_caption(record.caption_str or " ".join(record.caption_tokens or ()), path, place))
    return [CaptionedImage(image_id, key, tuple(own), path) for key, (image_id, own) in grouped.items()]


READERS = {".jsonl": read_caption_lines, ".npy": read_caption_imdb}


def choose_parts(images: list[CaptionedImage], split_file: Path, parts: Iterable[str]) -> list[CaptionedImage]:
    """Those images that Karpathy's dataset_coco.json puts into one of `parts` ("train", "restval", "val", "test").

    They are matched by COCO id, so that the annotations of 2014 and of 2017 both do.

    Raises:
        InputError: where the file has no such part, or puts an image there that no caption file has.
    """
    parts = list(parts)
    whole = KARPATHY.read(split_file)
    part_of: dict[int | str, str] = {}
    for image in records_of(split_file, "images", whole.images, KARPATHY_IMAGE):
        if image.cocoid in part_of:
            raise InputError(f"{split_file} lists the image {image.cocoid} twice; remove one of the two entries")
        part_of[image.cocoid] = image.split
    unknown = sorted(set(parts) - set(part_of.values()))
    if unknown:
        raise InputError(
            f"{split_file} has no part '{unknown[0]}', only {', '.join(sorted(set(part_of.values())))}; correct "
            "split_parts"
        )
    wanted = {image_id for image_id, part in part_of.items() if part in parts}
    chosen = [image for image in images if image.image_id in wanted]
    missing = wanted - {image.image_id for image in chosen}
    if missing:
        first = min(missing, key=str)
        raise InputError(
            f"{split_file} puts the image {first} and {len(missing) - 1} more into {' or '.join(parts)}, but no "
            "file of `annotations` has their captions; add the file that has them"
        )
    logger.info("%d of %d captioned images are in %s of %s", len(chosen), len(images), parts, split_file)
    return chosen


def require_captions(images: Iterable[CaptionedImage]) -> None:
    """Raises InputError for the first image without captions; says how many there are."""
    without = [image for image in images if not image.captions]
    if without:
        raise InputError(
            f"{without[0].name} and {len(without) - 1} more have no captions; add captions or remove the images"
        )


def key_of(name: int | str) -> str:
    """The key of an image's features: its name without the extension.

    >>> key_of("COCO_val2014_000000000042.jpg"), key_of("shard-3/a.b.png"), key_of(42)
    ('COCO_val2014_000000000042', 'shard-3/a.b', '42')
    """
    plain = _PLAIN.fullmatch(str(name))
    if plain:
        return plain[1] if not plain[2] or plain[2].lower() in EXTENSIONS else plain[0]
    path = PurePosixPath(str(name))
    return str(path.with_suffix("")) if path.suffix.lower() in EXTENSIONS else str(path)


def _captions(captions: list[str] | None, path: Path, place: str) -> tuple[str, ...]:
    if not captions:
        raise InputError(f"{path} {place}: the image has no captions; give a list of one or more under 'captions'")
    return tuple(_caption(caption, path, place) for caption in captions)


def _caption(text: str, path: Path, place: str) -> str:
    if not text.strip():
        raise InputError(f"{path} {place}: a caption is {text!r}; write a sentence there or remove it")
    return text
