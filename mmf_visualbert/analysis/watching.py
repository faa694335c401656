"""A trained model that is watched while it answers: what its words look at, and what its answer rests on.

Shapes: L layers that see regions, T words of the trimmed text, R regions of the trimmed images.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.analysis.relevance import gradients_of, relevance, rollout, rows_read, score_of
from mmf_visualbert.contracts import Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.runs import modules_of


class Seen(NamedTuple):
    """What was seen while one sample was read.

    Attributes:
        sample: that the model read.
        output: of the head.
        words: (T,) int64, ids of the word pieces.
        regions: (N,) int64, which of the R places hold a region; the others are padding, between two images.
        layers: numbers, from 1, of the L layers that see regions.
        raw: (L, heads, T, N), what each word gives to each region.
        special: (L, heads, T), what each word gives to [CLS] and [SEP].
        rollout: (T, N), rows of words, columns of regions.
        relevance: (T, N), the same.
        answer: (T + N,), what the head's answer rests on by relevance, words first.
        read: (T,) bool, the words whose last state the head reads.
        rests: the same as `answer` by each method: "raw" (mean over heads of the last layer), "rollout", "relevance".
    """

    sample: Sample
    output: Any
    words: Tensor
    regions: Tensor
    layers: tuple[int, ...]
    raw: Tensor
    special: Tensor
    rollout: Tensor
    relevance: Tensor
    answer: Tensor
    read: Tensor
    rests: dict[str, Tensor]


class WatchedModel:
    """A trained model (`contracts.TrainedModel`) that keeps what was seen the last time it ran.

    Args:
        parts: the model; it is put into evaluation mode.
        text: assembles word pieces.
        regions: makes tensors of region features.

    Attributes:
        seen: of the last `run`; None before the first.
    """

    def __init__(self, parts: ModelParts, text: TextAssembler, regions: RegionFeatures) -> None:
        self.parts, self.text, self.regions = parts, text, regions
        modules_of(parts).eval()
        self.seen: Seen | None = None

    def head(self, name: str) -> Any:
        """One of its heads."""
        return self.parts.heads[name]

    def run(self, head: str, sample: Mapping[str, Tensor]) -> Any:
        """What a head gives for one sample, as a batch of one; the rest is kept.

        Raises:
            InputError: where the model has no such head, or the sample no regions.
        """
        if head not in self.parts.heads:
            raise InputError(f"this model has no head {head}, but {', '.join(self.parts.heads)}; name another run")
        batch = {name: value[None] for name, value in sample.items()}
        encoder = self.parts.region_encoder
        with torch.no_grad():
            features = None if encoder is None else encoder(batch).features
        with torch.enable_grad():
            encoded = self.parts.visual_bert(*visual_bert_inputs(batch, features), output_attentions=True)
            output = self.parts.heads[head](encoded, batch)
            attentions = encoded.attentions or ()
            gradients = gradients_of(score_of(output), attentions)
        read = rows_read(self.parts.heads[head], batch, encoded.text_mask.shape[1])
        # Of several sequences (the choices of VCR) the one that is chosen.
        chosen = 0 if len(encoded.text_mask) == 1 else int(output.scores[0].argmax())
        self.seen = _seen(
            dict(sample),
            output,
            batch["input_ids"].flatten(0, -2)[chosen],
            encoded.region_mask[chosen],
            [each[chosen].detach() for each in attentions],
            [each[chosen] for each in gradients],
            read[chosen],
            (self.text.tokenizer.cls_id, self.text.tokenizer.sep_id),
        )
        return output


def _seen(
    sample: Sample,
    output: Any,
    ids: Tensor,
    region_mask: Tensor,
    weights: list[Tensor],
    gradients: list[Tensor],
    read: Tensor,
    special_ids: tuple[int, int],
) -> Seen:
    words, regions = len(read), region_mask.nonzero().squeeze(1)
    length = words + len(region_mask)
    rested = relevance(weights, gradients, length)
    special = torch.isin(ids, torch.tensor(special_ids))
    seeing = [(n, each) for n, each in enumerate(weights, start=1) if each.shape[2] == length]
    rolled = rollout(weights, length)
    rests_on = rested - torch.eye(length)  # without each token's own share
    kept = torch.cat((torch.arange(words), words + regions))
    by_method = {"raw": seeing[-1][1].mean(0), "rollout": rolled, "relevance": rests_on}
    rests = {name: each[:words][read].mean(0)[kept] for name, each in by_method.items()}
    return Seen(
        sample=sample,
        output=output,
        words=ids[:words],
        regions=regions,
        layers=tuple(number for number, _ in seeing),
        raw=torch.stack([each[:, :words, words:][:, :, regions] for _, each in seeing]),
        special=torch.stack([each[:, :words, :words][:, :, special[:words]].sum(-1) for _, each in seeing]),
        rollout=rolled[:words, words:][:, regions],
        relevance=rests_on[:words, words:][:, regions],
        answer=rests["relevance"],
        read=read,
        rests=rests,
    )
