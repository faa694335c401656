"""The words of a command line, `key=value` or `key value`: each is read once, as yaml, typed by its key's default.

MMF rc10 and main read them by rules of their own: `true` and `null` stay strings, `2024` becomes a number where a text
is wanted, a value ends at its second `=` (rc10). Plain containers in and out; MMF is not needed.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.override_values import NULLS, fit, read_list, read_value, read_yaml, type_of
from mmf_visualbert.plugin.parts_of_config import Step, dotted, kind_at
from mmf_visualbert.yaml_config import at_home

KEY = re.compile(r"\w[\w-]*(\[-?\d+\])*(\.\w[\w-]*(\[-?\d+\])*)*")
STEP = re.compile(r"\w[\w-]*|\[-?\d+\]")
# Keys of MMF that its defaults leave empty, or fill with another type than they have in a run.
DECLARED: dict[str, type] = {
    "config": str,
    "model": str,
    "datasets": str,
    "learning_rate": float,
    "model_config.visualbert.dropout": float,
    "model_config.visualbert.size.vocab_size": int,
    "training.max_epochs": int,
    "training.local_rank": int,
    "training.batch_size_per_device": int,
    "training.max_grad_l2_norm": float,
    "training.skip_bad_samples": int,
    "training.loggers": list,
    "training.token_budget": int,
    "training.resume": bool,
    "training.resume_best": bool,
    "training.load_pretrained": bool,
    "training.resume_file": str,
    "training.run_type": str,
    "checkpoint.resume_file": str,
    "checkpoint.resume_zoo": str,
    "distributed.init_method": str,
    "distributed.timeout": float,
    "optimizer.type": str,
    "scheduler.type": str,
}
# Sections of MMF that hold keys of any name.
OPEN = ("checkpoint.pretrained_state_mapping", "multitasking.params", "evaluation.reporter.params", "trainer.params")
MAY_BE_NULL = ("training.max_updates", "training.max_epochs")
UNREAD = object()


class Override(NamedTuple):
    """One word, or pair of words.

    Attributes:
        word: as it was given.
        steps: its key taken apart, places in lists as numbers.
        text: what stands behind the key.
        value: what yaml read in it, where that is known already.
    """

    word: str
    steps: tuple[Step, ...]
    text: str
    value: Any = UNREAD

    @property
    def key(self) -> str:
        """As it is written."""
        return dotted(self.steps)


class Applied(NamedTuple):
    """A configuration after all overrides.

    Attributes:
        config: the whole, plain.
        unknown: keys that it does not have, and that were not applied.
    """

    config: dict[str, Any]
    unknown: list[str]


class UnknownKeyError(Exception):
    """A key that the configuration does not have."""


def read_words(words: Iterable[str]) -> list[Override]:
    """The overrides of a command line, in their order; `dataset` is understood as `datasets`.

    Raises:
        InputError: for a word that is no key, or a key without a value.
    """
    overrides = []
    rest = iter(words)
    for word in rest:
        key, equals, text = word.partition("=")
        text = text if equals else next(rest, "")
        if not KEY.fullmatch(key):
            raise InputError(f"'{word}' on the command line does not begin with a key; write key=value, or remove it")
        if not text:
            raise InputError(f"'{word}' is not of the form key=value, as it has no value; write one, or null for none")
        word = word if equals else f"{key}={text}"
        if key in ("dataset", "datasets"):
            key = "datasets"
            text = ",".join(read_list(text, word, texts=True)) if text[0] == "[" else text
        steps = tuple(int(step[1:-1]) if step[0] == "[" else step for step in STEP.findall(key))
        overrides.append(Override(word, steps, at_home(text)))
    return overrides


def last_text(overrides: Iterable[Override], key: str) -> str | None:
    """What the last override of a key says; None where there is none, or where it says null."""
    given = [override.text for override in overrides if override.key == key]
    return given[-1] if given and given[-1] not in NULLS else None


def apply(
    config: Mapping[str, Any],
    overrides: Sequence[Override],
    defaults: Mapping[str, Any] | None = None,
    also: Iterable[str] = (),
) -> Applied:
    """A configuration with its overrides. A later one of the same key has the last word.

    What a key holds in `defaults` decides its type, else the annotation of the part that takes it, else what it holds
    in `config`. A mapping is merged into a section key by key; where a list is wanted, one value is a list of one.

    Args:
        config: the whole configuration, plain, its interpolations as they are written.
        overrides: of `read_words`.
        defaults: what the keys held before the user's yaml.
        also: dotted keys that may be given though `config` does not have them.

    Raises:
        InputError: for a value of another type than its key has, or a place that a list does not have.
    """
    tree = _Tree(copy.deepcopy(dict(config)), defaults or {}, frozenset(also))
    unknown = []
    for override in overrides:
        try:
            tree.override(override)
        except UnknownKeyError:
            unknown.append(override.key)
    return Applied(tree.config, unknown)


def any_part() -> None:
    """Stands for a part of MMF's, whose keywords are its own matter."""


