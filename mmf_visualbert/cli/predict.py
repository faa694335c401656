"""One answer of a trained model, or one for each text of a file.

visualbert predict --checkpoint save/vqa2/defaults/best.ckpt --text "What color is the cat?" \\
    --features data/features/vqa2/val2014.lmdb --image COCO_val2014_000000000042
visualbert predict --checkpoint save/vqa2/defaults/best.ckpt --file questions.jsonl --out answers.jsonl \\
    --features data/features/vqa2/val2014.lmdb

The checkpoint decides what is asked: a question (VQA 2.0), a statement about two images (NLVR2, --image LEFT RIGHT), a
caption with phrases in [brackets] (Flickr30K Entities), or a text with [MASK] (a phase of pre-training). It may be of a
run, a folder of `save_pretrained` or of transformers, or a file of the authors or of MMF's visual_bert. In place of
--features, --detector makes the regions of photographs, as `visualbert extract` does.

A model that chooses (VCR, tables of choices) takes --choices, and VCR's an image's file with its objects:

visualbert predict --checkpoint save/vcr/defaults/best.ckpt --text "Why is [0] smiling?" \\
    --choices "[0] won." "[1] lost." "[0] is asleep." "It rains." --image frame.jpg --objects frame.json

A line of --file is {"text": "...", "image": "KEY"}, or "image": ["LEFT", "RIGHT"], and for a choice also has "choices":
[...] and VCR's "objects": "FRAME.json"; whatever else it holds comes back in --out beside "replies". A run that was
stopped goes on where it was.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.contracts import Reply
    from mmf_visualbert.features.records import RegionRecord
    from mmf_visualbert.pretrained import VisualBERT
    from mmf_visualbert.pretrained.many import Ask, Question

ONE_IMAGE = "a choice is about one image or none; give one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the text or texts, the images."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "--checkpoint", required=True, help="a .ckpt or .pth of a run, a folder of weights, or others' file"
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text")
    asked.add_argument("--file", type=Path, help="JSON lines with text and image")
    parser.add_argument("--image", nargs="+", help="keys in the store; files where --detector or --objects is given")
    parser.add_argument("--choices", nargs="+", metavar="TEXT", help="candidates, of which the model chooses")
    parser.add_argument(
        "--objects", metavar="JSON", help="what the image shows, as VCR's metadata: boxes, names, segms"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--features", nargs="+", help="feature stores, searched in this order")
    source.add_argument("--detector", help="preset or yaml, see visualbert extract")
    parser.add_argument("--weights", default="zoo", help="of the detector: a file, 'zoo' or random:SEED")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--answers", type=Path, help="of a VQA classifier whose file does not say them")
    parser.add_argument("--head", help="of a classifier that nothing says the use of")
    parser.add_argument("--heads", type=int, metavar="N", help="attention heads, where nothing says their number")
    parser.add_argument("--precision", default="fp32", help="%(default)s, bf16 or int8 (on the CPU)")
    parser.add_argument("--best", type=int, default=5, help="how many answers")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="the photograph with the boxes of the replies on it")
    parser.add_argument("--out", type=Path, help="JSON lines, where --file is given")
    parser.add_argument("--batch-size", type=int, default=32)


def run(options: argparse.Namespace) -> None:
    """Asks, prints or writes."""
    from mmf_visualbert.pretrained import VisualBERT
    from mmf_visualbert.pretrained.many import Question, answer_file

    refuse_contradictions(options)
    model = VisualBERT.from_pretrained(
        options.checkpoint,
        vocabulary=options.vocabulary,
        answers=options.answers,
        head=options.head,
        attention_heads=options.heads,
        detector=options.detector,
        detector_weights=options.weights,
        precision=options.precision,
    )
    ask = chooser(options, model) if model.way_of_choice.head in model.heads else answerer(options, model)
    if options.file is not None:
        done = answer_file(options.file, options.out, ask, options.batch_size)
        print(f"{done} texts answered: {options.out}")
        return
    images, choices = tuple(options.image or ()), tuple(options.choices or ())
    (replies,) = ask([Question("the question", {}, options.text, images, choices, options.objects)])
    show(replies[: options.best], options.json)
    if options.draw:
        from mmf_visualbert.pretrained.drawing import draw

        draw(options.image[0], replies, options.draw)
        print(f"drawn: {options.draw}")


def answerer(options: argparse.Namespace, model: "VisualBERT") -> "Ask":
    """Asks one text about its image or images."""
    from mmf_visualbert.predict import Predictor

    if not options.features and not options.detector:
        raise InputError("regions come from --features or from --detector; give one of them")
    predictor = Predictor(model.model.parts, model.model.text, model.model.regions, model.task)
    read = reader_of(options, model)

    def ask(questions: "Sequence[Question]") -> "list[list[Reply]]":
        if any(question.choices for question in questions):
            raise InputError(f"{options.checkpoint} has no head that chooses among candidates; leave them out")
        records = iter(read([image for question in questions for image in question.images]))
        asked = [(question.text, [next(records) for _ in question.images]) for question in questions]
        return predictor.many(asked, options.best, options.batch_size)

    return ask


def chooser(options: argparse.Namespace, model: "VisualBERT") -> "Ask":
    """Chooses among the candidates of each text."""
    scenes = model.way_of_choice.scenes
    stored = bool(options.features or options.detector)
    if scenes and stored:
        raise InputError("this model makes regions of an image and its objects; give --objects in place of a store")
    read = reader_of(options, model) if stored else None

    def image_of(question: "Question") -> Any:
        if len(question.images) > 1 or (scenes and not (question.images and question.objects)):
            raise InputError("this model reads an image's file with its objects; give both" if scenes else ONE_IMAGE)
        if scenes:
            return {"image": question.images[0], "metadata": question.objects}
        if question.images and read is None:
            raise InputError("regions come from --features or from --detector; give one of them")
        return read([question.images[0]])[0] if read is not None and question.images else None

    def ask(questions: "Sequence[Question]") -> "list[list[Reply]]":
        if not all(question.choices for question in questions):
            raise InputError("this model chooses among candidates; give them, as --choices or in the line")
        return [
            model.choose([question.text], [question.choices], None if image is None else [image])[0]
            for question, image in zip(questions, map(image_of, questions), strict=True)
        ]

    return ask


def refuse_contradictions(options: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together."""
    if (options.file is None) != (options.out is None):
        raise InputError("--file and --out go together; name both, or ask one --text")
    if (options.file is None) != (options.image is not None or options.choices is not None):
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
