"""A BERT's folder, whatever it says: our pieces are transformers' own, or it is said why not."""

import itertools
import json
import random
import unicodedata
from pathlib import Path

import pytest
from tokenizers import BertWordPieceTokenizer
from transformers import AutoTokenizer, BertTokenizer

from mmf_visualbert.datasets.columns import Strings
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.text import SPECIAL_TOKENS, load_tokenizer

WORDS = (
    "hello",
    "Hello",
    "world",
    "World",
    "paris",
    "Paris",
    "é",
    "café",
    "cafe",
    "Café",
    "Cafe",
    "straße",
    "中文",
    "中",
    "文",
)
LETTERS = [chr(code) for code in (*range(0x21, 0x7F), *range(0xC0, 0x180), 0x3B1, 0x3C9, 0x410, 0x44F, 0x4E2D, 0x6587)]
VOCABULARY = [*SPECIAL_TOKENS, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS if letter.isalnum())]
# Ranges of Unicode whose characters BERT treats in different ways.
ODD = ((0x20, 0x7F), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x400), (0x400, 0x480), (0x1E00, 0x1F00), (0x2000, 0x2070))
ODD = (
    *ODD,
    (0x3040, 0x30FF),
    (0x4E00, 0x4F00),
    (0xAC00, 0xAD00),
    (0xFB00, 0xFB07),
    (0xFF00, 0xFF60),
    (0x1F300, 0x1F400),
)
CASED = {"do_lower_case": False}


def odd_texts(count: int) -> list[str]:
    """Texts of words and of characters that are treated in different ways; without brackets, as no special token."""
    generator = random.Random(7)
    texts = []
    while len(texts) < count:
        parts = [
            generator.choice(WORDS) if generator.random() < 0.4 else chr(generator.randrange(*generator.choice(ODD)))
            for _ in range(generator.randrange(1, 12))
        ]
        text = generator.choice(("", " ", "\t", "\u200b", "\x00")).join(parts).replace("[", "").replace("]", "")
        texts.append(unicodedata.normalize(generator.choice(("NFC", "NFD")), text))
    return texts


TEXTS = odd_texts(1000)


