"""Entity grounding of attention heads without any training for it (§5.2, Figure 3).

For every head and every phrase: of all regions, which one gets the most attention from the phrase? The head's weights
on words are left out of account, and how much it gives to regions at all is counted beside. The paper leaves open which
word speaks for a phrase and what counts as agreement; as in fine-tuning it is the last sub-word, and a region agrees
with an IoU of at least 0.5 with any gold box. A phrase that no region matches, or that was cut off, is a miss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_rows
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.inputs import Encoded
from mmf_visualbert.modules.visual_bert import VisualBertEncoder
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k

ACTIVE = 0.2
COLUMNS = ("layer", "head", "accuracy", "attention_to_regions", "active")


class HeadAccuracy(NamedTuple):
    """One head: its layer and number, both from 1, and its accuracy."""

    layer: int
    head: int
    accuracy: float


@dataclass(frozen=True)
class EntityGrounding:
    """How well each head's attention finds the regions of phrases.

    Attributes:
        layers: numbers, from 1, of the L layers that see regions (without early fusion only the last does).
        accuracy: (L, heads) float64, share of the phrases whose most attended region matches.
        attention_to_regions: (L, heads) float64, what a phrase's last sub-word gives to all regions, on average.
        phrases: number of phrases.
        cut: those beyond the cut of the text.
        upper_bound: share of phrases that any region matches.
        baseline: accuracy of always choosing the region of the highest detection confidence; None where the feature
            store has no confidences.
    """

    layers: tuple[int, ...]
    accuracy: Tensor
    attention_to_regions: Tensor
    phrases: int
    cut: int
    upper_bound: float
    baseline: float | None

    def active(self, share: float = ACTIVE) -> Tensor:
        """(L, heads) bool: heads that give regions at least this share of their attention (§5.2, footnote 5)."""
        return self.attention_to_regions >= share

    def best(self, count: int = 5) -> list[HeadAccuracy]:
        """The heads of the highest accuracy, best first."""
        heads = self.accuracy.shape[1]
        order = self.accuracy.flatten().argsort(descending=True, stable=True)[:count].tolist()
        return [
            HeadAccuracy(self.layers[i // heads], i % heads + 1, float(self.accuracy[i // heads, i % heads]))
            for i in order
        ]

    def write_csv(self, path: Path) -> None:
        """One line a head: layer, head, accuracy, attention_to_regions, active (1 or 0)."""
        active = self.active()
        rows: list[Sequence[object]] = [COLUMNS]
        for row, layer in enumerate(self.layers):
            for head, accuracy in enumerate(self.accuracy[row].tolist()):
                share = f"{self.attention_to_regions[row, head]:.6f}"
                rows.append([layer, head + 1, f"{accuracy:.6f}", share, int(active[row, head])])
        write_rows(path, rows)


@torch.no_grad()
def ground_heads(
    visual_bert: VisualBertEncoder, dataset: Flickr30k, *, batch_size: int = 8, limit: int | None = None
) -> EntityGrounding:
    """Measures all heads of a model over a split, on the device of the model.

    Args:
        visual_bert: a pre-trained model. It is put into evaluation mode.
        dataset: phrases and regions; not one for pre-training.
        batch_size: captions at a time; the attention of all layers is held, (layers, heads, L, L) floats a caption.
        limit: use the first captions only.

    Raises:
        InputError: where the dataset masks words instead of giving phrases.
    """
    if dataset.masking is not None:
        raise InputError("entity grounding needs phrases: leave masking_processor out of the dataset's configuration")
    visual_bert.eval()
    device = next(visual_bert.parameters()).device
    hits: list[Tensor] = []
    shares: list[Tensor] = []
    layers: tuple[int, ...] = ()
    phrases = cut = matched = 0
    confident: list[bool] | None = []
    wanted = range(min(len(dataset), limit or len(dataset)))
    for start in range(0, len(wanted), batch_size):
        samples = [dataset[index] for index in wanted[start : start + batch_size]]
        batch = {name: value.to(device) for name, value in default_collate(samples).items()}
        encoded = visual_bert(*visual_bert_inputs(batch), output_attentions=True)
        readable = batch["phrase_mask"] & (batch["phrase_positions"] >= 0)
        layers, weights = phrase_attention(encoded, batch["phrase_positions"], readable)
        targets = batch["phrase_targets"][readable][:, : weights.shape[3]]  # (P, R)
        choice = weights.argmax(dim=3)  # (L, P, heads)
        hits.append(targets.gather(1, choice.transpose(0, 1).flatten(1)).sum(0).view(len(layers), weights.shape[2]))
        shares.append(weights.sum(dim=(1, 3), dtype=torch.float64))
        phrases += int(batch["phrase_mask"].sum())
        cut += int((batch["phrase_mask"] & ~readable).sum())
        matched += int(batch["phrase_targets"].any(2).sum())
        confident = _confident(confident, dataset, batch)
    return EntityGrounding(
        layers=layers,
        accuracy=torch.stack(hits).sum(0).double().cpu() / phrases,
        attention_to_regions=torch.stack(shares).sum(0).cpu() / max(phrases - cut, 1),
        phrases=phrases,
        cut=cut,
        upper_bound=matched / phrases,
        baseline=None if confident is None else sum(confident) / phrases,
    )


def phrase_attention(encoded: Encoded, positions: Tensor, readable: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Attention from the last sub-words of phrases to regions.

    Args:
        encoded: of B captions with T word pieces and R regions, with attentions.
        positions: (B, E) int64.
        readable: (B, E) bool, True at P phrases.

    Returns:
        The numbers of the L layers that see regions, and the weights (L, P, heads, R); 0 at padding.

    Raises:
        ValueError: where the captions were encoded without attentions.
    """
    if encoded.attentions is None:
        raise ValueError("attention weights are missing: encode with output_attentions=True")
    captions, phrases = readable.nonzero(as_tuple=True)
    rows = positions[captions, phrases]
    text = encoded.text_mask.shape[1]
    length = text + encoded.region_mask.shape[1]
    seeing = [(n, weights) for n, weights in enumerate(encoded.attentions, start=1) if weights.shape[3] == length]
    picked = [weights[captions, :, rows, text:] for _, weights in seeing]  # each (P, heads, R)
    return tuple(number for number, _ in seeing), torch.stack(picked)


