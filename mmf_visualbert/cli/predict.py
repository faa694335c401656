"""One answer of a trained model, or one for each text of a file.

visualbert predict --checkpoint save/vqa2/defaults/best.ckpt --text "What color is the cat?" \\
    --features data/features/vqa2/val2014.lmdb --image COCO_val2014_000000000042
visualbert predict --checkpoint save/vqa2/defaults/best.ckpt --file questions.jsonl --out answers.jsonl \\
    --features data/features/vqa2/val2014.lmdb

The checkpoint decides what is asked: a question (VQA 2.0), a statement about two images (NLVR2, --image LEFT RIGHT), a
caption with phrases in [brackets] (Flickr30K Entities), or a text with [MASK] (a phase of pre-training). It may be of a
run, a folder of `save_pretrained` or of transformers, or a file of the authors or of MMF's visual_bert. In place of
--features, --detector makes the regions of photographs, as `visualbert extract` does.

A line of --file is {"text": "...", "image": "KEY"}, or "image": ["LEFT", "RIGHT"]; whatever else it holds comes back in
--out beside "replies". A run that was stopped goes on where it was.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.contracts import Reply
    from mmf_visualbert.features.records import RegionRecord
    from mmf_visualbert.pretrained import VisualBERT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the text or texts, the images."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "--checkpoint", required=True, help="a .ckpt or .pth of a run, a folder of weights, or others' file"
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text")
    asked.add_argument("--file", type=Path, help="JSON lines with text and image")
    parser.add_argument("--image", nargs="+", help="keys in the store; files where --detector is given")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--features", nargs="+", help="feature stores, searched in this order")
    source.add_argument("--detector", help="preset or yaml, see visualbert extract")
    parser.add_argument("--weights", default="zoo", help="of the detector: a file, or 'zoo'")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--answers", type=Path, help="of a VQA classifier whose file does not say them")
    parser.add_argument("--head", help="of a classifier that nothing says the use of")
    parser.add_argument("--heads", type=int, metavar="N", help="attention heads, where nothing says their number")
    parser.add_argument("--best", type=int, default=5, help="how many answers")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="the photograph with the boxes of the replies on it")
    parser.add_argument("--out", type=Path, help="JSON lines, where --file is given")
    parser.add_argument("--batch-size", type=int, default=32)


def run(options: argparse.Namespace) -> None:
    """Asks, prints or writes."""
    from mmf_visualbert.predict import Predictor
    from mmf_visualbert.pretrained import VisualBERT

    refuse_contradictions(options)
    model = VisualBERT.from_pretrained(
        options.checkpoint,
        vocabulary=options.vocabulary,
        answers=options.answers,
        head=options.head,
        attention_heads=options.heads,
        detector=options.detector,
        detector_weights=options.weights,
    )
    predictor = Predictor(model.model.parts, model.model.text, model.model.regions, model.task)
    read = reader_of(options, model)
    if options.file is None:
        replies = predictor(options.text, read(options.image), options.best)
        show(replies, options.json)
        if options.draw:
            from mmf_visualbert.pretrained.drawing import draw

            draw(options.image[0], replies, options.draw)
            print(f"drawn: {options.draw}")
        return
    from mmf_visualbert.pretrained.many import answer_file

    def ask(texts: Sequence[str], images: Sequence[Sequence[str]]) -> "list[list[Reply]]":
        records = iter(read([image for group in images for image in group]))
        questions = [(text, [next(records) for _ in group]) for text, group in zip(texts, images, strict=True)]
        return predictor.many(questions, options.best, options.batch_size)

    done = answer_file(options.file, options.out, ask, options.batch_size)
    print(f"{done} texts answered: {options.out}")


def refuse_contradictions(options: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together."""
    if (options.file is None) != (options.out is None):
        raise InputError("--file and --out go together; name both, or ask one --text")
    if (options.file is None) != (options.image is not None):
        raise InputError("--text is asked of --image KEY, and each line of --file names its own; correct the options")
    if options.draw and (options.file is not None or not options.detector):
        raise InputError("--draw draws on one photograph; give it with --text and --detector")


def reader_of(options: argparse.Namespace, model: "VisualBERT") -> "Callable[[Sequence[str]], list[RegionRecord]]":
    """What gives the regions of images: the stores, opened once, or the detector."""
    if options.detector:
        return lambda images: model.records(images, len(images))
    from mmf_visualbert.features.store import FeatureStore

    store = FeatureStore(options.features)
    return lambda images: [store.read(key).copy() for key in images]


def show(replies: Sequence["Reply"], as_json: bool) -> None:
    """One line a reply, or all as JSON."""
    if as_json:
        print(json.dumps([reply._asdict() for reply in replies], ensure_ascii=False, indent=2))
        return
    for reply in replies:
        box = "" if reply.box is None else f"  at {', '.join(f'{corner:.0f}' for corner in reply.box)}"
        print(f"{reply.probability:7.2%}  {reply.about}  ->  {reply.answer}{box}")
