"""Where the files of a split are, by a dataset's configuration."""

from dataclasses import dataclass
from pathlib import Path

from mmf_visualbert.errors import InputError


@dataclass(frozen=True)
class Files:
    """The files of the three splits, as a configuration has them; empty where a split is left out."""

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def of(self, split: str) -> tuple[str, ...]:
        """Those of one split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def configured_paths(data_dir: Path, files: Files, section: str, split: str) -> list[Path]:
    """The paths of one split in a dataset's configuration, relative ones below its `data_dir`.

    Args:
        data_dir: of the configuration.
        files: its section.
        section: what the section is called: "annotations" or "features".
        split: "train", "val" or "test".

    Raises:
        InputError: where the configuration leaves the split out.
    """
    paths = files.of(split)
    if not paths:
        raise InputError(
            f"the split '{split}' is left out of the configuration; set `{section}.{split}` in the dataset's "
            "configuration (MMF wants all three splits: let it name another split's files if the task has none)"
        )
    return [data_dir / path for path in paths]
