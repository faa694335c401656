"""VQA 2.0's questions and annotations while their files are read: put away in columns, some records at a time.

A record by itself costs more than reading it; there are half a million, with ten answers each.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from mmf_visualbert.datasets.columns import StringParts
from mmf_visualbert.tasks.vqa2.official import Image

NO_ANSWER = -1


class Numbers(dict[str, int]):
    """Numbers what is asked for in the order of the first times: four million answers, most of them known."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


class GatheredQuestions:
    """Questions while they are read.

    Attributes:
        ids, image_ids, files: of each question.
        images: of each, the place of its image's name in `names`.
        empty: the first question that says nothing; None without any.
    """

    def __init__(self) -> None:
        self.ids = array("q")
        self.image_ids = array("q")
        self.images = array("i")
        self.names = Numbers()
        self.texts = StringParts()
        self.files = array("h")
        self.empty: int | None = None

    def add(self, ids: Sequence[int], images: Sequence[Image], texts: Sequence[str], file: int) -> None:
        """Puts questions of a file away."""
        said = [text.strip(" \t\n?") for text in texts]
        if self.empty is None and "" in said:
            self.empty = len(self.ids) + said.index("")
        self.ids.extend(ids)
        self.image_ids.extend([image.number for image in images])
        self.images.extend([self.names[image.name] for image in images])
        self.texts.add(texts)
        self.files.extend([file] * len(ids))


class GatheredAnnotations:
    """Annotations while they are read; `table` numbers the different answers."""

    def __init__(self) -> None:
        self.table = Numbers()
        self.ids = array("q")
        self.files = array("h")
        self.majority = array("i")
        self.types = array("b")
        self._answers: list[np.ndarray] = []
        self._counts = array("i")

    def add(
        self,
        ids: Sequence[int],
        answers: Sequence[Sequence[str]],
        majority: Iterable[str],
        types: Iterable[int],
        file: int,
    ) -> None:
        """Puts annotations of a file away: of each, what its annotators said."""
        self.ids.extend(ids)
        counts = [len(own) for own in answers]
        numbers = map(self.table.__getitem__, chain.from_iterable(answers))
        self._answers.append(np.fromiter(numbers, np.int32, sum(counts)))
        self._counts.extend(counts)
        self.majority.extend(map(self.table.__getitem__, majority))
        self.types.extend(types)
        self.files.extend([file] * len(ids))

    def answers(self) -> np.ndarray:
        """(N, A) int32, places in `table`, `NO_ANSWER` where an annotator is missing."""
        counts = np.array(self._counts)
        answers = np.full((len(counts), counts.max(initial=0)), NO_ANSWER, dtype=np.int32)
        answers[np.arange(answers.shape[1]) < counts[:, None]] = np.concatenate(self._answers)
        return answers
