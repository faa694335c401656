"""Answers of VQA 2.0: official normalisation, the vocabulary that is predicted from, soft scores (§4.1, Appendix A)."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmf_visualbert.catalog import register
from mmf_visualbert.contracts import LearnsNames
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_lines, write_text

UNKNOWN = "<unk>"
# The official answer types; `answer_types` holds places in this list.
ANSWER_TYPES = ("yes/no", "number", "other")
ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = {
    word: str(value) for value, word in enumerate("zero one two three four five six seven eight nine ten".split())
} | {"none": "0"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
COMMA_IN_NUMBER = re.compile(r"\d,\d")
PERIOD = re.compile(r"\.(?!\d)")
# The official script passes a flag where the count belongs, and so takes away 32 periods at most.
MOST_PERIODS = 32
# So many annotators who agree make an answer right.
MOST_AGREEING = 3
# Contractions as the official evaluation spells them; it also accepts each with any one of its apostrophes left out.
CONTRACTIONS_SPELT = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're
there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't
wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""".split()


def _contractions() -> dict[str, str]:
    table = {"somebody'd": "somebodyd"}  # the official list has this one the wrong way round
    for spelt in CONTRACTIONS_SPELT:
        for place in (i for i, character in enumerate(spelt) if character == "'"):
            table[spelt[:place] + spelt[place + 1 :]] = spelt
    return table


CONTRACTIONS = _contractions()


def clean_answer(answer: str) -> str:
    """What the official evaluation does to every answer: line breaks and tabs become spaces, the ends are stripped."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


@functools.lru_cache(maxsize=1 << 18)
def normalize_answer(answer: str) -> str:
    """An answer after the official normalisation (VQA evaluation, processPunctuation and processDigitArticle).

    Punctuation goes or becomes a space, periods go unless they stand in a number, everything is lower-cased, number
    words become digits, articles go, and contractions get their apostrophe.
    """
    answer = clean_answer(answer)
    has_number = COMMA_IN_NUMBER.search(answer) is not None
    text = answer
    for mark in PUNCTUATION:
        if mark in answer:
            at_a_space = f"{mark} " in answer or f" {mark}" in answer
            text = text.replace(mark, "" if at_a_space or has_number else " ")
    text = PERIOD.sub("", text, count=MOST_PERIODS)
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def soft_score(votes: int, annotators: int) -> float:
    """Official accuracy of an answer that `votes` of `annotators` gave: the mean over leaving each of them out of
    min(1, votes among the others / 3). With ten annotators: 0.3, 0.6, 0.9 and 1 for one, two, three and more votes."""
    with_own = votes * min(1.0, (votes - 1) / 3)
    without = (annotators - votes) * min(1.0, votes / 3)
    return (with_own + without) / annotators


def score_of_votes(votes: int, annotators: int) -> float:
    """`soft_score`, where there are enough annotators for it: four, with whom an answer can be right.

    Of fewer, all others have to agree in place of three, and what a single one says is right. So what all give always
    has the score 1, as with ten, and one answer a question can be learnt.
    """
    if annotators > MOST_AGREEING:
        return soft_score(votes, annotators)
    if annotators == 1:
        return float(votes)
    others = annotators - 1
    return (votes * (votes - 1) + (annotators - votes) * votes) / (others * annotators)


def unknown_index(answers: Sequence[str]) -> int | None:
    """Place of `<unk>` (or of the empty answer that others write for it) in a vocabulary; None where it has none.

    It must never be predicted.
    """
    return next((index for index, answer in enumerate(answers) if answer in (UNKNOWN, "")), None)


class AnswerVocabulary:
    """The answers that are predicted from.

    Args:
        answers: in the order of the head's outputs. One of them may be `<unk>` or empty: it is kept in its place, as
            `<unk>`, so that the order stays that of the checkpoints made with it, but never is a target.
        name: what errors call it.

    Raises:
        InputError: where an answer stands in it twice, or there is none.
    """

    def __init__(self, answers: Iterable[str], name: str = "the answer vocabulary") -> None:
        self.answers = [answer or UNKNOWN for answer in answers]
        self.unknown_index = unknown_index(self.answers)
        known = [(index, answer) for index, answer in enumerate(self.answers) if index != self.unknown_index]
        self._exact = {answer: index for index, answer in known}
        if not known or len(self._exact) != len(known):
            twice = [answer for answer, count in Counter(self.answers).items() if count > 1]
            reason = f"has the answer '{twice[0]}' twice" if twice else "holds no answer"
            raise InputError(f"{name} {reason}; give every answer once")
        self._normalized: dict[str, list[int]] = {}
        for index, answer in known:
            self._normalized.setdefault(normalize_answer(answer), []).append(index)

    def __len__(self) -> int:
        return len(self.answers)

    def targets(self, given: Sequence[str], official: bool = False) -> Tensor:
        """Scores (N,) float32 of all answers of the vocabulary, by the answers that the annotators gave.

        Args:
            given: the annotators' answers as they were typed.
                However many there are: see `score_of_votes`.
            official: exactly as the official evaluation scores: it normalises only where the annotators disagree, so
                that an unanimous "none" is not met by the vocabulary's "0". Training counts by the normalised answers.
        """
        targets = np.zeros(len(self.answers), dtype=np.float32)
        cleaned, normalized = Counter[str](), Counter[str]()
        for answer, votes in Counter(given).items():  # each of the different ones once
            cleaned[clean_answer(answer)] += votes
            normalized[normalize_answer(answer)] += votes
        if official and len(cleaned) == 1:
            index = self._exact.get(next(iter(cleaned)))
            if index is not None:
                targets[index] = score_of_votes(len(given), len(given))
            return torch.from_numpy(targets)
        for form, votes in normalized.items():
            for index in self._normalized.get(form, ()):
                targets[index] = score_of_votes(votes, len(given))
        return torch.from_numpy(targets)

    @classmethod
    def build(cls, counts: Mapping[str, int], size: int = 3129) -> "AnswerVocabulary":
        """The `size` most frequent answers.

        Args:
            counts: normalised answer -> number of questions with it; equal counts are ordered by the alphabet.
            size: fewer where there are not as many.
        """
        ordered = sorted((answer for answer in counts if answer), key=lambda answer: (-counts[answer], answer))
        return cls(ordered[:size], "the answer vocabulary built from the annotations")

    @classmethod
    def from_file(cls, path: str | Path) -> "AnswerVocabulary":
        """MMF's answers_vqa.txt (one a line), LXMERT's label2ans json (a list) or ans2label json (answer -> index).

        Raises:
            InputError: where it is missing, unreadable, or names an answer twice.
        """
        path = Path(path)
        if path.suffix == ".json":
            return cls(_answers_in_json(path), str(path))
        try:
            lines = list(read_lines(path))
        except InputError as error:
            raise InputError(
                f"the answer vocabulary {path} cannot be read ({error}); name a file with one answer a line, or "
                "leave it out of the configuration to have it built from the annotations"
            ) from error
        return cls(lines, str(path))

    def save(self, path: str | Path) -> None:
        """Writes one answer a line, as MMF's answers_vqa.txt."""
        write_text(path, "".join(f"{answer}\n" for answer in self.answers))


