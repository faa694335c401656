"""The report: one HTML file of a run, or of a chain of `visualbert reproduce`, without network and script."""

import base64
import importlib.metadata
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

import mmf_visualbert
from mmf_visualbert.analysis.explorer import environment, own_file
from mmf_visualbert.analysis.figures import BRIGHT, OTHER, STEADY
from mmf_visualbert.analysis.folders import Chain, RunFolder
from mmf_visualbert.analysis.judged import Bin, Judged
from mmf_visualbert.analysis.looks import size_of
from mmf_visualbert.analysis.pictures import data_uri
from mmf_visualbert.contracts import Task
from mmf_visualbert.reproduce.results import Point

PACKAGES = ("torch", "transformers", "mmf", "numpy")


class PaperRow(NamedTuple):
    """A number of ours beside the paper's, in per cent; None where there is none."""

    title: str
    ours: float | None
    paper: float | None


class Shown(NamedTuple):
    """An example with its picture: boxes are x, y, width, height."""

    judged: Judged
    pictures: list[dict[str, Any]]


def paper_rows(task: Task, variant: str, metrics: Mapping[str, float]) -> list[PaperRow]:
    """The columns of a task's table."""
    row = task.rows.get(variant)
    found = []
    for column in task.columns:
        ours = 100 * metrics[column.metric] if column.metric in metrics else None
        paper = None if row is None else row.values.get(column.title)
        if ours is not None or paper is not None:
            found.append(PaperRow(column.title, ours, paper))
    return found


def curves(run: RunFolder) -> str | None:
    """Loss, metrics and gradients over a run's updates, as an image; None where nothing was logged."""
    panels = panels_of(run.scalars)
    if not panels:
        return None
    with rc_context(STEADY):
        columns = min(3, len(panels))
        rows = -(-len(panels) // columns)
        figure = Figure(figsize=(3.6 * columns, 2.4 * rows), layout="constrained")
        for number, (title, lines) in enumerate(panels.items(), start=1):
            axes = figure.add_subplot(rows, columns, number)
            axes.set_title(title)
            for (name, points), colour in zip(lines.items(), (BRIGHT, OTHER), strict=False):
                style = "o-" if len(points) < 30 else "-"
                axes.plot([p.step for p in points], [p.value for p in points], style, color=colour, label=name, ms=3)
            axes.set_xlabel("updates")
            axes.spines[["top", "right"]].set_visible(False)
            if len(lines) > 1:
                axes.legend(fontsize=7)
        return svg_uri(figure)


def panels_of(scalars: Mapping[str, list[Point]]) -> dict[str, dict[str, list[Point]]]:
    """Tags of a log by what they measure; each metric of val has a panel."""
    panels: dict[str, dict[str, list[Point]]] = {}
    for tag, points in scalars.items():
        if len({point.step for point in points}) < 2:
            continue
        split, _, rest = tag.partition("/")
        name = tag if not rest else rest.rpartition("/")[2]
        if rest == "total_loss":
            panels.setdefault("loss", {})[split] = points
        elif not rest or split == "val":
            panels.setdefault(name.removeprefix("visualbert_").replace("_", " "), {})[split if rest else name] = points
    return dict(sorted(panels.items(), key=lambda item: item[0] != "loss"))


def calibration_figure(bins: Sequence[Bin]) -> str:
    """How many answers of a probability are right, as an image."""
    with rc_context(STEADY):
        figure = Figure(figsize=(3.6, 3.0), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1)
        most = max(each.answers for each in bins)
        sizes = [20 + 180 * each.answers / most for each in bins]
        axes.scatter([b.probability for b in bins], [b.accuracy for b in bins], s=sizes, c=BRIGHT, alpha=0.8)
        axes.set_xlabel("probability of the answer")
        axes.set_ylabel("right")
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.03)
        axes.spines[["top", "right"]].set_visible(False)
        return svg_uri(figure)


def svg_uri(figure: Figure) -> str:
    """A figure inside a `data:` address: an image, which can run nothing."""
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None}, facecolor="white")
    return "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()


def with_pictures(judged: Sequence[Judged], files: Mapping[str, Path], pixels: int = 360) -> list[Shown]:
    """Examples with their images, the answer's box, and the gold ones of what was asked."""
    shown = []
    for one in judged:
        pictures = []
        for number, (key, record) in enumerate(zip(one.depicted.images, one.depicted.records, strict=True)):
            gold = [
                box
                for each in one.depicted.boxes
                if each.image == number and each.label == one.about
                for box in each.boxes
            ]
            source = data_uri(files[key], pixels) if key in files else None
            said = [one.said.box] if one.said.box is not None else []
            boxes = {"gold": list(map(corner_and_size, gold)), "said": list(map(corner_and_size, said))}
            pictures.append({"key": key, "src": source, **size_of(record), **boxes})
        shown.append(Shown(one, pictures))
    return shown


def corner_and_size(box: Sequence[float]) -> tuple[float, float, float, float]:
    """x, y, width, height of x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    return x1, y1, x2 - x1, y2 - y1


def versions() -> str:
    """Of this package and what it runs on, as installed now."""
    found = [f"mmf_visualbert {mmf_visualbert.__version__}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def render(chain: Chain, **content: Any) -> str:
    """The page as text; `content` is what the template names."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    template = environment().get_template("report.html.j2")
    return template.render(chain=chain, style=own_file("page.css"), policy=policy, **content)
