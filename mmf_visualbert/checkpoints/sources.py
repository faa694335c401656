"""Where a trained model comes from: a checkpoint of a run, a folder that was saved, or somebody else's weights.

What a file is, is told from what is in it, and said.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from mmf_visualbert import catalog
from mmf_visualbert.checkpoints.convert import convert, keep_answers
from mmf_visualbert.checkpoints.files import StoredWeights, read_checkpoint
from mmf_visualbert.checkpoints.names import ENCODER, NAMINGS, detect
from mmf_visualbert.checkpoints.settings import (
    RELEASED_READING,
    VCR,
    attention_heads_of,
    of_config,
    released_region_encoder,
    require_encoder,
    sizes,
)
from mmf_visualbert.checkpoints.trained import training_of
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_safetensors
from mmf_visualbert.modules.build import bert_config
from mmf_visualbert.modules.parts import without_download
from mmf_visualbert.places import MODEL_YAML
from mmf_visualbert.processors.tokenizer_files import VOCABULARY, WHOLE
from mmf_visualbert.tasks.vqa2.answers import AnswerVocabulary
from mmf_visualbert.yaml_config import container, merge, read_yaml

DESCRIPTION, BESIDE = "visualbert.json", "visualbert.safetensors"
CONFIGURATION, RUN = "config.json", "best.ckpt"
WORDS = "visual_bert.embeddings.word_embeddings.weight"
HUB_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt"]


class Source(NamedTuple):
    """All that a trained model is made from.

    Attributes:
        origin: what errors call it.
        state: weights by our names.
        model: the section `model_config.visualbert`, with the sizes that the weights have.
        text: keywords of `TextAssembler`; `tokenizer` is None where nothing says which vocabulary was used.
        regions: keywords of `RegionFeatures`.
        dataset: the registered name of the dataset it was trained on; None where that is not known.
        detector: what made the regions it was trained with; None where that is not known.
        report: what the source was taken for, and what was left out, in sentences.
        reading: the dataset's settings that its task asks with (`OneChoice.settings`).
        training: how a run trained it, and with what result (`trained.training_of`).
    """

    origin: str
    state: dict[str, Tensor]
    model: dict[str, Any]
    text: dict[str, Any]
    regions: dict[str, Any]
    dataset: str | None
    detector: str | None
    report: list[str]
    reading: Mapping[str, Any] = MappingProxyType({})
    training: Mapping[str, Any] = MappingProxyType({})


class Said(NamedTuple):
    """What the user says of a source, where it does not say it by itself.

    Attributes:
        answers: a file of the answers that a VQA classifier's rows stand for.
        head: the registered head that a classifier is for.
        attention_heads: their number.
    """

    answers: Path | None = None
    head: str | None = None
    attention_heads: int | None = None


def read_source(source: str | Path, said: Said) -> Source:
    """Reads a model from wherever it is.

    Args:
        source: a checkpoint of a run; a folder that `save_pretrained` wrote; a folder of transformers, whole or in
            shards; a file of the authors, of transformers or of MMF's visual_bert; or a name on the Hugging Face hub.
        said: by the user.

    Raises:
        InputError: for a source that is missing, or something else.
    """
    path = local(str(source))
    if path.is_dir() and (path / DESCRIPTION).is_file():
        return _saved(path)
    if path.is_dir() and (path / RUN).is_file() and not (path / CONFIGURATION).is_file():
        raise InputError(f"{path} is the folder of a run; name the checkpoint in it, {path / RUN}")
    stored = read_checkpoint(path)
    found = detect(stored.state)
    return _own(path, stored, said) if found == "ours" else _others(path, stored, said)


def local(source: str) -> Path:
    """The file or folder itself, or where the hub's files of this name lie on this machine.

    Raises:
        InputError: where there is no such path, and the hub does not give it.
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    if path.is_absolute() or path.suffix or source.startswith(".") or source.count("/") > 1:
        raise InputError(f"there is no {path}; give a checkpoint, a folder of weights, or a name on the hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=HUB_FILES))
    except Exception as error:  # of many kinds, by version of the client: all of them mean the same to the user
        raise InputError(
            f"'{source}' is neither here nor to be had from the Hugging Face hub ({type(error).__name__}); check the "
            "name and the network, or give a folder"
        ) from error


def _saved(folder: Path) -> Source:
    """What `save_pretrained` wrote: transformers' names where it has the weight, ours beside them."""
    described = read_json(folder / DESCRIPTION)
    try:
        model, text, regions = (dict(described[key]) for key in ("model", "text", "regions"))
        dataset, detector = described["dataset"], described["detector"]
    except (TypeError, KeyError, ValueError) as error:
        raise InputError(f"{folder / DESCRIPTION} lacks {error}; save the model again") from error
    stored = read_checkpoint(folder)
    head, number = described.get("head"), model["size"]["num_attention_heads"]
    converted = convert(
        stored.state, "transformers", head=head, attention_heads=number, config=stored.config, origin=str(folder)
    )
    own = read_safetensors(folder / BESIDE) if (folder / BESIDE).is_file() else {}
    state = {name: value for name, value in {**converted.state_dict, **own}.items() if name in described["weights"]}
    missing = [name for name in described["weights"] if name not in state]
    if missing:
        raise InputError(f"{folder} has no weight for {missing[0]}; copy or save the whole folder again")
    text["tokenizer"] = str(folder)
    report = [f"{folder} was saved by mmf_visualbert {described.get('version', '')}".rstrip()]
    more = [described.get(name) or {} for name in ("reading", "training")]
    return Source(str(folder), state, model, text, regions, dataset, detector, report, *more)


def _own(path: Path, stored: StoredWeights, said: Said) -> Source:
    """A checkpoint of a run, or one that `visualbert convert` wrote, whose configuration lies beside it."""
    config: Any = stored.config
    beside = path.with_suffix(".yaml")
    if not config and beside.is_file():
        config = read_yaml(beside).config
    whole = merge({}, config)
    if "model_config" not in whole or "visualbert" not in whole.model_config:
        raise InputError(
            f"{path} has our weights and no configuration; name the best.ckpt of the run, or put the yaml that "
            f"`visualbert convert` wrote beside it as {beside.name}"
        )
    # The configuration of a converted checkpoint is over the defaults; that of a run has them already.
    model = {**default_model(), **container(whole.model_config.visualbert)}
    require_encoder(stored.state, str(path))
    lines = _sized(model, stored.state, said)
    model["heads"] = heads_of(model, stored.state)
    dataset = next((name.strip() for name in str(whole.get("datasets") or "").split(",") if name.strip()), None)
    processors: Mapping[str, Any] = {}
    section: Mapping[str, Any] = {}
    if dataset is not None and "dataset_config" in whole:
        section = container(whole.dataset_config[dataset])
        processors = section.get("processors") or {}
    text = dict((processors.get("text_processor") or {}).get("params") or {"tokenizer": model.get("tokenizer")})
    text.pop("keep_words", None)  # how fast a run reads, nothing of the model
    regions = dict((processors.get("region_processor") or {}).get("params") or default_regions(model))
    detector = _detector(section.get("features_from"))
    state = dict(stored.state)
    if said.answers is not None:
        keep_answers(state, AnswerVocabulary.from_file(said.answers).answers, str(path))
    report = [f"{path} is a checkpoint of ours" + (f", trained on {dataset}" if dataset else ""), *lines]
    reading = {name: section[name] for name in _read_by_task(dataset) if name in section}
    training = training_of(path, whole, dataset)
    return Source(str(path), state, model, text, regions, dataset, detector, report, reading, training)


def _others(path: Path, stored: StoredWeights, said: Said) -> Source:
    """Weights of somebody else's VisualBERT."""
    width = next((value.shape[-1] for name, value in stored.state.items() if name.endswith(WORDS[12:])), 0)
    heads = attention_heads_of(width, stored.config, said.attention_heads)
    converted = convert(
        stored.state,
        attention_heads=heads.number,
        answers=None if said.answers is None else AnswerVocabulary.from_file(said.answers).answers,
        head=said.head,
        config=stored.config,
        origin=str(path),
    )
    model = {**default_model(), **converted.settings["model_config"]["visualbert"]}
    model["heads"] = heads_of(model, converted.state_dict)
    scenes = any(name.startswith(ENCODER) for name in converted.state_dict)
    dataset, reading = (VCR, RELEASED_READING) if scenes else (None, {})
    if scenes:
        model["region_encoder"] = released_region_encoder(converted.state_dict)
    tokenizer = str(path) if path.is_dir() and any((path / name).is_file() for name in (VOCABULARY, WHOLE)) else None
    if tokenizer is None and path.is_file() and (path.parent / VOCABULARY).is_file():
        tokenizer = str(path.parent / VOCABULARY)
    report = [f"{path} is of {NAMINGS[detect(stored.state)].title}", *converted.report.lines(), *heads.lines()]
    text = {"tokenizer": tokenizer or model.get("tokenizer")}
    regions = default_regions(model)
    return Source(str(path), converted.state_dict, model, text, regions, dataset, None, report, reading)


def default_model() -> dict[str, Any]:
    """The section of the model as its defaults have it, of which the weights name no tokenizer."""
    defaults = container(read_yaml(MODEL_YAML).config.model_config.visualbert, resolve=False)
    return {**defaults, "tokenizer": None}


def default_regions(model: Mapping[str, Any]) -> dict[str, Any]:
    """100 regions, as VQA 2.0 has them (Appendix A)."""
    return {"max_regions": 100, "dimension": model["region_dimension"]}


def _sized(model: dict[str, Any], state: Mapping[str, Tensor], said: Said) -> list[str]:
    """Puts the sizes that the weights have into a run's section, so that the BERT it names is needed no more.

    Returns:
        Sentences about what had to be guessed.
    """
    bert, lines = model.get("bert"), []
    unseen: dict[str, Any] = {}
    size = {name: value for name, value in (model.get("size") or {}).items() if value is not None}
    number = size.get("num_attention_heads")
    if bert is not None:
        size, number = {}, None
        try:
            named = bert_config(str(bert))
            number, unseen = named.num_attention_heads, of_config(named.to_dict(), str(bert))
        except InputError:
            lines.append(f"the BERT it names, '{bert}', is not to be had here; its sizes are those of the weights")
    heads = attention_heads_of(state[WORDS].size(1), {"num_attention_heads": number}, said.attention_heads)
    model["size"] = {**size, **unseen, **sizes(state, heads.number)}
    model["bert"], model["random_init"] = None, True
    model["region_encoder"] = without_download(model.get("region_encoder"))
    return [*lines, *heads.lines()]


def heads_of(model: Mapping[str, Any], state: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """The heads that weights are there for, with the keywords that the configuration gives them."""
    given = {head.get("name") or head["type"]: dict(head) for head in model.get("heads") or []}
    names = dict.fromkeys(name.split(".")[1] for name in state if name.startswith("heads."))
    unknown = [name for name in names if name not in given and name not in catalog.names("head")]
    if unknown:
        raise InputError(
            f"there are weights of the head '{unknown[0]}', which no package here knows; import the package that has it"
        )
    return [given.get(name, {"type": name, "params": {}}) for name in names]


def _read_by_task(dataset: str | None) -> tuple[str, ...]:
    """Names of the dataset's settings that its task asks with."""
    task = None if dataset is None else catalog.task_of_dataset(dataset)
    return () if task is None or task.choice is None else task.choice.settings


def _detector(stated: Any) -> str | None:
    return stated.get("detector") if isinstance(stated, Mapping) else stated
