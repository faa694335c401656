"""MMF's configuration takes its command line from us: every word is applied as it was meant, or refused by name."""

import functools
import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

from mmf_visualbert.plugin.configuration import MODEL, keys_read_beside, plain, refuse
from mmf_visualbert.plugin.overrides import Override, apply, last_text, read_words

logger = logging.getLogger(__name__)
MERGE = "_merge_with_dotlist"
# What MMF asks of the command line before it has a configuration.
ASKED_FIRST = ("config", "model", "datasets")
USER_DIR = "env.user_dir"


def read_each_word_once(configuration: ModuleType) -> str | None:
    """`Configuration` (MMF rc10 and main) reads its command line by rules that are neither yaml's nor the same twice.

    rc10 splits values at every `=`, both keep `true` and `null` as strings, and a list's place is dropped. For runs of
    our model the words are read by `overrides`; what cannot be applied is refused. Stays.
    """
    cls = configuration.Configuration
    build_default = cls._build_default_config

    @functools.wraps(build_default)
    def note_defaults(self: Any) -> Any:
        built = build_default(self)
        self._visualbert_mmf_defaults = plain(built)
        return built

    def build_opt_list(self: Any, opts: Sequence[str] | None) -> Any:
        words = read_words(opts or ())
        asked = {key: text for key in ASKED_FIRST if (text := last_text(words, key))}
        folder = last_text(words, USER_DIR)
        return OmegaConf.create({**asked, "env": {"user_dir": folder}} if folder else asked)

    cls._build_default_config, cls._build_opt_list = note_defaults, build_opt_list
    if MERGE in vars(cls):  # the release's
        setattr(cls, MERGE, merging(getattr(cls, MERGE)))
    else:
        setattr(configuration, MERGE, merging_outside(getattr(configuration, MERGE), configuration.registry))
    return "MMF would take true and null for words, and drop places in lists"


def merging(merge: Callable[..., Any]) -> Callable[..., Any]:
    """The release's method, which is given the whole configuration at its end."""

    @functools.wraps(merge)
    def merged(self: Any, config: Any, opts: Sequence[str] | None) -> Any:
        return apply_words(self, config, read_words(opts)) if opts and is_ours(self) else merge(self, config, opts)

    return merged


def merging_outside(merge: Callable[..., Any], registry: Any) -> Callable[..., Any]:
    """GitHub's function, which is also given MMF's defaults, before it is known whose run it is."""

    @functools.wraps(merge)
    def merged(config: Any, opts: Sequence[str] | None, skip_missing: bool = False, **options: Any) -> Any:
        words = read_words(opts or ())
        if skip_missing:
            early = [f"{word.key}={word.text}" for word in words if "[" not in word.key and "${" not in word.text]
            return merge(config, early, skip_missing=True, **options)
        owner = registry.get("configuration", no_warning=True)
        return apply_words(owner, config, words) if words and is_ours(owner) else merge(config, opts, **options)

    return merged


def is_ours(configuration: Any) -> bool:
    """Whether a Configuration under construction is of a run of our model."""
    return configuration._opts_config.get("model") == MODEL


def apply_words(configuration: Any, config: Any, words: Sequence[Override]) -> Any:
    """The whole configuration with its command line.

    Args:
        configuration: MMF's Configuration, which knows the defaults.
        config: the defaults and the user's yaml, merged.
        words: of the command line.

    Raises:
        InputError: for words that cannot be applied.
    """
    whole = plain(config)
    defaults = plain(OmegaConf.merge(configuration._visualbert_mmf_defaults, *configuration._visualbert_defaults))
    also = keys_read_beside()
    done = apply(whole, words, defaults, also)
    known = OmegaConf.create(whole)
    for key in also:
        OmegaConf.update(known, key, None, force_add=True)
    refuse(list(dict.fromkeys(done.unknown)), "the command line", plain(known))
    let_updates_decide(done.config, words)
    for word in words:
        logger.info("Overriding option %s to %s", word.key, word.text)
    return OmegaConf.create(done.config)


def let_updates_decide(config: dict[str, Any], words: Sequence[Override]) -> None:
    """`training.max_updates` on the command line is the length of the run, where the yaml has one in epochs.

    MMF would pass over it without a word.
    """
    training = config["training"]
    given = {word.key for word in words}
    if "training.max_updates" not in given or "training.max_epochs" in given or training["max_updates"] is None:
        return
    if training.get("max_epochs") is not None:
        logger.info("training.max_updates is given: training.max_epochs=%s is dropped", training["max_epochs"])
        training["max_epochs"] = None
