"""Predictions of Flickr30K Entities. There is no leaderboard; the file is our own.

`[{"image_id": "36979", "sentence": 1, "first_word": 0, "box": [x1, y1, x2, y2]}, ...]`: one box (pixels, or null where
the phrase was cut off) for each phrase that has a gold box; a phrase is named by its image, the number of its sentence
(from 1) and its first word (from 0).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mmf_visualbert.contracts import Entry, Leaderboard, Scanned
from mmf_visualbert.datasets.leaderboard_files import is_box, json_entries, json_text
from mmf_visualbert.tasks.flickr30k.records import read_captions

FIELDS = ("image_id", "sentence", "first_word", "box")


def id_of(entry: Entry) -> tuple[str, int, int]:
    """The phrase that a prediction is about."""
    return str(entry["image_id"]), int(entry["sentence"]), int(entry["first_word"])


def read_ids(annotations: Path) -> list[tuple[str, int, int]]:
    """The ids that a file has to have, from the official annotations."""
    folder = annotations.parent
    captions, _ = read_captions(
        [annotations], folder / "Sentences", folder / "Annotations", split=annotations.stem, strict=False
    )
    return [(c.image_id, c.number, phrase.first_word) for c in captions for phrase in c.phrases]


def write(entries: Iterable[Entry]) -> str:
    """Predictions as the text of a file."""
    return json_text(entries, FIELDS)


def scan(path: Path) -> Iterator[Scanned]:
    """The entries of a file, with what is wrong with each."""
    for place, entry, fault in json_entries(path, FIELDS, exact=False):
        if entry is None:
            yield Scanned(place, None, fault)
            continue
        image_id, sentence, first_word, box = (entry[field] for field in FIELDS)
        phrase = (image_id, sentence, first_word)
        if [type(part) for part in phrase] != [str, int, int]:
            yield Scanned(place, None, "image_id is no string, or sentence or first_word no integer")
            continue
        if box is not None and not is_box(box):
            name = f"{image_id} {sentence} {first_word}"
            fault = f"the box of the phrase {name} is {box!r} instead of four numbers x1 < x2, y1 < y2"
        yield Scanned(place, phrase, fault)


LEADERBOARD = Leaderboard(
    thing="phrase",
    annotations="Flickr30K's split file beside its two folders",
    id_of=id_of,
    read_ids=read_ids,
    write=write,
    scan=scan,
)
