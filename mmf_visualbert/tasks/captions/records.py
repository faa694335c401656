"""Files of captioned images as typed records: COCO's json, Karpathy's splits, MMF's imdb, any corpus as JSON lines."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_json_lines, read_npy_records

logger = logging.getLogger(__name__)

# What the key of a feature record leaves away from the name of an image's file.
EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".npy"}
# Where MMF looks for the name of a record's features, in its order.
IMDB_NAMES = ("feature_path", "Flickr30kID", "Flikr30kID", "identifier", "image_path", "image_name", "img", "image_id")


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
    whole = read_json(path)
    if not (isinstance(whole, dict) and isinstance(whole.get("images"), list) and "annotations" in whole):
        raise InputError(
            f"{path} is not COCO's captions: it lacks the lists `images` and `annotations` (Karpathy's file belongs "
            "under split_file, JSON lines end in .jsonl)"
        )
    captions: dict[int, list[str]] = {}
    for number, image in enumerate(whole["images"]):
        image_id = _field(image, "id", path, f"images[{number}]")
        if image_id in captions:
            raise InputError(f"{path} lists the image {image_id} twice; remove one of the two entries of `images`")
        captions[image_id] = []
    seen: set[int] = set()
    for number, annotation in enumerate(whole["annotations"]):
        place = f"annotations[{number}]"
        caption_id, image_id = (_field(annotation, name, path, place) for name in ("id", "image_id"))
        if caption_id in seen:
            raise InputError(f"{path} has the caption {caption_id} twice; remove one of the two")
        if image_id not in captions:
            raise InputError(
                f"{path}: the caption {caption_id} is of the image {image_id}, which `images` does not list; add the "
                "image or remove the caption"
            )
        seen.add(caption_id)
        captions[image_id].append(_caption(annotation.get("caption"), path, f"the caption {caption_id}"))
    names = {image["id"]: _field(image, "file_name", path, f"the image {image['id']}") for image in whole["images"]}
    return [CaptionedImage(image_id, key_of(names[image_id]), tuple(own), path) for image_id, own in captions.items()]


def read_caption_lines(path: Path) -> list[CaptionedImage]:
    """JSON lines `{"image": "folder/name.jpg", "captions": ["...", ...]}`, or with `image_id` in place of `image`.

    Raises:
        InputError: a line without the two fields, without captions or with an empty one.
    """
    images = []
    for number, record in read_json_lines(path):
        place = f"line {number}"
        image_id = _field(record, "image" if "image" in record else "image_id", path, place)
        images.append(CaptionedImage(image_id, key_of(image_id), _captions(record, path, place), path))
    return images


def read_caption_imdb(path: Path) -> list[CaptionedImage]:
    """MMF's imdb, one record an image (`captions`) or one a caption (`caption_str` or `caption_tokens`).

    Raises:
        InputError: a record without caption or without a name of its features.
    """
    records = read_npy_records(path)
    grouped: dict[str, tuple[int | str, list[str]]] = {}
    for number, record in enumerate(records):
        if number == 0 and isinstance(record, Mapping) and "image_id" not in record:
            continue  # older imdbs begin with a header
        place = f"record {number}"
        image_id = _field(record, "image_id", path, place)
        name = next(record[field] for field in IMDB_NAMES if record.get(field))
        own = grouped.setdefault(key_of(name), (image_id, []))[1]
        if "captions" in record:
            if own:
                raise InputError(f"{path} {place}: the image {image_id} stands there a second time; remove one record")
            own += _captions(record, path, place)
        else:
            own.append(_caption(record.get("caption_str") or " ".join(record.get("caption_tokens", ())), path, place))
    return [CaptionedImage(image_id, key, tuple(own), path) for key, (image_id, own) in grouped.items()]


READERS = {".jsonl": read_caption_lines, ".npy": read_caption_imdb}


def choose_parts(images: list[CaptionedImage], split_file: Path, parts: Iterable[str]) -> list[CaptionedImage]:
    """Those images that Karpathy's dataset_coco.json puts into one of `parts` ("train", "restval", "val", "test").

    They are matched by COCO id, so that the annotations of 2014 and of 2017 both do.

    Raises:
        InputError: where the file has no such part, or puts an image there that no caption file has.
    """
    parts = list(parts)
    # Its captions and their tokens, most of its 140 MB, are dropped as soon as they are read.
    whole = read_json(split_file, object_hook=lambda record: None if "tokens" in record else record)
    if not isinstance(whole, dict) or not isinstance(whole.get("images"), list):
        raise InputError(f"{split_file} has no list `images`; name Karpathy's dataset_coco.json as split_file")
    part_of: dict[int, str] = {}
    for number, image in enumerate(whole["images"]):
        image_id, part = (_field(image, name, split_file, f"images[{number}]") for name in ("cocoid", "split"))
        if image_id in part_of:
            raise InputError(f"{split_file} lists the image {image_id} twice; remove one of the two entries")
        part_of[image_id] = part
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
        raise InputError(
            f"{split_file} puts the image {min(missing)} and {len(missing) - 1} more into {' or '.join(parts)}, but no "
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
    path = PurePosixPath(str(name))
    return str(path.with_suffix("")) if path.suffix.lower() in EXTENSIONS else str(path)


def _field(record: Any, name: str, path: Path, place: str) -> Any:
    value = record.get(name) if isinstance(record, Mapping) else None
    if not isinstance(value, int | str) or value == "":
        raise InputError(f"{path} {place} has no '{name}'; add it, or get the file again")
    return value


def _captions(record: Mapping[str, Any], path: Path, place: str) -> tuple[str, ...]:
    captions = record.get("captions")
    if not isinstance(captions, list | tuple) or not captions:
        raise InputError(f"{path} {place}: the image has no captions; give a list of one or more under 'captions'")
    return tuple(_caption(caption, path, place) for caption in captions)


def _caption(text: Any, path: Path, place: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{path} {place}: a caption is {text!r}; write a sentence there or remove it")
    return text
