"""Extraction from image files to a store beside the bare detectron2 model on tensors that are ready.

visualbert benchmark extract --json benchmarks/extract.json
"""

import argparse
import importlib
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmf_visualbert.compat.optional import require_detectron2
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.extraction.detector import Built, RegionDetector, build_detector
from mmf_visualbert.features.extraction.extract import Preparation, extract
from mmf_visualbert.features.extraction.images import ImageFile, find_images
from mmf_visualbert.features.extraction.presets import DetectorPreset


def run(args: argparse.Namespace) -> dict:
    """Images a second of both, in turn."""
    version = require_detectron2().__version__
    preset = presets.load(args.detector).changed(shortest=args.shortest)
    built = build_detector(preset, "random:0", args.device, args.precision)
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        files = make_images(Path(folder) / "images", args.images)
        for turn in range(args.rounds + 1):  # the first warms up
            out = Path(folder) / f"{turn}.lmdb"
            measured = {"ours": whole(files, out, preset, built, args), "bare": bare(files, preset, built, args)}
            for name, value in measured.items():
                if turn:
                    seconds[name].append(value)
    rates = {
        name: {
            "images_per_second": args.images / statistics.median(values),
            "slowest": args.images / max(values),
            "fastest": args.images / min(values),
        }
        for name, values in seconds.items()
    }
    ratio = rates["ours"]["images_per_second"] / rates["bare"]["images_per_second"]
    versions = {"detectron2": version, "torchvision": importlib.import_module("torchvision").__version__}
    found = {"benchmark": "extract", "detector": args.detector, "rates": rates, "versions": versions}
    return {**found, "speed_ratios": {"ours / bare": ratio}}


def make_images(folder: Path, count: int) -> list[ImageFile]:
    """Smooth coloured noise, as hard to decode as a photograph."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg")
    return find_images(str(folder))


def whole(files: list[ImageFile], out: Path, preset: DetectorPreset, built: Built, args: argparse.Namespace) -> float:
    """Seconds from image files to a finished store."""
    begin = time.perf_counter()
    extract(files, out, preset, built, batch_size=args.batch_size, workers=args.workers, progress=False)
    return time.perf_counter() - begin


def bare(files: list[ImageFile], preset: DetectorPreset, built: Built, args: argparse.Namespace) -> float:
    """Seconds of detectron2's own inference on the same images, decoded and resized beforehand."""
    prepare = Preparation(preset.shortest, preset.longest, preset.resize)
    images = [{"image": prepare(file).image} for file in files]
    if not isinstance(built.detector, RegionDetector):
        raise InputError(f"'{preset.detector}' is none of detectron2's, beside whose own inference ours is measured")
    model = built.detector.model
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[args.precision]
    begin = time.perf_counter()
    with torch.inference_mode(), torch.autocast(torch.device(args.device).type, dtype=dtype, enabled=dtype is not None):
        for start in range(0, len(images), args.batch_size):
            model.inference(images[start : start + args.batch_size], do_postprocess=False)
    if args.device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begin
