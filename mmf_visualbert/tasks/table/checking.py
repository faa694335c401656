"""What is wrong with a table, or may be, before an hour is lost: files, columns, labels, images, texts, leaks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert import catalog
from mmf_visualbert.datasets.paths import configured_paths
from mmf_visualbert.datasets.settings import read_settings
from mmf_visualbert.datasets.stores import configured_store
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.dataset import NAME, read_split_table
from mmf_visualbert.tasks.table.kinds import Kind, kind_of
from mmf_visualbert.tasks.table.phrases import check_phrases, marked
from mmf_visualbert.tasks.table.records import SPLITS, Table
from mmf_visualbert.tasks.table.rows import Rows
from mmf_visualbert.tasks.table.settings import Settings

SHOWN = 8


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        text: a sentence.
        is_fault: whether a run would stop at it.
    """

    text: str
    is_fault: bool = False


def check_table(section: Mapping[str, Any]) -> Iterator[Finding]:
    """Everything that can be said of a table.

    Args:
        section: `dataset_config.visualbert_table`, plain and resolved.

    Raises:
        InputError: for settings that are none.
    """
    settings = read_settings(Settings, section, f"dataset_config.{NAME}")
    kind = kind_of(settings.kind)
    tables: dict[str, Table] = {}
    for split in SPLITS:
        try:
            tables[split] = read_split_table(settings, kind, split)
        except InputError as error:
            yield Finding(f"{split}: {error}", True)
            continue
        yield Finding(f"{split}: {len(tables[split])} rows")
        yield from _labels(kind, split, tables)
        if settings.columns.image is not None:
            yield from _images(settings, split, tables[split])
        if kind.name == "phrases":
            yield from _phrases(settings, split, tables[split])
    yield from _texts(section, tables)
    yield from _leaks(settings, tables)


def _counts(table: Table) -> Counter[str]:
    counts: Counter[str] = Counter()
    for label, count, _ in table.first_of_label():
        for name in label if isinstance(label, list) else [label]:
            counts[str(name)] += count
    return counts


def _labels(kind: Kind, split: str, tables: Mapping[str, Table]) -> Iterator[Finding]:
    if not kind.has_label or kind.name == "phrases":
        return
    counts = _counts(tables[split])
    most = ", ".join(f"{name} {count}" for name, count in counts.most_common(SHOWN))
    more = f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    yield Finding(f"{split}: {len(counts)} labels: {most}{more}" if counts else f"{split}: no labels")
    lone = [name for name, count in counts.items() if count == 1]
    if kind.names is not None and split == "train" and lone:
        yield Finding(f"train: {len(lone)} labels have one example alone, '{lone[0]}' among them")
    known = _counts(tables["train"]) if "train" in tables else None
    unknown = [] if known is None else [name for name in counts if name not in known]
    if unknown and kind.names is not None:
        yield Finding(f"{split}: {len(unknown)} labels are none of train's, '{unknown[0]}' among them", True)
    elif unknown and kind.name == "answers":
        share = sum(counts[name] for name in unknown) / sum(counts.values())
        yield Finding(f"{split}: {share:.1%} of the answers are none of train's, '{unknown[0]}' among them")


def _images(settings: Settings, split: str, table: Table) -> Iterator[Finding]:
    keys = Counter(key for example in table for key in example.images)
    without = sum(not example.images for example in table)
    if without:
        yield Finding(f"{split}: {without} rows name no image and are read as texts")
    missing = [path for path in configured_paths(settings.data_dir, settings.features, "features", split)]
    missing = [path for path in missing if not Path(path).exists()]
    if missing:
        yield Finding(f"{split}: the features {missing[0]} are not there; make them with visualbert extract", True)
        return
    try:
        store = configured_store(settings, split)
        absent = store.lacking(keys)
    except InputError as error:
        yield Finding(f"{split}: {error}", True)
        return
    yield Finding(f"{split}: {len(keys)} images, {len(keys) - len(absent)} of them with features")
    if absent:
        rows = sum(keys[key] for key in absent)
        text_only = settings.missing_regions == "text_only"
        then = "these are read as texts" if text_only else "extract them, or set missing_regions: text_only"
        yield Finding(
            f"{split}: {rows} rows have an image without features, '{absent[0]}' among them; {then}", not text_only
        )


def _phrases(settings: Settings, split: str, table: Table) -> Iterator[Finding]:
    try:
        check_phrases(table, settings.box_form, settings.max_phrases)
    except InputError as error:
        yield Finding(f"{split}: {error}", True)
        return
    yield Finding(f"{split}: {sum(len(marked(example).phrases) for example in table)} phrases")


def _texts(section: Mapping[str, Any], tables: Mapping[str, Table]) -> Iterator[Finding]:
    """How many texts are cut. A tokenizer that cannot be had is said, and no more."""
    try:
        text = catalog.build("processor", section["processors"]["text_processor"])
    except InputError as error:
        yield Finding(f"texts: {error}", True)
        return
    for split, table in tables.items():
        cut = Rows(table, text).cut()
        if cut:
            yield Finding(
                f"{split}: {len(cut)} of {len(table)} texts are longer than {text.max_seq_length} word pieces and are "
                f"cut, the first in {table.where(cut[0])}; raise text_processor.params.max_seq_length"
            )


def _leaks(settings: Settings, tables: Mapping[str, Table]) -> Iterator[Finding]:
    """What stands in two splits that are not the same files by intent."""
    drawn = bool(settings.shares) or settings.columns.split is not None
    names = list(tables)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if settings.annotations.of(one) == settings.annotations.of(other) and not drawn:
                yield Finding(f"{one} and {other} are the same files")
                continue
            yield from _shared(one, other, tables, settings.columns.id is not None)


def _shared(one: str, other: str, tables: Mapping[str, Table], has_ids: bool) -> Iterator[Finding]:
    first, second = tables[one], tables[other]
    if has_ids and (same := set(first.ids) & set(second.ids)):
        yield Finding(f"leak: {len(same)} ids of {one} are in {other} too, '{min(same)}' among them")
    rows = {(example.texts, example.images) for example in first}
    if same_rows := [example.where for example in second if (example.texts, example.images) in rows]:
        yield Finding(f"leak: {len(same_rows)} rows of {other} have text and image of a row of {one}: {same_rows[0]}")
    images = {key for example in first for key in example.images}
    if shared := {key for example in second for key in example.images} & images:
        yield Finding(f"leak: {len(shared)} images of {other} are in {one} too, '{min(shared)}' among them")
