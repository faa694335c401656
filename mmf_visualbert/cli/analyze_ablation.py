"""`visualbert analyze ablation` and `foils`: what a pre-trained model takes from the other modality."""

import argparse
from pathlib import Path

from mmf_visualbert.cli.analyze_entity import add_common


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `ablation`: the model, the data, what is written."""
    parser.set_defaults(run=run)
    add_common(parser, "Flickr30K and its features")
    parser.add_argument("--out", type=Path, help="csv with one line a condition")


def add_foil_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `foils`: the model, the pairs, their features."""
    parser.set_defaults(run=run_foils)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a model of COCO pre-training, of MMF")
    parser.add_argument("--pairs", type=Path, required=True, help="JSON lines of image, caption, foil; VALSE's json")
    parser.add_argument("--features", nargs="+", required=True, help="feature stores, searched in this order")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs at a time")
    parser.add_argument("--resamples", type=int, default=1000, help="for intervals (%(default)s)")
    parser.add_argument("--out", type=Path, help="csv with one line a kind of change")


def run(options: argparse.Namespace) -> None:
    """Measures both directions, prints them."""
    from mmf_visualbert.analysis.ablation import ablate, table
    from mmf_visualbert.analysis.subjects import require_same_detector
    from mmf_visualbert.runs import LoadedModel, read_config, read_flickr30k, read_model

    dataset = read_flickr30k(read_config(options.config, options.overrides), options.split)
    require_same_detector(options.checkpoint, dataset.regions.store)
    # Words are read as the data's own configuration says: that of the checkpoint may lie elsewhere now.
    loaded = read_model(options.checkpoint, vocabulary=Path(dataset.text.tokenizer.name))
    model = LoadedModel(loaded.parts, dataset.text, dataset.regions.processor)
    result = ablate(model, dataset, limit=options.limit, batch_size=options.batch_size, resamples=options.resamples)
    print(table(result))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all conditions: {options.out}")


def run_foils(options: argparse.Namespace) -> None:
    """Asks about every pair, prints accuracies."""
    from mmf_visualbert.analysis.foils import judge_foils, read_pairs, table
    from mmf_visualbert.analysis.subjects import require_same_detector
    from mmf_visualbert.features.store import FeatureStore
    from mmf_visualbert.runs import LoadedModel, read_model

    pairs, store = read_pairs(options.pairs), FeatureStore(options.features)
    require_same_detector(options.checkpoint, store)
    loaded = read_model(options.checkpoint, options.vocabulary)
    model = LoadedModel(loaded.parts, loaded.text, loaded.regions)
    result = judge_foils(model, store, pairs, options.batch_size, options.resamples)
    print(table(result))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all kinds: {options.out}")
