"""Facts that the datasets of a run hand on to its model and scheduler: MMF builds datasets first, then the model.

They live in MMF's registry, so that they begin and end with the run that MMF knows of.
"""

from collections.abc import Sequence
from typing import Any

from mmf.common.registry import registry

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.chosen_heads import Answers, ChosenHead
from mmf_visualbert.plugin.training_length import epoch_batches

_FACTS = "visualbert_run_facts"


def hand_on(dataset_name: str, anew: bool = False, **facts: Any) -> None:
    """Notes facts of a dataset (`train_samples`, `train_batches`, `answers`, `vocab_size`); None is passed over.

    Args:
        dataset_name: its registered name.
        anew: forget what an earlier run of this process noted of it.
        facts: what to note.
    """
    noted = dict(registry.get(_FACTS, {}, no_warning=True))
    before = {} if anew else noted.get(dataset_name, {})
    noted[dataset_name] = {**before, **{k: v for k, v in facts.items() if v is not None}}
    registry.register(_FACTS, noted)


def _of_this_run(fact: str, of: Sequence[str] = ()) -> list[Any]:
    noted = registry.get(_FACTS, {}, no_warning=True)
    return [noted[name][fact] for name in of or datasets() if fact in noted.get(name, {})]


def datasets() -> list[str]:
    """The names of the run's datasets."""
    names = registry.get("config").datasets
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)


def train_batches() -> int:
    """Number of batches of an epoch over the run's datasets; 0 where they have noted nothing."""
    noted = registry.get(_FACTS, {}, no_warning=True)
    return epoch_batches([noted.get(name, {}) for name in datasets()], registry.get("config").training.batch_size)


def answers_of(heads: Sequence[ChosenHead]) -> Answers:
    """What the heads of a model answer with: by their names, where some are for some of the run's data sets alone.

    Raises:
        InputError: as `answers`.
    """
    if not any(head.datasets for head in heads):
        return answers()
    named = {head.name: answers(head.datasets) for head in heads}
    return {name: own for name, own in named.items() if own is not None}


def answers(of: Sequence[str] = ()) -> list[str] | None:
    """The answer vocabulary of the run's datasets, None where no dataset has one.

    Args:
        of: some of them; empty for all.

    Raises:
        InputError: where two of them have others: one head cannot predict from both.
    """
    given = _of_this_run("answers", of)
    other = next((one for one in given if one != given[0]), None)
    if other is not None:
        raise InputError(
            f"datasets={','.join(datasets())} names data with answers of their own ({len(given[0])} and {len(other)}), "
            "which one head cannot predict from; give each a head of its own ({type: ..., datasets: [...]}), or both "
            "the same answers in processors.answer_processor.params.vocabulary"
        )
    return next(iter(given), None)


def refuse_others(dataset: str, missing: object) -> None:
    """Says what is wrong where the samples of one of a run's several data sets lack what a head, loss or metric reads.

    Args:
        dataset: of the batch.
        missing: what was asked for.

    Raises:
        InputError: where the run has several data sets.
    """
    if len(datasets()) > 1:
        raise InputError(
            f"datasets={','.join(datasets())} trains several data sets together, and the samples of {dataset} have no "
            f"{missing}, which a head or loss of this run reads; train one after the other, or give each data set its "
            "heads, losses and metrics ({type: ..., datasets: [...]})"
        )


def vocab_size() -> int | None:
    """Number of word pieces of the run's tokenizer, None where the datasets were not built here."""
    return max(_of_this_run("vocab_size"), default=None)
