"""Modules and names that transformers moved or removed since MMF was written for 2.3 and 3.4."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from mmf_visualbert.compat import probes
from mmf_visualbert.compat.importing import stand_in
from mmf_visualbert.compat.probes import mentions, text_of
from mmf_visualbert.compat.replace import replace

PREFIX = "transformers."


def resolve_moved_modules() -> str | None:
    """`transformers.modeling_bert` and the like (MMF rc10 and main): moved to `transformers.models.*` in 4.0.

    Resolved when asked for. Can go when MMF imports the new places.
    """
    folder = probes.folder_of("transformers")
    if folder is None or (folder / "modeling_bert.py").is_file() or not (folder / "models").is_dir():
        return None
    if "transformers.modeling_bert" not in text_of("mmf", "models/mmf_bert.py"):
        return None
    stand_in(moved_modules(folder / "models"))
    return "transformers 4 moved its modules into transformers.models"


def moved_modules(models: Path) -> Callable[[str], ModuleType | None]:
    """A function that gives the module of transformers that a name from before 4.0 means, or None."""

    def find(name: str) -> ModuleType | None:
        if not name.startswith(PREFIX) or name.count(".") != 1:
            return None
        file = name.removeprefix(PREFIX)
        for path in sorted(models.glob(f"*/{file}.py")):
            return importlib.import_module(f"transformers.models.{path.parent.name}.{file}")
        return None

    return find


def restore_bert_layer_norm(modeling_bert: ModuleType) -> str | None:
    """`BertLayerNorm` (MMF rc10): removed in transformers 3.2, where it was torch's LayerNorm. Can go with rc10."""
    if hasattr(modeling_bert, "BertLayerNorm") or "BertLayerNorm" not in text_of("mmf", "models/mmf_bert.py"):
        return None
    replace(modeling_bert, BertLayerNorm=torch.nn.LayerNorm)
    return "transformers 3.2 removed BertLayerNorm"


def tie_nothing_unasked(modeling_utils: ModuleType) -> str | None:
    """`PreTrainedModel.init_weights` (transformers 5) asks for `all_tied_weights_keys`, which `post_init` sets.

    MMF's own visual_bert calls the first alone. Can go when MMF calls `post_init`.
    """
    model = modeling_utils.PreTrainedModel
    if hasattr(model, "all_tied_weights_keys") or not mentions(model.tie_weights, "all_tied_weights_keys"):
        return None
    replace(model, all_tied_weights_keys={})
    return "transformers 5 would tie weights by a list that MMF's models do not have"


def restore_adamw(optimization: ModuleType) -> str | None:
    """`transformers.optimization.AdamW` (MMF rc10; main falls back to torch's): removed before transformers 5.

    With its defaults, which differ from torch's. Can go with rc10.
    """
    imports = text_of("mmf", "modules/optimizers.py")
    if hasattr(optimization, "AdamW") or "AdamW" not in imports or "except ImportError" in imports:
        return None
    replace(optimization, AdamW=AdamW)
    return "transformers removed AdamW"


class AdamW(torch.optim.AdamW):
    """torch's AdamW under the defaults of transformers' former one.

    Args:
        params: parameters or groups of them.
        lr, betas, eps, weight_decay: as transformers 4 had them.
        correct_bias: only True, as torch always corrects.

    Raises:
        ValueError: for `correct_bias=False`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        correct_bias: bool = True,
    ) -> None:
        if not correct_bias:
            raise ValueError("adam_w with correct_bias=False is not in torch; the optimizer visualbert_adam has it")
        super().__init__(params, lr=lr, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay)


def skip_import_of_all_models(patch: ModuleType) -> str | None:
    """`patch_transformers` (MMF main): imports every model of transformers, which takes 8-13 s at each start.

    What it is for is done by `resolve_moved_modules` when it is asked for. Can go when MMF imports the new places.
    """
    if not mentions(patch.patch_transformers, "import_module"):
        return None
    replace(patch, patch_transformers=lambda log_incompatible=False: None)
    return "MMF would import every model of transformers at its start"
