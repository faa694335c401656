"""Word pieces and the assembly of texts."""

import json
import pickle
import shutil

import hypothesis
import hypothesis.strategies as st
import pytest
import tokenizers
import torch
from tokenizers.models import WordPiece

from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.text import (
    SPECIAL_TOKENS,
    TextAssembler,
    WordPieceTokenizer,
    load_tokenizer,
    pair_lengths,
)
from mmf_visualbert.tasks.vqa2.records import read_questions

WORDS = "a man rides the brown horse ##s ##ing play dog ? . ' s".split()
VOCABULARY = {
    piece: place for place, piece in enumerate([*SPECIAL_TOKENS, *WORDS, "##a", "e", "##e", "##!", "σ", "##σ"])
}


@pytest.fixture
def vocabulary_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, "[unused0]", *WORDS]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tokenizer(vocabulary_file):
    return load_tokenizer(str(vocabulary_file))


def ids(tokenizer, text):
    return [tokenizer.tokenizer.token_to_id(token) for token in text.split()]


def real_texts(shared):
    folder = shared / "realdata"
    captions = json.loads((folder / "coco_captions/captions_train2017.json").read_text())["annotations"]
    questions = read_questions([folder / "vqa2/val100/v2_OpenEnded_mscoco_val2014_questions.json"], labelled=False)
    return [record["caption"] for record in captions] + list(questions.texts)


def test_pieces_equal_transformers_on_real_texts(shared, tmp_path):
    from transformers import BertTokenizer

    shutil.copy(shared / "realdata/bert/vocab.txt", tmp_path / "vocab.txt")
    rival = BertTokenizer.from_pretrained(str(tmp_path))
    ours = load_tokenizer(str(shared / "realdata/bert/vocab.txt"))
    texts = [*real_texts(shared), "Crème brûlée, 30°C", "中文 text", "don't\x00 stop\u200b", "Ⅷ ﬁne ΌΣΟΣ", "x" * 200]
    assert len(texts) > 450
    for text in texts:
        assert ours.pieces(text) == rival.convert_tokens_to_ids(rival.tokenize(text)), text
    assert ours.vocab_size == 30522
    assert (ours.pad_id, ours.unk_id, ours.cls_id, ours.sep_id, ours.mask_id) == (0, 100, 101, 102, 103)


def test_assembled_equals_transformers(shared, tmp_path):
    from transformers import BertTokenizer

    shutil.copy(shared / "realdata/bert/vocab.txt", tmp_path / "vocab.txt")
    rival = BertTokenizer.from_pretrained(str(tmp_path))
    assembler = TextAssembler(str(shared / "realdata/bert/vocab.txt"), max_seq_length=17)
    texts = real_texts(shared)
    # An even number of places for the two: of an odd one, BERT gives the last to the first text, `tokenizers` does not.
    for a, b in zip(texts[:60], texts[60:120], strict=True):
        theirs = rival(a, b, padding="max_length", truncation="longest_first", max_length=17)
        ours = assembler.pair(a, b)
        assert ours.input_ids.tolist() == theirs["input_ids"]
        assert ours.text_mask.long().tolist() == theirs["attention_mask"]
        assert ours.text_segments.tolist() == theirs["token_type_ids"]
        theirs = rival(a, padding="max_length", truncation=True, max_length=17)
        assert assembler.single(a).input_ids.tolist() == theirs["input_ids"]


def test_special_tokens_in_a_text_are_plain_characters(tokenizer):
    assert tokenizer.mask_id not in tokenizer.pieces("a [MASK] dog [SEP]")


def test_word_pieces_say_which_word_owns_what(tokenizer):
    pieces = tokenizer.word_pieces(["Horses", "\u200b", "playing", "dog"])
    assert pieces.ids == ids(tokenizer, "horse ##s play ##ing dog")
    assert list(zip(pieces.starts, pieces.ends, strict=True)) == [(0, 2), (2, 2), (2, 4), (4, 5)]
    assert tokenizer.word_pieces([]) == ([], [], [])


