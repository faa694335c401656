"""Tab-separated files with numbers in base64: bottom-up attention's, LXMERT's."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.converters import numbers
from mmf_visualbert.features.converters.source import Found, Image, Images, Reading
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.files import open_bytes

# Columns in their order; both kinds of files are written without a header.
BOTTOM_UP_COLUMNS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT_COLUMNS = (
    *("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf"),
    *("num_boxes", "boxes", "features"),
)


class Row(NamedTuple):
    """A line of a table: where it stands, and its fields."""

    where: str
    fields: list[str]


def from_bottom_up_tsv(path: str, reading: Reading) -> Images:
    """The TSV of bottom-up attention: `image_id image_w image_h num_boxes boxes features`, base64 of float32."""
    return _from_tsv(path, BOTTOM_UP_COLUMNS, reading)


def from_lxmert_tsv(path: str, reading: Reading) -> Images:
    """The TSV of LXMERT and py-bottom-up-attention, with classes and attributes, base64 of int64 and float32."""
    return _from_tsv(path, LXMERT_COLUMNS, reading)


def rows(path: str) -> Iterator[Row]:
    """The lines of a tab-separated file that are not blank. A byte that is no text spoils its own line alone.

    Raises:
        InputError: where the file is missing, empty, or something else in its place.
    """
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, 1):
            line = raw.rstrip(b"\r\n").decode("utf-8", "replace")
            if line.strip():
                yield Row(f"{path}, line {number}", line.split("\t"))


def _from_tsv(path: str, columns: Sequence[str], reading: Reading) -> Images:
    for row in rows(path):
        if tuple(row.fields) != tuple(columns):  # a header, which some write
            yield Image(row.fields[0], row.where, partial(_read, row, columns, reading))


def _read(row: Row, columns: Sequence[str], reading: Reading) -> Found:
    if len(row.fields) != len(columns):
        other = {6: "bottom_up_tsv", 10: "lxmert_tsv", 2: "vinvl_tsv", 3: "vinvl_tsv"}.get(len(row.fields))
        mend = f"; --from {other} reads files of so many" if other else "; get or make the file again"
        raise InputError(
            f"{row.where} has {len(row.fields)} columns and {len(columns)} are expected ({', '.join(columns)}){mend}"
        )
    item = dict(zip(columns, row.fields, strict=True))
    where = row.where
    count = numbers.whole_number(item["num_boxes"], where, "num_boxes")
    if not count:
        raise InputError(f"{where} has no region; extract the image's features with a lower confidence threshold")
    ids = {"objects_id", "attrs_id"}
    rest = [
        numbers.columns(item[name], count, 1, where, name, integers=name in ids).ravel() if name in item else None
        for name in ("objects_id", "objects_conf", "attrs_id", "attrs_conf")
    ]
    features, note = numbers.features(item["features"], count, where, reading)
    width, height = (
        numbers.whole_number(item.get(f"image_{side}", item.get(f"img_{side}")), where, side) for side in "wh"
    )
    boxes = numbers.columns(item["boxes"], count, 4, where, "boxes")
    return Found(RegionRecord(features, boxes, width, height, *rest), (note,))
