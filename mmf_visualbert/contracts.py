"""What rooms promise each other: the parts of a model, of its data, and of a task.

A part says what it can do by these types; nobody looks into a part to find out. Parts that hold weights derive from the
abstract classes here, because torch's modules have no protocol; they inherit no behaviour from them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from mmf_visualbert.paper_rows import Column as Column
from mmf_visualbert.paper_rows import Load as Load
from mmf_visualbert.paper_rows import Merge as Merge
from mmf_visualbert.paper_rows import Merged as Merged
from mmf_visualbert.paper_rows import Phase as Phase
from mmf_visualbert.paper_rows import Row as Row

if TYPE_CHECKING:
    from mmf_visualbert.features.records import RegionRecord
    from mmf_visualbert.modules.inputs import Encoded

Sample = dict[str, Tensor]
Batch = Mapping[str, Tensor]


# Data


@dataclass(frozen=True)
class DatasetFacts:
    """What a model and a schedule need to know of a dataset.

    Attributes:
        samples: how many it has.
        vocab_size: number of word pieces of its tokenizer; None where it reads no text.
        answers: what its answers' indices stand for; None where it has none.
        lengths: counts the tokens of each sample (N,), as well as can be said before; None where nothing can.
    """

    samples: int
    vocab_size: int | None = None
    answers: Sequence[str] | None = None
    lengths: Callable[[], np.ndarray] | None = None


class Dataset(Protocol):
    """One split of a task's data."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`: tensors by name, of one shape in all samples, `id` () among them."""

    def predictions(self, output: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Entries to write down for one batch. `output` holds `id` (B,) and what the model's heads gave."""

    @property
    def facts(self) -> DatasetFacts:
        """What the model and the schedule need to know."""


class DatasetBuilder(Protocol):
    """Builds one split after the plain section `dataset_config.<name>`."""

    def __call__(self, config: Mapping[str, Any], split: str, processors: Mapping[str, Any]) -> Dataset:
        """`split` is train, val or test; `processors` are the section's own, built."""


class LearnsNames(ABC):
    """A processor that learns names from train: an answer vocabulary, or what labels stand for."""

    @abstractmethod
    def take_names(self, names: Sequence[str]) -> None:
        """Takes those of a checkpoint's head in place of train's; names that the configuration gives stay."""


class RegionQuery(NamedTuple):
    """Which regions are asked for.

    Attributes:
        key: of the image: its file name without extension, or in VCR its metadata's path without extension.
        where: what errors call the record that asks.
        image: the image's file below the images' folder; None where the key is enough.
        objects: class name of each object that the record says the image shows; None where it does not say.
        chosen: which of the objects are regions, in order; None for all there are.
    """

    key: str
    where: str
    image: str | None = None
    objects: tuple[str, ...] | None = None
    chosen: tuple[int, ...] | None = None


class RegionSource(Protocol):
    """What gives the regions of images: stored features, or pixels with boxes and masks."""

    def check(self, queries: Iterable[RegionQuery]) -> None:
        """Raises InputError, before training, for the first query whose regions cannot be had."""

    def count(self, query: RegionQuery) -> int:
        """How many regions of an image that was checked there are, made into tensors or not."""

    def tensors(self, query: RegionQuery, max_regions: int | None = None) -> Sample:
        """Tensors of one image, padded to R regions: `max_regions`, or where that is None what the source is set to."""


# The model


@dataclass(frozen=True)
class ModelFacts:
    """What of a model its heads are fitted to.

    Attributes:
        hidden_size: H.
        num_heads: of the encoder's attention.
        word_embeddings: the encoder's own (V, H).
        dropout: what the configuration asks of all parts; None where each part keeps its own.
        answers: what the run's dataset answers with; None where it has no answers.
    """

    hidden_size: int
    num_heads: int
    word_embeddings: nn.Embedding
    dropout: float | None = None
    answers: Sequence[str] | None = None

    def with_dropout(self, **settings: Any) -> dict[str, Any]:
        """`settings`, and `dropout` where the configuration asks for one."""
        return settings if self.dropout is None else {**settings, "dropout": self.dropout}


class HeadWeights(NamedTuple):
    """The small part of a BERT's weights that heads may start from; empty where the BERT came without."""

    masked_lm: dict[str, Tensor]
    sentence_image: dict[str, Tensor]


class Head(nn.Module):
    """What reads the encoder's states for a task.

    Attributes:
        needs_pooler: whether it reads the pooled state.
    """

    needs_pooler: ClassVar[bool]

    @classmethod
    @abstractmethod
    def fitted(cls, model: ModelFacts) -> dict[str, Any]:
        """The keywords of its constructor that the model decides; a yaml's `params` are put over them."""

    @abstractmethod
    def load_bert(self, weights: HeadWeights) -> None:
        """Start from a BERT's weights, where there are any that fit."""

    @abstractmethod
    def rows(self, batch: Batch) -> Tensor | None:
        """(texts, T) bool, the text positions whose last state it reads; None where it reads all states."""

    @abstractmethod
    def forward(self, encoded: Encoded, batch: Batch) -> Any:
        """A NamedTuple of tensors, which losses, metrics and predictions read by name."""


class RegionEncoder(nn.Module):
    """Makes region features from images, as a part of the model."""

    @abstractmethod
    def forward(self, batch: Batch) -> Any:
        """A NamedTuple whose field `features` is (B, R, D); further fields are for losses, None where absent."""


class Loss(Protocol):
    """A loss: a module without weights of its own, a mean over the samples of a batch unless it is a `CountedLoss`."""

    def __call__(self, sample_list: Batch, model_output: Batch) -> Tensor:
        """The loss of a batch, ()."""


class Mean(NamedTuple):
    """A mean before its division, so that the shares of several processes can be added up.

    Attributes:
        total: (), with its gradient.
        number: (), how much was counted, by which it is divided; 0 where there is nothing to count.
    """

    total: Tensor
    number: Tensor

    @property
    def value(self) -> Tensor:
        """The mean, (); 0, with a gradient of 0, where nothing was counted."""
        return self.total / self.number.masked_fill(self.number == 0, 1).to(self.total.dtype)


class CountedLoss(nn.Module):
    """A loss that is a mean over something else than samples: words, phrases, regions."""

    @abstractmethod
    def mean(self, sample_list: Batch, model_output: Batch) -> Mean:
        """The loss of a batch, not yet divided."""

    @abstractmethod
    def forward(self, sample_list: Batch, model_output: Batch) -> Tensor:
        """The loss of a batch, ()."""


class Metric(Protocol):
    """A metric over a whole split, each sample once.

    Attributes:
        required_params: what of samples and outputs has to be collected for it.
    """

    required_params: Sequence[str]

    def calculate(self, sample_list: Batch, model_output: Batch) -> Tensor | Mapping[int, Tensor]:
        """The value, (); or one for each of the answers or labels that the dataset has, by their indices."""


# A task


Id = Any  # int, str, or a tuple of them
Entry = Mapping[str, Any]


class Scanned(NamedTuple):
    """One entry of a leaderboard file.

    Attributes:
        place: where it stands, as "line 3".
        id: what it is about; None where that cannot be read.
        fault: what is wrong with it, in words; None where nothing is.
    """

    place: str
    id: Id
    fault: str | None


class Leaderboard(NamedTuple):
    """The leaderboard file of a task.

    Attributes:
        thing: what an entry is about, as errors call it.
        annotations: which file names the ids that have to be there, in words.
        id_of: the id of a prediction.
        read_ids: the ids that the file has to have, from the official annotations.
        write: predictions to the text of the file.
        scan: the entries of a file.
    """

    thing: str
    annotations: str
    id_of: Callable[[Entry], Id]
    read_ids: Callable[[Path], list[Id]]
    write: Callable[[Iterable[Entry]], str]
    scan: Callable[[Path], Iterator[Scanned]]


class AnnotationFile(NamedTuple):
    """An annotation file of no known kind, as far as it can be read.

    Attributes:
        path: of the file.
        whole: a json file's content; None for other files.
        records: the objects of a JSON lines file, or the one object of a json file; empty for other files.
        lines: the lines of a text file that are not blank; empty for json.
    """

    path: Path
    whole: Any
    records: list[dict[str, Any]]
    lines: list[str]


class Reply(NamedTuple):
    """One thing that the model says.

    Attributes:
        about: the text it was asked, a phrase of it, or `[MASK]` with its number.
        answer: an answer, `True`, a word piece, or the number of a region.
        probability: 0..1.
        box: of the region, x1, y1, x2, y2 in pixels; None where the answer is none.
    """

    about: str
    answer: str
    probability: float
    box: tuple[float, ...] | None = None


class TrainedModel(Protocol):
    """A trained model with its way of reading texts and regions."""

    text: Any
    regions: Any

    def head(self, name: str) -> Any:
        """One of its heads."""


class Asked(NamedTuple):
    """One text that a model was asked, for reading what it says.

    Attributes:
        text: as it was given.
        image: the regions of its first image.
        sample: what the model read.
        best: how many answers are wanted, the most probable first.
    """

    text: str
    image: RegionRecord
    sample: Sample
    best: int


class OneAnswer(NamedTuple):
    """How a task's model answers a text with its images.

    Attributes:
        head: the registered head that answers.
        images: how many images a text is read with.
        ask: (model, text) -> the text's tensors of a sample.
        tell: (model, what was asked, the head's output for that sample, as a batch of one) -> answers, best first.
        join: two images' tensors -> one sample's; None for tasks of one image.
    """

    head: str
    images: int
    ask: Callable[[TrainedModel, str], Sample]
    tell: Callable[[TrainedModel, Asked, Any], list[Reply]]
    join: Callable[[Batch, Batch], Sample] | None = None


class ChoiceQuestion(NamedTuple):
    """A text with candidates, of which one goes with it.

    Attributes:
        text: what is asked.
        candidates: two or more.
        image: its regions, or what `OneChoice.ask` takes of a scene; None for a text alone.
        where: what errors call the image.
    """

    text: Any
    candidates: Sequence[Any]
    image: Any = None
    where: str = "the image"


class OneChoice(NamedTuple):
    """How a task's model chooses among candidates.

    Attributes:
        head: the registered head that scores them.
        ask: (model, question, settings) -> its sample, texts (C, T).
        settings: of the dataset, which `ask` is given.
        scenes: its images come with what they show, in place of a detector's regions.
        candidates: how many there are; None for any number.
    """

    head: str
    ask: Callable[[TrainedModel, ChoiceQuestion, Mapping[str, Any]], Sample]
    settings: tuple[str, ...] = ()
    scenes: bool = False
    candidates: int | None = None


class GoldBoxes(NamedTuple):
    """Boxes that a data set gives for a part of a text.

    Attributes:
        label: that part.
        image: which of the example's images, from 0.
        boxes: x1, y1, x2, y2 each, in pixels.
        kind: of the part, where the data set knows kinds.
    """

    label: str
    image: int
    boxes: tuple[tuple[float, ...], ...]
    kind: str = ""


class Depicted(NamedTuple):
    """One example of a data set as a page shows it.

    Attributes:
        name: by which it is found again.
        images: key of each image, its file's name without extension.
        records: the regions of each image.
        text: what the task's `OneAnswer` is asked; None where the sample itself is read (phases of pre-training).
        kind: of the example, for filters; empty where the data set knows none.
        gold: answers that are right; empty where they are not known.
        boxes: that the data set gives.
        candidates: of which the task's `OneChoice` head chooses in the sample; empty for other tasks.
        asked: what they answer, in words.
    """

    name: str
    images: tuple[str, ...]
    records: tuple[RegionRecord, ...]
    text: str | None = None
    kind: str = ""
    gold: tuple[str, ...] = ()
    boxes: tuple[GoldBoxes, ...] = ()
    candidates: tuple[str, ...] = ()
    asked: str = ""


@dataclass(frozen=True)
class Task:
    """All that the rest of the package needs to know of a task. One a package, as `TASK` in its `task.py`.

    Attributes:
        name: as on command lines.
        title: as people write it.
        dataset: the registered name of its dataset.
        images: keys of the images that an annotation file of this task needs; None for a file that is another task's.
        leaderboard: its leaderboard file; None where it has none.
        answer: how its model answers one text; None where it cannot.
        variants: the runs that make up each of the paper's variants.
        columns: the numbers of its rows.
        rows: the paper's row of each variant.
        loads: what each phase of the paper has to get through.
        merge: two models that answer together; None where one does.
        depict: (its dataset, index) -> the example as a page shows it; None where no page can.
        choice: how its model chooses among candidates; None where it does not.
    """

    name: str
    title: str
    dataset: str
    images: Callable[[AnnotationFile], list[str] | None]
    leaderboard: Leaderboard | None = None
    answer: OneAnswer | None = None
    variants: Mapping[str, tuple[Phase, ...]] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    rows: Mapping[str, Row] = field(default_factory=dict)
    loads: Mapping[str, Load] = field(default_factory=dict)
    merge: Merge | None = None
    depict: Callable[[Any, int], Depicted] | None = None
    choice: OneChoice | None = None
