"""The heads that a configuration chooses: under which names, and for which of a run's data sets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError

Answers = Sequence[str] | Mapping[str, Sequence[str]] | None
"""What the heads' outputs stand for: the same for all heads, or by the name of the head."""
KEYS = ("type", "name", "params", "datasets")


class ChosenHead(NamedTuple):
    """A head of a configuration.

    Attributes:
        name: its own, in checkpoints too; that of its type where none is given.
        type: as it is registered.
        params: its keywords.
        datasets: those whose samples it reads; empty for all.
    """

    name: str
    type: str
    params: Mapping[str, Any]
    datasets: tuple[str, ...] = ()

    def reads(self, dataset: str | None) -> bool:
        """Whether it reads the samples of a data set."""
        return not self.datasets or dataset in self.datasets

    def answers(self, given: Answers) -> Sequence[str] | None:
        """What its outputs stand for."""
        return given.get(self.name) if isinstance(given, Mapping) else given


def chosen_heads(heads: Any) -> list[ChosenHead]:
    """The heads of `model_config.visualbert.heads`, each with a name of its own.

    Raises:
        InputError: for none, one without a type, an unknown key, or a name that two have.
    """
    if not heads:
        raise InputError("model_config.visualbert.heads is empty; name at least one head, as projects/visualbert does")
    chosen: list[ChosenHead] = []
    for where, head in _entries(heads):
        name = str(head.get("name") or head["type"])
        if any(name == other.name for other in chosen):
            raise InputError(
                f"model_config.visualbert.heads names {name} twice; leave one of them out, or give one that is for "
                "another of several data sets a `name` of its own"
            )
        datasets = datasets_of(head, where)
        chosen.append(ChosenHead(name, head["type"], head.get("params") or {}, datasets))
    return chosen


def _entries(heads: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for position, head in enumerate(heads):
        where = f"model_config.visualbert.heads[{position}]"
        if not isinstance(head, Mapping) or "type" not in head:
            raise InputError(f"{where} is '{head}'; write it as {{type: name}}")
        unknown = next((key for key in head if key not in KEYS), None)
        if unknown is not None:
            raise InputError(f"{where} has the key '{unknown}', which nothing reads; a head has {', '.join(KEYS)}")
        yield where, head


def datasets_of(part: Any, where: str) -> tuple[str, ...]:
    """The data sets that a head, loss or metric of a configuration is for; empty for all.

    Args:
        part: `{type: ..., datasets: [...]}`, or its name alone.
        where: its key, as messages name it.

    Raises:
        InputError: for `datasets` that are no names.
    """
    given = part.get("datasets") if isinstance(part, Mapping) else None
    if given is None:
        return ()
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{where}.datasets is {given!r}; write a list of names of the run's data sets")
    return tuple(names)
