"""From a checkpoint or a config to its parts, without MMF."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from mmf_visualbert import catalog
from mmf_visualbert.contracts import Dataset, Sample
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_torch, require, unwrapped
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.chosen_heads import Answers
from mmf_visualbert.modules.heads.masked_lm import MaskedLMOutput
from mmf_visualbert.modules.outputs import rows_read
from mmf_visualbert.modules.parts import ModelParts, build_parts, without_download
from mmf_visualbert.modules.precision import in_precision
from mmf_visualbert.modules.visual_bert import VisualBertEncoder
from mmf_visualbert.places import MODEL_YAML
from mmf_visualbert.plugin.config_keys import nearest
from mmf_visualbert.plugin.overrides import apply, read_words
from mmf_visualbert.processors.regions import RegionFeatures
from mmf_visualbert.processors.text import TextAssembler
from mmf_visualbert.tasks.flickr30k.dataset import Flickr30k, build_flickr30k
from mmf_visualbert.tasks.learnt import answers_of_heads
from mmf_visualbert.yaml_config import container, merge, read_yaml, refuse_references

PREFIX = "visual_bert."
REGIONS = 100  # of an image, where nothing says otherwise (Appendix A)
MOST = 1 << 20  # of layers, units, words: what a file may ask for


class LoadedModel:
    """A trained model with its way of reading texts and regions (`contracts.TrainedModel`).

    Args:
        parts: the model; it is put into evaluation mode.
        text: assembles word pieces.
        regions: makes tensors of region features.
    """

    def __init__(self, parts: ModelParts, text: TextAssembler, regions: RegionFeatures) -> None:
        self.parts, self.text, self.regions = parts, text, regions
        self._modules = modules_of(parts).eval()

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.parts.visual_bert.embeddings.word_embeddings.weight.device

    def head(self, name: str) -> Any:
        """One of its heads."""
        return self.parts.heads[name]

    def to(self, device: str | torch.device) -> None:
        """Moves the weights."""
        self._modules.to(device)

    @torch.inference_mode()
    def run(self, head: str, samples: Sequence[Sample], batch_size: int = 32) -> list[Any]:
        """What a head gives for each sample, as batches of one in fp32 on the CPU.

        Args:
            head: its name.
            samples: tensors by name; those of the same shapes are computed together.
            batch_size: so many at a time.
        """
        outputs: dict[int, Any] = {}
        for numbers in alike(samples, batch_size):
            chosen = [samples[number] for number in numbers]
            batch = {name: torch.stack([one[name] for one in chosen]).to(self.device) for name in chosen[0]}
            with in_precision(self.parts.precision, self.device.type):
                made = None if self.parts.region_encoder is None else self.parts.region_encoder(batch)
                rows = rows_read([self.parts.heads[head]], batch)
                inputs = visual_bert_inputs(batch, None if made is None else made.features)
                encoded = self.parts.visual_bert(*inputs, last_layer_rows=rows)
                output = self.parts.heads[head](encoded, batch)
            outputs.update(zip(numbers, separate(output, len(numbers)), strict=True))
        return [outputs[number] for number in range(len(samples))]


def alike(samples: Sequence[Sample], batch_size: int) -> Iterator[list[int]]:
    """Numbers of samples that can be stacked, at most `batch_size` at a time."""
    by_shape: dict[Any, list[int]] = {}
    for number, sample in enumerate(samples):
        by_shape.setdefault(tuple((name, value.shape) for name, value in sample.items()), []).append(number)
    for numbers in by_shape.values():
        yield from (numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size))


def separate(output: Any, samples: int) -> Iterator[Any]:
    """A head's output for a batch, sample by sample, in fp32 on the CPU."""
    fields = {name: value for name, value in output._asdict().items() if value is not None}
    fields = {name: value.float() if value.is_floating_point() else value for name, value in fields.items()}
    # The logits of masked word pieces are as many as there are masks, and not as samples.
    counts = output.masked_lm_count.int().tolist() if isinstance(output, MaskedLMOutput) else None
    split = {
        name: value.cpu().split(counts if counts is not None and name == "masked_lm_logits" else 1)
        for name, value in fields.items()
    }
    for number in range(samples):
        yield output._replace(**{name: parts[number] for name, parts in split.items()})


class Incompatible(NamedTuple):
    """Names of weights that a model has and a state has not, and the other way round."""

    missing: list[str]
    unexpected: list[str]


class RunOfModel(NamedTuple):
    """What a checkpoint of a run holds.

    Attributes:
        parts: the model with its weights.
        text, regions: how its dataset reads texts and regions.
        dataset: the registered name of that dataset.
        config: of the run, interpolations as they are written.
    """

    parts: ModelParts
    text: TextAssembler
    regions: RegionFeatures
    dataset: str
    config: DictConfig


