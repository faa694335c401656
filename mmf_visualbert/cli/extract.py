"""Region features of images, by a detector of detectron2 or torchvision, into a feature store.

visualbert extract --detector pythia_x152 --weights detectron_model_x152.pth \\
    --images images/val2014 --out features/vqa2/val2014.lmdb

Photographs of one's own need no other package: --detector torchvision_r50_fpn_v2 (regions), or torchvision_grid.

A run that was killed goes on where it was: give the same command again. Over several processes, GPUs or machines,
`--out` is a folder of shards that is read as one store:

    torchrun --nproc-per-node 8 -m mmf_visualbert extract ... --out features/vqa2/train2014
    visualbert extract ... --shard 3/16 --out features/vqa2/train2014
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import shards
from mmf_visualbert.features.extraction.choices import KEYS, PRECISIONS, detectors
from mmf_visualbert.features.info import DTYPES

if TYPE_CHECKING:
    from mmf_visualbert.features.extraction.extract import Report
    from mmf_visualbert.features.extraction.presets import DetectorPreset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.set_defaults(run=run, stopped="stopped; the same command goes on here")
    parser.add_argument("--images", required=True, help="a folder, a list (.txt, a path a line) or a glob in quotes")
    parser.add_argument("--root", help="folder where keys begin; default: the folder of the images, or of the list")
    parser.add_argument(
        "--keys", choices=KEYS, default="path", help="key of an image: its path below root, or its name"
    )
    parser.add_argument("--out", required=True, help="the store; with several shards, a folder of stores")
    model = parser.add_argument_group("detector")
    named = model.add_mutually_exclusive_group(required=True)
    named.add_argument("--detector", help=f"{', '.join(detectors())}, or a yaml of that form")
    named.add_argument("--config", help="a config of detectron2: a yaml, or a name of its model zoo")
    model.add_argument("--weights", help="a file, 'zoo' to download the model zoo's, or random:SEED to try things out")
    model.add_argument("--layer", help="fc6, fc7 (FPN) or res5 (C4); default: the preset's")
    model.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="keys of detectron2's config")
    model.add_argument("--shortest", type=int, help="pixels to which the shorter side is resized")
    model.add_argument("--longest", type=int, help="pixels that the longer side does not exceed")
    choice = parser.add_argument_group("regions")
    choice.add_argument(
        "--boxes", help="given boxes: .json, .jsonl, a store, or 'beside' for a .json beside each image"
    )
    choice.add_argument("--most", type=int, help="no image has more regions")
    choice.add_argument("--least", type=int, help="so many are kept whatever their confidence")
    choice.add_argument("--score", type=float, help="confidence from which on more are kept")
    choice.add_argument("--nms", type=float, help="overlap above which a less confident box of a class is dropped")
    how = parser.add_argument_group("run")
    how.add_argument("--dtype", choices=DTYPES, default="float16", help="of stored features")
    how.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the detector's computations")
    how.add_argument("--batch-size", type=int, default=8, help="most images of one size at a time")
    how.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="processes that read images")
    how.add_argument("--device", help="default: this process's GPU where there is one")
    how.add_argument("--shard", help="i/n; default: what torchrun or SLURM says")
    how.add_argument("--commit-seconds", type=float, default=20.0, help="how often finished images go to the disk")
    how.add_argument("--strict", action="store_true", help="stop at the first image that cannot be used")
    how.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> None:
    """Extracts, prints what was stored."""
    report, out = run_extraction(options)
    rate = report.extracted / report.seconds if report.seconds else 0.0
    print(f"{out}: {report.stored} of {report.images} images, {report.extracted} in this run at {rate:.2f} images/s")
    if report.whole:
        print(f"{len(report.whole)} images without a detection have the whole image as region, e.g. {report.whole[0]}")
    if report.failures:
        print(f"{len(report.failures)} images could not be used, e.g. {report.failures[0].problem}")
        print(f"all of them: {out}.report.json")


def run_extraction(options: argparse.Namespace) -> tuple["Report", Path]:
    """The report, and the store that was written."""
    import torch

    from mmf_visualbert.features.extraction.detector import build_detector
    from mmf_visualbert.features.extraction.extract import extract
    from mmf_visualbert.features.extraction.given_boxes import given_boxes
    from mmf_visualbert.features.extraction.images import find_images
    from mmf_visualbert.features.store import shard_name

    shard = shards.parse(options.shard) if options.shard else shards.from_environment()
    files = find_images(options.images, options.root, options.keys)
    mine = shard.of(files)
    if not mine:
        raise InputError(
            f"shard {shard.index} of {shard.total} has no image, as there are {len(files)}; use fewer shards"
        )
    out = Path(options.out) / shard_name(shard.index, shard.total) if shard.total > 1 else Path(options.out)
    boxes = given_boxes(options.boxes) if options.boxes else None
    device = options.device or (f"cuda:{shard.local}" if torch.cuda.is_available() else "cpu")
    preset = _preset(options)
    built = build_detector(preset, _weights(options, preset), device, options.precision)
    report = extract(
        mine,
        out,
        preset,
        built,
        boxes,
        batch_size=options.batch_size,
        workers=options.workers,
        dtype=options.dtype,
        strict=options.strict,
        progress=not options.quiet,
        commit_seconds=options.commit_seconds,
    )
    return report, out


def _preset(options: argparse.Namespace) -> "DetectorPreset":
    from mmf_visualbert.features.extraction.presets import DetectorPreset, load
    from mmf_visualbert.features.extraction.selection import Selection

    rule = {name: getattr(options, name) for name in Selection._fields}
    sizes = {"shortest": options.shortest, "longest": options.longest, "layer": options.layer}
    if options.detector:
        preset = load(options.detector)
        return preset.changed(overrides={**preset.overrides, **_overrides(options.set)}, **sizes, **rule)
    if not options.layer:
        raise InputError("a config of detectron2 needs --layer: fc6 or fc7 (FPN), or res5 (C4)")
    name = Path(options.config).stem
    plain = DetectorPreset(detector=name, config=options.config, layer=options.layer, selection=Selection(100))
    return plain.changed(overrides=_overrides(options.set), **sizes, **rule)


def _overrides(pairs: list[str]) -> dict[str, str]:
    """detectron2 reads the values itself."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise InputError(f"--set takes KEY=VALUE, as MODEL.RPN.POST_NMS_TOPK_TEST=300, not '{wrong[0]}'")
    return dict(pair.split("=", 1) for pair in pairs)


def _weights(options: argparse.Namespace, preset: "DetectorPreset") -> str:
    if options.weights:
        return options.weights
    if options.config or preset.weights == "zoo":
        return "zoo"
    raise InputError(
        f"the weights of '{preset.detector}' are published at {preset.weights}; download them: --weights FILE"
    )
