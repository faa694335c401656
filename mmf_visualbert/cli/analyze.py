"""Section 5 of the paper: what the attention heads of a model have learnt.

visualbert analyze entity --config projects/visualbert/configs/flickr30k/defaults.yaml \\
    --checkpoint save/flickr30k/pretrain_coco/best.ckpt --out heads.csv
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All analyses."""
    commands = parser.add_subparsers(required=True)
    entity = commands.add_parser("entity", help="entity grounding accuracy of every head (Figure 3)")
    entity.set_defaults(run=run_entity)
    entity.add_argument(
        "--config", type=Path, required=True, help="yaml that says where Flickr30K and its features are"
    )
    entity.add_argument("--checkpoint", type=Path, required=True, help="a pre-trained model, of MMF")
    entity.add_argument("--split", default="val", choices=["train", "val", "test"])
    entity.add_argument("--out", type=Path, help="csv with one line a head")
    entity.add_argument("--best", type=int, default=5, help="how many heads to print")
    entity.add_argument("--batch-size", type=int, default=8, help="captions at a time")
    entity.add_argument("--limit", type=int, help="use the first captions only")
    entity.add_argument("overrides", nargs="*", help="key=value, the config's last word; as env.data_dir=data/sample")


def run_entity(options: argparse.Namespace) -> None:
    """Measures all heads, prints the best."""
    import torch

    from mmf_visualbert.analysis.grounding import ground_heads, table
    from mmf_visualbert.runs import plain, read_config, read_flickr30k, read_visual_bert

    config = read_config(options.config, options.overrides)
    visual_bert = read_visual_bert(options.checkpoint, plain(config, "model_config.visualbert"))
    visual_bert.to("cuda" if torch.cuda.is_available() else "cpu")
    dataset = read_flickr30k(config, options.split)
    result = ground_heads(visual_bert, dataset, batch_size=options.batch_size, limit=options.limit)
    print(table(result, result.best(options.best)))
    if options.out is not None:
        result.write_csv(options.out)
        print(f"all heads: {options.out}")
