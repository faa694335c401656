"""A start with your own data: one yaml for a table, or a package of your own for another task.

visualbert new my_task --kind classification --table my.csv --images photos/
visualbert new my_task --kind own

A table (csv, tsv, JSON lines, json, parquet) needs no code: my_task.yaml is written, with the commands at its head. Its
columns are told by their names; those that cannot be are named by an option. Give one table, of which a tenth is drawn
for validation and a tenth for test unless it has a column `split`, or train's, val's and test's.

--kind own copies the template of a task into my_task/, a package outside of this one; docs/extending.md explains it.
"""

import argparse
from pathlib import Path

from mmf_visualbert.errors import InputError

KINDS = ("classification", "binary", "multilabel", "regression", "choice", "answers", "phrases", "retrieval", "own")
COLUMNS = ("id", "text", "text_b", "image", "image_b", "label", "choices", "split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The name, the kind, the files."""
    parser.set_defaults(run=run)
    parser.add_argument("name", help="of the task: a word in lower case")
    parser.add_argument("--kind", required=True, choices=KINDS)
    parser.add_argument("--table", nargs="+", type=Path, default=[], help="one file, or train's, val's and test's")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, help="the folder of the images")
    source.add_argument("--features", type=Path, help="a feature store that is there already")
    names = parser.add_argument_group("columns of the table")
    for column in COLUMNS:
        names.add_argument(f"--{column.replace('_', '-')}", metavar="COLUMN", help=argparse.SUPPRESS)
    parser.epilog = f"columns: {', '.join('--' + name.replace('_', '-') for name in COLUMNS)} name them"


def run(options: argparse.Namespace) -> None:
    """Writes, and says what to run next."""
    from mmf_visualbert.tasks.copying import check_name, copy_template

    check_name(options.name)
    if options.kind == "own":
        folder = copy_template(options.name, Path.cwd())
        print(f"{folder.name}/ is a package of your own: its README.md says what each file holds, and what to run")
        print(f"mmf_run config={folder.name}/run.yaml env.data_dir=DATA")
        return
    write_yaml(options)


def write_yaml(options: argparse.Namespace) -> None:
    """The yaml of a table.

    Raises:
        InputError: for a file that is missing or there already, or a column that cannot be told.
    """
    from mmf_visualbert.files import require, write_text
    from mmf_visualbert.tasks.table.beginning import DIMENSION, Wish, columns_of, yaml_of

    if not options.table or len(options.table) > 3:
        raise InputError(f"the kind {options.kind} reads a table; give --table FILE, or train's, val's and test's")
    out = Path(f"{options.name}.yaml")
    if out.exists():
        raise InputError(f"{out} is there already; give another name, or remove it")
    if options.images is not None and not options.images.is_dir():
        raise InputError(f"--images {options.images} is no folder; give the folder of the images")
    dimension = DIMENSION if options.features is None else _dimension(options.features)
    columns = {name: value for name in COLUMNS if (value := getattr(options, name)) is not None}
    tables = tuple(require(path) for path in options.table)
    wish = Wish(options.name, options.kind, tables, options.images, options.features, dimension, columns)
    text = yaml_of(wish, columns_of(wish))
    write_text(out, text)
    print(f"{out} is written; next:")
    for line in text.splitlines():
        if line.startswith("# "):
            print(f"  {line[2:]}")


def _dimension(features: Path) -> int:
    from mmf_visualbert.features.store import FeatureStore

    store = FeatureStore([features])
    return int(store.read(next(iter(store.keys()))).features.shape[1])
