"""`visualbert analyze entity`: of every head, how often a phrase looks at its region most (§5.2, Figure 3)."""

import argparse
from pathlib import Path


def add_common(parser: argparse.ArgumentParser, data: str) -> None:
    """What analyses of a model over Flickr30K Entities have in common."""
    parser.add_argument("--config", type=Path, required=True, help=f"yaml that says where {data} are")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a pre-trained model, of MMF")
    parser.add_argument("--split", default="val", choices=["train", "val", "test"])
    parser.add_argument("--batch-size", type=int, default=8, help="captions at a time")
    parser.add_argument("--limit", type=int, help="use the first captions only")
    parser.add_argument("--resamples", type=int, default=1000, help="for intervals (%(default)s)")
    parser.add_argument("overrides", nargs="*", help="key=value, the config's last word; as env.data_dir=data/sample")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the data, what is counted, what is written."""
    parser.set_defaults(run=run)
    add_common(parser, "Flickr30K and its features")
    parser.add_argument(
        "--word",
        default="last",
        choices=["last", "first", "mean", "max"],
        help="what speaks for a phrase: a sub-word, or the mean or the largest of all its weights (%(default)s)",
    )
    parser.add_argument(
        "--unmatched",
        default="miss",
        choices=["miss", "leave-out"],
        help="phrases that no region matches (%(default)s)",
    )
    parser.add_argument("--out", type=Path, help="csv with one line a head")
    parser.add_argument("--figure", type=Path, help="Figure 3, written as .svg and .png")
    parser.add_argument("--best", type=int, default=5, help="how many heads to print")


def run(options: argparse.Namespace) -> None:
    """Measures all heads, prints the best."""
    from mmf_visualbert.analysis.grounding import ground_heads, table
    from mmf_visualbert.analysis.subjects import read_subject

    subject = read_subject(options.checkpoint, options.config, options.split, options.overrides)
    result = ground_heads(
        subject.visual_bert,
        subject.dataset,
        word=options.word,
        leave_out_unmatched=options.unmatched == "leave-out",
        batch_size=options.batch_size,
        limit=options.limit,
        resamples=options.resamples,
    )
    print(table(result, result.best(options.best)))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all heads: {options.out}")
    if options.figure is not None:
        from mmf_visualbert.analysis.figures import figure_3, write_figure

        print(f"figure: {', '.join(map(str, write_figure(figure_3(result), options.figure)))}")
