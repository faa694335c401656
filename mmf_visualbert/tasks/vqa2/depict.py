"""A question as a page shows it."""

from mmf_visualbert.contracts import Depicted
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vqa2.dataset import VQA2


def depict(dataset: VQA2, index: int) -> Depicted:
    """The question, its image, its type, and the answers that are worth most; see `Task.depict`.

    Raises:
        InputError: for a run without regions, in which there is nothing to look at.
    """
    if dataset.regions is None:
        raise InputError("this run reads no regions (use_regions is false); name one that looks at images")
    record = dataset.questions[index]
    gold: tuple[str, ...] = ()
    if dataset.vocabulary is not None and record.answers is not None:
        targets = dataset.vocabulary.targets(record.answers, official=dataset.official_scores)
        best = float(targets.max())
        gold = tuple(
            answer
            for answer, score in zip(dataset.vocabulary.answers, targets.tolist(), strict=True)
            if score == best and best > 0
        )
    return Depicted(
        name=str(record.question_id),
        images=(record.image_name,),
        records=(dataset.regions.record(record.image_name),),
        text=record.question if dataset.masking is None else None,
        kind=record.answer_type or "",
        gold=gold if dataset.masking is None else (),
    )