def test_longer_than_counts_pieces(tokenizer):
    assert tokenizer.longer_than(["a " * 5, "a " * 6, "x" * 99, "\u1f82 " * 6], 5) == [1, 3]


@hypothesis.given(
    st.lists(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(" \t\n\x1c\x85\u0301\u3000aé?!Σ"))))
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_pieces_are_counted_by_words(texts):
    """Exactly, whatever stands in a text; so are those of a tokenizer that cuts elsewhere, which is asked for each."""
    by_words = WordPieceTokenizer(VOCABULARY)
    assert by_words.piece_counts(texts).tolist() == [len(by_words.pieces(text)) for text in texts]
    whole = tokenizers.Tokenizer(WordPiece(VOCABULARY, unk_token="[UNK]"))
    at_once = WordPieceTokenizer(VOCABULARY, tokenizer=whole)
    assert at_once.piece_counts(texts).tolist() == [len(at_once.pieces(text)) for text in texts]


@hypothesis.given(
    st.lists(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(" \t\n\x1c\x85\u0301\u3000aé?!Σ"))))
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_kept_words_change_no_pieces(texts):
    """Exactly, whatever stands in a text, also where more words come than are kept, and when they come again."""
    plain = WordPieceTokenizer(VOCABULARY)
    for keeping in (plain.keeping(1000), plain.keeping(2)):
        for _ in range(2):
            assert [keeping.pieces(text) for text in texts] == [plain.pieces(text) for text in texts]
            assert keeping.word_pieces(texts) == plain.word_pieces(texts)
            assert keeping.piece_counts(texts).tolist() == plain.piece_counts(texts).tolist()


def test_kept_words_are_bounded(tokenizer, monkeypatch):
    keeping = TextAssembler(tokenizer, keep_words=2).tokenizer
    assert keeping.pieces("a dog horse") == ids(tokenizer, "a dog horse")
    assert keeping.pieces("x" * 33) == [tokenizer.unk_id]
    monkeypatch.setattr(WordPieceTokenizer, "_encode", None)
    assert keeping.pieces("dog a") == ids(tokenizer, "dog a")
    for forgotten in ("horse", "x" * 33):
        with pytest.raises(TypeError):
            keeping.pieces(forgotten)


def test_kept_words_are_pickled(tokenizer, monkeypatch):
    keeping = TextAssembler(tokenizer, keep_words=9)
    assembled = keeping.single("a dog")
    copy = pickle.loads(pickle.dumps(keeping))
    monkeypatch.setattr(WordPieceTokenizer, "_encode", None)
    assert torch.equal(copy.single("a dog").input_ids, assembled.input_ids)


def test_words_that_cannot_be_kept(tokenizer):
    with pytest.raises(InputError, match="keep_words is -1; set it to 0"):
        TextAssembler(tokenizer, keep_words=-1)
    whole = WordPieceTokenizer(VOCABULARY, tokenizer=tokenizers.Tokenizer(WordPiece(VOCABULARY, unk_token="[UNK]")))
    with pytest.raises(InputError, match=r"does not cut texts at each space.* keep_words to 0"):
        TextAssembler(whole, keep_words=9)


def test_single_keeps_the_beginning(tokenizer):
    assembled = TextAssembler(tokenizer, max_seq_length=5).single("a man rides the horse")
    assert assembled.input_ids.tolist() == [tokenizer.cls_id, *ids(tokenizer, "a man rides"), tokenizer.sep_id]
    assert (assembled.length, assembled.cut) == (5, 2)
    assert [assembled.position_of("a", i) for i in range(5)] == [1, 2, 3, -1, -1]


def test_padding_and_dtypes(tokenizer):
    assembled = TextAssembler(tokenizer, max_seq_length=8).single("a dog")
    assert assembled.input_ids[4:].tolist() == [tokenizer.pad_id] * 4
    assert assembled.text_mask.tolist() == [True] * 4 + [False] * 4
    assert assembled.input_ids.dtype == assembled.text_segments.dtype == torch.int64
    assert set(assembled.tensors()) == {"input_ids", "text_mask", "text_segments"}


