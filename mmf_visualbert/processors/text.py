"""Text into word pieces, and word pieces into the fixed-shape tensors of one sample (§3.1, §4).

The pieces are BERT's (WordPiece after BERT's normalisation), made by `tokenizers` directly. A text can never smuggle in
a special token: "[MASK]" written in a question is read as the brackets and letters it consists of.
"""

import copy
import functools
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tokenizers
import torch
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.characters import whole_characters
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors import tokenizer_files

AT_ONCE = 4096  # texts that are cut into pieces together
LONGEST_KEPT = 32  # characters; what is longer is no word that comes again, and would take the memory of many
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Unicode's canonical decomposition, part of BERT's normalisation, makes at most this many characters of one.
LONGEST_DECOMPOSITION = 4
LONGEST_COMPATIBILITY = 54  # of NFKD, which some tokenizers' files ask for: 18, and 3 of each in lower case


class Pieces(NamedTuple):
    """Word pieces of a list of words.

    Attributes:
        ids: all pieces in order.
        starts, ends: word i owns `ids[starts[i]:ends[i]]`, which is empty where the word consists of nothing that BERT
            reads (control characters).
    """

    ids: list[int]
    starts: list[int]
    ends: list[int]


class WordPieceTokenizer:
    """BERT's tokenizer over one vocabulary.

    Args:
        vocabulary: piece -> id.
        lowercase: lower-case and strip accents first, as the uncased vocabularies need.
        name: what errors call it.
        tokenizer: what cuts texts into these pieces, where files say how; BERT's own way where None.

    Attributes:
        longest_decomposition: so many characters are made of one at most before texts are cut.
        vocab_size: largest id + 1.
        pad_id, unk_id, cls_id, sep_id, mask_id: the ids of BERT's special tokens; `special_ids` has all of them.
        unused_ids: ids of the places that BERT's vocabulary keeps free ("[unused0]", ...).
        question_mark_ids: the ids of "?", which every question gets.

    Raises:
        InputError: where a special token is missing, or an id is none.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        lowercase: bool = True,
        name: str = "the vocabulary",
        tokenizer: tokenizers.Tokenizer | None = None,
    ) -> None:
        missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
        if missing:
            raise InputError(
                f"{name} has no {', '.join(missing)}, so it is not a BERT vocabulary; give a BERT's vocab.txt or folder"
            )
        self.name = name
        self.lowercase = lowercase
        self.vocab_size = max(vocabulary.values()) + 1
        tokenizer_files.refuse_many(self.vocab_size - 1, name)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (vocabulary[t] for t in SPECIAL_TOKENS)
        self.special_ids = tuple(vocabulary[token] for token in SPECIAL_TOKENS)
        self.unused_ids = tuple(index for token, index in vocabulary.items() if token.startswith("[unused"))
        self.tokenizer = bert_tokenizer(vocabulary, lowercase) if tokenizer is None else tokenizer
        self._kept: _KeptWords | None = None
        try:
            self.pieces("\U0001f600 a\U0001f600")  # which no vocabulary has
        except Exception as error:  # tokenizers raises this very class
            raise InputError(
                f"{name} cannot read what it has no pieces for ({error}); copy or download it again"
            ) from None
        plain = isinstance(self.tokenizer.normalizer, normalizers.BertNormalizer)
        self.longest_decomposition = LONGEST_DECOMPOSITION if plain else LONGEST_COMPATIBILITY
        cut_at_spaces = plain and isinstance(self.tokenizer.pre_tokenizer, pre_tokenizers.BertPreTokenizer)
        self._by_words = cut_at_spaces and not self.tokenizer.get_added_tokens_decoder()
        self.question_mark_ids = tuple(self.pieces("?"))

    def keeping(self, most: int) -> "WordPieceTokenizer":
        """This tokenizer, which keeps the pieces of each different word once they were made.

        Args:
            most: different words that are kept at most, 250 bytes each; those that come later are cut each time.

        Raises:
            InputError: where texts are not cut at every space.
        """
        if not self._by_words:
            raise InputError(
                f"{self.name} does not cut texts at each space, so that no pieces of words can be kept; set the "
                "text_processor's keep_words to 0"
            )
        keeping = copy.copy(self)
        keeping._kept = _KeptWords(self, most)
        return keeping

    def pieces(self, text: str) -> list[int]:
        """The ids of `text`, without special tokens."""
        if self._kept is None:
            return self._encode(text, is_pretokenized=False).ids
        ids: list[int] = []
        for word in text.split(" "):
            ids += self._kept[word]
        return ids

    def piece_counts(self, texts: Iterable[str]) -> np.ndarray:
        """How many pieces each text has (N,) int64, without special tokens.

        BERT cuts at every space, so each of the different words is looked at once: fast over a whole split.
        """
        if self._by_words:
            of_words = _PieceCounts(self)
            return np.fromiter((sum(map(of_words.__getitem__, text.split(" "))) for text in texts), dtype=np.int64)
        counts: list[int] = []
        waiting = iter(texts)
        while chunk := [*islice(waiting, AT_ONCE)]:
            whole = [text if text.isascii() else whole_characters(text) for text in chunk]
            counts += map(len, self.tokenizer.encode_batch(whole, add_special_tokens=False))
        return np.array(counts, dtype=np.int64)

    def word_pieces(self, words: Sequence[str]) -> Pieces:
        """The ids of `words`, and which word owns which of them."""
        if self._kept is not None:
            return _joined(self._kept[word] for word in words)
        encoding = self._encode(list(words), is_pretokenized=True)
        owners = np.asarray(encoding.word_ids, dtype=np.int64)
        starts = np.searchsorted(owners, np.arange(len(words)), side="left").tolist()
        ends = np.searchsorted(owners, np.arange(len(words)), side="right").tolist()
        return Pieces(encoding.ids, starts, ends)

    def _encode(self, text: str | list[str], is_pretokenized: bool) -> tokenizers.Encoding:
        try:
            return self.tokenizer.encode(text, is_pretokenized=is_pretokenized, add_special_tokens=False)
        except TypeError:  # of half a character, which Rust has no text for
            text = whole_characters(text) if isinstance(text, str) else [whole_characters(word) for word in text]
            return self.tokenizer.encode(text, is_pretokenized=is_pretokenized, add_special_tokens=False)

    def longer_than(self, texts: Sequence[str], limit: int) -> list[int]:
        """Indices of the texts that have more than `limit` pieces.

        A piece has at least one character, so only long texts are looked at.
        """
        longest = [len(text) * (1 if text.isascii() else self.longest_decomposition) for text in texts]
        long = [place for place, pieces in enumerate(longest) if pieces > limit]
        counts = self.piece_counts(texts[place] for place in long)
        return [place for place, count in zip(long, counts.tolist(), strict=True) if count > limit]

    def token(self, index: int) -> str:
        """The piece with this id, for people to read."""
        return (self.tokenizer.id_to_token(index) or f"[{index}]").rstrip("\n")


class _PieceCounts(dict[str, int]):
    """Pieces of a word, counted when it is asked for first."""

    def __init__(self, tokenizer: WordPieceTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def __missing__(self, word: str) -> int:
        count = self[word] = len(self.tokenizer.pieces(word))
        return count


class _KeptWords(dict[str, tuple[int, ...]]):
    """Pieces of a word, made when it is asked for first.

    Args:
        tokenizer: makes them.
        most: words that are kept.
    """

    def __init__(self, tokenizer: WordPieceTokenizer, most: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.most = most

    def __missing__(self, word: str) -> tuple[int, ...]:
        ids = tuple(self.tokenizer.pieces(word))
        if len(self) < self.most and len(word) <= LONGEST_KEPT:
            self[word] = ids
        return ids


def _joined(words: Iterable[Sequence[int]]) -> Pieces:
    """Pieces of one word after the other."""
    ids: list[int] = []
    ends: list[int] = []
    for pieces in words:
        ids += pieces
        ends.append(len(ids))
    return Pieces(ids, [0, *ends][:-1], ends)


def bert_tokenizer(vocabulary: Mapping[str, int], lowercase: bool) -> tokenizers.Tokenizer:
    """BERT's own way over a vocabulary."""
    tokenizer = tokenizers.Tokenizer(WordPiece(dict(vocabulary), unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


@functools.lru_cache(maxsize=8)
def load_tokenizer(name_or_path: str, lowercase: bool = True) -> WordPieceTokenizer:
    """The tokenizer of a vocab.txt, of a folder with one (or a tokenizer.json), or of a name on the Hugging Face hub.

    Raises:
        InputError: where it is none of them, the hub cannot be reached, or the folder says that its vocabulary wants
            another `lowercase`.
    """
    path = Path(name_or_path).expanduser()
    if path.is_file() or path.is_dir():
        vocabulary, tokenizer = tokenizer_files.read_tokenizer(path, lowercase)
        return WordPieceTokenizer(vocabulary, lowercase, str(path), tokenizer)
    if path.is_absolute() or path.suffix == ".txt" or str(name_or_path).startswith("."):
        raise InputError(
            f"there is no vocabulary at {path}; give the path of a BERT's vocab.txt or folder as the tokenizer"
        )
    return _from_hub(str(name_or_path), lowercase)


def _from_hub(name: str, lowercase: bool) -> WordPieceTokenizer:
    try:
        state, vocabulary = tokenizer_files.as_transformers_reads(name, name)
    except InputError:
        raise
    except Exception as error:  # the hub client raises of many kinds, by version: all of them mean the same to the user
        raise InputError(
            f"the tokenizer '{name}' is neither a local path nor to be had from the Hugging Face hub "
            f"({type(error).__name__}); check the name and the network, or give the path of a BERT's vocab.txt"
        ) from error
    described = tokenizer_files.built(state, vocabulary, lowercase, name)
    return WordPieceTokenizer(described.vocabulary, lowercase, name, described.tokenizer)


class Assembled(NamedTuple):
    """One text, or a pair, as the model reads it.

    Attributes:
        input_ids: (T,) int64.
        text_mask: (T,) bool, True at the first `length` places.
        text_segments: (T,) int64, 1 in the second segment.
        length: places used, special tokens counted.
        cut: pieces that found no room.
        offset_a, offset_b: place of the first kept piece of either segment; -1 where there is no second.
        length_a, length_b: kept pieces of either segment.
        cut_front_a, cut_front_b: how many of the cut pieces stood before the kept ones.
    """

    input_ids: Tensor
    text_mask: Tensor
    text_segments: Tensor
    length: int
    cut: int
    offset_a: int
    offset_b: int = -1
    length_a: int = 0
    length_b: int = 0
    cut_front_a: int = 0
    cut_front_b: int = 0

    def position_of(self, segment: str, piece_index: int) -> int:
        """Where piece number `piece_index` of segment "a" or "b" now stands; -1 where it was cut."""
        if segment == "a":
            offset, length, cut_front = self.offset_a, self.length_a, self.cut_front_a
        else:
            offset, length, cut_front = self.offset_b, self.length_b, self.cut_front_b
        kept_index = piece_index - cut_front
        return offset + kept_index if 0 <= kept_index < length else -1

    def tensors(self) -> dict[str, Tensor]:
        """The three tensors under their names in a sample."""
        return {"input_ids": self.input_ids, "text_mask": self.text_mask, "text_segments": self.text_segments}


@register("processor", "visualbert_text")
class TextAssembler:
    """Puts special tokens around texts, cuts what has no room and pads to `max_seq_length`.

    A text is a string or a list of pieces. A single text keeps its beginning. Of a pair, the longer one gives up pieces
    until both fit, from its end unless told otherwise (BERT's own way).

    Args:
        tokenizer: a tokenizer, or what `load_tokenizer` takes.
        max_seq_length: T, special tokens counted; 128 in the paper (§4).
        lowercase: see `load_tokenizer`; not used where a tokenizer is passed.
        keep_words: different words whose pieces are kept once they were made, which is faster; 0: none.

    Raises:
        InputError: for numbers that make no sense, or words of a tokenizer that does not cut at each space.
    """

    def __init__(
        self,
        tokenizer: WordPieceTokenizer | str,
        max_seq_length: int = 128,
        lowercase: bool = True,
        keep_words: int = 0,
    ) -> None:
        if max_seq_length < 4:
            raise InputError(f"max_seq_length is {max_seq_length}; a pair needs at least 4 places, set it to 128")
        if keep_words < 0:
            raise InputError(f"keep_words is {keep_words}; set it to 0, or to how many words are kept")
        loaded = load_tokenizer(str(tokenizer), lowercase) if isinstance(tokenizer, str | Path) else tokenizer
        self.tokenizer = loaded.keeping(keep_words) if keep_words else loaded
        self.max_seq_length = max_seq_length

    def single(self, a: str | Sequence[int]) -> Assembled:
        """[CLS] a [SEP]."""
        return self.question(a, ())

    def question(self, a: str | Sequence[int], suffix: Sequence[int]) -> Assembled:
        """[CLS] a suffix [SEP] in one segment; `a` is cut where it must be, `suffix` (as "? [MASK]") never.

        Raises:
            InputError: where the suffix alone does not fit.
        """
        pieces = self._pieces(a)
        room = self.max_seq_length - 2 - len(suffix)
        if room < 0:
            raise InputError(
                f"{len(suffix)} word pieces that have to be kept do not fit into max_seq_length {self.max_seq_length}; "
                "set max_seq_length higher"
            )
        kept = pieces[:room]
        ids = [self.tokenizer.cls_id, *kept, *suffix, self.tokenizer.sep_id]
        return self._padded(ids, len(ids), cut=len(pieces) - len(kept), offset_a=1, length_a=len(kept))

    def pair(self, a: str | Sequence[int], b: str | Sequence[int], keep_end: str = "") -> Assembled:
        """[CLS] a [SEP] b [SEP], segments 0 and 1.

        Args:
            a, b: the texts.
            keep_end: "a", "b" or "ab": the segments that lose their beginning instead of their end where they are cut.
        """
        pieces_a, pieces_b = self._pieces(a), self._pieces(b)
        length_a, length_b = pair_lengths(len(pieces_a), len(pieces_b), self.max_seq_length - 3)
        front_a = len(pieces_a) - length_a if "a" in keep_end else 0
        front_b = len(pieces_b) - length_b if "b" in keep_end else 0
        sep = self.tokenizer.sep_id
        kept_a, kept_b = pieces_a[front_a : front_a + length_a], pieces_b[front_b : front_b + length_b]
        ids = [self.tokenizer.cls_id, *kept_a, sep, *kept_b, sep]
        return self._padded(
            ids,
            length_a + 2,
            cut=len(pieces_a) + len(pieces_b) - length_a - length_b,
            offset_a=1,
            offset_b=length_a + 2,
            length_a=length_a,
            length_b=length_b,
            cut_front_a=front_a,
            cut_front_b=front_b,
        )

    def _pieces(self, text: str | Sequence[int]) -> Sequence[int]:
        return self.tokenizer.pieces(text) if isinstance(text, str) else text

    def _padded(self, ids: list[int], first_segment: int, **rest: int) -> Assembled:
        length = len(ids)
        input_ids = np.full(self.max_seq_length, self.tokenizer.pad_id, dtype=np.int64)
        input_ids[:length] = ids
        mask = np.zeros(self.max_seq_length, dtype=bool)
        mask[:length] = True
        segments = np.zeros(self.max_seq_length, dtype=np.int64)
        segments[first_segment:length] = 1
        return Assembled(
            torch.from_numpy(input_ids), torch.from_numpy(mask), torch.from_numpy(segments), length=length, **rest
        )


def pair_lengths(length_a: int, length_b: int, room: int) -> tuple[int, int]:
    """How much of two texts is kept where one piece after the other is taken from the longer (from b when equal).

    >>> pair_lengths(10, 3, 8)
    (5, 3)
    """
    if length_a + length_b <= room:
        return length_a, length_b
    kept_a = min(length_a, max(room - length_b, (room + 1) // 2))
    return kept_a, room - kept_a
