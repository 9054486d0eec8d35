# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for out-of-distribution detection."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from adafocal._checks import require
from adafocal._estimate import Estimate
from adafocal._files import write_text
from adafocal.ood import ComparisonRow, roc_curve
from adafocal.report.ood_figures import draw_roc, draw_score_histograms
from adafocal.report.svg import SERIES, svg_figure

HEADINGS = {
    "auroc": "AUROC %",
    "aupr_out": "AUPR-out %",
    "aupr_in": "AUPR-in %",
    "fpr95": "FPR at 95 % TPR, %",
}


def write_ood_page(
    rows: Sequence[ComparisonRow], path: str | Path, *, id_name: str, level: float, command: str
) -> None:
    """Write tables, ROC curves and score histograms.

    Args:
        rows: From :func:`adafocal.ood.compare_scores`.
        path: The HTML file.
        id_name: Name of the in-distribution set.
        level: Coverage of the intervals in ``rows``.
        command: What made it, shown at the end.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    jinja2 = require("jinja2", extra="report")
    place = files("adafocal.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(place.joinpath("ood.html").read_text(encoding="utf-8"))
    names = list(dict.fromkeys(row.ood_name for row in rows))
    html = template.render(
        title=f"Out-of-distribution detection: {id_name}",
        style=place.joinpath("page.css").read_text(encoding="utf-8"),
        lead=f"{rows[0].detection.n_id} in-distribution samples of {id_name}; the positive kind is the other.",
        caption=f"With {100 * level:g} % intervals. AUROC of a guess is 50; FPR is best at 0, the others at 100.",
        headings=list(HEADINGS.values()),
        sections=[_section(name, [row for row in rows if row.ood_name == name], names.index(name)) for name in names],
        command=command,
    )
    write_text(path, html)


def _section(name: str, rows: Sequence[ComparisonRow], index: int) -> dict[str, Any]:
    return {
        "name": f"{name} ({rows[0].detection.n_ood} samples)",
        "rows": [
            {
                "score": row.score_name,
                "series": place % len(SERIES),
                "cells": [_cell(getattr(row.detection, measure)) for measure in HEADINGS],
            }
            for place, row in enumerate(rows)
        ],
        "figures": [_roc_figure(rows, index)] + [_histogram_figure(row, index) for row in rows],
    }


def _cell(estimate: Estimate) -> dict[str, str]:
    return {
        "value": f"{100 * estimate.value:.2f}",
        "interval": f"[{100 * estimate.low:.2f}, {100 * estimate.high:.2f}]",
    }


def _roc_figure(rows: Sequence[ComparisonRow], index: int) -> dict[str, str]:
    with svg_figure(f"roc-{index}", width=4.0, height=4.0) as drawing:
        for place, row in enumerate(rows):
            curve = roc_curve(row.id_scores, row.ood_scores)
            draw_roc(drawing.axes[0], curve, label=row.score_name, color=SERIES[place % len(SERIES)])
        drawing.axes[0].legend(loc="lower right")
    areas = ", ".join(f"{row.score_name} {100 * row.detection.auroc.value:.1f} %" for row in rows)
    return {"title": "ROC curves", "svg": drawing.svg, "caption": "", "alt": f"ROC curves; area under each: {areas}."}


def _histogram_figure(row: ComparisonRow, index: int) -> dict[str, str]:
    with svg_figure(f"scores-{index}-{row.score_name}", width=4.0, height=3.0) as drawing:
        draw_score_histograms(drawing.axes[0], row.id_scores, row.ood_scores)
        drawing.axes[0].legend()
    medians = float(row.id_scores.median()), float(row.ood_scores.median())
    return {
        "title": f"Scores: {row.score_name}",
        "svg": drawing.svg,
        "caption": f"Medians {medians[0]:.4g} in, {medians[1]:.4g} out of distribution.",
        "alt": f"Histograms of the {row.score_name} score of both kinds of samples.",
    }
