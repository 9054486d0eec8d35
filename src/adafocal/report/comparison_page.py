# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for what ``adafocal compare`` found."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from adafocal._files import write_text
from adafocal._measure import UNDEFINED, p_text
from adafocal._text import capital
from adafocal.calibration.errors import ECE_DEBIASED
from adafocal.evaluation.comparison import SAME, UNKNOWN, Compared, Comparison, interval, number
from adafocal.measures import OF_COMPARISON
from adafocal.report.html import render_page
from adafocal.report.panels import Panel, area_in_words, diagram_panel
from adafocal.report.plots import plot_compared, plot_risks
from adafocal.report.svg import svg_figure
from adafocal.report.tables import Cell, Row, Table

MAX_TOGETHER = 8  # lines in one diagram
MAX_DIAGRAMS = 24  # sets with a diagram of their own: drawings are what a page's size is made of


def write_comparison_page(
    path: str | Path, found: Comparison, *, files: Mapping[str, Sequence[str]], command: str = ""
) -> None:
    """Write the page: a sentence, differences with intervals, reliability diagrams side by side. Text is escaped.

    Args:
        path: The HTML file.
        found: What was found.
        files: Where the predictions came from, by name.
        command: What made the page.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    values = {
        "title": _title(found),
        "lead": found.sentence,
        "size": f"{found.size}.",
        "differences": [_differences(found, one, place) for place, one in enumerate(found.others)],
        "together": _together(found),
        "reliability": [_reliability(found, one, place) for place, one in enumerate(found.compared[:MAX_DIAGRAMS])],
        "risk": _risk(found),
        "notes": list(found.notes),
        "files": "\n".join(f"{name}: {', '.join(of)}" for name, of in files.items()),
        "command": command,
    }
    write_text(path, render_page("comparison.html", values))


def _title(found: Comparison) -> str:
    others, base = [found.labels[one.name] for one in found.others], found.labels[found.baseline]
    return f"{others[0]} against {base}" if len(others) == 1 else f"{len(others)} models against {base}"


def _differences(found: Comparison, one: Compared, place: int) -> Table:
    name, base = found.labels[one.name], found.labels[found.baseline]
    rows = []
    for measure, of in one.versus_baseline.items():
        kind = OF_COMPARISON[measure]
        title = found.titled(measure)
        verdict = "" if of.verdict == UNKNOWN else of.verdict
        said = interval(kind, of) if of.verdict != SAME else ""
        difference = number(kind, of.value, "+").replace("-", "−")
        values = [Cell(number(kind, held.value(measure)).replace("-", "−")) for held in (found.base, one)]
        cells = [
            Cell(difference, None, said.replace("-", "−"), verdict),
            *values,
            Cell(p_text(of.p_corrected).replace(UNDEFINED, "–")),
        ]
        rows.append(Row(capital(title), cells))
    headings = ["Measure", "Difference, 95 % interval", base, name, "p-value, corrected"]
    return Table(f"differences-{place}", f"{name} against {base}", "", headings, rows, sortable=False)


def _together(found: Comparison) -> Panel:
    shown = found.compared[:MAX_TOGETHER]
    with svg_figure("together", width=3.6, height=4.0) as drawing:
        plot_compared(drawing.axes[0], shown, found.event)
    caption = f"Debiased ECE: {_each(ECE_DEBIASED.name, found, shown)}."
    of = {2: "Both"}.get(len(shown), "All" if len(shown) == len(found.compared) else f"The first {len(shown)}")
    return Panel(f"{of} in one diagram", drawing.svg, caption, f"Reliability diagrams in one. {caption}")


def _each(measure: str, found: Comparison, compared: Sequence[Compared]) -> str:
    """List a measure in percent by name."""
    kind = OF_COMPARISON[measure]
    return ", ".join(f"{found.labels[one.name]} {number(kind, one.value(measure))}\u00a0%" for one in compared)


def _reliability(found: Comparison, one: Compared, place: int) -> Panel:
    event = found.event
    assert one.bins is not None
    return diagram_panel(
        found.labels[one.name],
        one.bins,
        one.curve,
        name=f"reliability-{place}",
        index=place,
        caption=f"{one.summary.n:,} predictions.",
        of=f" of {found.labels[one.name]}",
        event=event.share if not event.of_class else "share that happened",
        words=(event.probability, event.share),
        independent=not one.summary.n_clusters,
    )


def _risk(found: Comparison) -> Panel:
    shown = found.compared[:MAX_TOGETHER]
    with svg_figure("risk", width=3.6, height=2.9) as drawing:
        plot_risks(drawing.axes[0], shown)
    caption = area_in_words(_each("aurc", found, shown))
    return Panel("Risk and coverage", drawing.svg, caption, f"Risk-coverage curves. {caption}")
