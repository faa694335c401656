"""The cache of the Hugging Face hub's client, laid out as it does; what tests put there is all that can be had."""

import hashlib
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BERT_BASE_UNCASED = 30522


class HubCache:
    """A cache in a folder.

    Args:
        folder: of the cache.
        monkeypatch: points the client there, without a network.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for constant, value in (("HF_HUB_CACHE", str(folder)), ("HF_HUB_OFFLINE", True)):
            monkeypatch.setattr(f"huggingface_hub.constants.{constant}", value)

    def put(self, name: str, files: dict[str, bytes]) -> None:
        """The files of a name: their content below its hash, and links to it in the snapshot that `main` means."""
        place = self.folder / f"models--{name.replace('/', '--')}"
        for part in ("blobs", "refs", f"snapshots/{COMMIT}"):
            (place / part).mkdir(parents=True)
        (place / "refs/main").write_text(COMMIT)
        for file, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            (place / "blobs" / digest).write_bytes(content)
            (place / f"snapshots/{COMMIT}" / file).symlink_to(f"../../blobs/{digest}")

    def put_folder(self, name: str, folder: Path) -> None:
        """The files of a folder."""
        self.put(name, {file.name: file.read_bytes() for file in folder.iterdir()})

    def put_bert_base_uncased(self, world: Path) -> None:
        """The vocabulary below, under its name."""
        settings = b'{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}'
        files = {
            "vocab.txt": bert_base_uncased(world).encode(),
            "tokenizer_config.json": settings,
            "config.json": b'{"model_type": "bert"}',
        }
        self.put("bert-base-uncased", files)


def bert_base_uncased(world: Path) -> str:
    """A vocab.txt of BERT's size: a sample world's pieces, and places that are not used."""
    known = (world / "bert/vocab.txt").read_text().split()
    unused = (f"[unused{number}]" for number in range(BERT_BASE_UNCASED - len(known)))
    return "".join(f"{piece}\n" for piece in (*known, *unused))
