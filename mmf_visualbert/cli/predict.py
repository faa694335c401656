"""One answer of a trained model.

visualbert predict --checkpoint save/vqa2/defaults/best.ckpt --text "What color is the cat?" \\
    --features data/features/vqa2/val2014.lmdb --image COCO_val2014_000000000042

The checkpoint decides what is asked: a question (VQA 2.0), a statement about two images (NLVR2, --image LEFT RIGHT), a
caption with phrases in [brackets] (Flickr30K Entities), or a text with [MASK] (a phase of pre-training). In place of
--features, --detector makes the regions of photographs, as `visualbert extract` does; it needs detectron2.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmf_visualbert.features.store import FeatureStore, RegionRecord

if TYPE_CHECKING:
    from mmf_visualbert.predict import Reply


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the text, the images."""
    parser.set_defaults(run=run)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt or .pth of a run, with its config")
    parser.add_argument("--text", required=True)
    parser.add_argument("--image", nargs="+", required=True, help="keys in the store; files where --detector is given")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--features", nargs="+", help="feature stores, searched in this order")
    source.add_argument("--detector", help="preset or yaml, see visualbert extract")
    parser.add_argument("--weights", default="zoo", help="of the detector: a file, or 'zoo'")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--best", type=int, default=5, help="how many answers")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> None:
    """Asks, prints."""
    from mmf_visualbert.predict import read_predictor

    predictor = read_predictor(options.checkpoint, options.vocabulary)
    show(predictor(options.text, regions(options), options.best), options.json)


def regions(options: argparse.Namespace) -> list[RegionRecord]:
    """The regions of each image, from the stores or from the detector."""
    if options.features:
        store = FeatureStore(options.features)
        return [store.read(key) for key in options.image]
    from mmf_visualbert.features.extraction import presets
    from mmf_visualbert.features.extraction.detector import build_detector
    from mmf_visualbert.features.extraction.extract import extract
    from mmf_visualbert.features.extraction.images import ImageFile

    preset = presets.load(options.detector)
    files = [ImageFile(f"image{number}", path) for number, path in enumerate(options.image)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "regions.lmdb"
        built = build_detector(preset, options.weights)
        extract(files, out, preset, built, workers=0, dtype="float32", strict=True, progress=False)
        store = FeatureStore(out)
        records = [store.read(file.key) for file in files]
        return [record.copy() for record in records]


def show(replies: Sequence["Reply"], as_json: bool) -> None:
    """One line a reply, or all as JSON."""
    if as_json:
        print(json.dumps([reply._asdict() for reply in replies], ensure_ascii=False, indent=2))
        return
    for reply in replies:
        box = "" if reply.box is None else f"  at {', '.join(f'{corner:.0f}' for corner in reply.box)}"
        print(f"{reply.probability:7.2%}  {reply.about}  ->  {reply.answer}{box}")
