# SPDX-License-Identifier: Apache-2.0
"""Calibration per label in a terminal, and the tables that its page shows as well."""

from typing import TYPE_CHECKING

from adafocal._text import printable, told_apart
from adafocal.calibration.multilabel import MultilabelSummary
from adafocal.evaluation.labels import LABEL, LabelsMeasured
from adafocal.measures import OF_GROUPS, OF_PREDICTIONS
from adafocal.report.terminal import group_rows, print_lines, print_table

if TYPE_CHECKING:
    from rich.console import Console
else:  # an extra, loaded when something is printed
    Console = object

SHOWN = 20  # labels in a terminal, the worst ones
PERCENT = OF_PREDICTIONS["ece"]
LONGEST = 60  # characters of a label's name


def print_labels(measured: LabelsMeasured, console: Console) -> None:
    """Print the answer, all labels together, and the labels, the worst first.

    Args:
        measured: As ``measure_labels`` gives it.
        console: A ``rich.console.Console``.
    """
    summary = measured.summary
    print_lines(console, *label_lines(summary), "")
    headings, rows = together_rows(summary)
    print_table(console, "", headings, [(name, *(text for text, _ in cells)) for name, cells in rows])
    headings, rows = label_rows(summary)
    names = told_apart([name for name, _ in rows[:SHOWN]], printable, LONGEST)
    cells = [(name, *(text for text, _ in row)) for name, (_, row) in zip(names, rows, strict=False)]
    title = f"{len(cells)} of {len(rows):,} labels, the worst first"
    print_lines(console, "")
    print_table(console, title, headings, cells)


def label_lines(summary: MultilabelSummary) -> list[str]:
    """Say how much was measured, and the answer."""
    held = f"{summary.n:,} samples, {len(summary.labels):,} labels; calibrated event: {LABEL.text}"
    return [held, "", summary.headline, *summary.details]


Rows = list[tuple[str, list[tuple[str, float]]]]


def together_rows(summary: MultilabelSummary) -> tuple[list[str], Rows]:
    """Lay out the mean of the labels and all entries: titles, and of each a name and its numbers as text and value."""
    shares = (summary.macro_prevalence, summary.pooled_prevalence)
    values = (summary.macro, {name: float(getattr(summary.micro, name)) for name in OF_GROUPS})
    rows = []
    for name, share, held in zip(("mean of labels", "all entries"), shares, values, strict=True):
        cells = [(PERCENT.text(share), share)]
        rows.append((name, cells + [(one.text(held[which]), held[which]) for which, one in OF_GROUPS.items()]))
    headings = [LABEL.says(measure.heading) for measure in OF_GROUPS.values()]
    return ["", "share that applies %", *headings], rows


def label_rows(summary: MultilabelSummary) -> tuple[list[str], Rows]:
    """Lay out the labels in the same way, the worst first."""
    ordered = {name: summary.labels[name] for name in summary.worst_first}
    (_, verdict, samples, *measures), rows = group_rows(ordered, LABEL)
    shares = ((PERCENT.text(summary.prevalence[name]), summary.prevalence[name]) for name in ordered)
    laid = [(name, [*cells[:2], share, *cells[2:]]) for (name, cells), share in zip(rows, shares, strict=True)]
    return ["label", verdict, samples, "share that applies %", *measures], laid
