"""Asks a model about an example as everybody does: the task's own way to a sample, and from an output to answers."""

from typing import Any

from mmf_visualbert.contracts import Asked, Depicted, OneAnswer, Reply, Sample, TrainedModel


def sample_of(model: TrainedModel, way: OneAnswer, depicted: Depicted) -> Sample:
    """What the model reads of an example that is a text about images.

    Raises:
        InputError: for a text that the task cannot ask.
    """
    samples = [model.regions(record, key) for record, key in zip(depicted.records, depicted.images, strict=True)]
    regions: Sample = samples[0] if way.join is None else way.join(*samples)
    return {**regions, **way.ask(model, depicted.text or "")}


def answers_of(
    model: TrainedModel, way: OneAnswer, depicted: Depicted, sample: Sample, output: Any, best: int
) -> list[Reply]:
    """What an output says, best first."""
    return way.tell(model, Asked(depicted.text or "", depicted.records[0], sample, best), output)
