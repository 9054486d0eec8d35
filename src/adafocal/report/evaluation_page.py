# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for what ``adafocal evaluate`` measured."""

from collections.abc import Sequence
from pathlib import Path

from adafocal._files import write_text
from adafocal._reading import Record
from adafocal._text import capital, short, told_apart
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.evaluation.cases import CasesMeasured
from adafocal.evaluation.event import Event
from adafocal.evaluation.measure import ALL, Measured
from adafocal.evaluation.windows import Monitored
from adafocal.outcomes import Outcomes
from adafocal.report.case_table import case_table
from adafocal.report.figures import draw_risk_coverage
from adafocal.report.html import render_page
from adafocal.report.monitor_panel import monitor_panel, monitor_table
from adafocal.report.panels import Panel, area_in_words, class_panel, diagram_panel
from adafocal.report.svg import SERIES, svg_figure
from adafocal.report.tables import Cell, Row, Table, run_classes
from adafocal.report.terminal import (
    FIT_ON,
    REMEDY_HEADINGS,
    group_lines,
    group_rows,
    headline,
    measure_row,
    measure_rows,
    notes,
    remedy_rows,
    remedy_title,
)
from adafocal.results.outcome import SMALL_MULTIPLES, outcome_of
from adafocal.scaling.remedy import Remedy, titled
from adafocal.selective import aurc, risk_coverage_curve
from adafocal.tables.source import Source

FIRST = ("accuracy", "overconfidence", "ece", "nll")
RECOMMENDED = (
    "* is recommended: the simplest that is not worse than the best by more than one standard error, if it is better "
    "than none by two."
)
UNWEIGHTED = "Weighted rows: classes, and the error of the surest, are not shown, as they count each row once."


def write_evaluation(
    path: str | Path,
    measured: dict[str, Measured],
    *,
    files: Sequence[str | Path | Source],
    monitored: Monitored | None = None,
    per_case: CasesMeasured | None = None,
    remedy: Remedy | None = None,
    steps: Sequence[str] = (),
    made: Sequence[str] = (),
) -> None:
    """Write the page, the answer first: verdict, numbers, diagram, remedy; then the rest. Text from data is escaped.

    Args:
        path: The HTML file.
        measured: As ``measure`` gives it.
        files: Where the predictions came from.
        monitored: Calibration over time, where rows have one.
        per_case: Calibration per case, where rows have one.
        remedy: What scalings do; None where that was not measured.
        steps: The commands that do what is recommended.
        made: How and when the page was made, line by line.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    whole = measured[ALL]
    verdict, event = whole.summary.verdict, whole.event
    values = {
        "title": "Calibration of " + (short(Path(str(files[0])).name) if len(files) == 1 else f"{len(files)} files"),
        "lead": headline(whole),
        "verdict": {
            "head": verdict.headline(of_class=event.of_class),
            "text": capital(" ".join(verdict.details(of_class=event.of_class))),
            "mark": "bad" if verdict.miscalibrated else "",
        },
        "by_group": group_lines(measured),
        "numbers": _numbers(whole),
        "remedy": [] if remedy is None else remedy.sentences(),
        "steps": steps,
        "fit_on": FIT_ON,
        "scalings": _scalings(remedy),
        "measures": _measures(whole),
        "notes": notes(whole) if whole.bins.square_sum is None else [*notes(whole), UNWEIGHTED],
        "event": event.text,
        "reliability": _diagram(whole, remedy),
        **_beyond_the_sums(whole),
        "groups": _groups(measured, event),
        "cases": None if per_case is None else case_table(per_case, event),
        "over_time": [] if monitored is None else [monitor_panel(monitored, event)],
        "windows": None if monitored is None else monitor_table(monitored, event),
        "files": "\n".join(map(str, files)),
        "made": "\n".join(made),
    }
    write_text(path, render_page("evaluation.html", values))


def _diagram(whole: Measured, remedy: Remedy | None) -> Panel:
    event, after, caption = whole.event, None, f"{whole.summary.n:,} predictions."
    if remedy is not None and remedy.chosen is not None and remedy.after is not None:
        name = f"after {remedy.chosen.title}"
        after, caption = (name, remedy.after), f"{caption[:-1]}; {name}, on rows that it was not fitted to."
    return diagram_panel(
        f"Reliability: {short(event.text)}",
        whole.bins,
        whole.curve,
        name="reliability",
        caption=caption,
        event="share that happened",
        words=(event.probability, event.share),
        independent=not whole.summary.n_clusters,
        after=after,
    )


def _numbers(whole: Measured) -> list[dict[str, str]]:
    """The four numbers of the first screen, named and written as in the table below."""
    rows = [measure_row(whole, CATALOGUE[name]) for name in FIRST]
    return [{"title": capital(title), "value": value, "ends": ends} for title, value, ends in rows]


def _measures(whole: Measured) -> Table:
    rows = []
    for question, held in measure_rows(whole):
        rows.append(Row(question))
        rows += [Row(capital(title), [Cell(value), Cell(interval)]) for title, value, interval in held]
    return Table("measures", "Measures", "", ["Measure", "Value", "95 % interval"], rows, sortable=False)


def _scalings(remedy: Remedy | None) -> Table | None:
    if remedy is None or not remedy.trials:
        return None
    rows = [Row(name, list(map(Cell, cells))) for name, *cells in remedy_rows(remedy)]
    left_out = [f"{titled(name)}: {why}" for name, why in remedy.left_out.items()]
    caption = f"{remedy_title(remedy)}. {RECOMMENDED}"
    if left_out:
        caption += f" Not tried: {'; '.join(left_out)}."
    return Table("scalings", "Scalings", caption, list(map(capital, REMEDY_HEADINGS)), rows, sortable=False)


def _beyond_the_sums(whole: Measured) -> dict[str, object]:
    """What needs the predictions themselves: classes, and the error of the surest."""
    record = whole.predictions
    if record is None:
        return {"classes": [], "class_table": None, "risk": []}
    risk = [_risk(record)]
    if isinstance(record, Outcomes) or record.ragged:
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
