"""A tiny VisualBERT and a ragged batch for it, for tests of modules and checkpoints."""

from pathlib import Path

import numpy as np
import torch

from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.modules.inputs import RegionInputs, TextInputs

SIZE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 48,
}
DIMENSION = 24


def tiny(**settings):
    """A randomly filled model in evaluation mode; the region tables differ from the text's."""
    model = build_visual_bert(**{"region_dimension": DIMENSION, "random_init": True, **SIZE, **settings})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.2)
    return model.eval()


def ragged(lengths=(9, 6, 8), counts=(5, 5, 3), columns=12, alignment=None):
    """Texts of these lengths and regions of these counts, padded; texts to `columns`, as a data loader does."""
    lengths, counts = torch.tensor(lengths), torch.tensor(counts)
    mask = torch.arange(columns) < lengths[:, None]
    region_mask = torch.arange(int(counts.max()) + 1) < counts[:, None]
    text = TextInputs(torch.randint(1, 120, mask.shape) * mask, mask, torch.randint(0, 2, mask.shape) * mask)
    features = torch.randn(*region_mask.shape, DIMENSION) * region_mask[..., None]
    return text, RegionInputs(features, region_mask, torch.randint(0, 2, region_mask.shape), alignment)


def joint(encoded):
    """States of text and regions (B, L, H), and the mask of what is no padding (B, L)."""
    return torch.cat((encoded.text, encoded.regions), 1), torch.cat((encoded.text_mask, encoded.region_mask), 1)


def released(shared: Path, name: str):
    """Weights, inputs and outputs of the authors' own code, as three dicts of tensors."""
    parts = {"w": {}, "in": {}, "out": {}, "hf": {}}
    with np.load(shared / "realdata" / "released_model" / f"{name}.npz") as file:
        for key in file.files:
            kind, rest = key.split("::")
            parts[kind][rest] = torch.from_numpy(file[key])
    return parts["w"], parts["in"], parts["out"]


def released_inputs(inputs):
    """The authors' inputs by our names."""
    text = TextInputs(inputs["input_ids"], inputs["text_mask"].bool(), inputs["token_type_ids"])
    return text, RegionInputs(inputs["visual"], inputs["visual_mask"].bool(), inputs["visual_type"])
