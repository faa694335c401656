"""One question about one scene, in place of files of them (§4.2).

Its texts are words and tags, which name objects by their numbers: `[0]`, or `[0, 1]` for both; its image comes with the
boxes of its objects.
"""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from PIL import Image

from mmf_visualbert.contracts import ChoiceQuestion, OneChoice, Sample, TrainedModel
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.frames import frame_tensor, load_frame, place
from mmf_visualbert.tasks.vcr.names import NO_OBJECT
from mmf_visualbert.tasks.vcr.objects import METADATA, FrameObjects, mentioned_in, parse_objects
from mmf_visualbert.tasks.vcr.ontology import OBJECT_NAMES
from mmf_visualbert.tasks.vcr.records import CHOICES, Tokens
from mmf_visualbert.tasks.vcr.regions import region_tensors
from mmf_visualbert.tasks.vcr.sequences import ChoiceSequences, alignment_tensor

TAG = re.compile(r"\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]")
WORD = re.compile(r"\w+|[^\w\s]")
FIELDS = ("image", "metadata", "names", "boxes", "segms", "width", "height", "mentioned")
Text: TypeAlias = "str | Sequence[str | Sequence[int]]"


class Scene(NamedTuple):
    """An image with what it shows.

    Attributes:
        image: RGB.
        objects: N, their boxes in pixels of the image.
        mentioned: numbers of objects that are regions beside those that the texts mention.
    """

    image: Image.Image
    objects: FrameObjects
    mentioned: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        """The class of each object."""
        return [OBJECT_NAMES[number - 1] for number in self.objects.classes.tolist()]


def ask(model: TrainedModel, question: ChoiceQuestion, settings: Mapping[str, Any]) -> Sample:
    """The sample of a question, as `VCR` makes it from the official files.

    Args:
        model: that reads it.
        question: its texts are words and tags, as one string or as the official files have them; its image is a mapping
            with `image` (a path, bytes, an array or PIL's), and what it shows: `metadata`, the official file or its
            content, or `names` (classes of COCO), `boxes` (N, 4) in pixels and where there are any `segms`, as that
            file has them. `mentioned` are numbers of objects that are regions beside those of the texts.
        settings: `names`, `sub_words` and `image_size` of the dataset it was trained on.

    Raises:
        InputError: for a scene or a tag that does not fit.
    """
    scene = scene_of(question.image)
    texts = [tokens(text, len(scene.names)) for text in (question.text, *question.candidates)]
    chosen = mentioned_in([*texts, [list(scene.mentioned)]], scene.names)
    sequences = ChoiceSequences(model.text, settings["names"], settings["sub_words"])(texts[0], texts[1:], scene.names)
    tensors = [sequence.assembled.tensors() for sequence in sequences]
    aligned = max(len(places) for sequence in sequences for places in (*sequence.positions.values(), [0]))
    alignment = [
        alignment_tensor(sequence.positions, [NO_OBJECT, *chosen], (1 + len(chosen), aligned)) for sequence in sequences
    ]
    placement = place(scene.image.size, settings["image_size"], random_offset=False)
    return {
        **{name: torch.stack([one[name] for one in tensors]) for name in tensors[0]},
        "alignment": torch.stack(alignment),
        **region_tensors(scene.objects, chosen, placement, 1 + len(chosen)),
        "image": frame_tensor(scene.image, placement, settings["image_size"]),
    }


def tokens(text: Text, objects: int) -> Tokens:
    """Words and tags, as the official files have them.

    Raises:
        InputError: for a text without a word, or a tag of an object that is not there.
    """
    found: Tokens = split(text) if isinstance(text, str) else [_token(one) for one in text]
    if not any(isinstance(one, list) or one.strip() for one in found):
        raise InputError("a text of the question is empty; give each at least one word")
    for tag in (number for one in found if isinstance(one, list) for number in one):
        if not 0 <= tag < objects:
            raise InputError(f"'{text}' has the tag [{tag}], but the image shows {objects} objects, from 0; mend it")
    return found


def split(text: str) -> Tokens:
    """A string's words and tags."""
    found: Tokens = []
    for number, part in enumerate(TAG.split(text)):
        found += [[int(tag) for tag in part.split(",")]] if number % 2 else WORD.findall(part)
    return found


def scene_of(given: Any) -> Scene:
    """An image with its objects, as users give them.

    Raises:
        InputError: for what is none.
    """
    from mmf_visualbert.features.extraction.photographs import file_of

    if not isinstance(given, Mapping) or "image" not in given:
        raise InputError(
            "this model reads an image with its objects; give {'image': ..., 'names': [...], 'boxes': [...]}, or the "
            "official file as 'metadata'"
        )
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise InputError(f"the image has '{unknown[0]}', which none has; it has {', '.join(FIELDS)}")
    with tempfile.TemporaryDirectory() as folder:
        file = file_of(given["image"], Path(folder) / "image", "the image")
        image = load_frame(file, "the image", greyscale=True)
    objects = objects_of(given, image.size)
    mentioned = tuple(int(number) for number in given.get("mentioned", ()))
    if any(not 0 <= number < len(objects.classes) for number in mentioned):
        raise InputError(f"'mentioned' is {list(mentioned)}, but the image shows {len(objects.classes)} objects")
    return Scene(image, objects, mentioned)


def objects_of(given: Mapping[str, Any], size: tuple[int, int]) -> FrameObjects:
    """What an image of (width, height) shows.

    Raises:
        InputError: where it is of an image of another size, or no such description.
    """
    metadata = given.get("metadata")
    if isinstance(metadata, str | Path):
        fields, where = METADATA.read(metadata), f"the metadata {metadata}"
    else:
        described = {**(metadata if metadata is not None else given)}
        boxes = described.get("boxes", [])
        # Without polygons a mask is its whole box.
        described.setdefault("segms", [[corners(box)] for box in boxes])
        described.setdefault("width", size[0])
        described.setdefault("height", size[1])
        fields, where = METADATA.convert(described, "the image"), "the image"
    if (fields.width, fields.height) != size:
        raise InputError(
            f"{where} is of an image of {fields.width}x{fields.height} pixels, and this one has {size[0]}x{size[1]}; "
            "give those that belong together"
        )
    return parse_objects(fields, where)


def corners(box: Sequence[float]) -> list[tuple[float, float]]:
    """A box as a polygon; what is none is refused as a box."""
    x1, y1, x2, y2 = [float(side) for side in list(box)[:4]] if len(box) >= 4 else (0.0, 0.0, 0.0, 0.0)
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def _token(given: str | Iterable[int]) -> "str | list[int]":
    return given if isinstance(given, str) else [int(number) for number in given]


CHOICE = OneChoice("visualbert_choice", ask, ("names", "sub_words", "image_size"), scenes=True, candidates=CHOICES)