class _Tree:
    """A configuration while overrides are put into it."""

    def __init__(self, config: dict[str, Any], defaults: Mapping[str, Any], also: frozenset[str]) -> None:
        self.config, self.defaults, self.also = config, defaults, also
        catalog.import_parts()

    def override(self, given: Override) -> None:
        *way, last = given.steps
        node: Any = self.config
        for depth, step in enumerate(way):
            node = self._below(node, step, given, depth)
        self._require(node, last, given, len(way))
        if given.text in NULLS:
            self._refuse_null(given)
            node[last] = None
        elif isinstance(last, str) and given.key not in OPEN and isinstance(self._resolved(given.steps), dict):
            self._merge(given)
        else:
            node[last] = self._value(given)

    def _value(self, given: Override) -> Any:
        default, declared = self._default(given.steps), self._declared(given.steps)
        if given.value is not UNREAD:
            return fit(given.value, declared if default is None else type_of(default), given.word)
        if isinstance(default, str) and given.steps[0] == "dataset_config" and given.text[0] == "[":
            default = [default]  # files may be one or several
        return read_value(given.text, default, declared, given.word)

    def _merge(self, given: Override) -> None:
        value = read_yaml(given.text, given.word) if given.value is UNREAD else given.value
        if not isinstance(value, dict) or not value:
            raise InputError(f"{given.word}: {given.key} is a section; name the keys in it that are meant")
        for key, inner in value.items():
            at = (*given.steps, str(key))
            try:
                self.override(Override(given.word, at, "null" if inner is None else "...", inner))
            except UnknownKeyError:
                raise InputError(f"{given.word}: there is no key {dotted(at)}; correct or remove it") from None

    def _below(self, node: Any, step: Step, given: Override, depth: int) -> Any:
        """The container at `step`: made where a part's `params` are left out, copied from where it is only named."""
        at = given.steps[: depth + 1]
        if isinstance(node, dict) and step == "params" and node.get(step) is None:
            if kind_at(at[:-1]) is not None and self._takes(at, str(given.steps[depth + 1])):
                node[step] = {}
        self._require(node, step, given, depth)
        if isinstance(node[step], str):
            node[step] = copy.deepcopy(self._resolved(at))
        return node[step]

    def _require(self, node: Any, step: Step, given: Override, depth: int) -> None:
        """Refuses a place that a list does not have; a key that is not there is unknown."""
        at = given.steps[:depth]
        if isinstance(step, int):
            if not isinstance(node, list):
                raise InputError(f"{given.word}: {dotted(at)} is no list here; give the whole of it")
            if not -len(node) <= step < len(node):
                raise InputError(
                    f"{given.word}: {dotted(at)} has {len(node)} entries, from [0] on; give the whole list"
                )
        elif not (isinstance(node, dict) and (step in node or self._takes(at, step))):
            raise UnknownKeyError

    def _takes(self, at: tuple[Step, ...], step: str) -> bool:
        """Whether the section `at` may have the key, though it does not."""
        part = self._part(at)
        if part is not None:
            return part is any_part or step in catalog.keywords(part).known
        return dotted((*at, step)) in self.also or dotted(at) in self.also or dotted(at) in OPEN

    def _part(self, at: tuple[Step, ...]) -> Callable[..., Any] | None:
        """The part whose `params` are `at`; None where there is none."""
        kind = kind_at(at[:-1]) if at and at[-1] == "params" else None
        if kind is None:
            return None
        section = self._resolved(at[:-1])
        name = section.get("type") if isinstance(section, dict) else None
        return catalog.get(kind, name) if name in catalog.names(kind) else any_part

    def _declared(self, at: tuple[Step, ...]) -> type | None:
        if dotted(at) in DECLARED:
            return DECLARED[dotted(at)]
        part = self._part(at[:-1])
        return None if part in (None, any_part) else catalog.annotated(part, str(at[-1]))

    def _default(self, at: tuple[Step, ...]) -> Any:
        """A value of the type that a key has: the one before the user's yaml, else the one in it."""
        if dotted(at) in DECLARED:
            return None
        default = _select(self.defaults, at)
        if default is not None and not _refers(default):
            return default
        if self._declared(at) is not None:
            return None
        present = self._resolved(at)
        if present is None and default is not None:
            return default  # refers to a name that is not set
        return None if type(present) in (int, float) else present  # a yaml's 1 does not forbid 0.5

    def _resolved(self, at: tuple[Step, ...]) -> Any:
        """What stands at a place, and for an interpolation what it refers to; None where that is nothing."""
        value = _select(self.config, at)
        if not _refers(value):
            return value
        try:
            found = OmegaConf.select(OmegaConf.create(self.config), dotted(at))
        except OmegaConfBaseException:
            return None
        return OmegaConf.to_container(found) if OmegaConf.is_config(found) else found

    def _refuse_null(self, given: Override) -> None:
        """Refuses to empty what MMF needs a value of."""
        if given.steps[0] in ("model_config", "dataset_config") or given.key in MAY_BE_NULL:
            return
        default = _select(self.defaults, given.steps)
        if isinstance(default, bool | int | float | list | dict) or given.key in ("env.save_dir", "env.data_dir"):
            raise InputError(f"{given.word}: {given.key} needs a value; leave it out for its default")


def _refers(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _select(node: Any, steps: tuple[Step, ...]) -> Any:
    """What stands at a place of plain containers; None where there is no such place."""
    for step in steps:
        if isinstance(step, int):
            node = node[step] if isinstance(node, list) and -len(node) <= step < len(node) else None
        else:
            node = node.get(step) if isinstance(node, Mapping) else None
    return node
