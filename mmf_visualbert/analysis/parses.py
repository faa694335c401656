"""Dependency parses of captions: from CoNLL-U files, or made by spaCy or Stanza where they and a model are installed.

A parse is known by its caption: `# sent_id = IMAGE#NUMBER` in CoNLL-U, the caption's number from 1, as in
`1000092795#1`. Its tokens may be cut otherwise than the caption's words, as long as the characters are the same.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import conllu
from conllu.exceptions import ParseException

from mmf_visualbert.compat.optional import require
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_text
from mmf_visualbert.tasks.flickr30k.records import Caption

BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}", "``": '"', "''": '"'}
STANZA, SPACY = "stanza", "spacy"


class Parse(NamedTuple):
    """A parsed sentence.

    Attributes:
        forms: its tokens.
        governors: of each token the index of its governor, -1 for the root.
        relations: of each token to its governor, as the parser calls them.
    """

    forms: tuple[str, ...]
    governors: tuple[int, ...]
    relations: tuple[str, ...]


class Arc(NamedTuple):
    """A dependency between two words of a caption, by their indices."""

    dependent: tuple[int, ...]
    governor: tuple[int, ...]
    relation: str


def name_of(caption: Caption) -> str:
    """What a caption's parse is called."""
    return f"{caption.image_id}#{caption.number}"


def read_parses(paths: Sequence[Path]) -> dict[str, Parse]:
    """The parses of CoNLL-U files by their sentences' names.

    Raises:
        InputError: for a file that is missing or is no CoNLL-U, a sentence without a name, or a name that comes twice.
    """
    found: dict[str, Parse] = {}
    for path in paths:
        # A sentence at a time, so that an error can say which.
        for number, block in enumerate(_blocks(read_text(path)), start=1):
            name, parse = _sentence(path, number, block)
            if name in found:
                raise InputError(f"{path} sentence {number}: there is a parse of {name} already; remove one of the two")
            found[name] = parse
    if not found:
        raise InputError(
            f"{', '.join(map(str, paths))} has no parse; write it as CoNLL-U, a blank line after a sentence"
        )
    return found


def _blocks(text: str) -> Iterator[str]:
    for filled, lines in itertools.groupby(text.splitlines(), key=lambda line: bool(line.strip())):
        if filled:
            yield "\n".join(lines)


def _sentence(path: Path, number: int, block: str) -> tuple[str, Parse]:
    where = f"{path} sentence {number}"
    try:
        (sentence,) = conllu.parse(block + "\n\n")
    except (ParseException, ValueError) as error:
        raise InputError(f"{where} is no CoNLL-U ({' '.join(str(error).split())}); write ten columns a token") from None
    name = sentence.metadata.get("sent_id")
    if not name:
        raise InputError(f"{where} has no name; write '# sent_id = IMAGE#NUMBER' above it")
    tokens = [token for token in sentence if isinstance(token["id"], int)]  # no words of several tokens, no empty nodes
    index = {token["id"]: place for place, token in enumerate(tokens)}
    governors = []
    for token in tokens:
        head = token.get("head")
        if head != 0 and head not in index:
            raise InputError(f"{where} ({name}): the token '{token['form']}' has the governor {head}, which is none")
        governors.append(-1 if head == 0 else index[head])
    relations = tuple(str(token.get("deprel")) for token in tokens)
    return name, Parse(tuple(token["form"] for token in tokens), tuple(governors), relations)


def parse_with(parser: str, model: str, captions: Sequence[Caption]) -> dict[str, Parse]:
    """Parses captions, whose words are kept as they are.

    Args:
        parser: "spacy" or "stanza".
        model: spaCy's name of a model, as en_core_web_sm; Stanza's of a language, as en.
        captions: to parse.

    Raises:
        InputError: where the parser or its model is not installed.
    """
    make = {SPACY: _by_spacy, STANZA: _by_stanza}[parser]
    parses = make(model, [caption.words for caption in captions])
    return {name_of(caption): parse for caption, parse in zip(captions, parses, strict=True)}


def _by_spacy(model: str, sentences: Sequence[Sequence[str]]) -> Iterator[Parse]:
    spacy = require("spacy", "parsing with spaCy")
    try:
        pipeline = spacy.load(model)
    except OSError:
        raise InputError(f"spaCy has no model {model}; python -m spacy download {model}") from None
    documents = (spacy.tokens.Doc(pipeline.vocab, words=list(words)) for words in sentences)
    for document in pipeline.pipe(documents):
        governors = tuple(-1 if token.head.i == token.i else token.head.i for token in document)
        yield Parse(tuple(token.text for token in document), governors, tuple(token.dep_ for token in document))


def _by_stanza(model: str, sentences: Sequence[Sequence[str]]) -> Iterator[Parse]:
    stanza = require("stanza", "parsing with Stanza")
    steps = "tokenize,pos,lemma,depparse"
    try:
        pipeline = stanza.Pipeline(model, processors=steps, tokenize_pretokenized=True, download_method=None)
    except Exception as error:  # of many kinds, by version and by what is missing
        raise InputError(f"Stanza has no model of '{model}' ({error}); stanza.download('{model}') gets it") from None
    for sentence in pipeline([list(words) for words in sentences]).sentences:
        yield _of_stanza(sentence.words)


def _of_stanza(words: Iterable[Any]) -> Parse:
    several = list(words)
    return Parse(
        tuple(word.text for word in several),
        tuple(word.head - 1 for word in several),
        tuple(word.deprel for word in several),
    )


def arcs_of(parse: Parse, words: Sequence[str]) -> list[Arc] | None:
    """The dependencies between words of a caption; None where the parse is of other characters.

    Tokens of one word have no arc between them.
    """
    owners = _owners([BRACKETS.get(form.lower(), form) for form in parse.forms], words)
    if owners is None:
        return None
    return [
        Arc(owners[token], owners[governor], relation)
        for token, (governor, relation) in enumerate(zip(parse.governors, parse.relations, strict=True))
        if governor >= 0 and not set(owners[token]) & set(owners[governor])
    ]


def _owners(forms: Sequence[str], words: Sequence[str]) -> list[tuple[int, ...]] | None:
    """Of each token the words that it has characters of."""
    plain = [BRACKETS.get(word.lower(), word) for word in words]
    characters = [(character, index) for index, word in enumerate(plain) for character in word.lower()]
    written = "".join(forms).replace(" ", "").lower()
    if written != "".join(character for character, _ in characters):
        return None
    owners, start = [], 0
    for form in forms:
        end = start + len(form.replace(" ", ""))
        owners.append(tuple(dict.fromkeys(index for _, index in characters[start:end])))
        start = end
    return owners


def relations_of(parses: Mapping[str, Parse]) -> list[str]:
    """Every relation but those to nothing and of punctuation, the frequent first."""
    counts: dict[str, int] = {}
    for parse in parses.values():
        for governor, relation in zip(parse.governors, parse.relations, strict=True):
            if governor >= 0 and relation != "punct":
                counts[relation] = counts.get(relation, 0) + 1
    return sorted(counts, key=lambda relation: (-counts[relation], relation))
