# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for what ``adafocal evaluate --multilabel`` measured."""

from collections.abc import Sequence
from pathlib import Path

from adafocal._files import write_text
from adafocal._text import capital, short, told_apart
from adafocal.evaluation.labels import LabelsMeasured
from adafocal.report.html import render_page
from adafocal.report.labels_terminal import Rows, label_lines, label_rows, together_rows
from adafocal.report.panels import Panel, small_multiples
from adafocal.report.tables import Cell, Row, Table
from adafocal.tables.source import Source

DRAWN = 24  # labels with a diagram of their own, the worst ones


def write_labels(
    path: str | Path, measured: LabelsMeasured, *, files: Sequence[str | Path | Source], made: Sequence[str] = ()
) -> None:
    """Write the page, the answer first: verdicts, all labels together, a diagram of each of the worst, all in numbers.

    Args:
        path: The HTML file.
        measured: As ``measure_labels`` gives it.
        files: Where the predictions came from.
        made: How and when the page was made, line by line.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    summary = measured.summary
    lead, _, head, *text = label_lines(summary)
    values = {
        "title": "Calibration of " + (short(Path(str(files[0])).name) if len(files) == 1 else f"{len(files)} files"),
        "lead": lead,
        "verdict": {
            "head": head,
            "text": " ".join(text),
            "mark": "bad" if any(one.verdict.miscalibrated for one in summary.labels.values()) else "",
        },
        "together": _table("together", "All labels together", *together_rows(summary), sortable=False),
        "drawn": _drawn(measured),
        "labels": _table("labels", "Labels", *label_rows(summary)),
        "files": "\n".join(map(str, files)),
        "made": "\n".join(made),
    }
    write_text(path, render_page("labels.html", values))


def _table(name: str, title: str, headings: list[str], rows: Rows, *, sortable: bool = True) -> Table:
    names = told_apart([which for which, _ in rows])
    laid = [Row(which, [Cell(*cell) for cell in cells]) for which, (_, cells) in zip(names, rows, strict=True)]
    return Table(name, title, "", list(map(capital, headings)), laid, sortable=sortable)


def _drawn(measured: LabelsMeasured) -> Panel:
    summary = measured.summary
    worst = summary.worst_first[:DRAWN]
    caption = "The worst labels first."
    if len(worst) < len(summary.labels):
        caption = f"The worst {len(worst)} of {len(summary.labels):,} labels; the table holds all."
    errors = ", ".join(f"{name} {100 * summary.labels[name].ece:.2f}" for name in worst)
    return small_multiples(
        {name: measured.bins[name] for name in worst},
        name="labels-drawn",
        title="Each label for itself",
        of="label",
        caption=caption,
        alt=f"A small reliability diagram of each label. ECE of each label's probability in percent: {errors}.",
        independent=measured.independent,
    )
