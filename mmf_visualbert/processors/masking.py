"""Masked language modeling with the image: which word pieces are hidden (§3.3; Devlin et al. 2019)."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.text import Assembled, WordPieceTokenizer, load_tokenizer

NOT_MASKED = -1


class Masked(NamedTuple):
    """A text with some of its pieces hidden.

    Attributes:
        input_ids: (T,) int64, what the model sees.
        masked_lm_labels: (T,) int64, what stood there; -1 where nothing is to be predicted.
    """

    input_ids: Tensor
    masked_lm_labels: Tensor


@register("processor", "visualbert_masked_lm")
class MaskedLanguageModeling:
    """Chooses each word piece with `probability`; of the chosen, 80 % become [MASK], 10 % another piece, 10 % stay.

    Special tokens, [UNK] counted, are never chosen and never put in; nor are the unused places of BERT's vocabulary. At
    least one piece is chosen wherever there is one that can be. Randomness comes from torch's global generator, which
    the DataLoader seeds anew for each worker and epoch.

    Args:
        tokenizer: a tokenizer, or what `load_tokenizer` takes.
        probability: share of the pieces to choose.
        mask_share, random_share: shares of the chosen that become [MASK], or a random piece.
        lowercase: see `load_tokenizer`; not used where a tokenizer is passed.
    """

    def __init__(
        self,
        tokenizer: WordPieceTokenizer | str,
        probability: float = 0.15,
        mask_share: float = 0.8,
        random_share: float = 0.1,
        lowercase: bool = True,
    ) -> None:
        if not (0 < probability <= 1 and mask_share >= 0 and random_share >= 0 and mask_share + random_share <= 1):
            raise InputError(
                f"masking with probability {probability}, mask_share {mask_share}, random_share {random_share} makes "
                "no sense; probability has to lie in (0, 1] and the two shares have to add up to at most 1"
            )
        if isinstance(tokenizer, str | Path):
            tokenizer = load_tokenizer(str(tokenizer), lowercase)
        self.probability = probability
        self.mask_share = mask_share
        self.random_share = random_share
        self.mask_id = tokenizer.mask_id
        self.maskable = np.ones(tokenizer.vocab_size, dtype=bool)
        self.maskable[list(tokenizer.special_ids)] = False
        replaceable = self.maskable.copy()
        replaceable[list(tokenizer.unused_ids)] = False
        self.replacements = np.flatnonzero(replaceable)

    def __call__(self, assembled: Assembled) -> Masked:
        """Hides pieces of `assembled`, which is left as it is."""
        used = assembled.input_ids[: assembled.length].numpy()
        draws = torch.rand(assembled.length).numpy()
        draws[~self.maskable[used]] = 2  # above every probability, and never the smallest if any piece can be chosen
        chosen = np.flatnonzero(draws < self.probability)
        if not len(chosen):
            smallest = draws.argmin()
            chosen = np.flatnonzero(draws[smallest : smallest + 1] < 1) + smallest

        originals = used[chosen]
        kinds = torch.rand(len(chosen)).numpy()
        randoms = self.replacements[torch.randint(len(self.replacements), (len(chosen),)).numpy()]
        replaced = np.where(kinds < self.mask_share + self.random_share, randoms, originals)
        replaced[kinds < self.mask_share] = self.mask_id

        input_ids = assembled.input_ids.clone()
        input_ids.numpy()[chosen] = replaced
        labels = torch.full_like(input_ids, NOT_MASKED)
        labels.numpy()[chosen] = originals
        return Masked(input_ids, labels)
