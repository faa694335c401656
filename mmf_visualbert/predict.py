"""One answer: a checkpoint of a run, a text and the regions of its images -> what the model says. MMF is not needed."""

from collections.abc import Sequence
from pathlib import Path

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Asked, OneAnswer, Reply, Sample, Task, TrainedModel
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import LoadedModel, read_model

IMAGES = {1: "one image", 2: "two images"}


def ask(
    model: TrainedModel,
    way: OneAnswer,
    text: str,
    images: Sequence[RegionRecord],
    names: Sequence[str],
    best: int,
    images_of: OneAnswer | None = None,
) -> Asked:
    """A text about images, as a model reads it.

    Args:
        model: that is asked.
        way: how.
        text: what.
        images: the regions of each.
        names: what errors call the images.
        best: how many answers.
        images_of: how the images are joined, where it is not as `way` has it.

    Raises:
        InputError: for regions of another dimension, or a text that the way cannot ask.
    """
    samples = [model.regions(image, name) for image, name in zip(images, names, strict=True)]
    join = (images_of or way).join
    regions: Sample = samples[0] if join is None else join(*samples)
    return Asked(text, images[0], {**regions, **way.ask(model, text)}, best)


class Predictor:
    """A trained model with its way of reading texts and regions.

    Which question it answers is decided by its heads: the one of its own task (`Task.answer`), or in a phase of
    pre-training masked language modeling, where the text has one or more `[MASK]`.

    Args:
        parts: the model; it is put into evaluation mode.
        text: assembles word pieces.
        regions: makes tensors of region features.
        task: whose data it was trained on; None where that is not known.
        way: how it is asked; None for its own task's way, or any that one of its heads has.

    Raises:
        InputError: for a model without a head that answers, or one that reads images in place of stored regions.
    """

    def __init__(
        self,
        parts: ModelParts,
        text: TextAssembler,
        regions: RegionFeatures,
        task: Task | None = None,
        way: OneAnswer | None = None,
    ) -> None:
        self.model = LoadedModel(parts, text, regions)
        known = [each.answer for each in catalog.tasks().values() if each.answer is not None]
        own = None if task is None else task.answer
        ways = [each for each in (way, own, *known) if each is not None and each.head in parts.heads]
        if not ways or parts.region_encoder is not None:
            raise InputError(
                f"one answer needs a model with one of {', '.join(sorted({way.head for way in known}))} that reads "
                f"stored regions, and this one has {', '.join(parts.heads)}; VCR's models choose among candidates: "
                "VisualBERT.choose, visualbert predict --choices, and for whole files visualbert vcr leaderboard"
            )
        self.way: OneAnswer = ways[0]
        # In pre-training too, a text is read with as many images as in its task.
        self.images_of: OneAnswer = own or self.way

    def __call__(self, text: str, images: Sequence[RegionRecord], best: int = 5) -> list[Reply]:
        """What the model says of one text; see `many`."""
        return self.many([(text, images)], best)[0]

    def many(
        self, questions: Sequence[tuple[str, Sequence[RegionRecord]]], best: int = 5, batch_size: int = 32
    ) -> list[list[Reply]]:
        """What the model says of each text.

        Args:
            questions: a question, a statement, or a caption, and the regions of its images, left before right.
            best: how many answers, the most probable first.
            batch_size: so many are computed at a time.

        Raises:
            InputError: for more or fewer images than the model was trained with, regions of another dimension, or a
                text without the brackets or masks that the head needs.
        """
        asked = [self.asked(text, images, best) for text, images in questions]
        outputs = self.model.run(self.way.head, [one.sample for one in asked], batch_size)
        return [self.way.tell(self.model, one, output) for one, output in zip(asked, outputs, strict=True)]

    def asked(self, text: str, images: Sequence[RegionRecord], best: int) -> Asked:
        """One text, as the model reads it.

        Raises:
            InputError: see `many`.
        """
        wanted = self.images_of.images
        if len(images) != wanted:
            raise InputError(
                f"this model reads a text with {IMAGES[wanted]}, and {len(images)} are given; give it {IMAGES[wanted]}"
            )
        names = [f"image {number}" for number in range(1, wanted + 1)]
        return ask(self.model, self.way, text, images, names, best, self.images_of)


def read_predictor(checkpoint: Path, vocabulary: Path | None = None) -> Predictor:
    """A predictor out of one of MMF's checkpoints, which holds the configuration of its run.

    Args:
        checkpoint: a `.ckpt` or `.pth` of a run.
        vocabulary: the vocabulary, where the file that the run names is gone.

    Raises:
        InputError: for a file that is no checkpoint of a run with VisualBERT, or whose dataset reads no stored regions.
    """
    loaded = read_model(checkpoint, vocabulary)
    return Predictor(loaded.parts, loaded.text, loaded.regions, catalog.task_of_dataset(loaded.dataset))
