# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection on the page: tables and curves from what ``adafocal ood --json`` wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from adafocal.report.contents import LossContents
from adafocal.report.html import short
from adafocal.report.ood_figures import draw_roc, draw_score_histograms
from adafocal.report.panels import Panel
from adafocal.report.svg import drawn, series, svg_figure
from adafocal.report.tables import Cell, Row, Table, number

HEADINGS = {
    "auroc": "AUROC %",
    "aupr_out": "AUPR-out %",
    "aupr_in": "AUPR-in %",
    "fpr95": "FPR at 95 % TPR, %",
}
ORIENTATION = "AUROC of a guess is 50; FPR is best at 0, the others at 100."

Results = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class OodSection:
    """One out-of-distribution set on the page.

    Attributes:
        title: Its name and size.
        table: Its numbers.
        panels: Its figures.
    """

    title: str
    table: Table
    panels: list[Panel]


def detection_sections(results: Results, *, name: str, level: float) -> list[OodSection]:
    """Show each set of one run: a table, ROC curves, and a histogram of each score.

    Args:
        results: Records of :func:`adafocal.ood.comparison_record`.
        name: Start of identifiers on the page.
        level: Coverage of the intervals.
    """
    sections = []
    for index, (ood_name, part) in enumerate(_by_set(results).items()):
        caption = f"With {100 * level:g} % intervals. {ORIENTATION}"
        rows = [
            Row(short(one["score"]), [_estimate_cell(one[measure]) for measure in HEADINGS], place)
            for place, one in enumerate(part)
        ]
        title = f"{short(ood_name)} ({part[0]['n_ood']:,} samples)"
        table = Table(f"{name}-{index}", f"Results on {title}", caption, ["Score", *HEADINGS.values()], rows)
        curves = [(short(one["score"]), one) for one in part if "roc" in one]
        panels = [roc_panel("ROC curves", curves, name=f"{name}-roc-{index}")] if curves else []
        panels += [
            _histogram_panel(one, f"{name}-scores-{index}-{place}")
            for place, one in enumerate(part)
            if "histogram" in one
        ]
        sections.append(OodSection(title, table, panels))
    return sections


def study_sections(losses: Sequence[LossContents], *, name: str) -> list[OodSection]:
    """Show each set that runs of an experiment were tested on: mean and spread over seeds, curves of the first seed."""
    found: dict[str, dict[tuple[int, str], list[Mapping[str, Any]]]] = {}
    for index, loss in enumerate(losses):
        for run in loss.runs:
            for one in (one for record in run.ood.values() for one in record["results"]):
                found.setdefault(one["ood"], {}).setdefault((index, one["score"]), []).append(one)
    sections = []
    for place, (ood_name, by_loss) in enumerate(found.items()):
        rows = [
            Row(
                losses[index].title,
                [Cell(short(score)), *(_spread_cell([one[measure]["value"] for one in ones]) for measure in HEADINGS)],
                index,
            )
            for (index, score), ones in by_loss.items()
        ]
        caption = f"Mean ± standard deviation over seeds. {ORIENTATION}"
        headings = ["Loss", "Score", *HEADINGS.values()]
        n_ood = next(iter(by_loss.values()))[0]["n_ood"]
        title = f"{short(ood_name)} ({n_ood:,} samples)"
        score = next(iter(by_loss))[1]
        curves = [
            (losses[index].title, ones[0]) for (index, of), ones in by_loss.items() if of == score and "roc" in ones[0]
        ]
        panels = [roc_panel(f"ROC curves of {short(score)}, first seed", curves, name=f"{name}-roc-{place}")]
        table = Table(f"{name}-{place}", f"Results on {title}", caption, headings, rows)
        sections.append(OodSection(title, table, panels if curves else []))
    return sections


def roc_panel(title: str, curves: Sequence[tuple[str, Mapping[str, Any]]], *, name: str) -> Panel:
    """Show ROC curves by name."""
    with svg_figure(name, width=3.6, height=3.6) as drawing:
        for place, (label, one) in enumerate(curves):
            rates = one["roc"]["false_positive_rate"], one["roc"]["true_positive_rate"]
            draw_roc(drawing.axes[0], *rates, label=drawn(label), **series(place))
        drawing.axes[0].legend(loc="lower right", fontsize=9)
    areas = ", ".join(f"{label} {100 * one['auroc']['value']:.1f} %" for label, one in curves)
    return Panel(title, drawing.svg, "", f"ROC curves; area under each: {areas}.")


def _histogram_panel(one: Mapping[str, Any], name: str) -> Panel:
    bins, score = one["histogram"], short(one["score"])
    with svg_figure(name, width=3.6, height=2.8) as drawing:
        draw_score_histograms(drawing.axes[0], bins["edges"], bins["id"], bins["ood"])
        drawing.axes[0].legend(fontsize=9)
    medians = [_median(bins["edges"], bins[kind]) for kind in ("id", "ood")]
    said = [f"{median:.3g}".replace("-", "−") for median in medians]
    caption = f"Medians about {said[0]} in, {said[1]} out of distribution."
    return Panel(f"Scores: {score}", drawing.svg, caption, f"Histograms of the {score} score of both kinds. {caption}")


def _median(edges: Sequence[float], shares: Sequence[float]) -> float:
    """Give the middle of the bin that holds the median."""
    total = 0.0
    for place, share in enumerate(shares):
        total += share
        if total >= 0.5 * sum(shares):
            return (edges[place] + edges[place + 1]) / 2
    return edges[-1]


def _by_set(results: Results) -> dict[str, list[Mapping[str, Any]]]:
    sets: dict[str, list[Mapping[str, Any]]] = {}
    for one in results:
        sets.setdefault(one["ood"], []).append(one)
    return sets


def _estimate_cell(estimate: Mapping[str, float | None]) -> Cell:
    ends = [number(estimate[end], 2, scale=100) for end in ("low", "high")]
    interval = "" if estimate["low"] is None else f"[{', '.join(ends)}]"  # none where none is known to hold
    return Cell(number(estimate["value"], 2, scale=100), estimate["value"], interval)


def _spread_cell(values: Sequence[float]) -> Cell:
    text = number(mean(values), 2, scale=100)
    if len(values) > 1:
        text = f"{text} ± {number(stdev(values), 2, scale=100)}"
    return Cell(text, mean(values))
