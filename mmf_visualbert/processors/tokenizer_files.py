"""A BERT's tokenizer as the files of its folder describe it.

Transformers reads them, so that the pieces are its own: whether the vocabulary is cased, what becomes of accents and of
Chinese characters, tokens that were added. Where the files say different things, or nothing of a vocabulary that looks
cased, that is said.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_lines, write_json, write_text

VOCABULARY, WHOLE, SETTINGS, CONFIG = "vocab.txt", "tokenizer.json", "tokenizer_config.json", "config.json"
ADDED = "added_tokens.json"
_BESIDE = ("special_tokens_map.json", ADDED, CONFIG)
# What a tokenizer_config.json states, and what BERT's normalizer calls it.
_STATED = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
MOST_PIECES = 10_000_000
# Normalizers under which a character becomes a bounded number of characters, and none comes from nowhere.
_NORMALIZERS = ("BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip", "Nmt", "Sequence")


class Described(NamedTuple):
    """A tokenizer as files describe it.

    Attributes:
        vocabulary: piece -> id; a special token that the model itself has not is there under no name of a text's.
        tokenizer: what cuts texts into these pieces; None where the files ask for nothing but BERT's own way.
    """

    vocabulary: dict[str, int]
    tokenizer: tokenizers.Tokenizer | None


def read_tokenizer(source: Path, lowercase: bool) -> Described:
    """The tokenizer of a folder, or of one file in it, as transformers reads it. Tokens that were added are pieces, but
    special ones are no piece of any text.

    Args:
        source: a folder with vocab.txt or tokenizer.json, or one of these files.
        lowercase: what the configuration says.

    Raises:
        InputError: where the files are damaged, no BERT's, or say different things, among themselves or than
            `lowercase`.
    """
    files = _files(source)
    settings = _settings(files)
    whole = _whole(files)
    if whole is not None:  # before tokenizers reads it, which makes room for as many pieces as the largest id says
        refuse_many(_largest_id([whole["model"].get("vocab"), whole.get("added_tokens")]), files[WHOLE])
    if ADDED in files:
        refuse_many(_largest_id(read_json(files[ADDED])), files[ADDED])
    if whole is None and settings.get("do_lower_case") is None:
        vocabulary = {piece: index for index, piece in enumerate(read_lines(files[VOCABULARY]))}
        refuse_cased(vocabulary, lowercase, str(source))
        if set(files) <= {VOCABULARY, CONFIG}:
            return Described(vocabulary, None)
        settings = {**settings, "do_lower_case": lowercase}
    if whole is None and not _names_its_class(files, settings):
        settings = {**settings, "tokenizer_class": "BertTokenizer"}
    with _clean(files, settings, whole) as folder:
        state, vocabulary = as_transformers_reads(folder, str(source))
    if whole is not None:
        _refuse_disagreement(whole, state, settings, files)
    return built(state, vocabulary, lowercase, str(source))


def refuse_cased(vocabulary: Mapping[str, int], lowercase: bool, name: str) -> None:
    """Refuses to lower-case for a vocabulary of which nobody says what it is and which has capitals.

    Raises:
        InputError: naming a piece that would never be found.
    """
    if lowercase:
        for piece in vocabulary:
            if piece != piece.lower() and not (piece.startswith("[") and piece.endswith("]")):
                raise InputError(
                    f"{name} has the piece '{piece}', so that it is a cased vocabulary, and nothing beside it says "
                    "otherwise, while the configuration lower-cases; set the processor's `lowercase: false`, or write "
                    f'{{"do_lower_case": true}} into {SETTINGS} beside it if it is to be lower-cased'
                )


def refuse_many(largest: int, name: object) -> None:
    """Refuses an id that is none of a BERT's.

    Raises:
        InputError: naming the id.
    """
    if largest >= MOST_PIECES:
        raise InputError(
            f"{name} gives a piece the id {largest}, and no BERT has {MOST_PIECES} pieces; get the vocabulary again"
        )


def refuse_other_case(wanted: bool, lowercase: bool, name: object) -> None:
    """Refuses a configuration that says other than the vocabulary's files.

    Raises:
        InputError: naming what to set.
    """
    if wanted != lowercase:
        raise InputError(
            f"the vocabulary of {name} was made with lowercase={wanted}, the configuration says {lowercase}; "
            f"set the processor's `lowercase: {str(wanted).lower()}`"
        )


def as_transformers_reads(name: Path | str, origin: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The state of the tokenizer that transformers makes of a folder or a name on the hub, and its whole vocabulary.

    Raises:
        InputError: where it makes none that is BERT's.
    """
    from transformers import AutoTokenizer  # slow to import, and not needed for a bare vocab.txt

    theirs = AutoTokenizer.from_pretrained(str(name), trust_remote_code=False)
    if not theirs.is_fast:
        raise InputError(
            f"the tokenizer {origin} is a {type(theirs).__name__}, which no WordPiece alone is; give a BERT's"
        )
    state, special = json.loads(theirs.backend_tokenizer.to_str()), set(map(str, theirs.all_special_tokens))
    for token in state["added_tokens"]:
        token["special"] |= token["content"] in special
    _refuse_other_kind(state, origin)
    return state, theirs.get_vocab()


