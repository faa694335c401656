"""Recall of region-to-phrase grounding as BAN (Kim et al., 2018) counts it (Table 4).

A phrase is found at k if one of its k most probable regions has an IoU of at least 0.5 with any gold box of its chain.
A phrase that no region matches is a miss; the share of phrases that any region matches is the upper bound. All shares
are of all phrases of the split (micro-averaged), whatever the ranks and batches they came in.

Registered: `visualbert_recall_at_1`, `_5`, `_10`, `visualbert_recall_upper_bound`, `visualbert_recall_at_1_<type>` for
each phrase type, and `visualbert_phrases_cut`, the number of phrases that stood beyond the cut of the text.
"""

from collections.abc import Mapping

from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.metrics.gather import gather_by_id
from mmf_visualbert.metrics.ratio import Ratio
from mmf_visualbert.tasks.flickr30k.annotations import PHRASE_TYPES


class PhraseSum:
    """Sum of one per-sample count, each sample once: () float32."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.required_params = ["id", name]

    def calculate(self, sample_list: Mapping[str, Tensor], model_output: Mapping[str, Tensor]) -> Tensor:
        """The sum; `sample_list` has `id` (B,), `model_output` the count (B,)."""
        (counts,) = gather_by_id(sample_list["id"], model_output[self.name])
        return counts.sum().float()


def _register_share(name: str, found: str, total: str = "phrase_count", column: int | None = None) -> None:
    def share() -> Ratio:
        return Ratio(found, total, column)

    share.__name__ = share.__qualname__ = name
    register("metric", name)(share)


for _k in (1, 5, 10):
    _register_share(f"visualbert_recall_at_{_k}", f"phrase_hit{_k}")
_register_share("visualbert_recall_upper_bound", "phrase_upper")
for _column, _type in enumerate(PHRASE_TYPES):
    _register_share(f"visualbert_recall_at_1_{_type}", "phrase_type_hit1", "phrase_type_count", _column)


@register("metric", "visualbert_phrases_cut")
def phrases_cut() -> PhraseSum:
    """Phrases that stood beyond the cut of the text; they are misses in every recall."""
    return PhraseSum("phrase_cut")
