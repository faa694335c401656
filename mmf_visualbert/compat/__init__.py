"""The only place that knows which MMF, torch, transformers or omegaconf is installed."""


def activate() -> None:
    """Placeholder until the hook lands."""
