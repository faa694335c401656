"""Where the files of a split are, by a dataset's configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmf_visualbert.errors import InputError


def configured_paths(config: Mapping[str, Any], section: str, split: str) -> list[Path]:
    """The paths of one split in a dataset's configuration, relative ones below its `data_dir`.

    Args:
        config: `dataset_config.<name>`.
        section: "annotations" or "features".
        split: "train", "val" or "test".

    Raises:
        InputError: where the configuration leaves the split out.
    """
    given = (config.get(section) or {}).get(split)
    if not given:
        raise InputError(
            f"the split '{split}' is left out of the configuration; set `{section}.{split}` in the dataset's "
            "configuration (MMF wants all three splits: let it name another split's files if the task has none)"
        )
    paths = [given] if isinstance(given, str | Path) else list(given)
    return [Path(config.get("data_dir") or ".") / path for path in paths]
