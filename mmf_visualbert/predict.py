"""One answer: a checkpoint of a run, a text and the regions of its images -> what the model says. MMF is not needed."""

from collections.abc import Sequence
from pathlib import Path

import torch

from mmf_visualbert import catalog
from mmf_visualbert.contracts import OneAnswer, Reply, Task
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import LoadedModel, read_model

IMAGES = {1: "one image", 2: "two images"}


class Predictor:
    """A trained model with its way of reading texts and regions.

    Which question it answers is decided by its heads: the one of its own task (`Task.answer`), or in a phase of
    pre-training masked language modeling, where the text has one or more `[MASK]`.

    Args:
        parts: the model; it is put into evaluation mode.
        text: assembles word pieces.
        regions: makes tensors of region features.
        task: whose data it was trained on; None where that is not known.

    Raises:
        InputError: for a model without a head that answers, or one that reads images in place of stored regions.
    """

    def __init__(
        self, parts: ModelParts, text: TextAssembler, regions: RegionFeatures, task: Task | None = None
    ) -> None:
        self.model = LoadedModel(parts, text, regions)
        known = [each.answer for each in catalog.tasks().values() if each.answer is not None]
        own = None if task is None else task.answer
        ways = [way for way in (own, *known) if way is not None and way.head in parts.heads]
        if not ways or parts.region_encoder is not None:
            raise InputError(
                f"one answer needs a model with one of {', '.join(sorted({way.head for way in known}))} that reads "
                f"stored regions, and this one has {', '.join(parts.heads)}; VCR's models answer whole files: "
                "visualbert vcr leaderboard"
            )
        self.way: OneAnswer = ways[0]
        # In pre-training too, a text is read with as many images as in its task.
        self.images_of: OneAnswer = own or self.way

    @torch.inference_mode()
    def __call__(self, text: str, images: Sequence[RegionRecord], best: int = 5) -> list[Reply]:
        """What the model says.

        Args:
            text: a question, a statement, or a caption.
            images: the regions of each image, left before right.
            best: how many answers, the most probable first.

        Raises:
            InputError: for more or fewer images than the model was trained with, regions of another dimension, or a
                text without the brackets or masks that the head needs.
        """
        wanted = self.images_of.images
        if len(images) != wanted:
            raise InputError(
                f"this model reads a text with {IMAGES[wanted]}, and {len(images)} are given; give it {IMAGES[wanted]}"
            )
        samples = [self.model.regions(image, f"image {number}") for number, image in enumerate(images, start=1)]
        sample = samples[0] if self.images_of.join is None else self.images_of.join(*samples)
        return self.way.reply(self.model, text, sample, images[0], best)


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
