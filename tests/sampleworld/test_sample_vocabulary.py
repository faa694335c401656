"""The world's WordPiece vocabulary."""

from mmf_visualbert.processors.text import load_tokenizer
from mmf_visualbert.sampleworld.vocabulary import train_vocabulary


def test_special_tokens_stand_where_bert_has_them(small_world, shared):
    ours = (small_world / "bert/vocab.txt").read_text().splitlines()
    theirs = (shared / "realdata/bert/vocab.txt").read_text(encoding="utf-8").splitlines()
    assert ours[:104] == theirs[:104]
    assert len(set(ours)) == len(ours)


def test_merges_by_frequency_with_ties_in_order():
    pieces = train_vocabulary(["abab abab cd", "cd!"], size=1000)[104:]
    singles = sum(len(piece.removeprefix("##")) == 1 for piece in pieces)
    # all pairs come twice, so the order is that of the alphabet, in which # stands before the letters
    assert pieces[singles:] == ["##ab", "##bab", "abab", "cd"]


def test_the_size_is_kept_and_training_repeats():
    texts = ["a large red circle", "two large circles", "a small star"] * 3
    assert len(train_vocabulary(texts, size=190)) == 190
    assert train_vocabulary(texts) == train_vocabulary(list(reversed(texts)))


def test_the_worlds_text_has_no_unknown_piece(small_world):
    tokenizer = load_tokenizer(str(small_world / "bert/vocab.txt"))
    for text in ("Is there an orange star?", "Casey has a yellow shirt .", "Riley is holding the sportsball .", "3"):
        pieces = tokenizer.pieces(text)
        assert pieces and tokenizer.unk_id not in pieces
    assert len(tokenizer.pieces("red")) == len(tokenizer.pieces("circle")) == 1


def test_some_words_stay_in_several_pieces(small_world):
    tokenizer = load_tokenizer(str(small_world / "bert/vocab.txt"))
    assert len(tokenizer.pieces("circumference")) > 2
