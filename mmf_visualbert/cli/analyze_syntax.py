"""`visualbert analyze syntax`: does attention follow dependencies from word to region (§5.2, Figure 4)?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmf_visualbert.cli.analyze_entity import add_common
from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.analysis.syntax import SyntacticGrounding

FIGURE_4 = ("pobj", "amod", "nsubj", "dobj")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the data, where parses come from, what is written."""
    parser.set_defaults(run=run)
    add_common(parser, "Flickr30K and its features")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--parses", type=Path, nargs="+", help="CoNLL-U files, '# sent_id = IMAGE#NUMBER' a sentence")
    source.add_argument("--spacy", metavar="MODEL", help="parse with spaCy, as en_core_web_sm")
    source.add_argument("--stanza", metavar="LANGUAGE", help="parse with Stanza, as en")
    parser.add_argument("--word", default="last", choices=["last", "first", "mean", "max"], help="sub-words of a word")
    parser.add_argument("--unmatched", default="miss", choices=["miss", "leave-out"])
    parser.add_argument("--relations", nargs="+", default=FIGURE_4, help="of the figure (%(default)s)")
    parser.add_argument("--out", type=Path, help="csv with one line a relation and head")
    parser.add_argument("--figure", type=Path, help="Figure 4, written as .svg and .png")


def run(options: argparse.Namespace) -> None:
    """Measures all heads for all relations, prints the best of each."""
    from mmf_visualbert.analysis import parses
    from mmf_visualbert.analysis.subjects import read_subject
    from mmf_visualbert.analysis.syntax import ground_syntax, table

    given = None if options.parses is None else parses.read_parses(options.parses)
    subject = read_subject(options.checkpoint, options.config, options.split, options.overrides)
    if given is None:
        parser, model = (parses.SPACY, options.spacy) if options.spacy else (parses.STANZA, options.stanza)
        given = parses.parse_with(parser, model, subject.dataset.captions[: options.limit])
    result = ground_syntax(
        subject.visual_bert,
        subject.dataset,
        given,
        word=options.word,
        leave_out_unmatched=options.unmatched == "leave-out",
        batch_size=options.batch_size,
        limit=options.limit,
        resamples=options.resamples,
    )
    print(table(result))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all relations and heads: {options.out}")
    if options.figure is not None:
        draw(result, options.relations, options.figure)


def draw(result: "SyntacticGrounding", relations: list[str], path: Path) -> None:
    """Writes Figure 4."""
    from mmf_visualbert.analysis.figures import figure_4, write_figure

    panels = {name: result.both(name) for name in relations}
    if not any(one for both in panels.values() for one in both):
        known = ", ".join(dict.fromkeys(relation.name for relation in result.found))
        raise InputError(f"these parses have none of {', '.join(relations)}; name some of {known} with --relations")
    print(f"figure: {', '.join(map(str, write_figure(figure_4(panels), path)))}")
