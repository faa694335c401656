"""VisualBERT from Python.

>>> model = VisualBERT.from_pretrained("save/vqa2/defaults/best.ckpt")        # doctest: +SKIP
>>> model.answer("What color is the cat?", "cat.jpg")[0].answer               # doctest: +SKIP
'black'

Shapes: B texts, T word pieces, R regions, H hidden size.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert import catalog
from mmf_visualbert.checkpoints.sources import Said, Source, read_source
from mmf_visualbert.contracts import OneAnswer, OneChoice, Reply, Sample, Task
from mmf_visualbert.datasets.one_answer import FILL, MATCH, PAIRS
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.modules.int8 import to_int8
from mmf_visualbert.modules.parts import build_parts
from mmf_visualbert.predict import Predictor
from mmf_visualbert.pretrained.choosing import choose, questions_of
from mmf_visualbert.pretrained.images import Photographer, records_of
from mmf_visualbert.pretrained.saving import save
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import LoadedModel, load_weights
from mmf_visualbert.tasks.learnt import answers_of_heads

Replies = list[Reply]
INT8 = "int8"


class Encoding(NamedTuple):
    """States of the last layer for B texts with their images, on the CPU in fp32. Padding is 0.

    Attributes:
        text: (B, T, H).
        regions: (B, R, H).
        text_mask, region_mask: (B, T) and (B, R) bool, True where there is something.
        pooled: (B, H); None where the model has no pooler.
        tokens: of each text, the word piece at each of its places.
        words: of each text, which of its words (split at blanks) stands at each place; None at special tokens.
        boxes: of each text, the boxes (regions, 4) of its image in pixels; None where they are not known.
        hidden_states: (layers + 1) of (B, T + R, H), text first; empty unless asked for.
        attentions: (layers) of (B, heads, T + R, T + R); empty unless asked for.
    """

    text: Tensor
    regions: Tensor
    text_mask: Tensor
    region_mask: Tensor
    pooled: Tensor | None
    tokens: list[list[str]]
    words: list[list[int | None]]
    boxes: list[np.ndarray | None]
    hidden_states: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] = ()


class VisualBERT:
    """A trained model with its way of reading texts and images.

    Every question may be asked of one text, or of a list of them with as many images; the reply is a list of replies,
    the most probable first, or a list of such lists. An image is given as regions (a `RegionRecord`, features of shape
    (regions, dimension), or a mapping with `features`, `boxes`, `width`, `height`), or as a photograph (a path, bytes,
    an array, or an image of PIL), whose regions the detector finds.

    Args:
        source: what it is made from.
        detector: finds the regions of photographs; None for the one that the source records.
        detector_weights: a file, "zoo", or "random:SEED".
        precision: "fp32", "bf16", or "int8" (the layers' linear maps, on the CPU).
        vocabulary: a vocab.txt or folder, where the source does not hold one.

    Attributes:
        report: what the source was taken for, and what of it was left out, in sentences.
    """

    def __init__(
        self,
        source: Source,
        detector: str | None = None,
        detector_weights: str = "zoo",
        precision: str = "fp32",
        vocabulary: str | Path | None = None,
    ) -> None:
        self.source, self.report = source, source.report
        self.detector, self.detector_weights = detector or source.detector, detector_weights
        self._photographer: Photographer | None = None
        tokenizer = str(vocabulary) if vocabulary else source.text.get("tokenizer")
        if not tokenizer:
            raise InputError(f"{source.origin} does not say which vocabulary it reads; give it with vocabulary=")
        text = TextAssembler(**{**source.text, "tokenizer": tokenizer})
        model = {**source.model, "precision": "fp32" if precision == INT8 else precision}
        parts = build_parts(model, answers_of_heads(model["heads"], source.state), text.tokenizer.vocab_size)
        missing, odd = load_weights(parts, source.state, source.origin, strict=False)
        missing = [name for name in missing if not name.endswith("_extra_state")]
        if missing:
            raise InputError(f"{source.origin} has no weight for {missing[0]}; give a whole model")
        if precision == INT8:
            to_int8(parts.visual_bert)
            parts = parts._replace(precision=INT8)
        self.report = [*self.report, *(f"left out: {name} is not used by these heads" for name in odd)]
        self.model = LoadedModel(parts, text, RegionFeatures(**source.regions))
        self.task: Task | None = None if source.dataset is None else catalog.task_of_dataset(source.dataset)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        vocabulary: str | Path | None = None,
        answers: str | Path | None = None,
        head: str | None = None,
        attention_heads: int | None = None,
        detector: str | None = None,
        detector_weights: str = "zoo",
        precision: str = "fp32",
        device: str | torch.device = "cpu",
    ) -> "VisualBERT":
        """Loads a model.

        Args:
            source: a checkpoint of a run (`best.ckpt`), a folder of `save_pretrained`, a folder of transformers, a file
                of the authors, transformers or MMF's visual_bert, or a name on the Hugging Face hub. Which it is, is
                told from its content.
            vocabulary: a vocab.txt or folder, where the source holds none.
            answers: the file of the answers that a VQA classifier's rows stand for, where the weights do not say.
            head: the registered head that a classifier is for, where nothing beside the weights says it.
            attention_heads: their number, where nothing beside the weights says it.
            detector: a preset or yaml of `visualbert extract`, for photographs.
            detector_weights: a file, "zoo", or "random:SEED" to try things without any.
            precision: "fp32", "bf16", or "int8" (the layers' linear maps, on the CPU).
            device: such as "cuda".

        Raises:
            InputError: for a source that is missing, damaged or something else.
        """
        said = Said(None if answers is None else Path(answers), head, attention_heads)
        model = cls(read_source(source, said), detector, detector_weights, precision, vocabulary)
        return model.to(device)

    @property
    def heads(self) -> list[str]:
        """Registered names of its heads."""
        return list(self.model.parts.heads)

    def to(self, device: str | torch.device) -> "VisualBERT":
        """Moves the weights; gives itself.

        Raises:
            InputError: for int8 on another device than the CPU.
        """
        if torch.device(device).type != "cpu":
            self._refuse_int8(f"does not run on {device}")
        self.model.to(device)
        return self

    @torch.inference_mode()
    def encode(
        self,
        texts: str | Sequence[str],
        images: Any = None,
        *,
        hidden_states: bool = False,
        attentions: bool = False,
    ) -> Encoding:
        """`[CLS] text [SEP]` and the regions of its image, encoded.

        Args:
            texts: one, or B of them.
            images: one, or B of them; None for texts alone.
            hidden_states: the states of all layers too.
            attentions: the attention weights of all layers too.

        Raises:
            InputError: for another number of images, or one that does not fit the model.
        """
        given = [texts] if isinstance(texts, str) else list(texts)
        records = [] if images is None else self.records([images] if isinstance(texts, str) else images, len(given))
        assembled = [self.model.text.single(text) for text in given]
        samples: list[Sample] = [one.tensors() for one in assembled]
        for number, record in enumerate(records):
            samples[number] |= self.model.regions(record, f"image {number + 1}")
        batch = {name: torch.stack([one[name] for one in samples]).to(self.model.device) for name in samples[0]}
        parts = self.model.parts
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=parts.precision == "bf16"):
            encoded = parts.visual_bert(
                *visual_bert_inputs(batch), output_hidden_states=hidden_states, output_attentions=attentions
            )
        lengths = [one.length for one in assembled]
        tokens = [
            [self.model.text.tokenizer.token(index) for index in one.input_ids[: one.length].tolist()]
            for one in assembled
        ]
        words = [self.words(text, length) for text, length in zip(given, lengths, strict=True)]
        boxes = [None if record.boxes is None else np.asarray(record.boxes) for record in records]
        return _on_cpu(encoded, tokens, words, boxes or [None] * len(given))

    def words(self, text: str, length: int) -> list[int | None]:
        """Which word of a text (split at blanks) each of its places holds."""
        pieces = self.model.text.tokenizer.word_pieces(text.split())
        owners = [
            word for word, (a, b) in enumerate(zip(pieces.starts, pieces.ends, strict=True)) for _ in range(b - a)
        ]
        return [None, *owners[: length - 2], None]

    @overload
    def answer(self, questions: str, images: Any, best: int = 5) -> Replies: ...
    @overload
    def answer(self, questions: Sequence[str], images: Any, best: int = 5) -> list[Replies]: ...
    def answer(self, questions: str | Sequence[str], images: Any, best: int = 5) -> Replies | list[Replies]:
        """Answers of the vocabulary to questions about an image (VQA, §4.1)."""
        return self.ask("visualbert_answer", questions, images, best)

    @overload
    def judge(self, statements: str, images: Any) -> Replies: ...
    @overload
    def judge(self, statements: Sequence[str], images: Any) -> list[Replies]: ...
    def judge(self, statements: str | Sequence[str], images: Any) -> Replies | list[Replies]:
        """Whether statements about two images are true (NLVR2, §4.3); `images` is a pair for each."""
        return self.ask("visualbert_pooled", statements, images, 2)

    @overload
    def ground(self, captions: str, images: Any, best: int = 1) -> Replies: ...
    @overload
    def ground(self, captions: Sequence[str], images: Any, best: int = 1) -> list[Replies]: ...
    def ground(self, captions: str | Sequence[str], images: Any, best: int = 1) -> Replies | list[Replies]:
        """The regions of phrases, which stand in [brackets] (Flickr30K Entities, §4.4)."""
        return self.ask("visualbert_phrase_grounding", captions, images, best)

    @overload
    def fill(self, texts: str, images: Any, best: int = 5) -> Replies: ...
    @overload
    def fill(self, texts: Sequence[str], images: Any, best: int = 5) -> list[Replies]: ...
    def fill(self, texts: str | Sequence[str], images: Any, best: int = 5) -> Replies | list[Replies]:
        """Word pieces for each [MASK] of texts, of a model of pre-training (§3.3)."""
        return self.ask(FILL.head, texts, images, best)

    @overload
    def match(self, texts: str, images: Any) -> Replies: ...
    @overload
    def match(self, texts: Sequence[str], images: Any) -> list[Replies]: ...
    def match(self, texts: str | Sequence[str], images: Any) -> Replies | list[Replies]:
        """Whether texts describe an image, of a model pre-trained on captions (§3.3, objective 2).

        In that phase a text is two captions, the first of which is true; write them as one text, or the one in question
        alone.
        """
        return self.ask(MATCH.head, texts, images, 2)

    @overload
    def classify(self, texts: str, images: Any, best: int = 5) -> Replies: ...
    @overload
    def classify(self, texts: Sequence[str], images: Any, best: int = 5) -> list[Replies]: ...
    def classify(self, texts: str | Sequence[str], images: Any, best: int = 5) -> Replies | list[Replies]:
        """Labels of a model trained on a table of one's own (docs/extending.md), or its number."""
        return self.ask("visualbert_table", texts, images, best)

    @overload
    def choose(self, texts: str, candidates: Sequence[Any], images: Any = None) -> Replies: ...
    @overload
    def choose(
        self, texts: Sequence[str], candidates: Sequence[Sequence[Any]], images: Sequence[Any] | None = None
    ) -> list[Replies]: ...
    def choose(self, texts: Any, candidates: Sequence[Any], images: Any = None) -> Any:
        """Which of several candidates goes with a text and an image (VCR, §4.2; tables of choices).

        Args:
            texts: one, or B of them. For VCR a question, for rationales with its answer; objects of the image stand in
                it as tags, `[0]` or `[0, 1]`.
            candidates: of the text, or of each of B.
            images: as everywhere; for VCR a mapping with `image` and what it shows: `metadata`, VCR's own file, or
                `names`, `boxes` and, where there are any, `segms` as that file has them.

        Raises:
            InputError: for a number of candidates that the model was not trained with, a model without such a head, or
                an image that does not fit it.
        """
        way = self.way_of_choice
        self._require(way.head)
        questions = questions_of(texts, candidates, images)
        if not way.scenes and images is not None:
            records = self.records([question.image for question in questions], len(questions))
            questions = [one._replace(image=record) for one, record in zip(questions, records, strict=True)]
        replies = choose(self.model, way, questions, self.source.reading)
        return replies[0] if isinstance(texts, str) else replies

    @property
    def way_of_choice(self) -> OneChoice:
        """How it chooses: its own task's way, else by pairs of text and candidate."""
        return PAIRS if self.task is None or self.task.choice is None else self.task.choice

    def ask(self, head: str, texts: str | Sequence[str], images: Any, best: int) -> Any:
        """Asks a head; see the methods that name one.

        Raises:
            InputError: for a model without it, another number of images, or an image or text that does not fit.
        """
        self._require(head)
        way = way_of(head)
        one = isinstance(texts, str)
        given = [texts] if isinstance(texts, str) else list(texts)
        groups = [images] if one else list(images)
        wanted = self.images_of(way)
        if wanted > 1 and any(isinstance(group, str | bytes | Path) or len(group) != wanted for group in groups):
            raise InputError(f"this model reads a text with {wanted} images; give a list of {wanted} for each text")
        flat = groups if wanted == 1 else [image for group in groups for image in group]
        records = self.records(flat, wanted * len(given))
        asked = [(text, records[wanted * number : wanted * (number + 1)]) for number, text in enumerate(given)]
        predictor = Predictor(self.model.parts, self.model.text, self.model.regions, self.task, way)
        replies = predictor.many(asked, best)
        return replies[0] if one else replies

    def images_of(self, way: OneAnswer) -> int:
        """How many images a text has, that is asked in a way: as many as the model's task has."""
        own = None if self.task is None else self.task.answer
        return (own or way).images

    def records(self, images: Sequence[Any], wanted: int) -> list[RegionRecord]:
        """The regions of images.

        Raises:
            InputError: for another number than `wanted`, or a photograph where there is no detector.
        """
        if self.model.parts.region_encoder is not None:
            raise InputError(
                f"{self.source.origin} makes its regions from images with boxes and masks, as VCR has them; ask such a "
                "model with choose"
            )
        if len(images) != wanted:
            raise InputError(f"{len(images)} images are given where {wanted} are needed; give one for each text")
        return records_of(images, self._detect)

    def _detect(self) -> Photographer:
        if self.detector is None:
            raise InputError(
                f"{self.source.origin} does not say which detector made its regions; name the one it was trained with: "
                "from_pretrained(..., detector=...)"
            )
        if self._photographer is None:
            from mmf_visualbert.features.extraction.photographs import Photographer as Built

            self._photographer = Built(self.detector, self.detector_weights)
        return self._photographer

    def _refuse_int8(self, fault: str) -> None:
        if self.model.parts.precision == INT8:
            raise InputError(f"a model in int8 {fault}; load it with precision='fp32'")

    def _require(self, head: str) -> None:
        if head not in self.model.parts.heads:
            raise InputError(f"{self.source.origin} has no {head}; it has {', '.join(self.heads) or 'no head at all'}")

    def save_pretrained(self, folder: str | Path, card: str | None = None) -> Path:
        """Writes a folder that `from_pretrained` reads, and transformers too where it has the head.

        Args:
            folder: must not exist.
            card: the text of its README.md; made from what is known of the model where None.

        Returns:
            The folder.

        Raises:
            InputError: where it exists, or cannot be written.
        """
        self._refuse_int8("is not saved")
        return save(self.model, self.source, self.detector, Path(folder), card)

    def export_onnx(self, path: str | Path, head: str | None = None) -> Path:
        """Writes one head with the encoder as ONNX (opset 20), with batch, words and regions free; in fp32, padded.

        Inputs and output are those of `pretrained.export.Padding`; the packages onnx and onnxscript are needed.

        Args:
            path: of the file.
            head: its registered name; the first where None.

        Raises:
            InputError: for a model without it, or not on the CPU; without these packages.
        """
        from mmf_visualbert.pretrained.export import write_onnx

        self._refuse_int8("is not exported")
        return write_onnx(self.model, head or self.heads[0], Path(path))

    def push_to_hub(self, name: str, private: bool = False, card: str | None = None) -> str:
        """Saves and uploads to the Hugging Face hub; needs `huggingface-cli login`. Gives the address.

        Raises:
            InputError: where the hub does not take it.
        """
        from mmf_visualbert.pretrained.saving import push

        return push(self, name, private, card)


def way_of(head: str) -> OneAnswer:
    """How a head is asked.

    Raises:
        InputError: for a head that nothing asks.
    """
    ways = [FILL, MATCH, *(task.answer for task in catalog.tasks().values() if task.answer is not None)]
    for way in ways:
        if way.head == head:
            return way
    raise InputError(f"nothing asks the head {head}; ask one of {', '.join(way.head for way in ways)}")


def _on_cpu(
    encoded: Encoded, tokens: list[list[str]], words: list[list[int | None]], boxes: list[np.ndarray | None]
) -> Encoding:
    def plain(states: Tensor) -> Tensor:
        return states.float().cpu()

    return Encoding(
        plain(encoded.text) * encoded.text_mask.cpu()[..., None],
        plain(encoded.regions) * encoded.region_mask.cpu()[..., None],
        encoded.text_mask.cpu(),
        encoded.region_mask.cpu(),
        None if encoded.pooled is None else plain(encoded.pooled),
        tokens,
        words,
        boxes,
        tuple(plain(states) for states in encoded.hidden_states or ()),
        tuple(plain(weights) for weights in encoded.attentions or ()),
    )
