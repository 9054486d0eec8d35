# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal evaluate`` prints: a table of measures, a reliability diagram, a table of groups."""

from typing import Any

from adafocal._checks import require
from adafocal._text import printable
from adafocal.calibration import BinStats, CalibrationSummary
from adafocal.evaluation.measure import ALL, Measured

# Field, title, whether a fraction shown in percent, whether exact in a stream.
MEASURES = (
    ("accuracy", "accuracy", True, True),
    ("nll", "negative log-likelihood (nats)", False, True),
    ("brier", "Brier score", False, True),
    ("overconfidence", "over-confidence (confidence - accuracy)", True, True),
    ("ece", "ECE, equal-width bins", True, True),
    ("ece_equal_mass", "ECE, equal-mass bins", True, False),
    ("ece_debiased", "ECE, equal-mass bins, debiased", True, False),
    ("ece_sweep", "ECE, monotonic sweep", True, False),
    ("smooth_ece", "smooth ECE", True, False),
    ("ks", "KS calibration error", True, False),
    ("rms", "RMS calibration error", True, False),
    ("rms_debiased", "RMS calibration error, debiased", True, False),
    ("mce", "maximum calibration error", True, True),
    ("classwise_ece", "classwise ECE", True, True),
)
# Only what has an interval of known coverage: an error above zero by noise alone has none.
INTERVALS = {
    "accuracy": "accuracy_interval",
    "overconfidence": "overconfidence_interval",
    "rms_debiased": "rms_interval",
}
GROUP_COLUMNS = ("accuracy", "overconfidence", "ece", "ece_equal_mass", "nll", "brier")
STREAM_NOTE = "~ too many rows for memory: from sums over a fine grid of confidences, with edges at most one cell off."
WIDTH = 40


def print_measured(measured: dict[str, Measured], console: Any, *, event: str) -> None:
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


def _measure_table(whole: Measured, event: str) -> Any:
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
    summary, rows = whole.summary, []
    for name, title, percent, streams in MEASURES:
        mark = "" if streams or whole.exact else "~ "
        interval = ""
        if name in INTERVALS:
            low, high = getattr(summary, INTERVALS[name])
            interval = f"{mark}{100 * low:.2f} to {100 * high:.2f} %"
        rows.append((title, mark + _shown(getattr(summary, name), percent), interval))
    mark = "" if whole.exact else "~ "
    rows.append(("p-value of the test: is it calibrated?", f"{mark}{summary.p_calibrated:.3f}", ""))
    return rows


def group_rows(groups: dict[str, CalibrationSummary]) -> tuple[list[str], list[list[str]]]:
    """Give the titles and the rows of the table of groups as text."""
    titles = {name: (title.partition(" (")[0], percent) for name, title, percent, _ in MEASURES}
    rows = [
        [group, f"{summary.n:,}", *(_shown(getattr(summary, name), titles[name][1]) for name in GROUP_COLUMNS)]
        for group, summary in groups.items()
    ]
    return ["group", "samples", *(titles[name][0] for name in GROUP_COLUMNS)], rows


def group_values(groups: dict[str, CalibrationSummary]) -> list[list[float]]:
    """Give the numbers behind :func:`group_rows`, without the titles of the rows."""
    return [[float(part.n), *(float(getattr(part, name)) for name in GROUP_COLUMNS)] for part in groups.values()]


def _shown(value: float, percent: bool) -> str:
    return f"{100 * value:.2f} %" if percent else f"{value:.4f}"


def _group_table(groups: dict[str, CalibrationSummary]) -> Any:
    text = require("rich.text", extra="report").Text
    titles, rows = group_rows(groups)
    table = _table(f"{len(groups)} groups")
    for title in titles:
        table.add_column(title, justify="left" if title == "group" else "right")
    for row in rows:
        # A group's name comes from data: plain text, whatever it looks like.
        table.add_row(text(printable(row[0], longest=80)), *row[1:])
    return table


def _table(title: str) -> Any:
    rich_table, box = require("rich.table", extra="report"), require("rich.box", extra="report")
    return rich_table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")


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
