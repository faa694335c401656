"""The captions of a split of Flickr30K Entities with the phrases that are to be grounded, checked against the boxes."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.flickr30k.annotations import (
    NOT_ANNOTATED,
    PHRASE_TYPES,
    ImageAnnotation,
    Phrase,
    Sentence,
    read_annotation,
    read_sentences,
    read_split,
    read_unrelated,
)

logger = logging.getLogger(__name__)


class Caption(NamedTuple):
    """A caption and those of its phrases that are to be grounded: all whose chain has a box.

    Attributes:
        image_id: of its image, also the key of its regions.
        number: of the caption in the image's file, from 1.
        words: of the caption.
        phrases: to be grounded, from left to right.
    """

    image_id: str
    number: int
    words: tuple[str, ...]
    phrases: tuple[Phrase, ...]

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"caption {self.number} of image {self.image_id}"

    def text_of(self, phrase: Phrase) -> str:
        """The words of one of its phrases."""
        return phrase.text(self.words)


def read_captions(
    paths: Sequence[Path],
    sentences: Path,
    boxes: Path,
    *,
    split: str,
    unrelated: Path | None = None,
    strict: bool = True,
) -> tuple[list[Caption], dict[str, ImageAnnotation]]:
    """The captions of a split with their phrases, and the annotations of its images.

    Args:
        paths: split files.
        sentences, boxes: folders of txt and of xml.
        split: what messages call the split.
        unrelated: a file of captions to leave out.
        strict: see `read_annotation`; where it is false, a phrase whose chain the XML does not know is left out, and a
            type that is not defined counts as "other".

    Raises:
        InputError: for a file that is missing or wrong, or a phrase whose chain the XML does not know or whose type
            is not defined.
    """
    left_out = set() if unrelated is None else read_unrelated(unrelated)
    captions: list[Caption] = []
    annotations: dict[str, ImageAnnotation] = {}
    faults = 0
    for path in paths:
        for image_id in read_split(path):
            if image_id in annotations:
                raise InputError(f"{path} names the image {image_id}, which another split file of '{split}' names too")
            _require_pair(image_id, sentences, boxes, path)
            annotation = read_annotation(boxes / f"{image_id}.xml", strict)
            annotations[image_id] = annotation
            for sentence in read_sentences(sentences / f"{image_id}.txt"):
                if (image_id, sentence.number) not in left_out:
                    faults += _faults(sentence, annotation, sentences / f"{image_id}.txt", strict)
                    grounded = tuple(phrase for phrase in sentence.phrases if phrase.chain in annotation.boxes)
                    captions.append(Caption(image_id, sentence.number, sentence.words, grounded))
    _report(annotations, faults, split)
    return captions, annotations


def _require_pair(image_id: str, sentences: Path, boxes: Path, split_file: Path) -> None:
    for path in (sentences / f"{image_id}.txt", boxes / f"{image_id}.xml"):
        if not path.is_file():
            raise InputError(
                f"{split_file} names the image {image_id}, but {path} is missing; unpack the official annotations.zip "
                "there, or take the image out of the split file"
            )


def _faults(sentence: Sentence, annotation: ImageAnnotation, path: Path, strict: bool) -> int:
    """How many phrases have a chain or a type that there is not; raises at the first if strict."""
    count = 0
    for phrase in sentence.phrases:
        has_box = phrase.chain in annotation.boxes
        if not has_box and phrase.chain not in annotation.without_boxes and phrase.chain != NOT_ANNOTATED:
            fault = f"the chain {phrase.chain}, which the image's XML does not know"
        elif has_box and phrase.types[0] not in PHRASE_TYPES:
            fault = f"the type '{phrase.types[0]}', which is none of {', '.join(PHRASE_TYPES)}"
        else:
            continue
        count += 1
        if strict:
            raise InputError(
                f"{path} caption {sentence.number}: the phrase '{phrase.text(sentence.words)}' has {fault}; correct "
                "it, or set strict: false to let that pass"
            )
    return count


def _report(annotations: Mapping[str, ImageAnnotation], faults: int, split: str) -> None:
    mended = sum(annotation.mended for annotation in annotations.values())
    if mended or faults:
        text = "Flickr30K %s: strict is false: %d faulty boxes cut or left out, %d phrases with unknown chain or type"
        logger.warning(text, split, mended, faults)
    bare = [image_id for image_id, annotation in annotations.items() if not annotation.boxes]
    if bare:
        logger.warning("Flickr30K %s: %d images have no box at all, image %s first", split, len(bare), bare[0])
