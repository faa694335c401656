"""Stand-ins for packages that MMF imports as it starts and that today's Python cannot have."""

import importlib
import json
from types import ModuleType
from typing import Any

from mmf_visualbert.compat.importing import stand_in
from mmf_visualbert.compat.probes import text_of
from mmf_visualbert.compat.replace import replace
from mmf_visualbert.errors import InputError


class NoVectors(dict):
    """torchtext's list of pretrained word vectors, which says why it is empty."""

    def __contains__(self, name: object) -> bool:
        return self[name]

    def __getitem__(self, name: Any) -> Any:
        raise InputError(
            f"word vectors '{name}' come from torchtext, whose last release needs torch 2.3, so that this environment "
            "has none; choose a vocabulary of another type"
        )


def provide_torchtext() -> str | None:
    """`import torchtext` (MMF rc10 and main): torchtext ended at 0.18, built for torch 2.3.

    Only vocabularies with GloVe-like vectors use it. Can go when MMF no longer imports it.
    """
    if "torchtext" not in text_of("mmf", "utils/vocab.py") or works("torchtext"):
        return None
    package, vocab = ModuleType("torchtext"), ModuleType("torchtext.vocab")
    replace(package, __path__=[], vocab=vocab)
    replace(vocab, pretrained_aliases=NoVectors())
    made = {"torchtext": package, "torchtext.vocab": vocab}
    stand_in(made.get)
    return "torchtext has no release for this torch"


def provide_demjson() -> str | None:
    """`import demjson` (MMF rc10; main where `config_override` is used): it needs Python 2's 2to3 to build.

    Only `config_override` on the command line uses it; plain JSON serves. Can go with rc10.
    """
    if "demjson" not in text_of("mmf", "utils/configuration.py") or works("demjson"):
        return None
    module = ModuleType("demjson")
    replace(module, decode=decode_json)
    stand_in({"demjson": module}.get)
    return "demjson cannot be built on Python 3.10 and later; config_override takes plain JSON"


def provide_torchaudio() -> str | None:
    """`import torchaudio` (MMF main): asked for transforms of images that torchvision lacks, as MMF's own are.

    It has none of images, so that MMF goes on to its registry. Can go when MMF asks its registry first.
    """
    if "torchaudio" not in text_of("mmf", "datasets/processors/image_processors.py") or works("torchaudio"):
        return None
    package, transforms = ModuleType("torchaudio"), ModuleType("torchaudio.transforms")
    replace(package, __path__=[], transforms=transforms, set_audio_backend=lambda name: None)
    made = {"torchaudio": package, "torchaudio.transforms": transforms}
    stand_in(made.get)
    return "MMF would want torchaudio for transforms of images"


def decode_json(text: str) -> Any:
    """What `demjson.decode` gives for plain JSON.

    Raises:
        InputError: where the text is something that only demjson would have understood.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"config_override is no JSON at character {error.pos} ({error.msg}): {text}") from None


def works(name: str) -> bool:
    """Whether a package can be imported; one that is missing cannot, nor one that was compiled for another torch."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError):
        return False
    return True
