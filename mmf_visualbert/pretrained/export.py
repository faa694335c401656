"""A head of a trained model as one file for ONNX, or as a program of torch.export: padded, with every size free.

Nothing in it depends on what the batch holds, as cutting and packing do, so that it can be written down once.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from mmf_visualbert.compat.optional import require
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import writing
from mmf_visualbert.modules.attention import eager
from mmf_visualbert.modules.heads.masked_lm import MaskedLMHead
from mmf_visualbert.modules.inputs import Encoded, RegionInputs, TextInputs
from mmf_visualbert.modules.layout import Padded
from mmf_visualbert.runs import LoadedModel

OPSET = 20
INPUTS = ("input_ids", "text_mask", "text_segments", "region_features", "region_mask", "region_segments")
# What a head reads beside these, and its shape's names.
MORE: dict[str, dict[str, tuple[str, ...]]] = {
    "visualbert_answer": {"answer_position": ("batch",)},
    "visualbert_phrase_grounding": {"phrase_positions": ("batch", "phrases")},
}
OUTPUTS = {"visualbert_masked_lm": "masked_lm_logits", "visualbert_sentence_image": "sentence_image_logits"}


class Padding(nn.Module):
    """The padded model with one head, its inputs and its output as plain tensors.

    Inputs: `input_ids`, `text_segments` (B, T) int64, `text_mask` (B, T) bool, `region_features` (B, R, D) float32,
    `region_mask` (B, R) bool, `region_segments` (B, R) int64, and what the head reads beside: `answer_position` (B,),
    or `phrase_positions` (B, E) int64.

    Output: the head's logits; of masked language modeling at all positions, (B, T, V).

    Args:
        model: trained; in evaluation mode, in fp32.
        head: the registered name of one of its heads.
    """

    def __init__(self, model: LoadedModel, head: str) -> None:
        super().__init__()
        self.visual_bert, self.head = model.parts.visual_bert, model.parts.heads[head]
        self.more = tuple(MORE.get(head, {}))
        self.output = OUTPUTS.get(head, "scores")

    def forward(self, *inputs: Tensor) -> Tensor:
        """The logits."""
        batch = dict(zip((*INPUTS, *self.more), inputs, strict=True))
        text = TextInputs(batch["input_ids"], batch["text_mask"], batch["text_segments"])
        regions = RegionInputs(batch["region_features"], batch["region_mask"], batch["region_segments"])
        encoded = self.encode(text, regions)
        if isinstance(self.head, MaskedLMHead):
            return self.head.logits(encoded.text)
        return getattr(self.head(encoded, batch), self.output)

    def encode(self, text: TextInputs, regions: RegionInputs) -> Encoded:
        """As the encoder does, with nothing cut."""
        model = self.visual_bert
        layout = Padded(torch.cat((text.mask, regions.mask), dim=1), eager)
        sums = model.embeddings.regions(regions, texts=text.mask.size(0))
        if model.additional_layer is None:
            output = model.fuse_early(text, sums, layout, None, False)
        else:
            output = model.fuse_late(text, sums, Padded(text.mask, eager), layout, None, False, model.additional_layer)
        states = output.states[:, : text.mask.size(1)]
        pooled = None if model.pooler is None else model.pooler(states[:, 0])
        return Encoded(states, output.states[:, text.mask.size(1) :], text.mask, regions.mask, pooled)


def program(model: LoadedModel, head: str) -> torch.export.ExportedProgram:
    """The head with its encoder as a program of torch.export, of any batch, words and regions.

    Raises:
        InputError: for a model without the head, or on another device than the CPU.
    """
    if head not in model.parts.heads:
        raise InputError(f"the model has no head {head}; it has {', '.join(model.parts.heads) or 'none'}")
    if model.device.type != "cpu":
        raise InputError(f"the model is on {model.device}; move it with .to('cpu')")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(Padding(model, head), examples(model, head), dynamic_shapes=(shapes(model, head),))


def write_onnx(model: LoadedModel, head: str, path: Path) -> Path:
    """One ONNX file, opset 20.

    Raises:
        InputError: as `program`; without the packages onnx and onnxscript; where the file cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        require(package, "writing ONNX")
    names = (*INPUTS, *MORE.get(head, {}))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    written = torch.onnx.export(
        program(model, head),
        input_names=list(names),
        output_names=[OUTPUTS.get(head, "scores")],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    if written is None:
        raise InputError(f"torch {torch.__version__} wrote no ONNX; take a newer one")
    with writing(path) as file:
        file.write(written.model_proto.SerializeToString())
    return path


def examples(model: LoadedModel, head: str) -> tuple[Tensor, ...]:
    """Two texts of five pieces with three regions each."""
    dimension = model.parts.visual_bert.embeddings.visual_projection.in_features
    ids, places = torch.ones(2, 5, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64)
    known: dict[str, Tensor] = {
        "input_ids": ids,
        "text_mask": ids.bool(),
        "text_segments": ids * 0,
        "region_features": torch.ones(2, 3, dimension),
        "region_mask": places.bool(),
        "region_segments": places * 0,
        # Of their own, not views: what is exported wants the strides of its examples.
        "answer_position": torch.ones(2, dtype=torch.int64),
        "phrase_positions": torch.ones(2, 4, dtype=torch.int64),
    }
    return tuple(known[name] for name in (*INPUTS, *MORE.get(head, {})))


def shapes(model: LoadedModel, head: str) -> tuple[dict[int, Any], ...]:
    """Which dimension of each input is free, and which go together; words are at most the model's positions."""
    positions = model.parts.visual_bert.embeddings.position_embeddings.num_embeddings
    free: dict[str, Any] = {name: Dim(name, min=1, max=4096) for name in ("batch", "regions", "phrases")}
    free["words"] = Dim("words", min=2, max=positions)
    named: dict[str, tuple[str, ...]] = {
        name: ("batch", "regions" if name.startswith("region") else "words") for name in INPUTS
    }
    return tuple(
        {place: free[one] for place, one in enumerate(names)} for names in {**named, **MORE.get(head, {})}.values()
    )
