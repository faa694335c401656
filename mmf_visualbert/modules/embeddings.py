"""Text and region embeddings, §3.1 and §3.2.

Shapes: B batch, T word pieces, R regions, A words aligned with a region, D region feature dimension, H hidden size.
The names of the parameters are those of transformers' `VisualBertEmbeddings`, which are BERT's own where BERT has them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.dropout import Dropout
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs

ALIGNMENTS = ("sum", "mean")


class VisualBertEmbeddings(nn.Module):
    """Sums that stand for each word piece and each region, and the one LayerNorm and dropout over both.

    A text embedding is word + position + segment (§3.1). A region embedding is f_o + f_s + f_p (§3.2): a linear map of
    the detector's feature vector, a segment embedding from a table of its own, and a position part.

    The position part always holds row 0 of `visual_position_embeddings`. The paper does not have it; the authors' code
    adds it to every region, so that their weights need it, and as one vector beside the bias of the projection it takes
    nothing away. Where an alignment is given, the *text* position embeddings of the aligned words come on top: their
    sum as in the paper (§3.2), or their mean as in the authors' code.

    Args:
        vocab_size: number of word pieces.
        hidden_size: H.
        max_position_embeddings: longest text.
        type_vocab_size: number of segments, of the text and of the regions.
        region_dimension: D.
        alignment: "sum" or "mean".
        dropout: probability of dropping an element after the LayerNorm.
        layer_norm_eps: epsilon of the LayerNorm.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        hidden_size: int,
        max_position_embeddings: int,
        type_vocab_size: int,
        region_dimension: int,
        alignment: str = "sum",
        dropout: float = 0.1,
        layer_norm_eps: float = 1e-12,
    ) -> None:
        super().__init__()
        if alignment not in ALIGNMENTS:
            raise InputError(f"alignment is '{alignment}', but it has to be one of {', '.join(ALIGNMENTS)}")
        self.alignment = alignment
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size, padding_idx=0)
        self.position_embeddings = nn.Embedding(max_position_embeddings, hidden_size)
        self.token_type_embeddings = nn.Embedding(type_vocab_size, hidden_size)
        self.visual_token_type_embeddings = nn.Embedding(type_vocab_size, hidden_size)
        self.visual_position_embeddings = nn.Embedding(max_position_embeddings, hidden_size)
        self.visual_projection = nn.Linear(region_dimension, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)

    @torch.no_grad()
    def copy_text_tables_to_regions(self) -> None:
        """Start the region tables from the text tables, as all of the authors' configurations do."""
        self.visual_token_type_embeddings.weight.copy_(self.token_type_embeddings.weight)
        self.visual_position_embeddings.weight.copy_(self.position_embeddings.weight)

    def finish(self, sums: Tensor) -> Tensor:
        """The LayerNorm and dropout that text and regions share, (..., H) -> (..., H)."""
        return self.dropout(self.LayerNorm(sums))

    def text(self, text: TextInputs) -> Tensor:
        """Sums of word, position and segment embeddings, (B, T, H), before LayerNorm.

        Raises:
            InputError: where the text is longer than the table of positions.
        """
        length, most = text.input_ids.size(1), self.position_embeddings.num_embeddings
        if length > most:
            raise InputError(
                f"a text of {length} word pieces is longer than this model's {most} positions; lower max_seq_length"
            )
        words = self.word_embeddings(text.input_ids) + self.token_type_embeddings(text.segments)
        return words + self.position_embeddings.weight[:length]

    def regions(self, regions: RegionInputs, texts: int | None = None) -> Tensor:
        """Sums of projection, segment and position part, (texts, R, H), before LayerNorm.

        Args:
            regions: of B images; `alignment` may be (B, R, A) or (texts, R, A).
            texts: batch size of the texts, a multiple of B: the texts of one image follow each other, and its regions
                are projected once for all of them. B where not given.

        Raises:
            InputError: for features of another dimension than the model's.
        """
        dimension = self.visual_projection.in_features
        if regions.features.size(-1) != dimension:
            raise InputError(
                f"the region features have {regions.features.size(-1)} dimensions, but the model's region_dimension is "
                f"{dimension}; set region_dimension to what the feature store holds"
            )
        features = regions.features
        if not torch.is_autocast_enabled(features.device.type):  # which takes them as they are stored
            features = features.to(self.visual_projection.weight.dtype)
        projected = self.visual_projection(features)
        constant = self.visual_position_embeddings.weight[0]
        sums = projected + self.visual_token_type_embeddings(regions.segments) + constant
        copies = texts_per_image(texts, regions.features.size(0))
        if regions.alignment is None or regions.alignment.size(-1) == 0:
            return sums.repeat_interleave(copies, dim=0) if copies > 1 else sums
        aligned = self.aligned_positions(regions.alignment)
        if aligned.size(0) == sums.size(0) and copies > 1:
            aligned = aligned.repeat_interleave(copies, dim=0)
        return (sums.repeat_interleave(copies, dim=0) if copies > 1 else sums) + aligned

    def aligned_positions(self, alignment: Tensor) -> Tensor:
        """Sum or mean of the text position embeddings at `alignment` (B, R, A), padded with -1 -> (B, R, H)."""
        table = self.position_embeddings.weight
        given = (alignment >= 0).flatten(0, 1).to(table.dtype)
        positions = alignment.clamp(min=0).flatten(0, 1)
        total = functional.embedding_bag(positions, table, mode="sum", per_sample_weights=given)
        if self.alignment == "mean":
            total = total / given.sum(dim=1, keepdim=True).clamp(min=1)
        return total.view(*alignment.shape[:2], -1)

    def forward(self, text: TextInputs, regions: RegionInputs | None = None) -> Tensor:
        """Embeddings of the text followed by the regions, (B, T + R, H)."""
        sums = self.text(text)
        if regions is not None:
            sums = torch.cat((sums, self.regions(regions, texts=sums.size(0))), dim=1)
        return self.finish(sums)


def texts_per_image(texts: int | None, images: int) -> int:
    """How many texts each image has.

    Raises:
        InputError: where `texts` is no multiple of `images`.
    """
    if texts is None or texts == images:
        return 1
    if images == 0 or texts % images:
        raise InputError(f"{texts} texts cannot be shared out evenly over {images} images")
    return texts // images
