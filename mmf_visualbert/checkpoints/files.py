"""Weights from files of many kinds, and folders of transformers written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_safetensors, read_torch, unwrapped, writing_folder

NESTED = ("model", "state_dict", "model_state_dict")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEXES = tuple(f"{name}.index.json" for name in WEIGHTS)


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
    if file.suffix == ".json":
        state: Any = read_shards(file)
    elif file.suffix == ".safetensors":
        state = read_safetensors(file)
    else:
        state = read_torch(file, refusal="cannot be read as weights")
    if not config and isinstance(state, Mapping):
        config = state.get("config")
    for key in NESTED:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(isinstance(name, str) for name in state):
        raise InputError(
            f"{file} holds no weights by name and is no checkpoint of a run of VisualBERT; give one of these"
        )
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        raise InputError(f"{file} holds '{odd[0]}', which is no tensor; give a file saved from a model's state_dict()")
    return StoredWeights(unwrapped(state), config if isinstance(config, Mapping) else {})


def weights_file(path: Path) -> Path:
    """The file itself, or the weights in a folder of transformers; of weights in shards, the index.

    Raises:
        InputError: where there is neither.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give a file of weights or a folder saved by transformers")
    for name in (*WEIGHTS, *INDEXES):
        if (path / name).is_file():
            return path / name
    raise InputError(f"the folder {path} holds neither {' nor '.join(WEIGHTS)}; give a folder saved by transformers")


def read_shards(index: Path) -> dict[str, Tensor]:
    """Tensors of weights that transformers wrote to several files.

    Args:
        index: the file that says which weight is in which.

    Raises:
        InputError: where it is none, or a file or a weight is missing.
    """
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{index} does not say which weight is in which file; copy or download it again")
    state: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        shard = index.parent / name
        if Path(name).name != name or not shard.is_file():
            raise InputError(f"{shard}, which {index.name} names, is not there; copy or download it again")
        read = read_safetensors(shard) if shard.suffix == ".safetensors" else read_torch(shard)
        state.update(read)
    missing = next((name for name in places if name not in state), None)
    if missing is not None:
        raise InputError(f"{index.parent} has no '{missing}', which {index.name} names; copy or download it again")
    return state


def read_config(path: str | Path) -> dict[str, Any]:
    """config.json of a folder of transformers, also where its file of weights is named; empty for any other file.

    Raises:
        InputError: where the folder has none, or it is no json.
    """
    path = Path(path)
    file = (path if path.is_dir() else path.parent) / "config.json"
    if not path.is_dir() and not (path.name in WEIGHTS and file.is_file()):
        return {}
    if not file.is_file():
        raise InputError(f"{file} is missing or no json; give a folder saved by transformers")
    config = read_json(file)
    if not isinstance(config, dict):
        raise InputError(f"{file} is no json object; give a folder saved by transformers")
    return config


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
    with writing_folder(folder) as partial:
        config.save_pretrained(partial)
        tensors = {name: value.detach().clone().contiguous() for name, value in state.items()}
        save_file(tensors, partial / "model.safetensors", metadata={"format": "pt"})
