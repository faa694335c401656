"""Tables of the measured figures, drawn from `benchmarks/*.json` into the pages, so that no figure is typed by hand.

visualbert benchmark table README.md docs/speed.md docs/features.md benchmarks/records.md
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmf_visualbert.benchmark import feature_tables
from mmf_visualbert.benchmark.workloads import WORKLOADS
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_json, read_text, write_text

MARK = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
TEXTS = {"vqa": "questions", "pretrain": "pairs of captions", "nlvr2": "sentences"}
TEXTS |= {"vcr_answer": "questions", "vcr_rationale": "questions"}
RIVALS = {"mmf_fp32": "MMF's `visual_bert`, fp32", "hf_fp32": "transformers' `VisualBert*`, fp32"}
RIVALS |= {"mmf_bf16": "MMF's `visual_bert`, bf16", "hf_bf16": "transformers' `VisualBert*`, bf16"}
OURS = {"ours_fp32": "ours, fp32", "ours_bf16": "ours, bf16"}
WITHOUT = ("target", "keys", "opening", "samples", "features", "extract")  # benchmarks without contenders
TWINS = {"on": "as shipped", "off": "without"}

Found = Mapping[str, Any]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Draws the tables of the pages anew.

    Raises:
        InputError: for a page without a table, or a table that nobody draws.
    """
    found = read(options.folder)
    changed = []
    for page in options.pages:
        before = read_text(page)
        after = drawn(before, found, str(page))
        if after != before:
            write_text(page, after)
            changed.append(str(page))
    return {"pages": [str(page) for page in options.pages], "changed": changed}


