"""The commands `mmf_run` and `mmf_predict`: MMF's own, with bad input told in one line."""

import importlib


def run() -> None:
    """`mmf_run`: train and evaluate."""
    importlib.import_module("mmf_cli.run").run()


def predict() -> None:
    """`mmf_predict`: write predictions."""
    importlib.import_module("mmf_cli.predict").predict()
