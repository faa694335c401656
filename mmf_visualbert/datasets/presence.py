"""Whether the files that a dataset's configuration names are there: looked at before anything is fetched."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmf_visualbert.errors import InputError

SPLITS = ("train", "val", "test")


class Wanted(NamedTuple):
    """A file that a configuration names.

    Attributes:
        key: where, as `annotations.train`.
        path: as it is looked for.
    """

    key: str
    path: Path


def require_files(name: str, section: Mapping[str, Any], splits: Collection[str] = SPLITS) -> None:
    """Refuses to begin where annotations are missing, saying which belong where, and how to try it without them.

    Args:
        name: of the dataset.
        section: `dataset_config.<name>`, resolved.
        splits: those that the run needs.

    Raises:
        InputError: naming the files that are missing.
    """
    wanted = [one for one in _wanted(section) if one.key.rpartition(".")[2] in splits]
    missing = [one for one in wanted if not one.path.exists()]
    if not missing:
        return
    folder = Path(str(section.get("data_dir", "."))).absolute()
    if len(missing) == len(wanted):
        features = section.get("features")
        stores = f", with region features as `features` names them ({_first(features)}, ...)" if features else ""
        raise InputError(
            f"none of the files of {name} are there: below {folder} belong {_listed(missing, folder)}{stores}; put "
            f"them there or name your folder with env.data_dir=DIR, or try a generated sample: `visualbert sample-data "
            f"--out data/sample`, then {_sample(name)}"
        )
    raise InputError(
        f"{missing[0].path} does not exist, which `{missing[0].key}` of {name} names, nor do {len(missing) - 1} more "
        f"of {len(wanted)} annotation files; put the file there, or name the right one: dataset_config.{name}."
        f"{missing[0].key}=[FILE] (a run that trains needs train and val, one with run_type=test that split alone; for "
        "a split that the task has not, another split's files do)"
    )


def first_missing(section: Mapping[str, Any], split: str) -> Path | None:
    """The first file of annotations, or store of features, of a split that is not there; None where all are."""
    wanted = [*_wanted(section), *_wanted(section, "features")]
    return next((one.path for one in wanted if one.key.endswith(f".{split}") and not one.path.exists()), None)


def _wanted(section: Mapping[str, Any], kind: str = "annotations") -> Iterator[Wanted]:
    folder = Path(str(section.get("data_dir", ".")))
    files = section.get(kind)
    for split in SPLITS if isinstance(files, Mapping) else ():
        names = files.get(split) or ()  # type: ignore[union-attr]
        for name in [names] if isinstance(names, str) else names:
            if isinstance(name, str) and name and "\0" not in name:
                yield Wanted(f"{kind}.{split}", folder / name)


def _listed(missing: list[Wanted], folder: Path) -> str:
    paths = dict.fromkeys(one.path.absolute() for one in missing)
    return ", ".join(str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path) for path in paths)


def _first(features: Any) -> str:
    names = (
        next((features[split] for split in SPLITS if features.get(split)), ()) if isinstance(features, Mapping) else ()
    )
    return names if isinstance(names, str) else next(iter(names), "a store")


def _sample(name: str) -> str:
    if name == "visualbert_vqa2":
        return "`mmf_run config=projects/visualbert/configs/vqa2/sample.yaml env.data_dir=data/sample`"
    return "`visualbert reproduce --scale sample env.data_dir=data/sample` with the --task and --variant of this run"
