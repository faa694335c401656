"""Names of our parts, kept without MMF; `plugin.registration` hands the same names to MMF's registry.

Kinds and what is registered under them (`contracts` has the types):

- `processor`: a class that takes plain keywords and is called by a dataset.
- `dataset`: a `DatasetBuilder`, with the yaml of its defaults.
- `region_encoder`: a builder of a `RegionEncoder`, for regions made from images.
- `head`: a class of `Head`.
- `loss`: a `Loss`. `metric`: a `Metric`.
- `optimizer`, `scheduler`: classes in torch's own shape.

Tasks (`contracts.Task`) are kept beside them. A part takes typed keywords; the annotations of its constructor are the
keys that its `params` may have in a yaml.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.contracts import DatasetBuilder, Head, Loss, Metric, RegionEncoder, Task

KINDS = ("processor", "dataset", "region_encoder", "head", "loss", "metric", "optimizer", "scheduler")
PREFIX = "visualbert_"
PACKAGE = Path(__file__).resolve().parent
ROOMS = ("processors", "modules", "losses", "metrics", "tasks")

SCALARS = (bool, int, float, str)
# What errors call these, and what yaml may give for each of them.
IN_WORDS: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
TAKEN: dict[type, tuple[type, ...]] = {float: (int, float), str: (str, Path)}
CONTAINERS = {"list", "tuple", "dict", "set", "Sequence", "Iterable", "Mapping", "Collection"}
# What takes types or values in brackets: containers of any name, functions, Literal. A choice of types alone does not.
OF_OTHERS = re.compile(r"(?<!\bOptional)(?<!\bUnion)\[")

Factory = TypeVar("Factory", bound=Callable[..., Any])
Listener = Callable[[str, str], None]

_parts: dict[str, dict[str, Callable[..., Any]]] = {kind: {} for kind in KINDS}
_dataset_configs: dict[str, Path] = {}
_dataset_settings: dict[str, type] = {}
_tasks: dict[str, Task] = {}
_listeners: list[Listener] = []
_complete = False


def register(
    kind: str, name: str, config: Path | None = None, settings: type | None = None
) -> Callable[[Factory], Factory]:
    """Decorator that files a class or function under `kind` and `name`.

    Args:
        kind: one of `KINDS`.
        name: begins with our prefix.
        config: of a dataset: the yaml of its defaults; None for `configs/datasets/<name without prefix>.yaml`.
        settings: of a dataset: the dataclass that is that yaml's twin.

    Raises:
        ValueError: for an unknown kind, a name without our prefix, or a name that is taken (MMF overwrites silently).
    """
    if kind not in _parts:
        raise ValueError(f"'{kind}' is not one of the kinds {', '.join(KINDS)}")
    if not name.startswith(PREFIX):
        raise ValueError(f"the name '{name}' has to begin with '{PREFIX}', so that it never clashes with MMF's own")

    def file_part(part: Factory) -> Factory:
        taken = _parts[kind].get(name)
        if taken is not None and taken.__qualname__ != part.__qualname__:
            raise ValueError(f"the {kind} '{name}' is registered already, by {taken.__module__}.{taken.__qualname__}")
        _parts[kind][name] = part
        if config is not None:
            _dataset_configs[name] = config
        if settings is not None:
            _dataset_settings[name] = settings
        for listener in _listeners:
            listener(kind, name)
        return part

    return file_part


def register_task(task: Task) -> None:
    """Files a task's record; a package that is imported again files it again.

    Raises:
        ValueError: where another dataset's task has its name.
    """
    taken = _tasks.get(task.name)
    if taken is not None and taken.dataset != task.dataset:
        raise ValueError(f"the task '{task.name}' is registered already, with the dataset {taken.dataset}")
    _tasks[task.name] = task


def listen(listener: Listener) -> None:
    """Calls `listener(kind, name)` for every part that is registered from now on. Safe to repeat."""
    if listener not in _listeners:
        _listeners.append(listener)


def import_parts() -> None:
    """Imports every module that files parts; a new file in a room, or folder in `tasks`, needs no other line.

    Folders of `tasks` that begin with an underscore are templates, and are left alone.
    """
    global _complete
    if _complete:
        return
    _complete = True
    for room in ROOMS:
        _import_all(f"mmf_visualbert.{room}")


def _import_all(package: str) -> None:
    """Imports all modules below a package. `pkgutil.walk_packages` would import the templates too."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if module.name.rpartition(".")[2].startswith("_"):
            continue
        importlib.import_module(module.name)
        if module.ispkg:
            _import_all(module.name)


def import_user_package(folder: str | Path) -> None:
    """Imports a user's own package, which files its parts and tasks, as MMF does with `env.user_dir`.

    Raises:
        InputError: where there is no package.
    """
    path = Path(folder).expanduser().resolve()
    if not (path / "__init__.py").is_file():
        raise InputError(f"{folder} is no package of yours, as it has no __init__.py; name the folder that has it")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    importlib.import_module(path.name)


@overload
def get(kind: Literal["dataset"], name: str) -> DatasetBuilder: ...
@overload
def get(kind: Literal["head"], name: str) -> type[Head]: ...
@overload
def get(kind: Literal["region_encoder"], name: str) -> Callable[..., RegionEncoder]: ...
@overload
def get(kind: Literal["loss"], name: str) -> Callable[..., Loss]: ...
@overload
def get(kind: Literal["metric"], name: str) -> Callable[..., Metric]: ...
@overload
def get(kind: str, name: str) -> Callable[..., Any]: ...
def get(kind: str, name: str) -> Callable[..., Any]:
    """The part registered under `kind` and `name`.

    Raises:
        InputError: where there is none; the message lists what there is.
    """
    if name not in _parts[kind]:
        import_parts()
    try:
        return _parts[kind][name]
    except KeyError:
        available = ", ".join(sorted(_parts[kind])) or "none"
        raise InputError(f"there is no {kind} named '{name}'; available: {available}") from None


