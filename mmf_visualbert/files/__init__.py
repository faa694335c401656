"""The one way to read and to write a file: every fault is one sentence that names file, place and mend.

What is read is checked first, and nothing of it is run. What is written appears when it is whole.
"""

from mmf_visualbert.files.arrays import read_npy, read_npy_records, read_npz, read_pickle
from mmf_visualbert.files.folders import files_below
from mmf_visualbert.files.json_files import no_garbage_collection, parse_json, read_json, read_json_lines
from mmf_visualbert.files.opening import reading, require, require_below
from mmf_visualbert.files.tables import read_rows
from mmf_visualbert.files.text import IndexedLines, open_bytes, read_lines, read_text
from mmf_visualbert.files.weights import read_safetensors, read_torch, unwrapped
from mmf_visualbert.files.writing import (
    sync_folder,
    write_errors,
    write_json,
    write_rows,
    write_text,
    write_torch,
    writing,
    writing_folder,
)

__all__ = [
    "IndexedLines",
    "files_below",
    "no_garbage_collection",
    "open_bytes",
    "parse_json",
    "read_json",
    "read_json_lines",
    "read_lines",
    "read_npy",
    "read_npy_records",
    "read_npz",
    "read_pickle",
    "read_rows",
    "read_safetensors",
    "read_text",
    "read_torch",
    "reading",
    "require",
    "require_below",
    "sync_folder",
    "unwrapped",
    "write_errors",
    "write_json",
    "write_rows",
    "write_text",
    "write_torch",
    "writing",
    "writing_folder",
]