def _refuse_other_kind(state: Mapping[str, Any], name: str) -> None:
    kind, cut = state["model"]["type"], (state["pre_tokenizer"] or {}).get("type")
    odd = sorted(set(_types(state["normalizer"])) - set(_NORMALIZERS))
    if kind != "WordPiece" or cut != "BertPreTokenizer" or odd:
        kind = kind if kind != "WordPiece" else odd[0] if odd else f"WordPiece after {cut}"
        raise InputError(f"the tokenizer {name} is none of BERT's kind ({kind}); give a BERT's vocab.txt or folder")


def built(state: dict[str, Any], vocabulary: Mapping[str, int], lowercase: bool, name: str) -> Described:
    """The tokenizer of a state, without its special tokens: "[MASK]" in a text is brackets and letters.

    Raises:
        InputError: where it lower-cases and the configuration does not, or the other way round.
    """
    model = state["model"]
    added = [token for token in state["added_tokens"] if not token["special"]]
    for piece, index in vocabulary.items():  # those beyond the model's keep their ids, under a name that no text has
        if piece not in model["vocab"] and piece not in {token["content"] for token in added}:
            model["vocab"][f"{piece}\n"] = index
    rest = {"added_tokens": added, "post_processor": None, "truncation": None, "padding": None}
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps({**state, **rest}))
    refuse_other_case(lower_cases(tokenizer), lowercase, name)
    return Described(tokenizer.get_vocab(), tokenizer)


def lower_cases(tokenizer: tokenizers.Tokenizer) -> bool:
    """Whether a tokenizer reads "A" as "a"."""
    normalizer = tokenizer.normalizer
    return normalizer is not None and normalizer.normalize_str("A") == "a"


def _files(source: Path) -> dict[str, Path]:
    """The files that describe a tokenizer, by their names."""
    if source.is_file() and source.name not in (VOCABULARY, WHOLE):
        return {WHOLE if source.suffix == ".json" else VOCABULARY: source}
    folder = source if source.is_dir() else source.parent
    found = {name: folder / name for name in (VOCABULARY, WHOLE, SETTINGS, *_BESIDE) if (folder / name).is_file()}
    if VOCABULARY not in found and WHOLE not in found:
        raise InputError(f"the folder {folder} has neither {VOCABULARY} nor {WHOLE}; put the BERT's vocab.txt into it")
    return found


def _settings(files: Mapping[str, Path]) -> dict[str, Any]:
    if SETTINGS not in files:
        return {}
    settings = read_json(files[SETTINGS])
    if not isinstance(settings, dict):
        raise InputError(f"{files[SETTINGS]} is no json object; put the vocabulary's own there, or remove it")
    for name in _STATED:
        if not isinstance(settings.get(name), bool | None):
            raise InputError(f"{files[SETTINGS]} has {settings[name]!r} as '{name}'; write true or false")
    return settings


def _whole(files: Mapping[str, Path]) -> dict[str, Any] | None:
    whole = read_json(files[WHOLE]) if WHOLE in files else None
    if WHOLE in files and not (isinstance(whole, dict) and isinstance(whole.get("model"), dict)):
        raise InputError(f"{files[WHOLE]} describes no tokenizer; get it again, or leave {VOCABULARY} alone there")
    return whole


