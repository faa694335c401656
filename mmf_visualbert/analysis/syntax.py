"""Syntactic grounding (§5.2, Figure 4): does attention from one word find the region of a word that it depends on?

For two words with a dependency, one of which stands in a phrase with gold boxes: how often is the region that the other
word looks at most one of that phrase's? Both ways round: asked at the governor for its dependent's region ("walking"
looks at the man), and asked at the dependent for its governor's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from mmf_visualbert.analysis.attending import Example, Question, measure
from mmf_visualbert.analysis.grounding import COLUMNS, HeadAccuracies, accuracies, confidences, first, inputs_of
from mmf_visualbert.analysis.intervals import Resamples
from mmf_visualbert.analysis.parses import Arc, Parse, arcs_of, name_of, relations_of
from mmf_visualbert.analysis.words import SPEAKERS, place_words, speaking
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_rows
from mmf_visualbert.modules.visual_bert import VisualBertEncoder
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k

GOVERNOR, DEPENDENT = "governor", "dependent"
ASKED_AT = (GOVERNOR, DEPENDENT)


class Relation(NamedTuple):
    """A dependency relation, and the word that is asked: "governor" or "dependent"."""

    name: str
    asked_at: str


@dataclass(frozen=True)
class SyntacticGrounding:
    """Accuracies by relation, and what could not be used.

    Attributes:
        found: of every relation of which there is a pair, the frequent first.
        captions: that were parsed.
        missing: names of captions without a parse.
        unlike: names of captions whose parse is of another sentence.
    """

    found: dict[Relation, HeadAccuracies]
    captions: int
    missing: list[str]
    unlike: list[str]

    def both(self, name: str) -> tuple[HeadAccuracies | None, HeadAccuracies | None]:
        """A relation asked at the governor, and at the dependent; None where the data have no such pair."""
        return self.found.get(Relation(name, GOVERNOR)), self.found.get(Relation(name, DEPENDENT))

    def write_csv(self, path: Path) -> None:
        """One line a relation, word that is asked, and head."""
        rows: list[Sequence[object]] = [("relation", "asked_at", "pairs", "baseline", *COLUMNS)]
        for relation, result in self.found.items():
            baseline = "" if result.baseline is None else f"{result.baseline:.6f}"
            rows += [(*relation, result.phrases, baseline, *row) for row in result.rows()]
        write_rows(path, rows)


def ground_syntax(
    visual_bert: VisualBertEncoder,
    dataset: Flickr30k,
    parses: Mapping[str, Parse],
    *,
    word: str = "last",
    leave_out_unmatched: bool = False,
    batch_size: int = 8,
    limit: int | None = None,
    resamples: int = 1000,
) -> SyntacticGrounding:
    """Measures all heads of a model for all relations, on the device of the model.

    Args:
        visual_bert: a pre-trained model. It is put into evaluation mode.
        dataset: phrases and regions; not one for pre-training.
        parses: of its captions, by `parses.name_of`.
        word, leave_out_unmatched, batch_size, limit, resamples: as in `grounding.ground_heads`.

    Raises:
        InputError: where the dataset masks words, or no pair of words can be asked.
    """
    if dataset.masking is not None:
        raise InputError("syntax needs phrases: leave masking_processor out of the dataset's configuration")
    if word not in SPEAKERS:
        raise InputError(f"the word that is asked is '{word}'; set it to one of {', '.join(SPEAKERS)}")
    groups = {
        Relation(name, asked_at): number * len(ASKED_AT) + side
        for number, name in enumerate(relations_of(parses))
        for side, asked_at in enumerate(ASKED_AT)
    }
    asker = _Asker(dataset, parses, groups, word)
    try:
        measured = measure(
            visual_bert,
            asker.examples(first(dataset, limit)),
            len(groups),
            strongest=word == "max",
            leave_out_unmatched=leave_out_unmatched,
            batch_size=batch_size,
            resamples=Resamples(resamples),
        )
    except ValueError:
        other = next(iter(parses), "none")
        raise InputError(
            f"no pair of words can be asked: {len(asker.missing)} captions have no parse and {len(asker.unlike)} have "
            f"one of another sentence; name them as '# sent_id = {name_of(dataset.captions[0])}' (the first is {other})"
        ) from None
    found = {
        relation: accuracies(measured, group) for relation, group in groups.items() if float(measured.count[group]) > 0
    }
    return SyntacticGrounding(found, asker.used, asker.missing, asker.unlike)


class _Asker:
    """Makes questions of parsed captions, and counts what it cannot use."""

    def __init__(
        self, dataset: Flickr30k, parses: Mapping[str, Parse], groups: Mapping[Relation, int], word: str
    ) -> None:
        self.dataset, self.parses, self.groups, self.word = dataset, parses, groups, word
        self.used = 0
        self.missing: list[str] = []
        self.unlike: list[str] = []

    def examples(self, wanted: range) -> Iterator[Example]:
        """A caption each, those without a question too."""
        for index in wanted:
            caption = self.dataset.captions[index]
            parse = self.parses.get(name_of(caption))
            if parse is None:
                self.missing.append(name_of(caption))
                continue
            arcs = arcs_of(parse, caption.words)
            if arcs is None:
                self.unlike.append(name_of(caption))
                continue
            self.used += 1
            yield self.example(index, arcs)

    def example(self, index: int, arcs: Sequence[Arc]) -> Example:
        """All pairs of one caption."""
        caption = self.dataset.captions[index]
        sample = self.dataset[index]
        places = place_words(self.dataset.text, caption.words).places
        grounded: dict[int, Tensor] = {}
        for phrase, targets in zip(caption.phrases, sample["phrase_targets"], strict=False):
            grounded |= dict.fromkeys(range(phrase.first_word, phrase.last_word + 1), targets)
        questions = []
        for arc in arcs:
            for asked_at, asked, other in (
                (GOVERNOR, arc.governor, arc.dependent),
                (DEPENDENT, arc.dependent, arc.governor),
            ):
                group = self.groups.get(Relation(arc.relation, asked_at))
                targets = next((grounded[word] for word in other if word in grounded), None)
                if group is not None and targets is not None:
                    pieces = [piece for word in asked for piece in places[word]]
                    questions.append(Question(group, speaking(pieces, self.word), targets))
        return Example(caption.image_id, inputs_of(sample), questions, confidences(self.dataset, caption.image_id))


def table(result: SyntacticGrounding) -> str:
    """All relations with their pairs, best heads and how far these are ahead of the most confident region."""
    lines = [f"captions parsed            {result.captions}"]
    for what, names in (("without a parse", result.missing), ("parse of another sentence", result.unlike)):
        if names:
            lines.append(f"{what:27s}{len(names)}, left out: {', '.join(names[:3])}{' ...' * (len(names) > 3)}")
    lines.append("relation       asked at    pairs  layer head  accuracy  confident  random  ahead of confident by")
    for relation, one in result.found.items():
        (best,) = one.best(1)
        confident = "-" if one.baseline is None else f"{100 * one.baseline:.2f}"
        random = "-" if one.random is None else f"{100 * one.random:.2f}"
        line = f"{relation.name:14s} {relation.asked_at:9s} {one.phrases:7d}  {best.layer:5d} {best.head:4d}"
        line += f"  {100 * best.accuracy:8.2f}  {confident:>9s}  {random:>6s}"
        if one.lead is not None:
            ahead, low, high = (100 * x for x in one.lead)
            line += f"  {ahead:.2f} ({low:.2f} to {high:.2f})"
        lines.append(line)
    return "\n".join([*lines, "the intervals hold for all heads of a relation at once"])
