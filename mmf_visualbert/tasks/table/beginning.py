"""A yaml for a user's own table: its columns are looked at and named, the rest is the kind's."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.formats import TableRow, read_rows
from mmf_visualbert.tasks.table.kinds import Kind, kind_of
from mmf_visualbert.tasks.table.reading import IMAGE_ENDINGS
from mmf_visualbert.tasks.table.records import SPLITS

ROWS_LOOKED_AT = 1000
DETECTOR, DIMENSION = "torchvision_r50_fpn_v2", 1024
# Names by which a column is taken for what it is, the likeliest first.
NAMES = {
    "id": ("id", "guid", "question_id", "qid", "pairid", "uid", "index"),
    "text": ("text", "question", "sentence", "caption", "title", "tweet", "description", "hypothesis", "expression"),
    "image": ("image", "img", "photo", "picture", "file", "filename", "file_name", "image_id", "image_path", "path"),
    "label": ("label", "labels", "answer", "answers", "class", "category", "target", "gold_label", "genre", "genres"),
    "split": ("split", "set", "fold", "partition", "subset"),
}
LABELS_OF = {"phrases": ("boxes", "box", "bbox", "bboxes"), "regression": ("score", "rating", "value")}
CHOICES = ("choices", "candidates", "options", "answers")


class Wish(NamedTuple):
    """What `visualbert new` is asked for.

    Attributes:
        name: of the task, a word in lower case.
        kind: of the table.
        tables: one file for all splits, or train's, val's and test's.
        images: the folder of the photographs; None for features that are there already, or a table of texts.
        features: a feature store that is there already; None.
        dimension: of that store's features.
        columns: our names -> the table's, as far as the user gives them.
    """

    name: str
    kind: str
    tables: tuple[Path, ...]
    images: Path | None = None
    features: Path | None = None
    dimension: int = DIMENSION
    columns: Mapping[str, str] = {}


class Columns(NamedTuple):
    """What a table's columns are: our names -> the table's; and how its rows are divided."""

    names: dict[str, str | None]
    by_column: bool


def columns_of(wish: Wish) -> Columns:
    """Looks for the columns that a kind needs.

    Raises:
        InputError: where one cannot be told, naming those there are and the option that says it.
    """
    kind, rows = kind_of(wish.kind), list(islice(read_rows(wish.tables[0]), ROWS_LOOKED_AT))
    if not rows:
        raise InputError(f"{wish.tables[0]} has no row; give the table some")
    there = list(rows[0].cells)
    needed = ["text"] + ["image"] * bool(wish.images or wish.features) + ["label"] * kind.has_label
    needed += ["choices"] * kind.has_choices
    names: dict[str, str | None] = {"id": None, "image": None, "label": None, "split": None}
    for ours in dict.fromkeys([*needed, "id", "split"]):
        names[ours] = _column(ours, wish, there, required=ours in needed, taken=set(names.values()))
    for ours in wish.columns:
        names[ours] = _column(ours, wish, there, required=True, taken=set())
    _refuse_other_splits(rows, names["split"], wish)
    return Columns(names, names["split"] is not None)


def _column(ours: str, wish: Wish, there: Sequence[str], required: bool, taken: set[str | None]) -> str | None:
    given = wish.columns.get(ours)
    if given is not None:
        if given not in there:
            raise InputError(f"{wish.tables[0]} has no column '{given}', only {', '.join(there)}; correct --{ours}")
        return given
    likely = CHOICES if ours == "choices" else NAMES.get(ours, ())
    likely = (*LABELS_OF.get(wish.kind, ()), *likely) if ours == "label" else likely
    found = [name for guess in likely for name in there if name.lower() == guess and name not in taken]
    if not found and required:
        raise InputError(
            f"which column of {wish.tables[0]} is the {ours}? It has {', '.join(there)}; name it with --{ours} COLUMN"
        )
    return found[0] if found else None


def _refuse_other_splits(rows: Sequence[TableRow], column: str | None, wish: Wish) -> None:
    """A column is one of splits where it says train, val or test; others are for the user to rename."""
    wrong = [row for row in rows if column is not None and row.cells.get(column) not in SPLITS]
    if wrong:
        raise InputError(
            f"{wrong[0].where}: the split is {wrong[0].cells.get(str(column))!r}; write one of {', '.join(SPLITS)} "
            f"into '{column}', or rename that column of {wish.tables[0]}"
        )


def root_of(wish: Wish, column: str) -> Path:
    """The folder where the paths in a column of images begin.

    Raises:
        InputError: where the first image is in none.
    """
    assert wish.images is not None
    row = next(row for row in read_rows(wish.tables[0]) if row.cells.get(column))
    named = Path(str(row.cells[column]))
    for root in (wish.images, wish.images.parent, wish.tables[0].parent):
        if any((root / f"{named}{ending}").is_file() for ending in ("", *IMAGE_ENDINGS, ".JPG")):
            return root
    raise InputError(
        f"{row.where}: the image '{named}' is not in {wish.images}; give the folder of the images with --images, or "
        "name their column with --image COLUMN"
    )


def yaml_of(wish: Wish, columns: Columns) -> str:
    """The text of a yaml that `mmf_run` takes, its commands at its head."""
    kind = kind_of(wish.kind)
    has_images = columns.names["image"] is not None
    store = str(wish.features or f"features/{wish.name}.lmdb")
    section: dict[str, Any] = {
        "data_dir": ".",
        "annotations": {split: [str(path)] for split, path in zip(SPLITS, _three(wish.tables), strict=True)},
        "columns": {ours: name for ours, name in columns.names.items() if ours in _shown(kind, columns)},
    }
    if not columns.by_column and len(wish.tables) == 1:
        section["shares"] = {"val": 0.1, "test": 0.1, "seed": 0}
    if has_images:
        section["features"] = {split: [store] for split in SPLITS}
    content: dict[str, Any] = {
        "includes": [f"projects/visualbert/configs/table/{kind.name}.yaml"],
        "dataset_config": {"visualbert_table": section},
    }
    if has_images:
        content["model_config"] = {"visualbert": {"region_dimension": wish.dimension}}
    content["env"] = {"save_dir": f"./save/{wish.name}"}
    return "".join(f"# {line}\n" for line in _commands(wish, columns, store)) + yaml.safe_dump(
        content, sort_keys=False, default_flow_style=None, width=110
    )


def _shown(kind: Kind, columns: Columns) -> list[str]:
    """The columns that a yaml says: all but those that are not there and that the defaults do not have either."""
    unread = [] if kind.has_label else ["label"]
    return [ours for ours, name in columns.names.items() if ours not in unread and (name or ours in ("image", "label"))]


def _three(tables: Sequence[Path]) -> tuple[Path, Path, Path]:
    first, *rest = tables
    val = rest[0] if rest else first
    return first, val, rest[1] if len(rest) > 1 else val


def _commands(wish: Wish, columns: Columns, store: str) -> list[str]:
    """What is run, in order."""
    file, save = f"{wish.name}.yaml", f"save/{wish.name}"
    lines = []
    if wish.images is not None and columns.names["image"] is not None:
        root = root_of(wish, columns.names["image"])
        lines += [f"visualbert extract --detector {DETECTOR} --images {wish.images} --root {root} --out {store}"]
    return [
        *lines,
        f"visualbert table check {file}",
        f"mmf_run config={file}",
        f"mmf_predict config={file} run_type=test checkpoint.resume_file={save}/best.ckpt checkpoint.reset.all=true",
    ]
