"""A trained model as a folder that others load: weights, configuration, vocabulary, and a card that says what it is.

`model.safetensors` and `config.json` are transformers' own, with all weights that it has a place for. What it has none
for lies in `visualbert.safetensors`, and `visualbert.json` says how texts and regions are read.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

import mmf_visualbert
from mmf_visualbert.checkpoints.commands import transformers_config
from mmf_visualbert.checkpoints.convert import convert, heads_kept, revert
from mmf_visualbert.checkpoints.heads import CLASSIFIERS, GROUNDING
from mmf_visualbert.checkpoints.names import NAMINGS
from mmf_visualbert.checkpoints.sources import BESIDE, DESCRIPTION, Source
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import write_json, write_text, writing_folder
from mmf_visualbert.pretrained.card import model_card
from mmf_visualbert.processors.tokenizer_files import SETTINGS, VOCABULARY, WHOLE
from mmf_visualbert.runs import LoadedModel, modules_of

if TYPE_CHECKING:
    from mmf_visualbert.pretrained.model import VisualBERT

TARGET = "transformers"


def save(model: LoadedModel, source: Source, detector: str | None, folder: Path, card: str | None = None) -> Path:
    """See `VisualBERT.save_pretrained`."""
    if folder.exists():
        raise InputError(f"{folder} exists already; give another folder or remove it")
    state = {name: value.detach().cpu() for name, value in modules_of(model.parts).state_dict().items()}
    head = next((name for name in (*CLASSIFIERS, GROUNDING) if name in model.parts.heads), None)
    theirs, _ = revert(state, TARGET, head, source.origin)
    heads = heads_kept(NAMINGS[TARGET], state, head, source.origin)
    config = transformers_config(state, heads, model.parts.visual_bert.num_heads)
    classifier = head if head in CLASSIFIERS else None
    described = {
        "version": mmf_visualbert.__version__,
        "model": {**source.model, "size": {**source.model["size"]}, "bert": None, "tokenizer": None},
        "text": {**source.text, "tokenizer": None, "max_seq_length": model.text.max_seq_length},
        "regions": source.regions,
        "dataset": source.dataset,
        "reading": {**source.reading},
        "training": {**source.training},
        "detector": detector,
        "head": classifier,
        "weights": sorted(state),
    }
    with writing_folder(folder) as partial:
        config.save_pretrained(partial)
        write_weights(theirs, partial / "model.safetensors")
        own = without_place(state, theirs, config, classifier)
        if own:
            write_weights(own, partial / BESIDE)
        write_json(partial / DESCRIPTION, described, indent=1)
        write_vocabulary(model, source, partial)
        write_text(partial / "README.md", card or model_card(model, source, detector, folder.name))
    return folder


def without_place(
    state: dict[str, Tensor], theirs: dict[str, Tensor], config: Any, head: str | None
) -> dict[str, Tensor]:
    """The weights that do not come back as they were from transformers' names."""
    number = config.num_attention_heads
    back = convert(theirs, TARGET, head=head, attention_heads=number, config=config.to_dict()).state_dict
    return {name: value for name, value in state.items() if name not in back or not torch.equal(back[name], value)}


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    """A safetensors file, each tensor with room of its own."""
    save_file({name: value.clone().contiguous() for name, value in state.items()}, path, metadata={"format": "pt"})


def write_vocabulary(model: LoadedModel, source: Source, folder: Path) -> None:
    """The tokenizer as transformers reads it: the files it was made from, or its pieces as vocab.txt."""
    tokenizer = model.text.tokenizer
    given = Path(str(tokenizer.name)).expanduser()
    where = given if given.is_dir() else given.parent
    copied = [where / name for name in (VOCABULARY, WHOLE, SETTINGS) if given.exists() and (where / name).is_file()]
    if given.is_file() and given not in copied:
        copied = []
    for file in copied:
        shutil.copyfile(file, folder / file.name)
    if not copied:
        pieces = sorted(tokenizer.tokenizer.get_vocab().items(), key=lambda item: item[1])
        write_text(folder / VOCABULARY, "".join(f"{piece}\n" for piece, _ in pieces))
    if not (folder / SETTINGS).exists() and not (folder / WHOLE).exists():
        write_json(folder / SETTINGS, {"tokenizer_class": "BertTokenizer", "do_lower_case": tokenizer.lowercase})


def push(model: "VisualBERT", name: str, private: bool, card: str | None) -> str:
    """See `VisualBERT.push_to_hub`."""
    import tempfile

    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        saved = model.save_pretrained(Path(folder) / name.rpartition("/")[2], card)
        api = HfApi()
        try:
            address = str(api.create_repo(name, private=private, exist_ok=True))
            api.upload_folder(repo_id=name, folder_path=str(saved))
        except Exception as error:  # of many kinds, by version of the client
            raise InputError(
                f"the Hugging Face hub does not take '{name}' ({type(error).__name__}: {str(error).splitlines()[0]}); "
                "check the name, the network, and that you are logged in (huggingface-cli login)"
            ) from error
    return address
