"""VQA 2.0's questions and annotations while their files are read: put away in columns, some records at a time.

A record by itself costs more than reading it; there are half a million, with ten answers each.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmf_visualbert.datasets.columns import StringParts
from mmf_visualbert.tasks.vqa2.official import Image

NO_ANSWER = -1


class NoTextError(TypeError):
    """What is to be numbered is no text."""


class Numbers(dict[str, int]):
    """Numbers the texts that it is asked for in the order of the first times: four million answers, most of them known.

    Raises:
        NoTextError: for anything else, so that nobody has to look at each of the millions before.
    """

    def __missing__(self, text: str) -> int:
        if type(text) is not str:
            raise NoTextError
        number = self[text] = len(self)
        return number


class GatheredImages:
    """The images of questions while these are read, each once.

    Attributes:
        numbers: of each.
        names: of all of them.
        named: of each, the place of its name among these.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.names = Numbers()
        self.named: list[int] = []

    def add(self, image: Image) -> int:
        """Puts one away; its place."""
        self.numbers.append(image.number)
        self.named.append(self.names[image.name])
        return len(self.named) - 1


class GatheredQuestions:
    """Questions while they are read.

    Attributes:
        ids, files: of each question.
        images: what they are about.
        about: of each question, the place of its image in `images`.
        empty: the first question that says nothing; None without any.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.images = GatheredImages()
        self.about: list[int] = []
        self.texts = StringParts()
        self.files: list[int] = []
        self.empty: int | None = None

    def add(self, ids: Sequence[int], about: Iterable[int], texts: Sequence[str], file: int) -> None:
        """Puts questions of a file away; `about` has places in `images`."""
        said = [text.strip(" \t\n?") for text in texts]
        if self.empty is None and "" in said:
            self.empty = len(self.ids) + said.index("")
        self.ids.extend(ids)
        self.about.extend(about)
        self.texts.add(texts)
        self.files.extend([file] * len(ids))


class GatheredAnnotations:
    """Annotations while they are read; `table` numbers the different answers."""

    def __init__(self) -> None:
        self.table = Numbers()
        self.ids: list[int] = []
        self.files: list[int] = []
        self.types: list[int] = []
        self._majority: list[np.ndarray] = []
        self._answers: list[np.ndarray] = []
        self._counts: list[int] = []

    def numbers(self, answers: Sequence[Any]) -> np.ndarray:
        """Their places in `table`, (N,) int32.

        Raises:
            NoTextError: where one of them is none.
        """
        return np.fromiter(map(self.table.__getitem__, answers), np.int32, len(answers))

    def add(
        self,
        ids: Sequence[int],
        answers: np.ndarray,
        counts: Iterable[int],
        majority: np.ndarray,
        types: Iterable[int],
        file: int,
    ) -> None:
        """Puts annotations of a file away.

        Args:
            ids: of their questions.
            answers: `numbers` of what all their annotators said, one annotation after the other.
            counts: how many of these belong to each.
            majority: `numbers` of their majority answers.
            types: places in `ANSWER_TYPES`.
            file: which of the files.
        """
        self.ids.extend(ids)
        self._answers.append(answers)
        self._counts.extend(counts)
        self._majority.append(majority)
        self.types.extend(types)
        self.files.extend([file] * len(ids))

    def majority(self) -> np.ndarray:
        """(N,) int32, places in `table`."""
        return np.concatenate(self._majority)

    def answers(self) -> np.ndarray:
        """(N, A) int32, places in `table`, `NO_ANSWER` where an annotator is missing."""
        counts = np.array(self._counts, dtype=np.int64)
        answers = np.full((len(counts), counts.max(initial=0)), NO_ANSWER, dtype=np.int32)
        answers[np.arange(answers.shape[1]) < counts[:, None]] = np.concatenate(self._answers)
        return answers
