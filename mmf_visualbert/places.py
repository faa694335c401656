"""Where our yaml lies, beside the package in a checkout, inside it where it is installed; what a run writes where."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOTS = (PACKAGE.parent, PACKAGE)  # of a checkout, and of an installed package
MODEL_YAML = PACKAGE / "configs" / "models" / "visualbert.yaml"
METRICS = "metrics.jsonl"  # in the folder of a run, see plugin/run_metrics.py
FINAL = "visualbert_final.pth"  # what MMF writes last into that folder
PROJECT = f"projects{os.sep}visualbert{os.sep}"


def project_configs() -> Path:
    """The folder `projects/visualbert/configs` of this package."""
    return next(root for root in ROOTS if (root / PROJECT).is_dir()) / PROJECT / "configs"


def our_path(path: str) -> str | None:
    """The file of the working folder or of this package that `path` means from `projects/visualbert` on, if any."""
    start = path.rfind(PROJECT)
    if start == -1:
        return None
    for root in (Path.cwd(), *ROOTS):
        if (root / path[start:]).is_file():
            return str(root / path[start:])
    return None


def find_config(path: Path) -> Path:
    """`path` itself where it is there; else the file of ours that it means, if any."""
    ours = None if path.exists() else our_path(str(path))
    return path if ours is None else Path(ours)
