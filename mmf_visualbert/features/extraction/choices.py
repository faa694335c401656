"""What a command line of extraction may choose from; torch is not needed to list it."""

from pathlib import Path

DETECTORS = Path(__file__).resolve().parents[2] / "configs" / "detectors"
KEYS = ("path", "name")
"""Keys of images: their path below a root, or their name alone."""
PRECISIONS = ("fp32", "bf16", "fp16")


def detectors() -> list[str]:
    """Names of all presets."""
    return sorted(path.stem for path in DETECTORS.glob("*.yaml"))
