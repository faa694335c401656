"""What goes into VisualBERT and what comes out of it, by name.

Shapes: B batch, T word pieces, R regions, A words aligned with a region, D region feature dimension, H hidden size.
"""

from typing import NamedTuple

from torch import Tensor


class TextInputs(NamedTuple):
    """A batch of texts.

    Attributes:
        input_ids: (B, T) int64, word pieces with their special tokens.
        mask: (B, T) bool, True where there is a word piece and False at padding. Padding is always at the end.
        segments: (B, T) int64, 0 for the first and 1 for the second text segment (§3.1).
        on_host: `mask` in the CPU's memory; None where it is not at hand there.
    """

    input_ids: Tensor
    mask: Tensor
    segments: Tensor
    on_host: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """`mask` in the CPU's memory; waits for the device where it is not at hand."""
        return self.mask.cpu() if self.on_host is None else self.on_host


class RegionInputs(NamedTuple):
    """A batch of sets of image regions.

    Attributes:
        features: (B, R, D) float, f_o of §3.2.
        mask: (B, R) bool, True where there is a region. Padding is always at the end of each image's regions; with two
            images (NLVR2) it may also stand between them.
        segments: (B, R) int64, 0, or 1 for the second of two images (§4.3).
        alignment: (B, R, A) int64, positions of the word pieces that refer to the region, padded with -1; None where
            no alignment is given (§3.2).
        on_host: `mask` in the CPU's memory; None where it is not at hand there.
    """

    features: Tensor
    mask: Tensor
    segments: Tensor
    alignment: Tensor | None = None
    on_host: Tensor | None = None

    @property
    def known(self) -> Tensor:
        """`mask` in the CPU's memory; waits for the device where it is not at hand."""
        return self.mask.cpu() if self.on_host is None else self.on_host


class Encoded(NamedTuple):
    """States of the last layer, and what was asked for beside them.

    What stands at padding has no meaning. T and R are the longest text and the most regions of the batch, which may be
    less than what went in. Without early fusion (§4) all layers but the last see the text alone, so that R is 0 in
    their states and weights.

    Attributes:
        text: (B, T, H); NaN where the last layer was told to leave a state out.
        regions: (B, R, H); R is 0 where no regions were given. NaN where the last layer was told to leave states out.
        text_mask: (B, T) bool.
        region_mask: (B, R) bool.
        pooled: (B, H), tanh of a linear map of the state at [CLS]; None where the model has no pooler.
        hidden_states: (layers + 1) of (B, T + R, H), text first; None unless asked for.
        attentions: (layers) of (B, heads, T + R, T + R); None unless asked for.
    """

    text: Tensor
    regions: Tensor
    text_mask: Tensor
    region_mask: Tensor
    pooled: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