def _largest_id(value: Any) -> int:
    """The largest id that a part of a file gives, wherever it stands in there."""
    if isinstance(value, dict | list):
        return max(map(_largest_id, value.values() if isinstance(value, dict) else value), default=0)
    return value if isinstance(value, int) else 0


def _names_its_class(files: Mapping[str, Path], settings: Mapping[str, Any]) -> bool:
    if settings.get("tokenizer_class"):
        return True
    config = read_json(files[CONFIG]) if CONFIG in files else None
    return isinstance(config, dict) and bool(config.get("model_type") or config.get("tokenizer_class"))


@contextmanager
def _clean(files: Mapping[str, Path], settings: dict[str, Any], whole: Any) -> Iterator[Path]:
    """A folder with the same files in plain UTF-8 and nothing else, and what goes wrong within in one sentence."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            if name == VOCABULARY:
                write_text(Path(folder) / name, "".join(f"{piece}\n" for piece in read_lines(path)))
            elif name not in (SETTINGS, WHOLE):
                write_json(Path(folder) / name, read_json(path))
        if settings:
            write_json(Path(folder) / SETTINGS, settings)
        if whole is not None:
            write_json(Path(folder) / WHOLE, whole)
        try:
            yield Path(folder)
        except InputError:
            raise
        except BaseException as error:  # transformers and tokenizers raise of many kinds, a panic of Rust among them
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            reason = str(error).strip().split("\n")[0].replace(folder, "its folder")
            raise InputError(
                f"transformers makes no tokenizer of {', '.join(map(str, files.values()))} "
                f"({type(error).__name__}: {reason}); get that BERT's files again, or leave {VOCABULARY} alone there"
            ) from error


def _refuse_disagreement(
    whole: Mapping[str, Any], state: Mapping[str, Any], settings: Mapping[str, Any], files: Mapping[str, Path]
) -> None:
    """Transformers leaves a tokenizer.json's normalizer aside for most classes; what it then does has to be the same,
    or stated in tokenizer_config.json.
    """
    path = files[WHOLE]
    mend = f"put into {path.parent / SETTINGS} what the model was trained with"
    stated, done = (_effects(one.get("normalizer")) for one in (whole, state))
    for key, name in _STATED.items():
        said = settings.get(key)
        if said is not None and said != done.get(name, said):
            raise InputError(
                f"{files[SETTINGS]} says '{key}': {json.dumps(said)}, and transformers, which follows {path}, does "
                f"otherwise; make the two files say the same"
            )
        if said is None and stated.get(name) != done.get(name) and not _follow_case(name, stated, done):
            raise InputError(
                f"{path} says {name}={stated.get(name)} and transformers, which reads it otherwise, does "
                f'{name}={done.get(name)}; {mend}, as {{"{key}": {json.dumps(stated.get(name))}}}'
            )
    rest = _STATED.values()
    left, right = ({name: value for name, value in one.items() if name not in rest} for one in (stated, done))
    if left != right or whole.get("pre_tokenizer") != state["pre_tokenizer"]:
        raise InputError(
            f"{path} normalizes and cuts texts in another way than transformers, which reads it as a BERT's; "
            f'{mend}, as {{"tokenizer_class": "PreTrainedTokenizerFast"}}'
        )
    for index, piece in enumerate(read_lines(files[VOCABULARY]) if VOCABULARY in files else ()):
        if state["model"]["vocab"].get(piece) != index:
            raise InputError(f"{files[VOCABULARY]} and {path} give '{piece}' different ids; remove the wrong one")


def _follow_case(name: str, *effects: Mapping[str, Any]) -> bool:
    """Whether accents are stripped in all of these, or in none, where some say that they go by the case."""
    goes_by = {one["lowercase"] if one.get(name) is None else one[name] for one in effects if "lowercase" in one}
    return name == "strip_accents" and len(goes_by) == 1


def _effects(normalizer: Any) -> dict[str, Any]:
    """What a normalizer does, by BERT's names; of another kind, itself."""
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return {"normalizer": normalizer}
    return {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True, **normalizer}


def _types(normalizer: Any) -> Iterator[str]:
    if normalizer is not None:
        yield normalizer["type"]
        for part in normalizer.get("normalizers", ()):
            yield from _types(part)
