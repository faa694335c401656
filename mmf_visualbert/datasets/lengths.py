"""How many tokens samples have, found without making them: for batches that are limited by tokens."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from mmf_visualbert.contracts import RegionQuery, RegionSource
from mmf_visualbert.processors.text import TextAssembler

TEXTS = 4096  # that are cut into word pieces at once


def text_lengths(text: TextAssembler, texts: Iterable[str], special: int = 2) -> np.ndarray:
    """Word pieces of each text (N,), with `special` tokens around them and cut as `text` cuts them."""
    counts = [len(pieces) for chunk in _chunks(texts) for pieces in text.tokenizer.many_pieces(chunk)]
    return np.minimum(np.array(counts, dtype=np.int64) + special, text.max_seq_length)


def region_counts(regions: RegionSource, queries: Iterable[RegionQuery]) -> np.ndarray:
    """Regions of each image that is asked for (N,); each image is looked at once."""
    known: dict[str, int] = {}
    counts = []
    for query in queries:
        if query.key not in known:
            known[query.key] = regions.count(query)
        counts.append(known[query.key])
    return np.array(counts, dtype=np.int64)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    waiting = iter(texts)
    while chunk := list(islice(waiting, TEXTS)):
        yield chunk
