"""Ways out: attention for bertviz, and the function that captum attributes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmf_visualbert.contracts import Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.pretrained.model import Encoding
from mmf_visualbert.runs import LoadedModel


class Bertviz(NamedTuple):
    """What `bertviz.head_view(attention, tokens)` and `model_view` take.

    Attributes:
        attention: of each layer (1, heads, L, L).
        tokens: (L,) word pieces, then `region 0`, `region 1`, ...
    """

    attention: list[Tensor]
    tokens: list[str]


def to_bertviz(encoding: Encoding, text: int = 0) -> Bertviz:
    """One text of `VisualBERT.encode(..., attentions=True)` for bertviz.

    Args:
        encoding: of one or more texts.
        text: which of them, from 0.

    Raises:
        InputError: for an encoding without attention, or of a model whose layers see the text alone (§4).
    """
    if not encoding.attentions:
        raise InputError("this encoding has no attention; encode with attentions=True")
    words = int(encoding.text_mask[text].sum())
    width = encoding.text_mask.shape[1]
    regions = encoding.region_mask[text].nonzero().squeeze(1)
    if any(weights.shape[-1] != width + encoding.region_mask.shape[1] for weights in encoding.attentions):
        raise InputError(
            "without early fusion only one layer sees regions, which bertviz cannot show; name another model"
        )
    kept = torch.cat((torch.arange(words), width + regions))
    attention = [weights[text, :, kept][:, :, kept][None] for weights in encoding.attentions]
    return Bertviz(attention, [*encoding.tokens[text], *(f"region {number}" for number in range(len(regions)))])


def scores_of_features(model: LoadedModel, head: str, sample: Sample) -> Callable[[Tensor], Tensor]:
    """The function that captum attributes: region features (B, R, D) -> the head's scores (B, N).

    Args:
        model: that answers.
        head: its head with `scores`.
        sample: whose text and region masks are kept.
    """

    def scores(features: Tensor) -> Tensor:
        several = {name: value.expand(len(features), *value.shape) for name, value in sample.items()}
        encoded = model.parts.visual_bert(*visual_bert_inputs(several, features))
        return model.parts.heads[head](encoded, several).scores

    return scores