def read_model(checkpoint: Path, vocabulary: Path | None = None, overrides: Sequence[str] = ()) -> RunOfModel:
    """The model of one of MMF's checkpoints, which holds the configuration of its run.

    Args:
        checkpoint: a `.ckpt` or `.pth` of a run.
        vocabulary: taken in place of the one that the run names.
        overrides: `key=value` over its configuration, as where its data lie now.

    Raises:
        InputError: for a file that is no checkpoint of a run with VisualBERT, or whose dataset reads no stored regions.
    """
    stored = load_checkpoint(checkpoint)
    try:
        refuse_references(stored["config"], str(checkpoint))
        config = overridden(merge(stored["config"]), overrides, checkpoint)
        model = container(config.model_config.visualbert)
        dataset = next(name.strip() for name in str(config.datasets).split(","))
        processors = container(config.dataset_config[dataset].processors)
        text_processor, region_processor = processors["text_processor"], processors.get("region_processor")
        state = unwrapped(stored["model"])
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OmegaConfBaseException) as error:
        raise InputError(
            f"{checkpoint} is no checkpoint of a run of VisualBERT ({error}); name its best.ckpt"
        ) from error
    if not region_processor and not model.get("region_encoder"):
        raise InputError(f"{checkpoint} was trained on {dataset}, which reads no stored regions; name another run")
    if vocabulary is not None:
        text_processor["params"]["tokenizer"] = str(vocabulary)
    text = catalog.build("processor", text_processor)
    if region_processor:
        regions = catalog.build("processor", region_processor)
    else:  # made from images, by a part of the model
        regions = RegionFeatures(max_regions=REGIONS, dimension=model["region_dimension"])
    model["region_encoder"] = without_download(model.get("region_encoder"))
    answers = answers_of_heads(model["heads"], state)
    parts = _built({**model, "random_init": True}, checkpoint, answers, text.tokenizer.vocab_size)
    load_weights(parts, state, str(checkpoint))
    return RunOfModel(parts, text, regions, dataset, config)


def modules_of(parts: ModelParts) -> nn.ModuleDict:
    """All parts as one module, whose weights have the names of checkpoints."""
    made = {} if parts.region_encoder is None else {"region_encoder": parts.region_encoder}
    return nn.ModuleDict({"visual_bert": parts.visual_bert, **made, "heads": nn.ModuleDict(parts.heads)})


def load_weights(parts: ModelParts, state: Mapping[str, Tensor], origin: str, strict: bool = True) -> Incompatible:
    """Puts weights into a model.

    Args:
        parts: the model.
        state: weights by our names.
        origin: what errors call them.
        strict: every weight has to be there, and no other.

    Returns:
        The names of weights that are missing and of those that have no place, where it is not strict.

    Raises:
        InputError: where they do not fit.
    """
    try:
        return Incompatible(*modules_of(parts).load_state_dict(state, strict=strict))
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(f"{origin} does not fit its own configuration ({reason}); name another one") from error


def overridden(config: DictConfig, overrides: Sequence[str], source: Path) -> DictConfig:
    """A run's configuration with `key=value` over it.

    Raises:
        InputError: for a key that it does not have.
    """
    done = apply(container(config, resolve=False), read_words(overrides))
    if done.unknown:
        raise InputError(f"{source} has no key '{done.unknown[0]}' in its configuration; correct or remove it")
    return OmegaConf.create(done.config)


def read_dataset(run: RunOfModel, split: str) -> Dataset:
    """One split of what a model was trained on.

    Raises:
        InputError: what the dataset raises.
    """
    return open_dataset(run.config, run.dataset, split)


def open_dataset(config: DictConfig, name: str, split: str) -> Dataset:
    """One split of a configuration's data set.

    Raises:
        InputError: what the dataset raises.
    """
    section = plain(config, f"dataset_config.{name}")
    return catalog.get("dataset", name)(section, split, processors_of(section))


def processors_of(section: Mapping[str, Any]) -> dict[str, Any]:
    """The processors that a dataset's section names, built."""
    named = section.get("processors") or {}
    return {key: catalog.build("processor", given) for key, given in named.items() if given}