def test_question_keeps_its_suffix(tokenizer):
    assembler = TextAssembler(tokenizer, max_seq_length=6)
    suffix = [*tokenizer.pieces("?"), tokenizer.mask_id]
    assembled = assembler.question("a man rides the horse", suffix)
    assert assembled.input_ids.tolist() == [tokenizer.cls_id, *ids(tokenizer, "a man ? [MASK] [SEP]")]
    assert assembled.cut == 3
    with pytest.raises(InputError, match="max_seq_length"):
        assembler.question("a", [1] * 5)


@pytest.mark.parametrize(
    ("keep_end", "expected"),
    [
        ("", "[CLS] a man [SEP] dog play [SEP]"),
        ("a", "[CLS] the horse [SEP] dog play [SEP]"),
        ("b", "[CLS] a man [SEP] ##ing . [SEP]"),
        ("ab", "[CLS] the horse [SEP] ##ing . [SEP]"),
    ],
)
def test_pair_cuts_where_told(tokenizer, keep_end, expected):
    assembled = TextAssembler(tokenizer, max_seq_length=7).pair("a man rides the horse", "dog playing .", keep_end)
    assert assembled.input_ids.tolist() == ids(tokenizer, expected)
    assert assembled.text_segments.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert (assembled.cut, assembled.length) == (5, 7)
    first_a, first_b = (3 if "a" in keep_end else 0), (2 if "b" in keep_end else 0)
    assert [assembled.position_of("a", i) for i in range(5)].index(1) == first_a
    assert [assembled.position_of("b", i) for i in range(4)].index(4) == first_b


def test_pair_takes_pieces_too(tokenizer):
    assembler = TextAssembler(tokenizer, max_seq_length=9)
    from_pieces = assembler.pair(tokenizer.pieces("a dog"), tokenizer.pieces("horses"))
    assert torch.equal(from_pieces.input_ids, assembler.pair("a dog", "horses").input_ids)
    assert from_pieces.offset_b == 4


def slow_pair_lengths(a, b, room):
    while a + b > room:
        a, b = (a - 1, b) if a > b else (a, b - 1)
    return a, b


def test_pair_lengths_equal_the_slow_twin():
    for room in range(8):
        for a in range(9):
            for b in range(9):
                assert pair_lengths(a, b, room) == slow_pair_lengths(a, b, room)


def test_tokenizer_survives_pickling(tokenizer):
    copy = pickle.loads(pickle.dumps(TextAssembler(tokenizer)))
    assert copy.tokenizer.pieces("a dog") == tokenizer.pieces("a dog")


def test_folder_and_tokenizer_json(vocabulary_file, tokenizer):
    assert load_tokenizer(str(vocabulary_file.parent)).pieces("Dog") == tokenizer.pieces("dog")
    vocabulary_file.unlink()
    (vocabulary_file.parent / "tokenizer.json").write_text(tokenizer.tokenizer.to_str(), encoding="utf-8")
    load_tokenizer.cache_clear()
    assert load_tokenizer(str(vocabulary_file.parent)).pieces("Dog") == tokenizer.pieces("dog")


def test_casing_of_the_vocabulary_is_checked(vocabulary_file):
    (vocabulary_file.parent / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    with pytest.raises(InputError, match="lowercase: false"):
        load_tokenizer(str(vocabulary_file.parent))
    cased = load_tokenizer(str(vocabulary_file.parent), lowercase=False)
    assert cased.pieces("Dog") == [cased.unk_id]


@pytest.mark.parametrize("name", ["/nowhere/vocab.txt", "data/vocab.txt", "not a name"])
def test_no_such_tokenizer(name):
    with pytest.raises(InputError, match=r"vocab\.txt"):
        load_tokenizer(name)


def test_not_a_bert_vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"no \[PAD\]"):
        load_tokenizer(str(tmp_path / "vocab.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither"):
        load_tokenizer(str(tmp_path / "empty"))


def test_sequence_too_short(tokenizer):
    with pytest.raises(InputError, match="max_seq_length"):
        TextAssembler(tokenizer, max_seq_length=3)
