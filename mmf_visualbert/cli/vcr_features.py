"""Vectors of a fixed RoI backbone for VCR or for COCO's detections, made once, so that training needs no images.

visualbert vcr features --annotations vcr/train.jsonl --images vcr/vcr1images --weights imagenet --out OUT
visualbert vcr features --detections vcr/coco_detections_train.json --images images/train2014 --weights imagenet \\
    --out OUT

Then name the store in the dataset's `features`, and set the region encoder's `frozen: all`. An interrupted run goes on
where it stopped. A fault is one sentence and exit code 2.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter

if TYPE_CHECKING:
    from mmf_visualbert.tasks.vcr.extraction import Frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.set_defaults(run=run, stopped="stopped; the same command goes on here")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--annotations", nargs="+", type=Path, help="VCR's official JSON lines")
    source.add_argument(
        "--detections", nargs="+", type=Path, help="JSON: image file -> boxes, segms, names, width, height"
    )
    parser.add_argument("--images", nargs="+", type=Path, required=True, help="folders of the images")
    parser.add_argument("--out", type=Path, required=True, help="the store to write")
    parser.add_argument("--backbone", default="resnet50", help="resnet50, another ResNet of torchvision, or small")
    parser.add_argument("--width", type=int, default=16, help="of the backbone small")
    parser.add_argument(
        "--weights", required=True, help="imagenet, torchvision's weights in a file, or a model of ours (*_final.pth)"
    )
    parser.add_argument(
        "--size", nargs=2, type=int, metavar=("WIDTH", "HEIGHT"), help="of the canvas; default: 768 384, as in training"
    )
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", help="default: a GPU where there is one")


def frames_of(options: argparse.Namespace) -> "Frames":
    """The images that the command line names."""
    from mmf_visualbert.tasks.vcr.extraction import FramesOfDetections, FramesOfRecords
    from mmf_visualbert.tasks.vcr.records import VcrAnnotations
    from mmf_visualbert.tasks.vcr.regions import CANVAS, DetectedRegions, FrameRegions

    size = options.size or CANVAS
    if options.detections:
        return FramesOfDetections(DetectedRegions(options.detections, options.images, size))
    if len(options.images) > 1:
        raise InputError("VCR's frames are below one folder; give --images once")
    regions = FrameRegions(options.images[0], size)
    return FramesOfRecords(VcrAnnotations(options.annotations, labels_required=False), regions)


def run(options: argparse.Namespace) -> None:
    """Makes the store."""
    import torch
    from tqdm import tqdm

    from mmf_visualbert.tasks.vcr.extraction import extract, store_info
    from mmf_visualbert.tasks.vcr.regions import CANVAS
    from mmf_visualbert.tasks.vcr.roi_regions import build_roi_backbone

    frames = frames_of(options)
    backbone = build_roi_backbone(options.backbone, options.weights, options.width, frozen="all")
    info = store_info(frames, backbone, options.backbone, options.weights, options.size or CANVAS)
    with FeatureStoreWriter(options.out, info, options.dtype, resume=True) as writer:
        steps = extract(
            frames,
            backbone,
            writer,
            batch_size=options.batch_size,
            workers=options.workers,
            device=options.device or ("cuda" if torch.cuda.is_available() else "cpu"),
        )
        left = sum(key not in writer for key in frames.keys)
        with tqdm(total=left, unit="images", disable=None) as progress:
            for count in steps:
                progress.update(count)
    print(f"{options.out}: {len(frames.keys)} images, {backbone.dimension} numbers a region")