def names(kind: str) -> list[str]:
    """All names registered under `kind`, sorted."""
    import_parts()
    return sorted(_parts[kind])


def dataset_config(name: str) -> Path:
    """The yaml with the defaults of the dataset registered as `name`."""
    return _dataset_configs.get(name, PACKAGE / "configs" / "datasets" / f"{name.removeprefix(PREFIX)}.yaml")


def dataset_settings(name: str) -> type | None:
    """The dataclass of the keys of `dataset_config.<name>`; None for a dataset that states none."""
    return _dataset_settings.get(name)


def tasks() -> dict[str, Task]:
    """All tasks by name, sorted."""
    import_parts()
    return dict(sorted(_tasks.items()))


def task(name: str) -> Task:
    """The task of this name.

    Raises:
        InputError: where there is none; the message lists what there is.
    """
    known = tasks()
    if name not in known:
        raise InputError(f"there is no task '{name}'; name one of {', '.join(known)}")
    return known[name]


def task_of_dataset(dataset: str) -> Task | None:
    """The task whose dataset is registered as `dataset`; None where there is none."""
    return next((task for task in tasks().values() if task.dataset == dataset), None)


class Keywords(NamedTuple):
    """The keywords of a part: all of them in order, and those that have to be given."""

    known: tuple[str, ...]
    required: tuple[str, ...]


def keywords(part: Callable[..., Any]) -> Keywords:
    """The typed keywords that a class or function takes."""
    function = _function(part)
    if function is None:
        return Keywords((), ())
    code = function.__code__
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]  # without *args and **kwargs
    known = tuple(name for name in function.__annotations__ if name in named)
    by_place = code.co_varnames[: code.co_argcount]
    optional = {*by_place[len(by_place) - len(function.__defaults__ or ()) :], *(function.__kwdefaults__ or {})}
    return Keywords(known, tuple(name for name in known if name not in optional))


def _function(part: Callable[..., Any]) -> Any:
    """What takes a part's keywords; None for a class without a constructor of its own."""
    if not isinstance(part, type):
        return part
    function: Any = part.__init__  # type: ignore[misc]
    return None if function is object.__init__ else function


def annotated(part: Callable[..., Any], keyword: str) -> type | None:
    """The yaml type that a keyword's annotation names (bool, int, float, str); None for more than one, or another."""
    annotation = _annotation(part, keyword)
    words = set(re.findall(r"\w+", annotation))
    if OF_OTHERS.search(annotation) or CONTAINERS & words:
        return None
    named = [scalar for scalar in SCALARS if scalar.__name__ in words]
    return named[0] if len(named) == 1 else None


def _takes_null(part: Callable[..., Any], keyword: str) -> bool:
    """Whether a keyword may be null: its annotation says so, or it is where it is not given."""
    if re.search(r"\b(None|Optional)\b", _annotation(part, keyword)):
        return True
    function = _function(part)
    code, by_place = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(by_place) : code.co_argcount]
    defaults = {**dict(zip(names, by_place, strict=True)), **(function.__kwdefaults__ or {})}
    return keyword in defaults and defaults[keyword] is None


def _annotation(part: Callable[..., Any], keyword: str) -> str:
    """A keyword's annotation as it is written."""
    function = _function(part)
    annotation = "" if function is None else function.__annotations__.get(keyword, "")
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def require_keywords(kind: str, name: str, given: Collection[str], beside: Collection[str] = ()) -> None:
    """Refuses keys that the part does not take, and missing ones that it needs.

    Args:
        kind: of the part.
        name: its own.
        given: the keys of a yaml's `params`.
        beside: keys that somebody else gives, and a yaml may not.

    Raises:
        InputError: naming the first.
    """
    takes = keywords(get(kind, name))
    free = [key for key in takes.known if key not in beside]
    unknown = sorted(set(given) - set(free))
    if unknown:
        raise InputError(f"the {kind} {name} knows no '{unknown[0]}'; it takes {', '.join(free) or 'nothing'}")
    missing = [key for key in takes.required if key not in given and key not in beside]
    if missing:
        raise InputError(f"the {kind} {name} needs '{missing[0]}'")


def require_types(kind: str, name: str, given: Mapping[str, Any]) -> None:
    """Refuses values of another type than the part's annotations name, where they name one of yaml's.

    Args:
        kind: of the part.
        name: its own.
        given: a yaml's `params`; what refers to other keys may be anything.

    Raises:
        InputError: naming the first.
    """
    part = get(kind, name)
    for key, value in given.items():
        wanted = annotated(part, key)
        if wanted is None or (value is None and _takes_null(part, key)):
            continue
        if isinstance(value, str) and "${" in value:
            continue
        if not isinstance(value, TAKEN.get(wanted, wanted)) or (isinstance(value, bool) and wanted is not bool):
            said = "null" if value is None else repr(value)
            raise InputError(f"the {kind} {name} has {key}: {said}; set it to {IN_WORDS[wanted]}")


def build(kind: str, given: Mapping[str, Any]) -> Any:
    """The part that a section of a yaml names, built: `type` is its name, `params` its keywords, if it has any.

    Raises:
        InputError: as `get`, and for keys that the part does not take, or values of another type.
    """
    params = given.get("params") or {}
    require_keywords(kind, given["type"], params)
    require_types(kind, given["type"], params)
    return get(kind, given["type"])(**params)
