"""The names that the labels of a table stand for: given, or learnt from train, and shared by all splits of a run."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import LearnsNames
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.kinds import Kind

FEWEST = 2


@register("processor", "visualbert_labels")
class LabelProcessor(LearnsNames):
    """Where the names of labels come from.

    Args:
        names: the names in the order of the head's outputs; None: those of train, numbers in their order, then names in
            the alphabet's.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self._names = None if names is None else [str(name) for name in names]
        if self._names is not None and len(set(self._names)) != len(self._names):
            raise InputError(f"the label_processor's names are {self._names}; give every name once")

    def take_names(self, names: Sequence[str]) -> None:
        """Take the names of a checkpoint's head, where the configuration gives none."""
        if self._names is None:
            self._names = list(names)

    def names(self, kind: Kind, train: Callable[[], Iterable[Any]]) -> list[str]:
        """The names; `train` gives train's labels and is only called where they have to be learnt.

        Raises:
            InputError: for fewer than two names.
        """
        if kind.names is None:
            return []
        if self._names is None:
            found = kind.names(train())
            if len(found) < FEWEST:
                raise InputError(
                    f"train has the label{'s' * (len(found) != 1)} {', '.join(found) or 'none'} alone; a {kind.name} "
                    "needs two names or more, so give rows of another, or name them in label_processor.params.names"
                )
            self._names = found
        return self._names
