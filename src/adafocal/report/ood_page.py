# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection as an HTML file and on the page of a run or study: tables, curves, histograms."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from adafocal._estimate import Estimate
from adafocal._files import write_text
from adafocal._text import short
from adafocal.measures import OF_DETECTION, Measure
from adafocal.ood import ComparisonRow
from adafocal.ood.records import DetectionRecord, Histogram, detection_record
from adafocal.report.figures import draw_roc, draw_score_histograms
from adafocal.report.html import render_page
from adafocal.report.panels import Panel
from adafocal.report.svg import drawn, series, svg_figure
from adafocal.report.tables import Cell, Row, Table, spread_cell
from adafocal.results.contents import LossContents

ORIENTATION = "AUROC of a guess is 50; FPR is best at 0, the others at 100."


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
    values = {
        "title": f"Out-of-distribution detection: {id_name}",
        "lead": f"{rows[0].detection.n_id} in-distribution samples of {id_name}; the positive kind is the other.",
        "sections": detection_sections([detection_record(row) for row in rows], name="ood", level=level),
        "command": command,
    }
    write_text(path, render_page("ood.html", values))


def detection_sections(results: Sequence[DetectionRecord], *, name: str, level: float) -> list[OodSection]:
    """Show each set of one run: a table, ROC curves, and a histogram of each score.

    Args:
        results: Records of :func:`adafocal.ood.comparison_record`.
        name: Start of identifiers on the page.
        level: Coverage of the intervals.
    """
    sets: dict[str, list[DetectionRecord]] = {}
    for one in results:
        sets.setdefault(one.ood, []).append(one)
    sections = []
    for index, part in enumerate(sets.values()):
        rows = [
            Row(short(one.score), [_estimate_cell(one, measure) for measure in OF_DETECTION.values()], place)
            for place, one in enumerate(part)
        ]
        panels = roc_panels("ROC curves", [(short(one.score), one) for one in part], name=f"{name}-roc-{index}")
        panels += [
            _histogram_panel(one.score, one.histogram, f"{name}-scores-{index}-{place}")
            for place, one in enumerate(part)
            if one.histogram is not None
        ]
        caption = f"With {100 * level:g} % intervals."
        sections.append(_section(part[0], f"{name}-{index}", caption, ["Score"], rows, panels))
    return sections


def study_sections(losses: Sequence[LossContents], *, name: str) -> list[OodSection]:
    """Show each set that runs of an experiment were tested on: mean and spread over seeds, curves of the first seed."""
    found: dict[str, dict[tuple[int, str], list[DetectionRecord]]] = {}
    for index, loss in enumerate(losses):
        for run in loss.runs:
            for one in (one for record in run.detections.values() for one in record.results):
                found.setdefault(one.ood, {}).setdefault((index, one.score), []).append(one)
    sections = []
    for place, by_loss in enumerate(found.values()):
        rows = []
        for (index, score), ones in by_loss.items():
            numbers = [[getattr(one, measure).value for one in ones] for measure in OF_DETECTION]
            cells = [spread_cell(*pair) for pair in zip(numbers, OF_DETECTION.values(), strict=True)]
            rows.append(Row(losses[index].title, [Cell(short(score)), *cells], index))
        first = next(iter(by_loss.values()))[0]
        curves = [(losses[index].title, ones[0]) for (index, score), ones in by_loss.items() if score == first.score]
        panels = roc_panels(f"ROC curves of {short(first.score)}, first seed", curves, name=f"{name}-roc-{place}")
        caption = "Mean ± standard deviation over seeds."
        sections.append(_section(first, f"{name}-{place}", caption, ["Loss", "Score"], rows, panels))
    return sections


def _section(
    of: DetectionRecord, name: str, caption: str, headings: list[str], rows: list[Row], panels: list[Panel]
) -> OodSection:
    title = f"{short(of.ood)} ({of.n_ood:,} samples)"
    headings = [*headings, *(measure.on_page for measure in OF_DETECTION.values())]
    return OodSection(title, Table(name, f"Results on {title}", f"{caption} {ORIENTATION}", headings, rows), panels)


def roc_panels(title: str, records: Sequence[tuple[str, DetectionRecord]], *, name: str) -> list[Panel]:
    """Show ROC curves by name, of the records that hold some."""
    curves = [(label, one.auroc, one.roc) for label, one in records if one.roc is not None]
    if not curves:
        return []
    with svg_figure(name, width=3.6, height=3.6) as drawing:
        for place, (label, _, roc) in enumerate(curves):
            rates = roc.false_positive_rate, roc.true_positive_rate
            draw_roc(drawing.axes[0], *rates, label=drawn(label), **series(place))
        drawing.axes[0].legend(loc="lower right", fontsize=9)
    areas = ", ".join(f"{label} {100 * auroc.value:.1f} %" for label, auroc, _ in curves)
    return [Panel(title, drawing.svg, "", f"ROC curves; area under each: {areas}.")]


def _histogram_panel(score: str, bins: Histogram, name: str) -> Panel:
    score = short(score)
    with svg_figure(name, width=3.6, height=2.8) as drawing:
        draw_score_histograms(drawing.axes[0], bins.edges, bins.id, bins.ood)
        drawing.axes[0].legend(fontsize=9)
    medians = [_median(bins.edges, shares) for shares in (bins.id, bins.ood)]
    said = [f"{median:.3g}".replace("-", "−") for median in medians]
    caption = f"Medians about {said[0]} in, {said[1]} out of distribution."
    return Panel(f"Scores: {score}", drawing.svg, caption, f"Histograms of the {score} score of both kinds. {caption}")


def _median(edges: Sequence[float], shares: Sequence[float]) -> float:
    """Find the middle of the bin that holds the median."""
    half = 0.5 * sum(shares)
    place = next((place for place, total in enumerate(accumulate(shares)) if total >= half), None)
    return edges[-1] if place is None else (edges[place] + edges[place + 1]) / 2


def _estimate_cell(record: DetectionRecord, measure: Measure) -> Cell:
    found: Estimate = getattr(record, measure.name)
    ends = [measure.page_text(end) for end in (found.low, found.high) if end is not None]
    interval = f"[{', '.join(ends)}]" if ends else ""  # none where none is known to hold
    return Cell(measure.page_text(found.value), found.value, interval)