def _confident(hits: list[bool] | None, dataset: Flickr30k, batch: dict[str, Tensor]) -> list[bool] | None:
    """Appends whether the most confident region matches, for each phrase; None where a confidence is missing."""
    for index, exists, targets in zip(batch["id"].tolist(), batch["phrase_mask"], batch["phrase_targets"], strict=True):
        scores = dataset.regions.record(dataset.captions[index].image_id).scores
        if hits is None or scores is None:
            return None
        best = int(torch.tensor(scores[: targets.shape[1]]).argmax())
        hits += targets[exists, best].tolist()
    return hits


def table(result: EntityGrounding, heads: Sequence[HeadAccuracy]) -> str:
    """What a reader wants to know first, in lines."""
    baseline = "no confidences in the feature store" if result.baseline is None else f"{100 * result.baseline:.2f}"
    lines = [
        f"phrases                    {result.phrases} ({result.cut} cut off)",
        f"upper bound                {100 * result.upper_bound:.2f}",
        f"most confident region      {baseline}",
        "layer head  accuracy  attention to regions",
    ]
    for layer, head, accuracy in heads:
        share = 100 * float(result.attention_to_regions[result.layers.index(layer), head - 1])
        lines.append(f"{layer:5d} {head:4d}  {100 * accuracy:8.2f}  {share:6.1f} %{' *' * (share < 100 * ACTIVE)}")
    return "\n".join([*lines, f"* gives regions less than {ACTIVE:.0%} of its attention"])
