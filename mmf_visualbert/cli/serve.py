"""A page on this machine that asks a model: photograph, text, answers, and where its words look.

visualbert serve save/vqa2/defaults/best.ckpt --features data/sample/features/vqa2/val2014.lmdb \\
    --images data/sample/images
visualbert serve save/vqa2/defaults/best.ckpt --detector pythia_x152

It answers this machine's browsers alone, at 127.0.0.1. For more than that, examples/serve.py is a start.
"""

import argparse
import socket
from pathlib import Path

from mmf_visualbert.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, its images, the port."""
    parser.set_defaults(run=run, intermixed=True)
    parser.add_argument("checkpoint", help="whatever visualbert predict takes")
    parser.add_argument("--features", nargs="+", help="feature stores, for images by key")
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="folders with these images' files")
    parser.add_argument("--detector", help="for photographs: preset or yaml, see visualbert extract")
    parser.add_argument("--weights", default="zoo", help="of the detector: a file, 'zoo' or random:SEED")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--port", type=int, default=8321, help="%(default)s; 0 takes a free one")
    parser.add_argument("--megabytes", type=float, default=20, help="a question may have at most (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="an answer may take at most (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """Serves until Ctrl-C."""
    from mmf_visualbert.compat.optional import require

    uvicorn, _ = (require(package, "visualbert serve") for package in ("uvicorn", "fastapi"))
    from mmf_visualbert.features.store import FeatureStore
    from mmf_visualbert.pretrained import VisualBERT
    from mmf_visualbert.serving.app import build_app
    from mmf_visualbert.serving.asking import Asker, Limits

    model = VisualBERT.from_pretrained(
        options.checkpoint,
        vocabulary=options.vocabulary,
        detector=options.detector,
        detector_weights=options.weights,
    )
    store = FeatureStore(options.features) if options.features else None
    if store is None and model.detector is None:
        raise InputError("images come from --features or from --detector; give one of them")
    limits = Limits(size=int(options.megabytes * 1e6), seconds=options.seconds)
    app = build_app(Asker(model, store, options.images, limits))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=options.port, log_level="warning"))
    with bound(options.port) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        server.run(sockets=[listening])


def bound(port: int) -> socket.socket:
    """A socket of this machine alone.

    Raises:
        InputError: for a port that is taken, or is none.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(
            f"port {port} cannot be had ({error}); give another with --port, or 0 for a free one"
        ) from error
    return listening