def folder(
    path: Path, vocabulary: bool, whole: dict | None, settings: dict | None, config: bool, **files: object
) -> Path:
    """A BERT's folder with some of the files that such folders have."""
    path.mkdir()
    pieces = path / "vocab.txt"
    pieces.write_text("".join(f"{piece}\n" for piece in dict.fromkeys(VOCABULARY)), encoding="utf-8")
    if whole is not None:
        BertWordPieceTokenizer(str(pieces), **whole).save(str(path / "tokenizer.json"))
    if not vocabulary:
        pieces.unlink()
    content = {"tokenizer_config": settings, "config": {"model_type": "bert"} if config else None, **files}
    for name, value in content.items():
        if value is not None:
            (path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return path


def theirs(path: Path, lowercase: bool):
    """Transformers' tokenizer: of a folder that names no class BERT's, of one that says nothing of the case as the
    configuration says.
    """
    settings = path / "tokenizer_config.json"
    stated = json.loads(settings.read_text()).get("do_lower_case") if settings.exists() else None
    case = {} if stated is not None or (path / "tokenizer.json").exists() else {"do_lower_case": lowercase}
    try:
        return AutoTokenizer.from_pretrained(str(path), trust_remote_code=False, **case)
    except ValueError:
        return BertTokenizer.from_pretrained(str(path), **case)


def agrees(path: Path, lowercase: bool, texts: list[str]) -> bool:
    """Whether our pieces are theirs; False where ours refuses the folder."""
    load_tokenizer.cache_clear()
    try:
        ours = load_tokenizer(str(path), lowercase)
    except InputError as error:
        assert "\n" not in str(error) and ";" in str(error), error
        return False
    rival = theirs(path, lowercase)
    for text in texts:
        assert ours.pieces(text) == rival.convert_tokens_to_ids(rival.tokenize(text)), (text, path.name)
    assert all(ours.token(index) == piece for piece, index in rival.get_vocab().items())
    return True


SETTINGS = [None, {}, CASED, {"do_lower_case": True}, {"do_lower_case": True, "strip_accents": False}]
SETTINGS += [{"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}]
WHOLES = [None, {"lowercase": True}, {"lowercase": False}, {"lowercase": True, "strip_accents": False}]
WHOLES += [{"lowercase": False, "strip_accents": True, "handle_chinese_chars": False}]


def test_pieces_are_transformers_own_whatever_the_folder_says(tmp_path):
    kinds = itertools.product(
        (True, False), WHOLES, SETTINGS, (True, False), ("BertTokenizer", "BertTokenizerFast", None)
    )
    possible = [one for one in kinds if (one[0] or one[1] is not None) and (one[4] is None or one[2] is not None)]
    accepted = refused = 0
    for number, (vocabulary, whole, settings, config, kind) in enumerate(random.Random(1).sample(possible, 50)):
        settings = settings if kind is None else {**settings, "tokenizer_class": kind}
        path = folder(tmp_path / str(number), vocabulary, whole, settings, config)
        results = [agrees(path, lowercase, TEXTS[number % 20 :: 20]) for lowercase in (True, False)]
        assert sum(results) <= 1  # a folder is cased or it is not; one that says nothing looks cased
        accepted, refused = accepted + any(results), refused + (not any(results))
    assert accepted > 20 and refused > 10, (accepted, refused)


@pytest.mark.parametrize(
    ("whole", "settings"),
    [
        (None, {"do_lower_case": True, "strip_accents": False}),
        ({"lowercase": False, "strip_accents": None}, CASED),
        ({"lowercase": True, "handle_chinese_chars": False}, {"do_lower_case": True, "tokenize_chinese_chars": False}),
    ],
)
def test_a_thousand_odd_texts(tmp_path, whole, settings):
    path = folder(tmp_path / "bert", True, whole, settings, True)
    assert agrees(path, settings["do_lower_case"], TEXTS)


def test_a_cased_vocabulary_of_which_nothing_is_said_is_not_lower_cased(tmp_path):
    path = folder(tmp_path / "bert", True, None, None, False)
    for source in (path, path / "vocab.txt"):
        with pytest.raises(InputError, match=r"has the piece 'Hello', so that it is a cased .* `lowercase: false`"):
            load_tokenizer(str(source))
        cased = load_tokenizer(str(source), lowercase=False)
        assert [cased.token(index) for index in cased.pieces("Hello Paris")] == ["Hello", "Paris"]
    (path / "tokenizer_config.json").write_text('{"do_lower_case": true}')  # the mend that the sentence names
    load_tokenizer.cache_clear()
    for source in (path, path / "vocab.txt"):
        tokenizer = load_tokenizer(str(source))
        assert [tokenizer.token(index) for index in tokenizer.pieces("Hello Paris")] == ["hello", "paris"]


def test_a_tokenizer_json_that_transformers_would_leave_aside_is_said_and_mended_as_told(tmp_path):
    path = folder(tmp_path / "bert", True, {"lowercase": False, "strip_accents": False}, None, True)
    with pytest.raises(InputError, match=r'says lowercase=False and transformers.* \{"do_lower_case": false\}') as said:
        load_tokenizer(str(path), lowercase=False)
    (path / "tokenizer_config.json").write_text("{" + str(said.value).split("{")[-1])
    load_tokenizer.cache_clear()
    assert agrees(path, False, TEXTS[:50])


def test_tokens_that_were_added_are_pieces_and_special_ones_are_not(tmp_path):
    size = len(set(VOCABULARY))
    added = {"tv show": size + 1, "[NAME]": size}
    special = {"additional_special_tokens": ["[NAME]"]}
    path = folder(tmp_path / "a", True, None, {**CASED, "tokenizer_class": "BertTokenizer"}, True, added_tokens=added)
    (path / "special_tokens_map.json").write_text(json.dumps(special))
    rival = AutoTokenizer.from_pretrained(str(path))
    ours = load_tokenizer(str(path), lowercase=False)
    texts = ["a tv show", "Hello tv show tv showtv show", "tvshow"]
    assert [ours.pieces(text) for text in texts] == [
        rival.convert_tokens_to_ids(rival.tokenize(text)) for text in texts
    ]
    assert rival.get_vocab()["tv show"] in ours.pieces("a tv show")
    name = rival.get_vocab()["[NAME]"]
    assert name in rival.all_special_ids or name in rival.convert_tokens_to_ids(rival.tokenize("[NAME]"))
    smuggled = {*ours.special_ids, *rival.all_special_ids} - {ours.unk_id}
    for text in ("[NAME]", "[MASK] [SEP]", "[NAME]\n", "a[CLS]b"):
        assert not smuggled & set(ours.pieces(text)), text
    assert ours.vocab_size == len(rival) and ours.token(name) == "[NAME]"


DAMAGED = ['{"do_lower_case": true', "[]", "null", "3", '{"do_lower_case": "yes"}', '{"do_lower_case": 1}', "\x00"]
DAMAGED += [
    "[" * 99999,
    '{"strip_accents": []}',
    '{"tokenizer_class": 5}',
    '{"tokenizer_class": "BertJapaneseTokenizer"}',
]
DAMAGED += ['{"added_tokens_decoder": 7}', '{"auto_map": {"AutoTokenizer": ["evil.Tokenizer", null]}}']
DAMAGED += ['{"cls_token": {"a": 1}}', '{"tokenizer_class": 5}']


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("name", ["tokenizer_config", "tokenizer", "config", "added_tokens", "special_tokens_map"])
def test_damaged_files_are_one_sentence(tmp_path, name, content):
    path = folder(tmp_path / "bert", True, None, CASED, False)
    (path / f"{name}.json").write_text(content)
    load_tokenizer.cache_clear()
    try:
        load_tokenizer(str(path), False)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert name != "tokenizer_config" or content in DAMAGED[-5:]


def test_files_in_any_dress_are_read(tmp_path):
    path = folder(tmp_path / "bert", True, {"lowercase": False}, CASED, False)
    for file in path.iterdir():
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    tokenizer = load_tokenizer(str(path), False)
    assert [tokenizer.token(index) for index in tokenizer.pieces("Hello")] == ["Hello"]


def test_other_kinds_of_tokenizers_are_refused(tmp_path):
    path = folder(tmp_path / "bert", True, {"lowercase": False}, None, False)
    whole = json.loads((path / "tokenizer.json").read_text())
    changes = {
        "BPE": {"model": {"type": "BPE", "vocab": {"[UNK]": 0}, "merges": [], "unk_token": "[UNK]"}},
        "after Whitespace": {"pre_tokenizer": {"type": "Whitespace"}},
        "Replace": {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}},
        "different ids": {"model": {**whole["model"], "vocab": {**whole["model"]["vocab"], "hello": 6, "Hello": 5}}},
        "no BERT has": {"model": {**whole["model"], "vocab": {**whole["model"]["vocab"], "more": (1 << 31) - 100}}},
    }
    for words, change in changes.items():
        (path / "tokenizer.json").write_text(json.dumps({**whole, **change}))
        load_tokenizer.cache_clear()
        with pytest.raises(InputError, match=words):
            load_tokenizer(str(path), False)


def test_an_added_token_far_beyond_the_vocabulary_is_refused(tmp_path):
    path = folder(tmp_path / "bert", True, {"lowercase": False}, None, False)
    (path / "added_tokens.json").write_text(json.dumps({"more": (1 << 31) - 100}))
    with pytest.raises(InputError, match=r"added_tokens\.json gives a piece the id 2147483548"):
        load_tokenizer(str(path), False)


def test_a_character_that_becomes_eighteen_counts_as_so_many(tmp_path):
    path = folder(tmp_path / "bert", False, {"lowercase": False}, None, False)
    whole = json.loads((path / "tokenizer.json").read_text())
    letters = sorted(set(unicodedata.normalize("NFKC", "\ufdfa")))
    for piece in [*letters, *(f"##{letter}" for letter in letters)]:
        whole["model"]["vocab"][piece] = len(whole["model"]["vocab"])
    (path / "tokenizer.json").write_text(json.dumps({**whole, "normalizer": {"type": "NFKC"}}))
    tokenizer = load_tokenizer(str(path), False)
    assert len(tokenizer.pieces("\ufdfa")) == 15 and tokenizer.longer_than(["\ufdfa"] * 2, 14) == [0, 1]
    assert (Strings(["\ufdfa", "abc"]).most_pieces(tokenizer.longest_decomposition) >= [15, 3]).all()
