"""A page that shows what a model looks at, example by example: one HTML file that needs no network.

visualbert explore save/vqa2/defaults/best.ckpt --count 50 --images data/sample/images --out explore.html

The examples are of the split that the checkpoint's run was trained beside; key=value at the end says where its data lie
now. Or your own: --text "What color is the cat?" with --image KEY --features STORE or --image FILE --detector NAME.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.contracts import Depicted, Task
    from mmf_visualbert.runs import RunOfModel


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, the examples, the page."""
    parser.set_defaults(run=run, intermixed=True)
    parser.add_argument("checkpoint", type=Path, help="a .ckpt or .pth of a run, with its config")
    parser.add_argument("--out", type=Path, default=Path("explore.html"), help="the page (%(default)s)")
    parser.add_argument("--split", default="val", choices=["train", "val", "test"])
    parser.add_argument("--count", type=int, default=50, help="examples, evenly over the split (%(default)s)")
    parser.add_argument("--names", nargs="+", help="examples by name in place of --count, as the page calls them")
    parser.add_argument("--images", type=Path, nargs="+", help="folders with the images' files (env.data_dir/images)")
    parser.add_argument("--heads", type=Path, help="csv of visualbert analyze entity, for the best head of a layer")
    parser.add_argument("--text", help="your own text, in place of a split")
    parser.add_argument("--image", nargs="+", help="its images: keys in --features; files where --detector is given")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--features", nargs="+", help="feature stores, searched in this order")
    source.add_argument("--detector", help="preset or yaml, see visualbert extract")
    parser.add_argument("--weights", default="zoo", help="of the detector: a file, or 'zoo'")
    parser.add_argument("--vocabulary", type=Path, help="a vocab.txt, where the one that the run names is gone")
    parser.add_argument("--title", help="of the page")
    parser.add_argument("--image-size", type=int, default=640, help="pixels of a picture's longer side (%(default)s)")
    parser.add_argument("--megabytes", type=float, default=20, help="the page may have at most (%(default)s)")
    parser.add_argument("overrides", nargs="*", help="key=value over the run's config; as env.data_dir=data/sample")


def run(options: argparse.Namespace) -> None:
    """Watches the model, writes the page."""
    from mmf_visualbert import catalog
    from mmf_visualbert.analysis import explorer
    from mmf_visualbert.analysis.watching import WatchedModel
    from mmf_visualbert.runs import read_model

    if (options.text is None) != (options.image is None):
        raise InputError("--text and --image belong together; give both, or neither for examples of a split")
    if options.count < 1:
        raise InputError(f"--count {options.count} leaves no example; give a number from 1 up")
    loaded = read_model(options.checkpoint, options.vocabulary, options.overrides)
    model = WatchedModel(loaded.parts, loaded.text, loaded.regions)
    task = catalog.task_of_dataset(loaded.dataset)
    page = explorer.Page(options.title or f"What {options.checkpoint.parent.name} looks at")
    page.facts = [
        ("checkpoint", str(options.checkpoint)),
        ("data", loaded.dataset),
        ("heads", ", ".join(loaded.parts.heads)),
    ]
    if options.text is None:
        examples, folders = of_split(options, loaded, task)
    else:
        examples, folders = (
            of_ones_own(options),
            [*(Path(name).parent for name in options.image), *(options.images or ())],
        )
    explorer.explore(page, model, examples, task, folders, options.image_size)
    if options.heads is not None and page.looks:
        page.best = explorer.best_heads(options.heads, page.layers, page.heads)
    size = explorer.write(page, options.out, options.megabytes)
    for reason, count in page.left_out.items():
        print(f"{count} left out: {reason}")
    if page.blank:
        print(
            f"{page.blank} images have no file in {', '.join(map(str, folders))}; their boxes stand on a blank canvas"
        )
    print(f"{len(page.looks)} examples, {size / 1e6:.1f} MB: {options.out}")


def of_split(
    options: argparse.Namespace, loaded: "RunOfModel", task: "Task | None"
) -> "tuple[Iterator[tuple[Depicted, dict[str, Any] | None]], list[Path]]":
    """Examples of the run's own data, and where their images lie."""
    from mmf_visualbert.analysis import explorer
    from mmf_visualbert.runs import read_dataset

    if task is None or task.depict is None:
        raise InputError(
            f"examples of {loaded.dataset} cannot be shown from their files; give --text and --image in their place"
        )
    dataset = read_dataset(loaded, options.split)
    if options.names:
        places = {task.depict(dataset, index).name: index for index in range(len(dataset))}
        missing = [name for name in options.names if name not in places]
        if missing:
            raise InputError(f"the split '{options.split}' has no example {missing[0]}; one is {next(iter(places))}")
        wanted = [places[name] for name in options.names]
    else:
        wanted = explorer.spread(options.count, len(dataset))
    return explorer.depicted(dataset, task, wanted), options.images or folders_of(loaded)


def folders_of(loaded: "RunOfModel") -> list[Path]:
    """Where the images of a run's data lie: its own `images`, and those of `env.data_dir`."""
    from mmf_visualbert.runs import plain

    section = plain(loaded.config, f"dataset_config.{loaded.dataset}")
    named = section.get("images") or []
    data = Path(str(plain(loaded.config, "env").get("data_dir", ".")))
    own = [Path(str(section.get("data_dir", data))) / name for name in ([named] if isinstance(named, str) else named)]
    return [*own, data / "images"]


def of_ones_own(options: argparse.Namespace) -> "Iterator[tuple[Depicted, dict[str, Any] | None]]":
    """One text with its images."""
    from mmf_visualbert.analysis.subjects import require_same_detector
    from mmf_visualbert.contracts import Depicted
    from mmf_visualbert.features.store import FeatureStore
    from mmf_visualbert.pretrained import VisualBERT

    if not options.features and not options.detector:
        raise InputError("the images' regions come from --features or from --detector; give one of them")
    if options.features:
        keys, store = tuple(options.image), FeatureStore(options.features)
        require_same_detector(options.checkpoint, store)
        records = [store.read(key) for key in keys]
    else:
        keys = tuple(Path(name).stem for name in options.image)
        model = VisualBERT.from_pretrained(
            options.checkpoint,
            vocabulary=options.vocabulary,
            detector=options.detector,
            detector_weights=options.weights,
        )
        records = model.records(options.image, len(options.image))
    yield Depicted("yours", keys, tuple(records), options.text), None
