# SPDX-License-Identifier: Apache-2.0
"""Matplotlib figures as SVG whose colours follow the page: light, dark, print."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from adafocal._checks import require
from adafocal._text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure
else:  # an extra, loaded when something is drawn; tests that read annotations see any object
    Axes = Figure = object

LineStyle: TypeAlias = str | tuple[float, tuple[float, ...]]
# The colours of figures on white paper. On the page each stands for a CSS variable; nothing else draws in them.
INK, GRID = "#1c2026", "#dfe3e8"
SERIES = ("#c2410c", "#2563eb", "#15803d", "#9333ea", "#6b5b00", "#0e7490", "#be185d", "#57534e")
DASHES: tuple[LineStyle, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
VARIABLES = {INK: "--ink", GRID: "--grid"} | {c: f"--series-{i}" for i, c in enumerate(SERIES)}
LONGEST_LABEL = 32

STYLE = {
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "legend.labelcolor", "text.color"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.facecolor", "figure.facecolor", "savefig.facecolor"), "none"),
    **dict.fromkeys(("font.size", "axes.labelsize"), 10),
    **dict.fromkeys(("axes.titlesize", "xtick.labelsize", "ytick.labelsize"), 9),
    **dict.fromkeys(("axes.spines.right", "axes.spines.top", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    "font.family": "sans-serif",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
}


class Series(TypedDict):
    """How a line looks."""

    color: str
    linestyle: LineStyle


def series(index: int) -> Series:
    """Colour and line style of the index-th of several lines; 24 differ, and neighbours in both."""
    return {"color": SERIES[index % len(SERIES)], "linestyle": DASHES[index % len(DASHES)]}


def drawn(text: object, longest: int = LONGEST_LABEL) -> str:
    """Prepare a name from data for a figure: on one line, cut, and never read as a formula.

    Example:
        >>> drawn("$x$ of\\n2")
        '\\\\$x\\\\$ of 2'
    """
    name = short(text, longest).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name  # matplotlib hides labels that start with an underscore


@contextmanager
def svg_figure(name: str, *, width: float, height: float, rows: Sequence[float] = (1.0,)) -> Iterator["Drawing"]:
    """Open a themed figure; its ``.svg`` is there once the block ends.

    Args:
        name: Unique on the page; keeps the identifiers of several figures apart and the output reproducible.
        width: Width in inches.
        height: Height in inches.
        rows: Relative heights of stacked axes; empty for none.

    Yields:
        An object with ``figure``, ``axes`` (a list) and, after the block, ``svg``.
    """
    matplotlib = require("matplotlib")
    figure_module = require("matplotlib.figure")
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has the letters that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = figure_module.Figure(figsize=(width, height), layout="constrained")
        axes: list[Axes] = []
        if rows:
            grid = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=rows)
            axes = list(grid[:, 0])
        drawing = Drawing(figure, axes)
        yield drawing
        file = io.StringIO()
        # `savefig` draws everything twice to know its size before.
        require("matplotlib.backends.backend_svg").FigureCanvasSVG(figure).print_svg(
            file, metadata={"Date": None, "Creator": None}
        )
    drawing.svg = themed(file.getvalue())


@dataclass
class Drawing:
    """A figure under construction, and its SVG when it is finished."""

    figure: Figure
    axes: list[Axes]
    svg: str = ""


def themed(svg: str) -> str:
    """Turn matplotlib's file into a small inline element that scales and takes its colours from the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return _smaller(svg)


def _smaller(svg: str) -> str:
    """Drop what nothing refers to: identifiers of groups, white space, digits beyond a hundredth of a point."""
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(
        r'( (?:d|x|y|x1|x2|y1|y2|transform|viewBox|points)=")([^"]*)',
        lambda found: found[1] + " ".join(re.sub(r"(\.\d\d)\d+", r"\1", found[2]).split()),
        svg,
    )
    return re.sub(r">\s+<", "><", svg)