def _answers_in_json(path: Path) -> list[str]:
    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"the answer vocabulary {path} is no valid json ({error}); get or make it again") from error
    if isinstance(content, dict) and all(type(index) is int for index in content.values()):
        if sorted(content.values()) == list(range(len(content))):
            content = sorted(content, key=content.__getitem__)
    if not isinstance(content, list) or not all(isinstance(answer, str) for answer in content):
        raise InputError(
            f"the answer vocabulary {path} is neither a list of answers nor an object of "
            "answer -> index from 0; make it so"
        )
    return content


@register("processor", "visualbert_answers")
class AnswerProcessor(LearnsNames):
    """Where the answer vocabulary comes from. It is made once, and shared by the splits that share this processor.

    Args:
        vocabulary: a file (see `AnswerVocabulary.from_file`); None: built from the training annotations.
        size: how many of the most frequent answers are taken where it is built; 3,129 in the paper (§4.1).
    """

    def __init__(self, vocabulary: str | None = None, size: int = 3129) -> None:
        if size < 1:
            raise InputError(f"the answer_processor's size is {size}; set it to 3129, or another number from 1")
        self.path = vocabulary
        self.size = size
        self._vocabulary: AnswerVocabulary | None = None

    def take_names(self, names: Sequence[str]) -> None:
        """Predict from the answers of a checkpoint, where no file names others."""
        if not self.path:
            self._vocabulary = AnswerVocabulary(names, "the checkpoint's answer vocabulary")

    def vocabulary(self, count: Callable[[], Mapping[str, int]]) -> AnswerVocabulary:
        """That of the file, or the one built from what `count` returns (only called where there is no file)."""
        if self._vocabulary is None:
            if self.path:
                self._vocabulary = AnswerVocabulary.from_file(self.path)
            else:
                self._vocabulary = AnswerVocabulary.build(count(), self.size)
        return self._vocabulary
