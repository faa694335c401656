"""Figures 3 and 4 of the paper, as SVG and PNG."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmf_visualbert.analysis.grounding import ACTIVE, HeadAccuracies
from mmf_visualbert.analysis.perturbation import Curve
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import writing

# Told apart by those who see no red or green, and in grey.
BRIGHT, OTHER = "#0b6e8f", "#c2410c"
LIGHT = "#9cc9d8"
STEADY: dict[Any, Any] = {"svg.hashsalt": "visualbert", "font.size": 9, "svg.fonttype": "path"}
PIXELS_AN_INCH = 160


def figure_3(result: HeadAccuracies) -> Figure:
    """Accuracy by layer; heads that give regions less than a fifth are small and light (footnote 5)."""
    with rc_context(STEADY):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        draw_heads(axes, result, BRIGHT, LIGHT)
        draw_baselines(axes, result)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("entity grounding accuracy (%)")
        axes.legend(loc="upper left", fontsize=7, framealpha=0.8)
    return figure


def figure_4(relations: Mapping[str, tuple[HeadAccuracies | None, HeadAccuracies | None]]) -> Figure:
    """A panel a relation.

    Args:
        relations: name -> heads asked at the governor for its dependent's region, and at the dependent for its
            governor's; None where the data have no such pair.
    """
    with rc_context(STEADY):
        columns = min(len(relations), 2)
        rows = -(-len(relations) // max(columns, 1))
        figure = Figure(figsize=(3.4 * columns, 2.7 * rows), layout="constrained")
        for number, (name, (down, up)) in enumerate(relations.items(), start=1):
            axes = figure.add_subplot(rows, columns, number)
            axes.set_title(name)
            for result, colour, shape, shift in ((down, BRIGHT, "o", -0.15), (up, OTHER, "^", 0.15)):
                if result is not None:
                    draw_heads(axes, result, colour, colour, shape, shift)
                    draw_baselines(axes, result, colour, named=False)
            if down is None and up is None:
                axes.text(0.5, 0.5, "not in the data", transform=axes.transAxes, ha="center")
                axes.set_xticks([])
                axes.set_yticks([])
            axes.set_ylim(bottom=0)  # when all is drawn: it holds the top, too
            axes.set_ylabel("accuracy (%)")
        figure.legend(handles=_directions(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def _directions() -> list[Line2D]:
    """What the marks and lines of Figure 4 mean."""
    marks = (("o", BRIGHT, "at the governor, its dependent's region"), ("^", OTHER, "at the dependent, its governor's"))
    return [
        *(Line2D([], [], color=colour, marker=mark, linestyle="", label=label) for mark, colour, label in marks),
        Line2D([], [], color="0.45", linewidth=1, label="most confident region, with its interval"),
        Line2D([], [], color="0.45", linewidth=1, linestyle=":", label="region at random"),
    ]


def draw_heads(
    axes: Axes, result: HeadAccuracies, colour: str, light: str, shape: str = "o", shift: float = 0.0
) -> None:
    """A mark a head."""
    active = result.active()
    for row, layer in enumerate(result.layers):
        for on, face, size, opacity in ((False, light, 10, 0.45), (True, colour, 26, 0.9)):
            chosen = active[row] == on
            values = (100 * result.accuracy[row][chosen]).tolist()
            name = None
            if row == 0 and shift == 0.0:
                name = f"gives regions {'at least' if on else 'less than'} {ACTIVE:.0%}"
            places = [layer + shift] * len(values)
            axes.scatter(places, values, s=size, c=face, marker=shape, alpha=opacity, linewidths=0, label=name)
    axes.set_xticks(list(result.layers))
    axes.set_xlabel("layer")
    axes.spines[["top", "right"]].set_visible(False)


def draw_baselines(axes: Axes, result: HeadAccuracies, colour: str = "0.45", named: bool = True) -> None:
    """The most confident region, with its interval, and a region at random."""
    if result.baseline is not None:
        label = "most confident region" if named else None
        axes.axhline(100 * result.baseline, color=colour, linewidth=1, label=label)
        if result.baseline_interval is not None:
            axes.axhspan(*(100 * x for x in result.baseline_interval), color=colour, alpha=0.12, linewidth=0)
    if result.random is not None:
        label = "region at random" if named else None
        axes.axhline(100 * result.random, color=colour, linewidth=1, linestyle=":", label=label)


def write_figure(figure: Figure, path: Path) -> list[Path]:
    """Writes a figure as SVG and as PNG beside it; gives both paths.

    Raises:
        InputError: for a name that ends in neither, nor in nothing.
    """
    if path.suffix not in ("", ".svg", ".png"):
        raise InputError(f"{path} is to be a figure, which is written as .svg and .png; name it so")
    written = []
    with rc_context(STEADY):
        for kind in ("svg", "png"):
            content = io.BytesIO()
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(content, format=kind, dpi=PIXELS_AN_INCH, metadata=metadata)
            target = path.with_suffix(f".{kind}")
            with writing(target) as file:
                file.write(content.getvalue())
            written.append(target)
    return written


def perturbation_figure(curves: Mapping[Curve, list[float]], steps: Sequence[float]) -> Figure:
    """Accuracy as regions, and words, are taken away; a panel each, solid where the most relevant goes first.

    Args:
        curves: accuracy at each step.
        steps: shares that are taken away.
    """
    colours = {"raw": BRIGHT, "rollout": "#7a5195", "relevance": OTHER, "random": "0.45"}
    with rc_context(STEADY):
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        panels = dict.fromkeys(what for what, _, _ in curves)
        for number, what in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), number)
            for (kind, method, order), values in curves.items():
                if kind == what:
                    style = "-" if order == "most" else "--"
                    name = f"{method}, {order} first"
                    heights = [100 * value for value in values]
                    axes.plot(
                        [100 * s for s in steps], heights, style, color=colours[method], label=name, linewidth=1.4
                    )
            axes.set_xlabel(f"{what} taken away (%)")
            axes.set_ylabel("accuracy (%)")
            axes.set_ylim(bottom=0)
            axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=6.5, framealpha=0.8)
    return figure
