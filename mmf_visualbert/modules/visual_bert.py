"""VisualBERT: one Transformer over the words of a text and the regions of an image, §3.

Shapes: B batch, T word pieces, R regions, L = T + R, H hidden size.
"""

import torch
from torch import Tensor, nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.attention import eager, sdpa
from mmf_visualbert.modules.embeddings import VisualBertEmbeddings, texts_per_image
from mmf_visualbert.modules.encoder import Encoder, EncoderOutput, Layer
from mmf_visualbert.modules.inputs import Encoded, RegionInputs, TextInputs
from mmf_visualbert.modules.layout import Chosen, Layout, Packed, Padded, place, trim
from mmf_visualbert.modules.packed_kernels import kernel_for, padded

ATTENTIONS = ("auto", "packed", "sdpa", "eager")


class Pooler(nn.Module):
    """tanh(W h + b) of the state at [CLS], BERT's pooler. (B, H) -> (B, H)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)

    def forward(self, first: Tensor) -> Tensor:
        """`first`: (B, H), the states at [CLS]."""
        return torch.tanh(self.dense(first))


class VisualBertEncoder(nn.Module):
    """The encoder that all tasks share.

    With early fusion (the default) text and regions go through all layers together. Without it (§4, "w/o Early
    Fusion") the encoder sees the text alone, and `additional_layer` combines its output with the embedded regions.

    Args:
        embeddings: of text and regions.
        encoder: the stack of layers.
        pooler: where a head reads the pooled state. Leave it out otherwise, so that no parameter goes unused.
        additional_layer: the layer that combines text and regions at the end; None for early fusion.
        attention: "packed" computes nothing for padding, on a GPU through the first kernel that `packed_kernels` finds
            right; "sdpa" and "eager" work on padded batches; "auto" is "packed" where there is such a kernel, else
            "sdpa".

    Raises:
        InputError: where `attention` is none of these.
    """

    def __init__(
        self,
        embeddings: VisualBertEmbeddings,
        encoder: Encoder,
        *,
        pooler: Pooler | None = None,
        additional_layer: Layer | None = None,
        attention: str = "auto",
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise InputError(f"attention is '{attention}', but it has to be one of {', '.join(ATTENTIONS)}")
        self.embeddings = embeddings
        self.encoder = encoder
        self.pooler = pooler
        self.additional_layer = additional_layer
        self.attention = attention

    @property
    def hidden_size(self) -> int:
        """H."""
        return self.embeddings.word_embeddings.embedding_dim

    @property
    def num_heads(self) -> int:
        """Attention heads of each layer."""
        return self.encoder.layers[0].num_heads

    def forward(
        self,
        text: TextInputs,
        regions: RegionInputs | None = None,
        *,
        last_layer_rows: Tensor | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
    ) -> Encoded:
        """Encode a batch of texts with the regions of their images.

        Args:
            text: B texts. Columns that are padding in the whole batch are cut: T of the result is the longest text.
            regions: of B images, or of B / C images with C texts each (one image's texts follow each other); likewise
                cut to the most regions. A batch without an image gives R = 0 regions, or None.
            last_layer_rows: (B, T) bool, True at the text positions whose last state is read. The last layer computes
                nothing else, and `Encoded.text` is NaN elsewhere, so that reading there cannot go unnoticed;
                `Encoded.regions` is NaN. None for all states. [CLS] is added where there is a pooler. Not used
                together with `output_hidden_states` or `output_attentions`, which ask for everything.
            output_attentions: hand out the attention weights of all layers (computed by the "eager" kernel).
            output_hidden_states: hand out the states of all layers.

        Raises:
            InputError: for shapes that do not fit the model or each other.
        """
        text, regions = trim(text, regions)
        region_mask = self.region_mask(text.mask, None if regions is None else regions.mask)
        known = self.region_mask(text.known, None if regions is None else regions.known)
        mask = torch.cat((text.mask, region_mask), dim=1)
        layout = self.layout(mask, output_attentions, torch.cat((text.known, known), dim=1))
        everything = output_attentions or output_hidden_states
        rows = None if everything else self.rows(text, last_layer_rows)
        chosen = None if rows is None else layout.choose(rows, mask.device)
        sums = self.region_sums(text, regions)
        if self.additional_layer is None:
            output = self.fuse_early(text, sums, layout, chosen, everything)
        else:
            alone = self.layout(text.mask, output_attentions, text.known)
            output = self.fuse_late(text, sums, alone, layout, chosen, everything, self.additional_layer)
        if chosen is None:
            lengths = (text.mask.size(1), region_mask.size(1))
            text_states, region_states = layout.unpack(output.states).split(lengths, dim=1)
        else:
            text_states = place(output.states, chosen, text.mask.shape)
            region_states = output.states.new_full((), torch.nan).expand(*region_mask.shape, self.hidden_size)
        return Encoded(
            text=text_states,
            regions=region_states,
            text_mask=text.mask,
            region_mask=region_mask,
            pooled=None if self.pooler is None else self.pooler(text_states[:, 0]),
            hidden_states=output.hidden_states if output_hidden_states else None,
            attentions=output.weights() if output_attentions else None,
        )

    def fuse_early(
        self, text: TextInputs, regions: Tensor, layout: Layout, chosen: Chosen | None, keep: bool
    ) -> EncoderOutput:
        """Text and regions through all layers together, §3.2. `regions`: (B, R, H), before LayerNorm."""
        sums = torch.cat((self.embeddings.text(text), regions), dim=1)
        output = self.encoder(self.embeddings.finish(layout.pack(sums)), layout, chosen=chosen, keep=keep)
        return output._replace(hidden_states=tuple(map(layout.unpack, output.hidden_states)))

    def fuse_late(
        self,
        text: TextInputs,
        regions: Tensor,
        alone: Layout,
        layout: Layout,
        chosen: Chosen | None,
        keep: bool,
        additional_layer: Layer,
    ) -> EncoderOutput:
        """The text, as `alone` lays it out, through the encoder, then all through the additional layer, §4."""
        output = self.encoder(self.embeddings.finish(alone.pack(self.embeddings.text(text))), alone, keep=keep)
        joint = torch.cat((alone.unpack(output.states), self.embeddings.finish(regions)), dim=1)
        last = self.encoder.run(additional_layer, layout.pack(joint), layout, chosen)
        if not keep:
            return EncoderOutput(last.states)
        hidden_states = (*map(alone.unpack, output.hidden_states), layout.unpack(last.states))
        return EncoderOutput(last.states, hidden_states, (*output.attentions, last.weights))

    def region_sums(self, text: TextInputs, regions: RegionInputs | None) -> Tensor:
        """Region embeddings before LayerNorm, (B, R, H); R is 0 where there are no regions."""
        if regions is None:
            return self.embeddings.word_embeddings.weight.new_zeros(text.mask.size(0), 0, self.hidden_size)
        return self.embeddings.regions(regions, texts=text.mask.size(0))

    def region_mask(self, text: Tensor, regions: Tensor | None) -> Tensor:
        """(B, R) bool, for each text, of the masks of the texts (B, T) and of the images' regions, None for none."""
        if regions is None:
            return text[:, :0]
        return regions.repeat_interleave(texts_per_image(text.size(0), regions.size(0)), dim=0)

    def layout(self, mask: Tensor, weights: bool, known: Tensor | None = None) -> Layout:
        """How sequences are laid out.

        Args:
            mask: (B, L) bool, True at tokens.
            weights: whether attention weights are asked for.
            known: `mask` in the CPU's memory; None to wait for it.
        """
        known = mask.cpu() if known is None else known
        if not weights and (self.attention == "packed" or (self.attention == "auto" and self.packs(mask.device))):
            return Packed(known, mask.device)
        kernel = eager if weights or self.attention == "eager" else sdpa
        return Padded(None if bool(known.all()) else mask, kernel)

    def packs(self, device: torch.device) -> bool:
        """Whether something attends to packed sequences there that does not pad them."""
        kind, name = self.embeddings.word_embeddings.weight.dtype, device.type
        if torch.is_autocast_enabled(name):
            kind = torch.get_autocast_dtype(name)
        dropout = self.encoder.layers[0].attention.self.dropout.p if self.training else 0.0
        return kernel_for(device, kind, dropout) is not padded

    def rows(self, text: TextInputs, wanted: Tensor | None) -> Tensor | None:
        """(B, T) bool in the CPU's memory, the text positions whose last state is read; None for all."""
        if wanted is None:
            return None
        rows = wanted[:, : text.known.size(1)].cpu() & text.known
        return rows if self.pooler is None else rows.index_fill(1, rows.new_zeros(1, dtype=torch.int64), True)
