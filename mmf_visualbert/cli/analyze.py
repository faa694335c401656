"""Section 5 of the paper: what the attention heads of a model have learnt.

visualbert analyze entity --config projects/visualbert/configs/flickr30k/defaults.yaml \\
    --checkpoint save/flickr30k/pretrain_coco/best.ckpt --out heads.csv --figure figure_3.svg
visualbert analyze syntax --config projects/visualbert/configs/flickr30k/defaults.yaml \\
    --checkpoint save/flickr30k/pretrain_coco/best.ckpt --parses val.conllu --out syntax.csv --figure figure_4.svg
visualbert analyze ablation --config projects/visualbert/configs/flickr30k/defaults.yaml \\
    --checkpoint save/flickr30k/pretrain_coco/best.ckpt
visualbert analyze foils --pairs pairs.jsonl --features data/features/flickr30k/val.lmdb \\
    --checkpoint save/flickr30k/pretrain_coco/best.ckpt
visualbert analyze relevance --checkpoint save/vqa2/defaults/best.ckpt --count 200 --figure perturbation.svg
"""

import argparse

from mmf_visualbert.cli import analyze_ablation, analyze_entity, analyze_relevance, analyze_syntax


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All analyses."""
    commands = parser.add_subparsers(required=True)
    entity = commands.add_parser("entity", help="entity grounding accuracy of every head (Figure 3)")
    analyze_entity.add_arguments(entity)
    syntax = commands.add_parser("syntax", help="grounding through each dependency relation (Figure 4)")
    analyze_syntax.add_arguments(syntax)
    ablation = commands.add_parser("ablation", help="what words take from regions, and an image from words")
    analyze_ablation.add_arguments(ablation)
    foils = commands.add_parser("foils", help="captions against the same with a word changed")
    analyze_ablation.add_foil_arguments(foils)
    relevance = commands.add_parser("relevance", help="which of attention, rollout and relevance explains an answer")
    analyze_relevance.add_arguments(relevance)