def read_config(path: Path, overrides: Sequence[str] = ()) -> DictConfig:
    """A run's yaml with all that it includes, over the defaults of the model and of its datasets, as MMF merges them.

    Args:
        path: a yaml of `projects/visualbert/configs`, wherever the working folder is, or the `config.yaml` that a run
            leaves in its folder.
        overrides: `key=value` as for `mmf_run`, the last word.

    Raises:
        InputError: for a file that is missing or no yaml, or an override that cannot be applied.
    """
    own = read_yaml(path).config
    defaults = [read_yaml(MODEL_YAML).config]
    for dataset in str(own.get("datasets") or "").split(","):
        file = catalog.dataset_config(dataset.strip())
        if file.is_file():
            defaults.append(read_yaml(file).config)
    merged = container(merge({"env": {"data_dir": "data"}}, *defaults, own), resolve=False)
    done = apply(merged, read_words(overrides), container(merge(*defaults), resolve=False))
    if done.unknown:
        near = nearest(done.unknown[0], merged)
        meant = f" (did you mean '{near}'?)" if near else ""
        raise InputError(f"{path} has no key '{done.unknown[0]}'{meant}; correct or remove it on the command line")
    return OmegaConf.create(done.config)


def plain(config: DictConfig, key: str) -> dict[str, Any]:
    """The section `key` of a config as plain containers, interpolations resolved.

    Raises:
        InputError: where it is not there, or refers to something that is not.
    """
    section = OmegaConf.select(config, key)
    if section is None:
        raise InputError(f"the config has no {key}; name a config of this task")
    try:
        return container(section)
    except OmegaConfBaseException as error:
        raise InputError(f"{key} cannot be resolved ({str(error).splitlines()[0]}); correct the config") from error


def read_flickr30k(config: DictConfig, split: str) -> Flickr30k:
    """Flickr30K Entities with its processors, as a run with this config would build it.

    Raises:
        InputError: for a config of another task, and what the dataset raises.
    """
    name = "visualbert_flickr30k"
    section = plain(config, f"dataset_config.{name}")
    return build_flickr30k(section, split, processors_of(section))


def read_visual_bert(checkpoint: Path, model_config: Mapping[str, Any]) -> VisualBertEncoder:
    """The Transformer out of one of MMF's checkpoints.

    Args:
        checkpoint: a `.ckpt` or `.pth` of a run.
        model_config: `model_config.visualbert`, for what the checkpoint does not say itself.

    Raises:
        InputError: for a file that is no checkpoint, or one whose Transformer does not fit.
    """
    stored = load_checkpoint(checkpoint)
    own = ((stored.get("config") or {}).get("model_config") or {}).get("visualbert")
    config = {**model_config, **(own or {})}
    state = {
        name.removeprefix(PREFIX): value
        for name, value in (stored.get("model") or stored).items()
        if name.startswith(PREFIX) and isinstance(value, Tensor)
    }
    if not state:
        raise InputError(f"{checkpoint} has no weights of a VisualBERT ('{PREFIX}...'); name a checkpoint of a run")
    words = state.get("embeddings.word_embeddings.weight")
    # Which head does not matter; this one also asks for the pooler, which a checkpoint may have.
    config |= {"heads": [{"type": "visualbert_sentence_image"}], "random_init": True, "region_encoder": None}
    visual_bert = _built(config, checkpoint, None, None if words is None else len(words)).visual_bert
    _load(visual_bert, state, checkpoint)
    return visual_bert


def _built(config: Mapping[str, Any], checkpoint: Path, answers: Answers, vocab_size: int | None) -> ModelParts:
    """The model of a configuration that stood in a file, where anything can stand."""
    size = config.get("size")
    stated = size.items() if isinstance(size, Mapping) else ()
    large = next((f"{name}: {value}" for name, value in stated if type(value) is int and value > MOST), None)
    if large is not None:
        raise InputError(f"{checkpoint} says {large} of its model, which no model has; name another one")
    try:
        return build_parts(config, answers, vocab_size)
    except InputError:
        raise
    except Exception as error:  # every part refuses in its own way what it cannot be built from
        raise InputError(
            f"{checkpoint} has a configuration of which no model can be built ({type(error).__name__}: {error}); name "
            "another one"
        ) from error


def _load(visual_bert: VisualBertEncoder, state: Mapping[str, Tensor], checkpoint: Path) -> None:
    wanted = {name: value for name, value in visual_bert.state_dict().items() if name in state or "pooler." not in name}
    missing = [name for name in wanted if name not in state]
    unknown = [name for name in state if name not in wanted]
    shapes = [name for name in wanted if name in state and state[name].shape != wanted[name].shape]
    for fault, names in (("lacks", missing), ("has an unknown", unknown), ("has another shape of", shapes)):
        if names:
            raise InputError(
                f"{checkpoint} {fault} {PREFIX}{names[0]} ({len(names)} in all); give the config of its training"
            )
    visual_bert.load_state_dict(dict(state), strict=False)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, read without letting it run code.

    Raises:
        InputError: where it is missing or is no checkpoint of weights and plain containers.
    """
    stored = read_torch(require(path), refusal="is not readable as a checkpoint")
    if not isinstance(stored, dict):
        raise InputError(
            f"{path} holds {type(stored).__name__} in place of a checkpoint; name a .ckpt or .pth of a run"
        )
    return stored
