"""One batch through the parts of a model, from its tensors to the named outputs of its heads (§3)."""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from mmf_visualbert.contracts import Batch, Head
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.on_host import host_view
from mmf_visualbert.modules.parts import ModelParts
from mmf_visualbert.modules.precision import in_precision


def outputs_of(parts: ModelParts, batch: Batch, hide_regions: bool = False) -> dict[str, Tensor]:
    """All heads' named outputs for a batch, floating point ones in fp32.

    Args:
        parts: the model; with precision "bf16" it computes under autocast.
        batch: `input_ids`, `text_mask`, `text_segments` (B, T) or (B, C, T); `region_features` (B, R, D),
            `region_mask`, `region_segments` (B, R), or what the region encoder reads, or no regions at all; and what
            the heads read.
        hide_regions: the text alone, whatever regions the batch has.

    Raises:
        InputError: for shapes that do not fit the model or each other.
    """
    with in_precision(parts.precision, batch["input_ids"].device.type):
        return dict(_outputs(parts, batch, hide_regions))


def _outputs(parts: ModelParts, batch: Batch, hide_regions: bool) -> Iterator[tuple[str, Tensor]]:
    made = None if parts.region_encoder is None else parts.region_encoder(batch)
    text, regions = visual_bert_inputs(batch, None if made is None else made.features)
    rows = rows_read(parts.heads.values(), host_view(batch))
    encoded = parts.visual_bert(text, None if hide_regions else regions, last_layer_rows=rows)
    named = [head(encoded, batch)._asdict() for head in parts.heads.values()]
    if made is not None:
        named.append({name: value for name, value in made._asdict().items() if name != "features"})
    for outputs in named:
        for name, value in outputs.items():
            if value is not None:
                yield name, value.float() if value.is_floating_point() else value


def rows_read(heads: Collection[Head], batch: Batch) -> Tensor | None:
    """(texts, T) bool, the text positions whose last state any head reads; None where a head reads all of them."""
    rows = []
    for head in heads:
        wanted = head.rows(batch)
        if wanted is None:
            return None
        rows.append(wanted)
    return torch.stack(rows).any(dim=0) if rows else None
