"""Facts that the datasets of a run hand on to its model and scheduler: MMF builds datasets first, then the model.

They live in MMF's registry, so that they begin and end with the run that MMF knows of.
"""

from typing import Any

from mmf.common.registry import registry

_FACTS = "visualbert_run_facts"


def hand_on(dataset_name: str, anew: bool = False, **facts: Any) -> None:
    """Notes facts of a dataset (`train_samples`, `answers`, `vocab_size`); None is passed over.

    Args:
        dataset_name: its registered name.
        anew: forget what an earlier run of this process noted of it.
        facts: what to note.
    """
    noted = dict(registry.get(_FACTS, {}, no_warning=True))
    before = {} if anew else noted.get(dataset_name, {})
    noted[dataset_name] = {**before, **{k: v for k, v in facts.items() if v is not None}}
    registry.register(_FACTS, noted)


def _of_this_run(fact: str) -> list[Any]:
    names = registry.get("config").datasets
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    noted = registry.get(_FACTS, {}, no_warning=True)
    return [noted[name][fact] for name in names if fact in noted.get(name, {})]


def train_samples() -> int:
    """Number of training samples of all datasets of the run."""
    return sum(_of_this_run("train_samples"))


def answers() -> list[str] | None:
    """The answer vocabulary of the run's dataset, None where no dataset has one."""
    return next(iter(_of_this_run("answers")), None)


def vocab_size() -> int | None:
    """Number of word pieces of the run's tokenizer, None where the datasets were not built here."""
    return max(_of_this_run("vocab_size"), default=None)
