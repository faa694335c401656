"""Stores of region features: build, convert, merge, describe, check.

visualbert features convert --from lxmert_tsv train2014_obj36.tsv --out train2014.lmdb --detector bottom_up
visualbert features build FOLDER_OF_NPY --out features.lmdb --detector pythia_x152
visualbert features info features.lmdb
visualbert features check features.lmdb --covers v2_OpenEnded_mscoco_val2014_questions.json
visualbert features check mine.lmdb --against published.lmdb
visualbert features merge features/vqa2/train2014 --out train2014.lmdb

Exit code 1 where `check` finds a fault.
"""

import argparse
from dataclasses import asdict

from mmf_visualbert.errors import InputError
from mmf_visualbert.features import conversion, maintenance, stating
from mmf_visualbert.features.conversion import Conversion
from mmf_visualbert.features.converters import BOXES, FORMATS, LAYOUTS, NUMBERS, Reading
from mmf_visualbert.features.info import DTYPES
from mmf_visualbert.features.store import FeatureStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All commands and options."""
    commands = parser.add_subparsers(required=True, metavar="{build,convert,merge,info,check}")
    build = commands.add_parser("build", help="from a folder of .npy files")
    build.set_defaults(run=run_convert, form="npy")
    convert = commands.add_parser("convert", help="from another format")
    convert.set_defaults(run=run_convert)
    convert.add_argument("--from", dest="form", choices=sorted(FORMATS), required=True)
    for command in (build, convert):
        command.add_argument("source", help="file or folder")
        command.add_argument("--keys", default="{id}", help="key of an image, as COCO_val2014_{id:012d}")
        command.add_argument("--sizes", help="COCO annotations with widths and heights, where boxes are fractions")
        _add_reading(command)
        command.add_argument("--detector", required=True, help="whose features these are")
        for name in ("layer", "weights", "selection"):
            command.add_argument(f"--{name}", default="", help=f"what the store says of its {name}")
        command.add_argument("--dtype", choices=DTYPES, default="float16")
    merge = commands.add_parser("merge", help="several stores or shards into one file")
    merge.set_defaults(run=run_merge)
    merge.add_argument("stores", nargs="+")
    merge.add_argument("--dtype", choices=DTYPES, help="default: as it is")
    for command in (build, convert, merge):
        command.add_argument("--out", required=True)
    _add_info_and_check(commands)
    for name in ("build", "convert", "merge", "check"):
        commands.choices[name].add_argument("--quiet", action="store_true", help="no progress bar")


def _add_reading(command: argparse.ArgumentParser) -> None:
    said = command.add_argument_group("what the source does not say of itself")
    said.add_argument("--layout", choices=LAYOUTS, help="of arrays: a row a region, or a grid")
    said.add_argument("--dtype-of-source", choices=NUMBERS, help="of features in base64 (documented: float32)")
    said.add_argument("--boxes", choices=BOXES, help="whether boxes are pixels or fractions of width and height")
    said.add_argument(
        "--skip-broken", type=int, default=0, metavar="N", help="pass over N images that cannot be used, and say which"
    )


def _add_info_and_check(commands: argparse._SubParsersAction) -> None:
    info = commands.add_parser("info", help="what a store says about itself")
    info.set_defaults(run=run_info)
    info.add_argument("store")
    info.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="state it, in a store that says nothing"
    )
    check = commands.add_parser("check", help="verify every record")
    check.set_defaults(run=run_check)
    check.add_argument("stores", nargs="+")
    check.add_argument("--covers", nargs="+", default=[], help="annotation files whose images have to be there")
    check.add_argument("--against", help="a store of published features to compare with")
    check.add_argument("--most", type=int, default=20, help="how many faults to print")


def run_convert(options: argparse.Namespace) -> int:
    """`build` and `convert`."""
    about = {name: getattr(options, name) for name in ("detector", "layer", "weights", "selection")}
    reading = Reading(options.layout, options.dtype_of_source, options.boxes)
    settings = Conversion(options.form, about, options.dtype, options.keys, options.sizes, reading, options.skip_broken)
    converted = conversion.convert(options.source, options.out, settings, not options.quiet)
    written, skipped = converted.written, converted.skipped
    print(f"{options.out}: {written.images} images" + (f", {len(skipped)} passed over" if skipped else ""))
    print("\n".join(converted.lines()))
    if written.without_boxes:
        print(f"{written.without_boxes} of them have no boxes; of fractions, --sizes makes pixels")
    print(f"report: {options.out}.report.json")
    return 0


def run_merge(options: argparse.Namespace) -> int:
    """`merge`."""
    written = maintenance.merge(options.stores, options.out, options.dtype, not options.quiet)
    print(f"{options.out}: {written.images} images")
    if written.repeated:
        print(f"{written.repeated} images were in several stores; the first was taken")
    return 0


def run_info(options: argparse.Namespace) -> int:
    """`info`."""
    if options.set:
        wrong = [pair for pair in options.set if "=" not in pair]
        if wrong:
            raise InputError(f"--set takes NAME=VALUE, as detector=pythia_x152, not '{wrong[0]}'")
        stating.state(options.store, dict(pair.split("=", 1) for pair in options.set))
    store = FeatureStore(options.store)
    about: dict[str, object] = {"images": len(store), "files": len(store.files)}
    about["bytes"] = sum(maintenance.size_on_disk(path) for path in store.file_paths())
    info = store.info
    if info is None:
        about["detector"] = "not stated; state it: --set detector=NAME"
        about["example"] = next(store.keys(), "")
    for name, value in {**about, **({} if info is None else asdict(info))}.items():
        print(f"{name:14} {value}")
    return 0


def run_check(options: argparse.Namespace) -> int:
    """`check`."""
    from mmf_visualbert.coverage import expected_keys

    faults, covers = 0, {path: expected_keys(path) for path in options.covers}
    for fault in maintenance.check(options.stores, covers, not options.quiet):
        faults += 1
        if faults <= options.most:
            print(fault)
    if faults > options.most:
        print(f"and {faults - options.most} more")
    store = FeatureStore(options.stores)
    print(f"{len(store)} records checked, {faults} faults")
    if options.against:
        found = maintenance.compare(options.stores[0], options.against)
        print(
            f"{found.images} images in both: {found.matched:.1%} of regions have a box with IoU >= 0.9; cosine of "
            f"their features {found.median_cosine:.4f} (median), {found.low_cosine:.4f} (5th percentile)"
        )
    return 1 if faults else 0
