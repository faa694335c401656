"""The settings of MMF's own visual_bert beside ours; MMF is not needed to write them down."""

from typing import Any


def mmf_config(head: str, labels: int, dimension: int) -> dict[str, Any]:
    """BERT-base for MMF's visual_bert, without a download; `dimension` of a region's features."""
    return {
        "model": "visual_bert",
        "bert_model_name": None,
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "training_head_type": head,
        "num_labels": labels,
        "visual_embedding_dim": dimension,
        "special_visual_initialize": True,
        "embedding_strategy": "plain",
        "bypass_transformer": False,
        "output_attentions": False,
        "output_hidden_states": False,
        "random_initialize": False,
        "freeze_base": False,
        "pooler_strategy": "vqa" if head == "classification" else "default",
        "zerobias": False,
        "losses": [],
    }
