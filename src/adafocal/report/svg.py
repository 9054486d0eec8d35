# SPDX-License-Identifier: Apache-2.0
"""Matplotlib figures as SVG whose colours follow the page: light, dark, print."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adafocal._checks import require

# Colours that stand for a CSS variable of the page; figures use them, and nothing else draws in them.
INK, GRID, PAPER = "#010203", "#010204", "#010205"
SERIES = ("#010210", "#010211", "#010212", "#010213", "#010214", "#010215", "#010216", "#010217")
VARIABLES = {INK: "--ink", GRID: "--grid", PAPER: "--paper"} | {c: f"--series-{i}" for i, c in enumerate(SERIES)}

STYLE = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "ytick.color": INK,
    "ytick.labelsize": 9,
}


@contextmanager
def svg_figure(name: str, *, width: float, height: float, rows: list[float] | None = None) -> Iterator[Any]:
    """Open a themed figure; its ``.svg`` is there once the block ends.

    Args:
        name: Unique on the page; keeps the identifiers of several figures apart and the output reproducible.
        width: Width in inches.
        height: Height in inches.
        rows: Relative heights of stacked axes; None for one.

    Yields:
        An object with ``figure``, ``axes`` (a list) and, after the block, ``svg``.
    """
    matplotlib = require("matplotlib", extra="report")
    figure_module = require("matplotlib.figure", extra="report")
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = figure_module.Figure(figsize=(width, height), layout="constrained")
        ratios = rows or [1.0]
        axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios})
        drawing = Drawing(figure, list(axes[:, 0]))
        yield drawing
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawing.svg = themed(file.getvalue())


class Drawing:
    """A figure under construction, and its SVG when it is finished."""

    def __init__(self, figure: Any, axes: list[Any]) -> None:
        self.figure = figure
        self.axes = axes
        self.svg = ""


def themed(svg: str) -> str:
    """Turn matplotlib's file into an inline element that scales and takes its colours from the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 aria-hidden="true" focusable="false"', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([^;\"]*?)'[^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg
