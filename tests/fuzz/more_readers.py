"""Readers whose files other libraries open, some in C: tried in a process of their own, which a fault may end."""

import importlib.util
import io
import json
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save as save_safetensors
from tokenizers import BertWordPieceTokenizer

from mmf_visualbert.checkpoints.sources import Said, read_source
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, StoreInfo
from mmf_visualbert.tasks.table.formats import read_chunks
from tests.fuzz.mutations import as_json
from tests.fuzz.readers import WORDS, Reader, converted, text


def in_a_child(read: Callable[[Path], Any]) -> Callable[[Path], None]:
    """A reader in a forked process: what it refuses is raised here, and what ends it is an error."""

    def forked(folder: Path) -> None:
        out, into = os.pipe()
        child = os.fork()
        if not child:
            code = 3
            try:
                read(folder)
                code = 0
            except InputError as error:
                code = 2
                os.write(into, str(error).encode("utf-8", "replace"))
            except BaseException:
                os.write(into, traceback.format_exc()[-3000:].encode("utf-8", "replace"))
            finally:
                os._exit(code)
        os.close(into)
        with os.fdopen(out, "rb") as stream:
            said = stream.read().decode()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 2:
            raise InputError(said)
        assert code == 0, f"ended with {code}: {said}"

    return forked


def store_bytes() -> bytes:
    """A store of six images."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.lmdb"
        with FeatureStoreWriter(path, StoreInfo("test", 4, 3)) as writer:
            for number in range(6):
                boxes = np.array([[0, 0, 5, 5]] * 3, np.float32)
                writer.add(f"image{number}", RegionRecord(np.ones((3, 4), np.float16), boxes, 9, 9))
        return path.read_bytes()


def read_store(folder: Path) -> None:
    """All that a store holds and says."""
    store = FeatureStore(folder / "a.lmdb")
    _ = store.info, len(store), "image3" in store
    for key in list(store.keys()):
        store.read(key)


def tokenizer_json() -> Any:
    """What a fast BERT tokenizer saves."""
    made = BertWordPieceTokenizer({word: number for number, word in enumerate(WORDS)}, lowercase=True)
    return json.loads(made.to_str())


def tiny_transformers() -> tuple[dict[str, Any], bytes]:
    """config.json and weights of a VisualBERT of transformers."""
    from transformers import VisualBertConfig, VisualBertForQuestionAnswering

    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = VisualBertConfig(
        visual_embedding_dim=4, num_labels=3, vocab_size=len(WORDS), max_position_embeddings=16, **size
    )
    model = VisualBertForQuestionAnswering(config)
    model.config.architectures = ["VisualBertForQuestionAnswering"]
    return model.config.to_dict(), save_safetensors({key: value.clone() for key, value in model.state_dict().items()})


def read_folder(folder: Path) -> None:
    """A folder of transformers, as `pretrained` and `convert` take it."""
    read_source(folder, Said(head="visualbert_answer"))


CONFIG, WEIGHTS = tiny_transformers()
NAMES = [name for name in json.loads(WEIGHTS[8 : 8 + int.from_bytes(WEIGHTS[:8], "little")]) if name != "__metadata__"]
INDEX = {"metadata": {"total_size": len(WEIGHTS)}, "weight_map": dict.fromkeys(NAMES, "model-00001.safetensors")}

MORE: dict[str, Reader] = {
    "store": Reader("a.lmdb", store_bytes(), in_a_child(read_store)),
    "tokenizer.json": Reader("tokenizer.json", tokenizer_json(), in_a_child(text), as_json),
    "config.json": Reader("config.json", CONFIG, in_a_child(read_folder), as_json, {"model.safetensors": WEIGHTS}),
    "index of shards": Reader(
        *("model.safetensors.index.json", INDEX, in_a_child(read_folder), as_json),
        {"model-00001.safetensors": WEIGHTS, "config.json": as_json(CONFIG)},
    ),
}

PLACES = {"places_imgid2idx.pkl": pickle.dumps({36979: 0, 65567: 1})}
BOXES = [[[0, 0, 20, 15], [10, 10, 40, 30]], [[0, 0, 20, 15], [1, 1, 40, 30]]]


def hdf5_bytes(value: Any) -> bytes:
    """BAN's file with these arrays; values that no array can be made of are texts."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, content in value.items() if isinstance(value, dict) else [("x", value)]:
            try:
                file[str(name) or "x"] = np.array(content)
            except (TypeError, ValueError, OverflowError):
                file[str(name).replace("\0", "") or "y"] = repr(content).replace("\0", "")
    return stream.getvalue()


def parquet_bytes(value: Any) -> bytes:
    """A table of rows, or of one column where it is no rows."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    rows = value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else [{"x": repr(value)}]
    try:
        table = pyarrow.Table.from_pylist(rows)
    except (pyarrow.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        table = pyarrow.Table.from_pylist([{name: repr(cell) for name, cell in row.items()} for row in rows])
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


ARRAYS_OF_BAN = {
    "image_features": np.ones((2, 2, 4)).tolist(),
    "image_bb": BOXES,
    "spatial_features": [[[x / 40, y / 30, z / 40, w / 30, 0.5, 0.5] for x, y, z, w in boxes] for boxes in BOXES],
}
if importlib.util.find_spec("h5py"):
    read_ban = in_a_child(converted("ban_hdf5", "places.hdf5"))
    MORE["hdf5"] = Reader("places.hdf5", ARRAYS_OF_BAN, read_ban, hdf5_bytes, PLACES)
if importlib.util.find_spec("pyarrow"):
    ROWS = [{"id": f"q{n}", "text": "what", "image": f"{n}.jpg", "label": "yes"} for n in range(3)]
    MORE["parquet"] = Reader(
        "t.parquet", ROWS, in_a_child(lambda folder: list(read_chunks(folder / "t.parquet"))), parquet_bytes
    )
