"""A WordPiece vocabulary trained on the world's text.

The training is our own few lines, because the trainer of `tokenizers` breaks ties by the order of a hash table: it
numbers, and sometimes chooses, its pieces differently from run to run.
"""

import itertools
from collections import Counter
from collections.abc import Iterable

from tokenizers.pre_tokenizers import BertPreTokenizer

SPECIAL = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
"""Position -> special token, as in BERT's own vocabularies; the places between are `[unused0]`, ..., as there."""


def train_vocabulary(
    texts: Iterable[str], size: int = 420, alphabet: str = "abcdefghijklmnopqrstuvwxyz0123456789"
) -> list[str]:
    """The pieces in the order of their ids, at most `size` (BERT's 104 first places among them).

    Pieces are merged by frequency, as byte pair encoding does, ties in alphabetical order. Rare words stay in several
    pieces, as in a real vocabulary. Every character of the text and of `alphabet` is a piece of its own, also
    inside a word.
    """
    words = _words(texts)
    splits = {word: [word[0], *(f"##{letter}" for letter in word[1:])] for word in words}
    letters = sorted({letter for word in words for letter in word} | set(alphabet))
    vocabulary = _places() + letters + [f"##{letter}" for letter in letters]
    known = set(vocabulary)
    while len(vocabulary) < size:
        pairs = _pairs(words, splits)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merged = best[0] + best[1].removeprefix("##")
        splits = {word: _merge(pieces, best, merged) for word, pieces in splits.items()}
        if merged not in known:
            known.add(merged)
            vocabulary.append(merged)
    return vocabulary


def _words(texts: Iterable[str]) -> Counter[str]:
    """How often each word comes, in lower case, cut as BERT cuts."""
    cut = BertPreTokenizer()
    lines = Counter(text.lower() for text in texts)
    words: Counter[str] = Counter()
    for line, times in lines.items():
        for word, _ in cut.pre_tokenize_str(line):
            words[word] += times
    return words


def _places() -> list[str]:
    unused = iter(f"[unused{number}]" for number in range(99))
    return [SPECIAL[place] if place in SPECIAL else next(unused) for place in range(104)]


def _pairs(words: Counter[str], splits: dict[str, list[str]]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for word, pieces in splits.items():
        for pair in itertools.pairwise(pieces):
            pairs[pair] += words[word]
    return pairs


def _merge(pieces: list[str], pair: tuple[str, str], merged: str) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and (joined[-1], piece) == pair:
            joined[-1] = merged
        else:
            joined.append(piece)
    return joined
