# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal evaluate`` prints: a table of measures, a reliability diagram, a table of groups."""

from typing import TYPE_CHECKING

from adafocal._checks import require
from adafocal._text import printable
from adafocal.calibration import BinStats, CalibrationSummary
from adafocal.evaluation.measure import ALL, Measured
from adafocal.measures import OF_GROUPS, OF_PREDICTIONS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
else:  # an extra, loaded when something is printed
    Console = Table = object

STREAM_NOTE = "~ too many rows for memory: from sums over a fine grid of confidences, with edges at most one cell off."
WIDTH = 40


def print_measured(measured: dict[str, Measured], console: Console, *, event: str) -> None:
    """Print everything that was measured to a rich console.

    Args:
        measured: As ``measure`` gives it.
        console: A ``rich.console.Console``; ASCII is used where it has nothing else.
        event: What is calibrated, in words.
    """
    whole = measured[ALL]
    console.print(_measure_table(whole, event))
    if not whole.exact:
        console.print(STREAM_NOTE)
    console.print()
    for line in diagram_lines(whole.bins, ascii_only=console.options.ascii_only):
        console.print(line, markup=False, highlight=False)
    groups = {name: part.summary for name, part in measured.items() if name != ALL}
    if groups:
        console.print()
        console.print(_group_table(groups))


def _measure_table(whole: Measured, event: str) -> Table:
    table = _table(headline(whole, event))
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for row in measure_rows(whole):
        table.add_row(*row)
    return table


def headline(whole: Measured, event: str) -> str:
    """Say how much was measured, and the calibration of what."""
    return f"{whole.summary.n:,} samples, {whole.summary.n_classes} classes; calibrated event: {event}"


def measure_rows(whole: Measured) -> list[tuple[str, str, str]]:
    """Give title, value and interval of every measure as text; ``~`` marks what comes from the fine grid."""
    rows = []
    for name, measure in OF_PREDICTIONS.items():
        mark = "" if measure.streams or whole.exact else "~ "
        interval = ""
        if measure.interval:
            low, high = getattr(whole.summary, measure.interval)
            interval = f"{mark}{100 * low:.2f} to {100 * high:.2f} %"
        rows.append((measure.title, mark + measure.alone(getattr(whole.summary, name)), interval))
    return rows


def group_rows(groups: dict[str, CalibrationSummary]) -> tuple[list[str], list[list[str]]]:
    """Give the titles and the rows of the table of groups as text."""
    rows = [
        [group, f"{summary.n:,}", *(one.alone(getattr(summary, name)) for name, one in OF_GROUPS.items())]
        for group, summary in groups.items()
    ]
    return ["group", "samples", *(measure.title.partition(" (")[0] for measure in OF_GROUPS.values())], rows


def group_values(groups: dict[str, CalibrationSummary]) -> list[list[float]]:
    """Give the numbers behind :func:`group_rows`, without the titles of the rows."""
    return [[float(part.n), *(float(getattr(part, name)) for name in OF_GROUPS)] for part in groups.values()]


def _group_table(groups: dict[str, CalibrationSummary]) -> Table:
    text = require("rich.text", extra="report").Text
    titles, rows = group_rows(groups)
    table = _table(f"{len(groups)} groups")
    for title in titles:
        table.add_column(title, justify="left" if title == "group" else "right")
    for row in rows:
        # A group's name comes from data: plain text, whatever it looks like.
        table.add_row(text(printable(row[0], longest=80)), *row[1:])
    return table


def _table(title: str) -> Table:
    rich_table, box = require("rich.table", extra="report"), require("rich.box", extra="report")
    table: Table = rich_table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    return table


def diagram_lines(bins: BinStats, *, ascii_only: bool = False) -> list[str]:
    """Draw a reliability diagram as text: a bar of the accuracy per bin that holds samples, a mark at the confidence.

    Args:
        bins: Sums per bin.
        ascii_only: Draw with ``#`` and ``|`` in place of blocks.

    Returns:
        Lines without an end; over-confident where the mark is right of the bar's end.
    """
    full, empty, mark = ("#", ".", "|") if ascii_only else ("█", "·", "┃")
    edges = [0.0, *bins.edges.tolist(), 1.0]
    lines = [f"{'confidence':<13} {'samples':>13}  accuracy {full * 2}  mean confidence {mark}"]
    for index, count in enumerate(bins.count.tolist()):
        if count == 0:
            continue
        confidence, accuracy = float(bins.confidence[index]), float(bins.accuracy[index])
        bar = list((full * round(WIDTH * accuracy)).ljust(WIDTH, empty))
        bar[min(WIDTH - 1, int(WIDTH * confidence))] = mark
        lines.append(
            f"{edges[index]:.3f} - {edges[index + 1]:.3f} {count:>13,}  {''.join(bar)}  {100 * accuracy:5.1f} %"
        )
    return lines
