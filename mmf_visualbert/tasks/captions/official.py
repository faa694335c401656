"""The schemas of captioned images' files: COCO's json, Karpathy's splits, MMF's imdb, JSON lines."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from mmf_visualbert.files.typed import Name, Number, Schema, Text

ImageId: TypeAlias = Number | Name


class Coco(Struct, gc=False):
    """COCO's captions_*.json: the records of its lists as they stand there."""

    images: list[Raw] | None = None
    annotations: list[Raw] | None = None


class CocoImage(Struct, gc=False):
    """A record of `images`."""

    id: ImageId
    file_name: Name


class CocoCaption(Struct, gc=False):
    """A record of `annotations`."""

    id: ImageId
    image_id: ImageId
    caption: Text


class CaptionLine(Struct, gc=False):
    """A line of a corpus of one's own."""

    image: ImageId | None = None
    image_id: ImageId | None = None
    captions: list[Text] | None = None


class Karpathy(Struct, gc=False):
    """Karpathy's dataset_coco.json."""

    images: list[Raw]


class KarpathyImage(Struct, gc=False):
    """A record of `images`; its captions and their tokens, most of the file, are passed over."""

    cocoid: ImageId
    split: Name


class ImdbRecord(Struct, gc=False):
    """A record of MMF's imdb. The first of its names, in this order, is that of its features, as MMF looks for it."""

    image_id: ImageId
    feature_path: Text | Number | None = None
    Flickr30kID: Text | Number | None = None
    Flikr30kID: Text | Number | None = None
    identifier: Text | Number | None = None
    image_path: Text | Number | None = None
    image_name: Text | Number | None = None
    img: Text | Number | None = None
    captions: list[Text] | None = None
    caption_str: Text | None = None
    caption_tokens: list[Text] | None = None

    @property
    def name(self) -> int | str:
        """Names its features."""
        named = (self.feature_path, self.Flickr30kID, self.Flikr30kID, self.identifier)
        others = (self.image_path, self.image_name, self.img)
        return next((name for name in (*named, *others) if name), self.image_id)


COCO = Schema(Coco)
COCO_IMAGE = Schema(CocoImage, called="id")
COCO_CAPTION = Schema(CocoCaption, called="id")
CAPTION_LINE = Schema(CaptionLine, called="image")
KARPATHY = Schema(Karpathy, "name Karpathy's dataset_coco.json as split_file")
KARPATHY_IMAGE = Schema(KarpathyImage)
IMDB = Schema(ImdbRecord, "make the file again")
_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(ImdbRecord))


def caption_record(fields: Any, where: str) -> ImdbRecord:
    """A record of an imdb, checked.

    Raises:
        InputError: where a field is missing or of another type.
    """
    if isinstance(fields, Mapping):
        fields = {name: value for name, value in fields.items() if name in _FIELDS}
    return IMDB.convert(fields, where)
