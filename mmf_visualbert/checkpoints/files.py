"""Weights from files of many kinds, never unpickled unrestricted, and checkpoints written whole or not at all."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mmf_visualbert.errors import InputError

NESTED = ("model", "state_dict", "model_state_dict")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class StoredWeights(NamedTuple):
    """Tensors by their names, and the configuration that is stored beside them; empty where there is none."""

    state: dict[str, Tensor]
    config: Mapping[str, Any]


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of `read_checkpoint`."""
    return read_checkpoint(path).state


def read_checkpoint(path: str | Path) -> StoredWeights:
    """Tensors by name, from a torch or safetensors file or a folder of transformers, and the configuration beside them.

    The configuration is MMF's of the run in a checkpoint of a run, config.json in a folder of transformers.

    A dictionary that holds a state dict under `model`, `state_dict` or `model_state_dict` is opened, and the prefix
    `module.` of distributed training is taken off.

    Raises:
        InputError: where there is no file, it is damaged, or holds more than tensors and plain containers.
    """
    path = Path(path)
    config: Any = read_config(path)
    file = weights_file(path)
    if file.suffix == ".safetensors":
        state: Any = read_safetensors(file)
    else:
        state = read_torch(file)
    if not config and isinstance(state, Mapping):
        config = state.get("config")
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(name, str) for name in state):
        raise InputError(f"{file} holds no weights by name; give a file saved from a model's state_dict()")
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        raise InputError(f"{file} holds '{odd[0]}', which is no tensor; give a file saved from a model's state_dict()")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    return StoredWeights(state, config if isinstance(config, Mapping) else {})


def weights_file(path: Path) -> Path:
    """The file itself, or the weights in a folder of transformers.

    Raises:
        InputError: where there is neither.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give a file of weights or a folder saved by transformers")
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    raise InputError(f"the folder {path} holds neither {' nor '.join(WEIGHTS)}; give a folder saved by transformers")


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file."""
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is no whole safetensors file ({error}); get it again") from error


def read_torch(file: Path) -> Any:
    """What torch saved, without running anything that the file names."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a kind of its own for each way in which a file can be wrong
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise InputError(
            f"{file} cannot be read as weights ({reason}); get it again if it is damaged, or save the state_dict alone "
            "if it holds other objects"
        ) from error


def read_config(path: str | Path) -> dict[str, Any]:
    """config.json of a folder of transformers; empty where `path` is a file.

    Raises:
        InputError: where the folder has none, or it is no json.
    """
    if not Path(path).is_dir():
        return {}
    file = Path(path) / "config.json"
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is missing or no json; give a folder saved by transformers") from error


def write_torch(content: Any, path: str | Path) -> None:
    """Save `content` under `path`; the file appears when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Save `text` under `path`; the file appears when it is whole."""
    partial = Path(path).with_name(f"{Path(path).name}.partial")
    partial.write_text(text)
    os.replace(partial, path)


def write_transformers(state: Mapping[str, Tensor], config: Any, folder: str | Path) -> None:
    """A folder that transformers' `from_pretrained` reads; it appears when it is whole.

    Args:
        state: weights by transformers' names.
        config: a transformers config.
        folder: must not exist.

    Raises:
        InputError: where it does.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already; give another folder or remove it")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        config.save_pretrained(partial)
        tensors = {name: value.detach().clone().contiguous() for name, value in state.items()}
        save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
