# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for what ``adafocal evaluate`` measured."""

from collections.abc import Sequence
from pathlib import Path

from adafocal._files import write_text
from adafocal._reading import Record
from adafocal._text import short, told_apart
from adafocal.evaluation.event import Event
from adafocal.evaluation.measure import ALL, Measured
from adafocal.evaluation.windows import Monitored
from adafocal.outcomes import Outcomes
from adafocal.report.figures import draw_risk_coverage
from adafocal.report.html import render_page
from adafocal.report.monitor_panel import monitor_panel, monitor_table
from adafocal.report.panels import Panel, area_in_words, class_panel, diagram_panel
from adafocal.report.svg import SERIES, svg_figure
from adafocal.report.tables import Cell, Row, Table, run_classes
from adafocal.report.terminal import group_rows, headline, measure_rows, notes
from adafocal.results.outcome import SMALL_MULTIPLES, outcome_of
from adafocal.selective import aurc, risk_coverage_curve
from adafocal.tables.source import Source

UNWEIGHTED = "Weighted rows: classes, and the error of the surest, are not shown, as they count each row once."


def write_evaluation(
    path: str | Path,
    measured: dict[str, Measured],
    *,
    files: Sequence[str | Path | Source],
    monitored: Monitored | None = None,
) -> None:
    """Write the page: measures with intervals, reliability diagram, groups. Text from data is escaped.

    Args:
        path: The HTML file.
        measured: As ``measure`` gives it.
        files: Where the predictions came from.
        monitored: Calibration over time, where rows have one.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    whole = measured[ALL]
    event = whole.event
    values = {
        "title": "Calibration of " + (short(Path(str(files[0])).name) if len(files) == 1 else f"{len(files)} files"),
        "lead": headline(whole),
        "measures": _measures(whole),
        "notes": notes(whole) if whole.bins.square_sum is None else [*notes(whole), UNWEIGHTED],
        "event": event.text,
        "reliability": diagram_panel(
            f"Calibrated event: {short(event.text)}",
            whole.bins,
            whole.curve,
            name="reliability",
            caption=f"{whole.summary.n:,} predictions.",
            event="share that happened",
            words=(event.probability, event.share),
            independent=not whole.summary.n_clusters,
        ),
        **_beyond_the_sums(whole),
        "groups": _groups(measured, event),
        "over_time": [] if monitored is None else [monitor_panel(monitored, event)],
        "windows": None if monitored is None else monitor_table(monitored, event),
        "files": "\n".join(map(str, files)),
    }
    write_text(path, render_page("evaluation.html", values))


def _measures(whole: Measured) -> Table:
    rows = [
        Row(title[0].upper() + title[1:], [Cell(value), Cell(interval)])
        for title, value, interval in measure_rows(whole)
    ]
    return Table("measures", "Measures", "", ["Measure", "Value", "95 % interval"], rows, sortable=False)


def _beyond_the_sums(whole: Measured) -> dict[str, object]:
    """What needs the predictions themselves: classes, and the error of the surest."""
    record = whole.predictions
    if record is None:
        return {"classes": [], "class_table": None, "risk": []}
    risk = [_risk(record)]
    if isinstance(record, Outcomes):
        return {"classes": [], "class_table": None, "risk": risk}
    outcome = outcome_of(record, n_bins=whole.bins.n_bins)
    names = record.classes or [str(number) for number in range(outcome.n_classes)]
    small = outcome.n_classes <= SMALL_MULTIPLES
    return {
        "classes": [class_panel([("Predictions", outcome)], names, name="classes-drawn")] if small else [],
        "class_table": run_classes(outcome, names),
        "risk": risk,
    }


def _risk(record: Record) -> Panel:
    confidence, wrong = record.confidence, ~record.correct
    with svg_figure("risk", width=3.6, height=2.9) as drawing:
        draw_risk_coverage(drawing.axes[0], [risk_coverage_curve(confidence, wrong)], color=SERIES[0])
    caption = area_in_words(f"{100 * float(aurc(confidence, wrong)):.2f}\u00a0%")
    return Panel("Risk and coverage", drawing.svg, caption, f"Risk-coverage curve. {caption}")


def _groups(measured: dict[str, Measured], event: Event) -> Table | None:
    groups = {name: part.summary for name, part in measured.items() if name != ALL}
    if not groups:
        return None
    titles, rows = group_rows(groups, event)
    names = told_apart([name for name, _ in rows])
    named = [Row(name, [Cell(*cell) for cell in cells]) for name, (_, cells) in zip(names, rows, strict=True)]
    return Table("groups", "Groups", "", [title.capitalize() if title.islower() else title for title in titles], named)
