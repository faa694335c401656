"""One answer: a checkpoint of a run, a text and the regions of its images -> what the model says. MMF is not needed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.heads import masked_lm, pooled, sentence_image  # noqa: F401
from mmf_visualbert.modules.parts import ModelParts, build_parts
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import load_checkpoint
from mmf_visualbert.tasks.flickr30k import head as phrase_grounding  # noqa: F401
from mmf_visualbert.tasks.flickr30k.annotations import Phrase
from mmf_visualbert.tasks.flickr30k.dataset import assemble_caption
from mmf_visualbert.tasks.nlvr2.dataset import join_images
from mmf_visualbert.tasks.nlvr2.records import LABELS
from mmf_visualbert.tasks.vqa2 import head as answer
from mmf_visualbert.tasks.vqa2.answers import unknown_index
from mmf_visualbert.tasks.vqa2.dataset import assemble_question

PHRASE = re.compile(r"\[([^\[\]]+)\]")
MASK = "[MASK]"


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


class Predictor:
    """A trained model with its way of reading texts and regions.

    Which question it answers is decided by the head that it was trained with: `visualbert_answer` (VQA 2.0),
    `visualbert_pooled` (NLVR2), `visualbert_phrase_grounding` (Flickr30K Entities: phrases stand in [brackets]) or
    `visualbert_masked_lm` (a phase of pre-training: the text has one or more `[MASK]`).

    Args:
        parts: the model; it is put into evaluation mode.
        text: assembles word pieces.
        regions: makes tensors of region features.
    """

    def __init__(self, parts: ModelParts, text: TextAssembler, regions: RegionFeatures) -> None:
        self.parts, self.text, self.regions = parts, text, regions
        for module in (parts.visual_bert, *parts.heads.values()):
            module.eval()
        ways = {
            "visualbert_answer": self._answer,
            "visualbert_phrase_grounding": self._ground,
            "visualbert_pooled": self._judge,
            "visualbert_masked_lm": self._fill,
        }
        self._reply = next((way for head, way in ways.items() if head in parts.heads), None)
        if self._reply is None or parts.region_encoder is not None:
            raise InputError(
                f"one answer needs a model with one of {', '.join(ways)} that reads stored regions, and this one has "
                f"{', '.join(parts.heads)}; VCR's models answer in tools/vcr_leaderboard.py"
            )

    @torch.inference_mode()
    def __call__(self, text: str, images: Sequence[RegionRecord], best: int = 5) -> list[Reply]:
        """What the model says.

        Args:
            text: a question, a statement, or a caption.
            images: the regions of each image, left before right.
            best: how many answers, the most probable first.

        Raises:
            InputError: for more or fewer images than the model was trained with, regions of another dimension, or a
                text without the brackets or masks that the head needs.
        """
        if not images or len(images) > 2:
            raise InputError(f"a text is read with one image or two, and {len(images)} are given")
        sample = self.regions(images[0], "the first image")
        if len(images) == 2:
            sample = join_images(sample, self.regions(images[1], "the second image"))
        return self._reply(text, sample, images[0], best)

    def _run(self, head: str, sample: Mapping[str, Tensor]) -> Any:
        batch = {name: value[None] for name, value in sample.items()}
        encoded = self.parts.visual_bert(*visual_bert_inputs(batch))
        return self.parts.heads[head](encoded, batch)

    def _answer(self, text: str, sample: dict[str, Tensor], _: RegionRecord, best: int) -> list[Reply]:
        assembled = assemble_question(self.text, text, [self.text.tokenizer.mask_id])
        sample |= {**assembled.tensors(), "answer_position": torch.tensor(assembled.length - 2)}
        probabilities = self._run("visualbert_answer", sample).scores[0].float().softmax(-1)
        answers = self.parts.heads["visualbert_answer"].answers
        if not answers:
            raise InputError("the checkpoint does not say what its answers are; train it with this version, or repeat")
        unknown = unknown_index(answers)
        if unknown is not None:
            probabilities[unknown] = 0.0
        return _ranked(text, probabilities, answers.__getitem__, best)

    def _judge(self, text: str, sample: dict[str, Tensor], _: RegionRecord, best: int) -> list[Reply]:
        sample |= self.text.single(text).tensors()
        return _ranked(text, self._run("visualbert_pooled", sample).scores[0].softmax(-1), LABELS.__getitem__, best)

    def _fill(self, text: str, sample: dict[str, Tensor], _: RegionRecord, best: int) -> list[Reply]:
        tokenizer, pieces = self.text.tokenizer, []
        for number, part in enumerate(text.split(MASK)):
            pieces += [tokenizer.mask_id] * bool(number) + list(tokenizer.pieces(part))
        sample |= self.text.single(pieces).tensors()
        masked = sample["input_ids"] == tokenizer.mask_id
        if not masked.any():
            raise InputError(f"a model of a pre-training phase fills in words, and '{text}' has no {MASK}; write one")
        sample["masked_lm_labels"] = torch.where(masked, sample["input_ids"], -1)
        logits = self._run("visualbert_masked_lm", sample).masked_lm_logits.float()
        return [
            reply
            for number, row in enumerate(logits.softmax(-1), start=1)
            for reply in _ranked(f"{MASK} {number}", row, tokenizer.token, best)
        ]

    def _ground(self, text: str, sample: dict[str, Tensor], image: RegionRecord, best: int) -> list[Reply]:
        words, phrases = bracketed(text)
        assembled, positions = assemble_caption(self.text, words, phrases)
        sample |= {**assembled.tensors(), "phrase_positions": torch.tensor(positions)}
        sample["phrase_mask"] = torch.ones(len(phrases), dtype=torch.bool)
        scores = self._run("visualbert_phrase_grounding", sample).scores[0].view(len(phrases), -1).exp()
        count = min(len(image.features), self.regions.max_regions)
        replies = []
        for phrase, row, position in zip(phrases, scores, positions, strict=True):
            if position < 0:
                raise InputError(f"the phrase '{phrase.text(words)}' stands beyond the cut; shorten the text")
            ranked = _ranked(phrase.text(words), row[:count], str, best)
            replies += [_with_box(reply, image) for reply in ranked]
        return replies


def _ranked(about: str, probabilities: Tensor, name: Any, best: int) -> list[Reply]:
    values, places = probabilities.topk(min(best, len(probabilities)))
    return [Reply(about, name(place), value) for value, place in zip(values.tolist(), places.tolist(), strict=True)]


def _with_box(reply: Reply, image: RegionRecord) -> Reply:
    if image.boxes is None:
        return reply
    return reply._replace(box=tuple(round(float(x), 1) for x in image.boxes[int(reply.answer)]))


def bracketed(text: str) -> tuple[tuple[str, ...], tuple[Phrase, ...]]:
    """Words and phrases of `[A man] in [a red shirt] waits.`

    Raises:
        InputError: where nothing stands in brackets, or a bracket is left open.
    """
    words: list[str] = []
    phrases: list[Phrase] = []
    for number, part in enumerate(PHRASE.split(text)):
        own = part.split()
        if number % 2 and own:
            phrases.append(Phrase(0, (), len(words), len(words) + len(own) - 1))
        elif "[" in part or "]" in part:
            raise InputError(f"a bracket of '{text}' has no partner; write phrases as [a red shirt]")
        words += own
    if not phrases:
        raise InputError(f"'{text}' marks no phrase; write it in brackets, as in [a man] in [a red shirt]")
    return tuple(words), tuple(phrases)


def read_predictor(checkpoint: Path) -> Predictor:
    """A predictor out of one of MMF's checkpoints, which holds the configuration of its run.

    Raises:
        InputError: for a file that is no checkpoint of a run with VisualBERT, or whose dataset reads no stored regions.
    """
    stored = load_checkpoint(checkpoint)
    try:
        config = OmegaConf.create(stored["config"])
        model = OmegaConf.to_container(config.model_config.visualbert, resolve=True)
        dataset = next(name.strip() for name in str(config.datasets).split(","))
        processors = OmegaConf.to_container(config.dataset_config[dataset].processors, resolve=True)
    except (KeyError, OmegaConfBaseException) as error:
        raise InputError(
            f"{checkpoint} is no checkpoint of a run of VisualBERT ({error}); name its best.ckpt"
        ) from error
    if not processors.get("region_processor"):
        raise InputError(f"{checkpoint} was trained on {dataset}, which reads no stored regions; name another run")
    text, regions = (catalog.build("processor", processors[key]) for key in ("text_processor", "region_processor"))
    state = stored["model"]
    parts = build_parts({**model, "random_init": True}, _answers(state), text.tokenizer.vocab_size)
    whole = nn.ModuleDict({"visual_bert": parts.visual_bert, "heads": nn.ModuleDict(parts.heads)})
    try:
        whole.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{checkpoint} does not fit its own configuration ({reason}); name another one") from error
    return Predictor(parts, text, regions)


def _answers(state: Mapping[str, Tensor]) -> list[str] | None:
    """The answer vocabulary that the answer head left in the checkpoint."""
    stored = state.get("heads.visualbert_answer._extra_state")
    return None if stored is None else answer.answers_of(stored) or None
