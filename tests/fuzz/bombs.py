"""Small files that would take all of a machine: each has to end in one sentence."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from mmf_visualbert.files import read_json, read_npy, read_pickle, read_torch
from mmf_visualbert.tasks.flickr30k.annotations import read_annotation
from mmf_visualbert.tasks.vcr.frames import load_frame
from mmf_visualbert.yaml_config import container, read_yaml
from tests.fuzz.more_readers import ARRAYS_OF_BAN, CONFIG, MORE, WEIGHTS, read_folder
from tests.fuzz.readers import READERS, STATE, converted, text, torch_bytes

DEEP = 100_000


def written(name: str, content: bytes | str, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A file with this content, as it is read."""

    def bomb(folder: Path) -> Any:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return read(folder / name)

    return bomb


def resolved(path: Path) -> Any:
    """A yaml with its references followed."""
    return container(read_yaml(path).config)


def includes_each_other(folder: Path) -> Any:
    """Two yamls, each of which begins with the other."""
    for one, other in ("ab", "ba"):
        (folder / f"{one}.yaml").write_text(f"includes:\n- ./{other}.yaml\n")
    return read_yaml(folder / "a.yaml")


def aliases() -> str:
    """Ten lists of ten times the list before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join(lines + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)])


def doubling() -> str:
    """A text that is twice the one before, forty times."""
    return "\n".join(["c0: xxxxxxxxxx"] + [f"c{n}: ${{c{n - 1}}}${{c{n - 1}}}" for n in range(1, 41)])


def laughing_pickle() -> bytes:
    """Thirty lists, each of ten times the one before."""
    value: Any = ["x"] * 10
    for _ in range(30):
        value = [value] * 10
    return pickle.dumps(value, 2)


def laughing_xml() -> str:
    """Entities of entities."""
    inner = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY e0 "xxxxxxxxxx">{inner}]><annotation><size><width>&e9;</width></size></annotation>'


def npy(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """An array that says that it is larger than its bytes."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.getvalue() + bytes(64)


def npz(content: bytes, size: int | None = None) -> bytes:
    """A zip of one array, packed, that says that it has `size` bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("features", "norm_bb", "conf"):
            file.writestr(f"{name}.npy", content)
    raw = stream.getvalue()
    return raw if size is None else raw.replace(struct.pack("<I", len(content)), struct.pack("<I", size))


def gigabytes(packed: int = 100) -> bytes:
    """A gz of ten million spaces, hundreds of times."""
    return gzip.compress(b" " * 10_000_000) * packed


def picture(side: int) -> bytes:
    """A picture of one colour, of a few kilobytes."""
    stream = io.BytesIO()
    Image.new("1", (side, side)).save(stream, "png")
    return stream.getvalue()


def small_frame(path: Path) -> Any:
    """A frame of 64 x 48, as the metadata say."""
    return load_frame(path, "it", (64, 48))


def layer(folder: Path) -> Any:
    """Weights with a layer of this number, as others give them."""
    state = load_safetensors(WEIGHTS)
    name = next(name for name in state if ".layer.0." in name)
    state[name.replace(".layer.0.", ".layer.300000000.")] = state[name].clone()
    (folder / "model.safetensors").write_bytes(save_safetensors(state))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return read_folder(folder)


def tokenizer(folder: Path) -> Any:
    """A piece whose id is 2^31."""
    value = json.loads(json.dumps(MORE["tokenizer.json"].good))
    value["model"]["vocab"]["whale"] = 1 << 31
    (folder / "tokenizer.json").write_text(json.dumps(value))
    return text(folder)


def of_reader(name: str, content: bytes) -> Callable[[Path], Any]:
    """A file of one of the readers under test."""

    def bomb(folder: Path) -> Any:
        own = READERS[name]
        for beside, other in own.beside.items():
            (folder / beside).write_bytes(other)
        (folder / own.file).write_bytes(content)
        return own.read(folder)

    return bomb


def link_out_of_hdf5(kind: str) -> Callable[[Path], Any]:
    """BAN's file whose features lie in another file."""

    def bomb(folder: Path) -> Any:
        import h5py

        with h5py.File(folder / "other.hdf5", "w") as other:
            other["secret"] = np.ones((2, 2, 4), np.float32)
        np.ones((2, 2, 4), np.float32).tofile(folder / "raw")
        with h5py.File(folder / "places.hdf5", "w") as file:
            for name, content in ARRAYS_OF_BAN.items():
                file[name] = np.array(content)
            del file["image_features"]
            if kind == "link":
                file["image_features"] = h5py.ExternalLink("other.hdf5", "/secret")
            else:
                outside = [(str(folder / "raw"), 0, 64)]
                file.create_dataset("image_features", (2, 2, 4), "f4", external=outside)
        (folder / "places_imgid2idx.pkl").write_bytes(pickle.dumps({1: 0, 2: 1}))
        return converted("ban_hdf5", "places.hdf5")(folder)

    return bomb


NUMBER = b"1" * 1_000_000
BOMBS: dict[str, Callable[[Path], Any]] = {
    "aliases of a yaml": written("a.yaml", aliases(), resolved),
    "references of a yaml": written("a.yaml", doubling(), resolved),
    "a yaml that includes itself": written("a.yaml", "includes:\n- ./a.yaml\n", read_yaml),
    "two yamls that include each other": includes_each_other,
    "a yaml nested without end": written("a.yaml", "[" * 10_000, read_yaml),
    "layer 300,000,000": layer,
    "a tokenizer's id of 2^31": tokenizer,
    "169 megapixels where 64 x 48 are stated": written(
        "a.png", picture(13_000), lambda p: load_frame(p, "it", (64, 48))
    ),
    "pickled lists of lists": written("a.pkl", laughing_pickle(), read_pickle),
    "entities of xml": written("1.xml", laughing_xml(), read_annotation),
    "an array larger than its file": written("a.npy", npy((1 << 33,)), read_npy),
    "an array of more dimensions than memory": written("a.npy", npy((1 << 20, 1 << 20, 1 << 20)), read_npy),
    "a zip whose array is larger than itself": of_reader("uniter npz", npz(npy((1 << 31, 8)))),
    "a zip that says that it is larger": of_reader("uniter npz", npz(npy((2, 8)), 0xF0000000)),
    "a zip of zeros": of_reader("uniter npz", npz(npy((1 << 26, 1)) + bytes(1 << 26))),
    "gigabytes in a gz": written("q.json.gz", gigabytes(), read_json),
    "weights that say that they are terabytes": written(
        "m.pth", torch_bytes(torch.zeros(1).expand(1 << 40)), read_torch
    ),
    "weights with a header of exabytes": of_reader("safetensors", struct.pack("<Q", 1 << 60) + save_safetensors(STATE)),
    **{
        f"a number of a million digits, {name}": of_reader(name, b'{"questions": [{"question_id": %s}]}' % NUMBER)
        for name in ("vqa questions", "coco captions", "karpathy", "vcr metadata", "detections", "sizes", "given boxes")
    },
    **{
        f"nested without end, {name}": of_reader(name, b'{"questions": ' + b"[" * DEEP)
        for name in ("vqa questions", "vcr", "nlvr2", "caption lines", "answers as json", "tokenizer's settings")
    },
}
HDF5_BOMBS = {f"hdf5 with {kind} outside": link_out_of_hdf5(kind) for kind in ("link", "storage")}
