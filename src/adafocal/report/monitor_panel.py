# SPDX-License-Identifier: Apache-2.0
"""Calibration over time in a terminal and on a page."""

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from adafocal._checks import require
from adafocal._fit import fitted
from adafocal._measure import UNDEFINED
from adafocal._text import capital, short
from adafocal.evaluation.event import Event
from adafocal.evaluation.windows import ALARM, Monitored, Window
from adafocal.measures import OF_PREDICTIONS
from adafocal.report.panels import Panel
from adafocal.report.svg import INK, SERIES, Axes, svg_figure
from adafocal.report.tables import Cell, Row, Table
from adafocal.tables.times import written

if TYPE_CHECKING:
    from rich.console import Console
else:  # an extra, loaded when something is printed
    Console = object

SHOWN = 100  # windows in a terminal, the last ones
POINTS = 150  # windows with a mark of their own
NO_ROWS = "no rows"
MEASURES = {name: OF_PREDICTIONS[name] for name in ("accuracy", "overconfidence", "ece")}


def print_monitored(monitored: Monitored, console: Console, event: Event | None = None) -> None:
    """Print a line per window, of very many the last ones, and whether there is an alarm.

    Args:
        monitored: As ``Monitor.result`` gives it.
        console: A ``rich.console.Console``.
        event: What is calibrated; None for the top label.
    """
    kind, box = require("rich.table"), require("rich.box")
    shown = monitored.windows[-SHOWN:]
    title = f"{len(monitored.windows):,} windows of {monitored.window} by {short(monitored.column)}, UTC"
    table = kind.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for place, heading in enumerate(_headings(event or Event())):
        table.add_column(heading, justify="right" if place else "left")
    for window in shown:
        table.add_row(written(window.start, dates=monitored.dates), *_texts(window))
    console.print()
    console.print(fitted(table, console.width))
    if len(shown) < len(monitored.windows):
        console.print(f"The last {len(shown)} windows; --json and --html hold all {len(monitored.windows):,}.")
    console.print(monitored.verdict())


def _headings(event: Event) -> list[str]:
    over, accuracy = event.says(MEASURES["overconfidence"].heading), event.says(MEASURES["accuracy"].heading)
    return ["from", "samples", accuracy, over, "95 % interval", MEASURES["ece"].heading, "evidence"]


def _texts(window: Window) -> list[str]:
    if window.n == 0:
        return [NO_ROWS, *[UNDEFINED] * 4, _evidence(window)]
    over = MEASURES["overconfidence"]
    return [
        f"{window.n:,}",
        MEASURES["accuracy"].text(window.accuracy),
        over.text(window.overconfidence, signed=True),
        " to ".join(over.text(end, signed=True) for end in window.overconfidence_interval),
        MEASURES["ece"].text(window.ece),
        _evidence(window),
    ]


def _evidence(window: Window) -> str:
    """Write the evidence, a ratio of chances: beyond a thousand its power of ten says enough."""
    if math.isnan(window.evidence):
        return UNDEFINED
    tens = window.evidence / math.log(10)
    return f"{math.exp(window.evidence):.2f}" if tens < 3 else f"10^{tens:.0f}"


def monitor_table(monitored: Monitored, event: Event) -> Table:
    """Lay out a row per window."""
    rows = []
    for window in monitored.windows:
        values = (window.n, window.accuracy, window.overconfidence, None, window.ece, window.evidence)
        cells = [Cell(text, value) for text, value in zip(_texts(window), values, strict=True)]
        rows.append(Row(written(window.start, dates=monitored.dates), cells))
    return Table("windows", "Windows", monitored.verdict(), list(map(capital, _headings(event))), rows)


def monitor_panel(monitored: Monitored, event: Event) -> Panel:
    """Show over-confidence over time above the evidence that there is some."""
    with svg_figure("over-time", width=9.0, height=4.2, rows=[2.0, 1.0]) as drawing:
        _draw(drawing.axes, monitored, f"{event.probability} − {event.share} %")
    held = [one for one in monitored.windows if one.n]
    said = "; ".join(
        f"{written(one.start, dates=monitored.dates)} {100 * one.overconfidence:+.2f} %" for one in held[-SHOWN:]
    )
    empty = len(monitored.windows) - len(held)
    gaps = f" {empty:,} windows have no rows." if empty else ""
    caption = f"{monitored.verdict()}{gaps}"
    title = f"Windows of {monitored.window} by {short(monitored.column)}"
    return Panel(title, drawing.svg, caption, f"{event.probability} minus {event.share} by window: {said}.", wide=True)


def _draw(axes: list[Axes], monitored: Monitored, heading: str) -> None:
    windows = monitored.windows
    half = timedelta(microseconds=(windows[0].end - windows[0].start) // 2)
    dates = require("matplotlib.dates")
    middles = [datetime(1970, 1, 1) + timedelta(microseconds=one.start) + half for one in windows]
    times: list[float] = dates.date2num(middles).tolist()
    values = [100 * one.overconfidence for one in windows]
    low, high = ([100 * one.overconfidence_interval[end] for one in windows] for end in (0, 1))
    few = len(windows) <= POINTS
    axes[0].axhline(0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    if few:
        axes[0].vlines(times, low, high, color=SERIES[0], linewidth=1.2)
    else:
        axes[0].fill_between(times, low, high, color=SERIES[0], alpha=0.25, linewidth=0)
    axes[0].plot(times, values, color=SERIES[0], linewidth=0.9, marker="o" if few else "", markersize=3)
    axes[0].set(ylabel=heading)
    if monitored.without_alarm:
        axes[1].set_visible(False)
    else:
        axes[1].plot(times, [one.evidence / math.log(10) for one in windows], color=SERIES[0], linewidth=1.2)
        axes[1].axhline(math.log10(ALARM), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes[1].set(ylabel="log₁₀ evidence")
    if monitored.alarm is not None:
        place = times[windows.index(monitored.alarm)]
        for ax in axes:
            ax.axvline(place, color=SERIES[1], linewidth=1.2)
    axes[-1].xaxis.set_major_locator(dates.AutoDateLocator())
    axes[-1].xaxis.set_major_formatter(dates.ConciseDateFormatter(axes[-1].xaxis.get_major_locator()))
