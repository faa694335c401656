"""One HTML page of a run, or of a chain of `visualbert reproduce`: numbers, curves, calibration, examples.

visualbert report save/vqa2/defaults
visualbert report save/reproduce/nlvr2/full-sample-1 --count 500 --out report.html
"""

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmf_visualbert.errors import InputError

if TYPE_CHECKING:
    from mmf_visualbert.analysis.folders import Chain
    from mmf_visualbert.contracts import Task
    from mmf_visualbert.runs import RunOfModel

SAMPLE = "The sample world is not the paper's data: only the order of variants can be compared."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the examples, the page."""
    parser.set_defaults(run=run, intermixed=True)
    parser.add_argument("folder", type=Path, help="a run's save folder, or a chain's of visualbert reproduce")
    parser.add_argument("--out", type=Path, help="the page (FOLDER/report.html)")
    parser.add_argument(
        "--split", default="val", choices=["train", "val", "test"], help="of the examples (%(default)s)"
    )
    parser.add_argument("--count", type=int, default=300, help="examples asked, evenly over the split (%(default)s)")
    parser.add_argument("--shown", type=int, default=6, help="best and worst examples with pictures (%(default)s)")
    parser.add_argument("--images", type=Path, nargs="+", help="folders with the images' files (env.data_dir/images)")
    parser.add_argument("overrides", nargs="*", help="key=value over the run's config; as env.data_dir=data/sample")


def run(options: argparse.Namespace) -> None:
    """Reads the folder, asks the model, writes the page."""
    from mmf_visualbert import catalog
    from mmf_visualbert.analysis import report
    from mmf_visualbert.analysis.folders import read_folder
    from mmf_visualbert.files import write_text
    from mmf_visualbert.runs import load_checkpoint

    chain = read_folder(options.folder)
    last = chain.runs[-1]
    config = load_checkpoint(last.checkpoint).get("config") or {}
    dataset = str(config.get("datasets", "")).split(",")[0].strip()
    task = catalog.task_of_dataset(dataset)
    notes = [f"{each.name} warned: {line}" for each in chain.runs for line in each.warnings]
    asked = ask(options, chain, task, notes)
    metrics = chain.result.get("metrics") or last.metrics
    variant = str(chain.result.get("variant", "full"))
    rows = report.paper_rows(task, variant, metrics) if task is not None else []
    row = None if task is None else task.rows.get(variant)
    content = {
        "title": f"{task.title if task else dataset or last.name}: {options.folder.resolve().name}",
        "headline": headline(rows, asked),
        "facts": facts(chain, config),
        "rows": rows,
        "label": f"{row.label} ({row.table})" if row is not None else "",
        "scale_note": SAMPLE if chain.result.get("scale") == "sample" else "",
        "curves": [report.curves(each) for each in chain.runs],
        "notes": notes,
        **asked,
    }
    out = options.out or options.folder / "report.html"
    write_text(out, report.render(chain, **content))
    print(f"report: {out}")


def ask(options: argparse.Namespace, chain: "Chain", task: "Task | None", notes: list[str]) -> dict[str, Any]:
    """What the model says of examples, for the page; why it says nothing goes to the notes."""
    from mmf_visualbert.runs import read_model

    empty: dict[str, Any] = {"shares": []}
    if task is None or options.count < 1:
        notes.append("no example was asked: the data are of no task that is known, or --count is 0")
        return empty
    try:
        loaded = read_model(chain.runs[-1].checkpoint, overrides=options.overrides)
        return judged(options, loaded, task, notes) or empty
    except InputError as error:
        notes.append(f"no example was asked: {error}")
        return empty


def judged(options: argparse.Namespace, loaded: "RunOfModel", task: "Task", notes: list[str]) -> dict[str, Any]:
    """Asks examples of a split; empty where nothing can be judged."""
    from mmf_visualbert.analysis import judged as judging
    from mmf_visualbert.analysis import report
    from mmf_visualbert.analysis.explorer import spread
    from mmf_visualbert.analysis.pictures import find_pictures
    from mmf_visualbert.runs import plain, read_dataset

    dataset = read_dataset(loaded, options.split)
    wanted = spread(options.count, len(dataset))
    answers, left_out = judging.judge(loaded, dataset, task, wanted)
    notes += [f"{count} examples were left out: {reason}" for reason, count in left_out.items()]
    if not answers:
        return {}
    best, worst = judging.best_and_worst(answers, options.shown)
    folders = options.images or [Path(str(plain(loaded.config, "env").get("data_dir", "."))) / "images"]
    keys = {key for one in (*best, *worst) for key in one.depicted.images}
    files = find_pictures(folders, keys)
    if len(files) < len(keys):
        notes.append(f"{len(keys) - len(files)} images have no file in {', '.join(map(str, folders))}")
    bins, error = judging.calibration(answers)
    return {
        "shares": judging.shares(answers),
        "asked": f"{len(wanted)} of {len(dataset)} examples of {options.split}; an answer is right or not",
        "calibration": report.calibration_figure(bins),
        "calibration_error": error,
        "confusions": judging.confusions(answers),
        "best": report.with_pictures(best, files),
        "worst": report.with_pictures(worst, files),
    }


def headline(rows: list[Any], asked: dict[str, Any]) -> str:
    """The first number of the task's table, and how many of the asked answers are right."""
    parts = [f"{rows[0].title} {rows[0].ours:.2f} on val"] if rows and rows[0].ours is not None else []
    if asked["shares"]:
        one = asked["shares"][0]
        low, high = (100 * x for x in one.interval)
        parts.append(f"{100 * one.accuracy:.1f} % of {one.answers} answers are right (95 %: {low:.1f} to {high:.1f})")
    return "; ".join(parts)


def facts(chain: "Chain", config: dict[str, Any]) -> list[tuple[str, str]]:
    """The header."""
    from mmf_visualbert.analysis.folders import sha256
    from mmf_visualbert.analysis.report import versions
    from mmf_visualbert.analysis.subjects import detector_of

    last = chain.runs[-1]
    made = datetime.datetime.fromtimestamp(last.checkpoint.stat().st_mtime).isoformat(" ", "minutes")
    found = [("checkpoint", f"{last.checkpoint}, of {made}"), ("sha256", sha256(last.checkpoint))]
    if chain.result:
        names = ("task", "variant", "scale", "seed")
        found.append(("chain", ", ".join(f"{name} {chain.result.get(name)}" for name in names)))
    found.append(("seed", str((config.get("training") or {}).get("seed", "not known"))))
    found.append(("detector", detector_of(config) or "not known: the run's stores are gone, or state nothing"))
    found += [(f"command, {each.name}", each.command) for each in chain.runs if each.command]
    return [*found, ("config", str(last.checkpoint.parent / "config.yaml")), ("installed now", versions())]
