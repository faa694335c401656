"""How many tokens samples have, found without making them: for batches that are limited by tokens."""

from collections.abc import Iterable

import numpy as np

from mmf_visualbert.contracts import RegionQuery, RegionSource
from mmf_visualbert.processors.text import TextAssembler


def text_lengths(text: TextAssembler, texts: Iterable[str], special: int = 2) -> np.ndarray:
    """Word pieces of each text (N,), with `special` tokens around them and cut as `text` cuts them."""
    return np.minimum(text.tokenizer.piece_counts(texts) + special, text.max_seq_length)


def region_counts(regions: RegionSource, queries: Iterable[RegionQuery]) -> np.ndarray:
    """Regions of each image that is asked for (N,); each image is looked at once."""
    known: dict[str, int] = {}
    counts = []
    for query in queries:
        if query.key not in known:
            known[query.key] = regions.count(query)
        counts.append(known[query.key])
    return np.array(counts, dtype=np.int64)