def read(folder: Path) -> list[Found]:
    """The figures of all files of a folder that measured steps or runs, in the order of their names."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder} holds no .json; name the folder of the measured figures with --folder")
    return [found for found in map(read_json, files) if found.get("contenders") or found.get("benchmark") in WITHOUT]


def drawn(page: str, found: Sequence[Found], name: str) -> str:
    """The text of a page with its tables drawn anew.

    Args:
        page: the text; a table stands between `<!-- table: steps -->` and `<!-- end of table -->`.
        found: what was measured.
        name: of the page, for errors.

    Raises:
        InputError: where it has no table, or one of another name than those of `TABLES`.
    """

    def draw(mark: re.Match[str]) -> str:
        if mark["name"] not in TABLES:
            raise InputError(f"{name} asks for the table '{mark['name']}'; name one of {', '.join(TABLES)}")
        return mark[1] + TABLES[mark["name"]](found) + "\n" + mark[3]

    text, count = MARK.subn(draw, page)
    if not count:
        raise InputError(f"{name} has no <!-- table: name --> to draw between; put one where the figures shall stand")
    return text


def steps(found: Sequence[Found]) -> str:
    """Seconds a step, and in brackets ours against the rival: training first, then inference."""
    ordered = sorted((each for each in found if each.get("benchmark") in ("train", "infer")), key=_place)
    return _table(ordered, "`visualbert benchmark`", lambda figures: f"{figures['seconds']['median']:.2f}", "time")


def memory(found: Sequence[Found]) -> str:
    """MiB at the peak of a step, and in brackets ours against the rival beyond what no implementation does without."""
    ordered = sorted((each for each in found if each.get("benchmark") in ("train", "infer")), key=_place)
    return _table(ordered, "MiB at the peak", lambda figures: f"{figures['peak_mib']:,.0f}", "memory_beyond_fixed")


def peak(found: Sequence[Found]) -> str:
    """The share of the machine's matrix products that a step makes use of, where it was measured.

    VCR is left out, whose image's convolutions are not counted.
    """
    measured = [each for each in found if each.get("matrix_peak") and WORKLOADS[each["workload"]].lengths]
    return _table(
        sorted(measured, key=_place),
        "Share of the matrix peak",
        lambda figures: f"{100 * figures['share_of_matrix_peak']:.0f} %",
    )


def runs(found: Sequence[Found]) -> str:
    """Whole runs: seconds an update and of the CPU, the first update, memory, and where the time goes."""
    rows = [[*RUN_COLUMNS], ["---"] * len(RUN_COLUMNS)]
    for each in (one for one in found if one.get("benchmark") == "run"):
        for label, figures in each["contenders"].items():
            seconds, shares = figures["seconds"]["median"], figures.get("shares", {})
            row = [
                f"{each['workload']}, {each['batch']} {TEXTS.get(each['workload'], 'texts')}{_of(each)}",
                _machine(each),
                label.replace("_", ", ", 2).replace("_", " "),
            ]
            row += [f"{seconds:.2f}", f"{figures['cpu_seconds']:.2f}", f"{figures['first_update']:.1f}"]
            row += [f"{figures['peak_mib']:,.0f}"]
            row += [f"{100 * shares[name]:.1f} %" if name in shares else "" for name in ("data", "model", "loop")]
            rows.append(row)
    return "\n".join(_row(row) for row in rows)


def records(found: Sequence[Found]) -> str:
    """How long a run took to the fixed target, the first record first."""
    reached = sorted((each for each in found if each.get("benchmark") == "target"), key=lambda each: each["date"])
    table = [[*RECORD_COLUMNS], ["---"] * len(RECORD_COLUMNS)]
    for each in reached:
        target = f"{100 * each['target']:.0f} %"
        figures = [f"{each['seconds']:.1f}", f"{each['cpu_seconds']:.1f}", str(each["update"])]
        table.append([each["date"], target, *figures, _machine(each), each["change"], f"`{each['command']}`"])
    return "\n".join(_row(row) for row in table)


def keys(found: Sequence[Found]) -> str:
    """Accuracy with the keys that are on by default and without them, for each seed and in the mean."""
    table = []
    for each in (one for one in found if one.get("benchmark") == "keys"):
        seeds = list(each["on"])
        table += [["", *(f"seed {seed}" for seed in seeds), "mean"], ["---"] * (len(seeds) + 2)]
        for name, said in TWINS.items():
            values = [100 * each[name][seed] for seed in seeds]
            table.append([said, *(f"{value:.2f}" for value in (*values, sum(values) / len(values)))])
    return "\n".join(_row(row) for row in table)


def openings(found: Sequence[Found]) -> str:
    """How long training splits of the full size take to open."""
    table = [[*OPENING_COLUMNS], ["---"] * len(OPENING_COLUMNS)]
    for each in (one for one in found if one.get("benchmark") == "opening"):
        what = f"{each['samples']:,} {TEXTS[each['workload']]} of {each['images']:,} images{_changed(each)}"
        figures = [f"{each[name]:.1f}" for name in ("seconds", "cpu_seconds")]
        table.append([what, _machine(each), *figures, *(f"{each[name]:.0f}" for name in ("mib", "worker_mib"))])
    return "\n".join(_row(row) for row in table)


def samples(found: Sequence[Found]) -> str:
    """What making a sample for training costs one core, as shipped and with the keys that were set."""
    table = [[*SAMPLE_COLUMNS], ["---"] * len(SAMPLE_COLUMNS)]
    for each in (one for one in found if one.get("benchmark") == "samples"):
        for name, figures in each["microseconds"].items():
            row = [f"{TEXTS[each['workload']]}{_changed(each) if name == 'changed' else ''}", _machine(each)]
            row += [f"{figures[way]:.0f}" for way in ("alone", "stacked", "first_epoch")]
            table.append([*row, f"{1e6 / figures['stacked']:,.0f}"])
    return "\n".join(_row(row) for row in table)


def _of_rows(rows: Callable[[Sequence[Found]], list[list[str]]]) -> Callable[[Sequence[Found]], str]:
    return lambda found: "\n".join(_row(row) for row in rows(found))


OPENING_COLUMNS = ("a training split", "machine", "s", "s of the CPU", "MiB", "MiB of a worker, of four")
SAMPLE_COLUMNS = ("samples of", "machine", "µs a sample", "in batches", "in the first epoch", "a second, in batches")
RECORD_COLUMNS = ("date", "target", "seconds", "of the CPU", "updates", "machine", "change", "command")
RUN_COLUMNS = (
    *("`mmf_run`", "machine", "who", "s an update", "s of the CPU", "first update after", "MiB"),
    *("data", "model", "loop"),
)
TABLES: dict[str, Callable[[Sequence[Found]], str]] = {
    **{"steps": steps, "memory": memory, "peak": peak},
    **{"runs": runs, "records": records, "keys": keys, "openings": openings, "samples": samples},
    **{name: _of_rows(rows) for name, rows in feature_tables.TABLES.items()},
}


def _place(found: Found) -> tuple[int, int]:
    return (found["benchmark"] == "infer", list(WORKLOADS).index(found["workload"]))


def _table(found: Sequence[Found], first: str, cell: Callable[[Found], str], ratio: str | None = None) -> str:
    labels = [label for label in (*OURS, *RIVALS) if any(label in each["contenders"] for each in found)]
    names = {**OURS, **RIVALS}
    rows = [[first, "batch", "machine", *(names[label] for label in labels)]]
    rows.append(["---"] * len(rows[0]))
    for each in found:
        row = [_called(each), _batch(each), _machine(each)]
        for label in labels:
            row.append(_cell(each, label, cell, ratio) if label in each["contenders"] else "")
        rows.append(row)
    return "\n".join(_row(row) for row in rows)


def _called(found: Found) -> str:
    workload = found["workload"]
    return f"`{found['benchmark']}` (VQA)" if workload == "vqa" else f"`{found['benchmark']} --workload {workload}`"


def _changed(found: Found) -> str:
    """The keys that were set, by their last names."""
    return "".join(f", `{word.rpartition('.')[2]}`" for word in found.get("overrides", ()))


def _of(found: Found) -> str:
    """How many images a run's data had, where they are not the few that a step needs."""
    if not found.get("regions"):
        return ""
    return f", of {found['images']:,} images with {_counted(found['regions'], 'region')} each"


def _batch(found: Found) -> str:
    images = WORKLOADS[found["workload"]].images
    regions = f"{images} x {found['regions']}" if images > 1 else str(found["regions"])
    return f"{found['batch']} {TEXTS.get(found['workload'], 'texts')}, {regions} regions"


def _machine(found: Found) -> str:
    """The processor; what it can where that was written down, which decides whether bf16 is worth anything."""
    machine = found["machine"]
    parts = [machine["gpu"] or machine["cpu"], None if machine["gpu"] else _counted(machine["threads"], "thread")]
    return ", ".join(part for part in (*parts, machine.get("instructions")) if part)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _cell(found: Found, label: str, cell: Callable[[Found], str], ratio: str | None) -> str:
    """A figure, and behind a rival's ours against it."""
    text = cell(found["contenders"][label])
    ratios = [found["ratios"].get(f"{ours}/{label}") for ours in OURS]
    against = "; ".join(f"{each[ratio]:.2f}" for each in ratios if each and ratio in each)
    return f"{text} ({against})" if against else text


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
