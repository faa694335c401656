"""What MMF's own models (visual_bert, vilbert, mmbt, mmf_transformer) want of transformers and of the machine."""

import functools
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace

SPLIT = "transpose_for_scores"
TIE = "_tie_or_clone_weights"
ATTENTIONS = ("BertSelfAttention", "RobertaSelfAttention")
MODELS = {"mmf.models.visual_bert": "VisualBERT", "mmf.models.vilbert": "ViLBERT"}


def restore_transpose_for_scores(modeling: ModuleType) -> str | None:
    """`BertSelfAttention.transpose_for_scores` (MMF main), and Roberta's: removed in transformers 4.48.

    MMF keeps it aside to put its own in its place, as all of its models but visual_bert do. Can go when MMF does not.
    """
    if SPLIT not in text_of("mmf", "modules/hf_layers.py"):
        return None
    lacking = [cls for name, cls in vars(modeling).items() if name in ATTENTIONS and not hasattr(cls, SPLIT)]
    for cls in lacking:
        replace(cls, transpose_for_scores=transpose_for_scores)
    return "transformers 4.48 removed transpose_for_scores" if lacking else None


def transpose_for_scores(self: Any, states: torch.Tensor) -> torch.Tensor:
    """`(B, T, H)` as `(B, heads, T, H / heads)`."""
    return states.unflatten(-1, (self.num_attention_heads, self.attention_head_size)).transpose(1, 2)


def restore_tying(modeling_utils: ModuleType) -> str | None:
    """`PreTrainedModel._tie_or_clone_weights` (MMF rc10 and main, in pre-training): removed in transformers 5.

    Can go when MMF ties its weights itself.
    """
    model = modeling_utils.PreTrainedModel
    if hasattr(model, TIE) or TIE not in text_of("mmf", "models/visual_bert.py"):
        return None
    replace(model, _tie_or_clone_weights=tie)
    return "transformers 5 removed the tying of a decoder's weights"


def tie(self: Any, decoder: torch.nn.Linear, embeddings: torch.nn.Embedding) -> None:
    """Gives a decoder `(V, H)` the weights of the embeddings `(V, H)` of its words."""
    decoder.weight = embeddings.weight


def stay_without_cuda(model: ModuleType) -> str | None:
    """visual_bert and vilbert (MMF rc10) call `.cuda()` on their masks wherever they are. Can go with rc10."""
    cls = vars(model)[MODELS[model.__name__]]
    file = model.__name__.removeprefix("mmf.").replace(".", "/") + ".py"
    if ".cuda()" not in text_of("mmf", file) or torch.cuda.is_available():
        return None
    forward = cls.forward

    @functools.wraps(forward)
    def staying(self: Any, sample_list: Any) -> Any:
        move = torch.Tensor.cuda
        replace(torch.Tensor, cuda=lambda tensor: tensor)
        try:
            return forward(self, sample_list)
        finally:
            replace(torch.Tensor, cuda=move)

    replace(cls, forward=staying)
    return "MMF would look for a GPU where there is none"


def restore_isatty(logger: ModuleType) -> str | None:
    """`StreamToLogger` (MMF rc10), which stands in for standard output, lacks what transformers 5 asks of a stream.

    Its report of weights that were not in a file asks whether it writes to a terminal. Can go with rc10.
    """
    stream = vars(logger).get("StreamToLogger")
    if stream is None or hasattr(stream, "isatty"):
        return None
    replace(stream, isatty=lambda self: False)
    return "MMF's stand-in for standard output would not say whether it is a terminal"
