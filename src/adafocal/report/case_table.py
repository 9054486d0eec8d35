# SPDX-License-Identifier: Apache-2.0
"""Calibration per case in a terminal and on a page."""

from typing import TYPE_CHECKING

from adafocal._checks import require
from adafocal._estimate import Estimate
from adafocal._fit import fitted
from adafocal._text import capital, printable, short, told_apart
from adafocal.calibration.measure import LEVEL
from adafocal.evaluation.cases import Case, CasesMeasured
from adafocal.evaluation.event import Event
from adafocal.measures import OF_PREDICTIONS
from adafocal.report.tables import Cell, Row, Table

if TYPE_CHECKING:
    from rich.console import Console
else:  # an extra, loaded when something is printed
    Console = object

SHOWN = 10  # cases in a terminal, the worst ones
ON_PAGE = 1000  # on a page
ERRORS = ("ece", "ace", "mce")
PERCENT = OF_PREDICTIONS["ece"]


def case_lines(found: CasesMeasured) -> list[str]:
    """Say the means over cases, a line each: of the calibrated event, and of each class."""
    over = f"{len(found.cases):,} cases by {printable(found.column, longest=40)}"
    first = f"Mean over {over} ({100 * LEVEL:g} % interval over cases): {_means(found.means)}"
    return [first] + [
        f"of class {printable(name, longest=40)}: {_means(means)}" for name, means in found.classes.items()
    ]


def _means(means: dict[str, Estimate]) -> str:
    return ", ".join(f"{name.upper()} {_written(one)}" for name, one in means.items())


def _written(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return PERCENT.alone(one.value)
    return f"{PERCENT.alone(one.value)} ({PERCENT.between(one.low, one.high)})"


def print_cases(found: CasesMeasured, console: Console, event: Event) -> None:
    """Print the means over cases, and the worst cases.

    Args:
        found: As ``CaseWatch.result`` gives it.
        console: A ``rich.console.Console``.
        event: What is calibrated.
    """
    kind, box, text = require("rich.table"), require("rich.box"), require("rich.text").Text
    title = f"{min(SHOWN, len(found.cases))} of {len(found.cases):,} cases by {short(found.column)}, the worst first"
    table = kind.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    for place, heading in enumerate(_headings(event)):
        table.add_column(heading, justify="right" if place else "left")
    for case in found.cases[:SHOWN]:
        table.add_row(text(short(case.name)), *(text(cell) for cell, _ in _cells(case)))
    console.print()
    console.print(fitted(table, console.width))
    for line in case_lines(found):
        console.print(line, markup=False, highlight=False)


def case_table(found: CasesMeasured, event: Event) -> Table:
    """Lay out the cases for a page, the worst first, at most 1,000."""
    cases = found.cases[:ON_PAGE]
    names = told_apart([case.name for case in cases])
    rows = [Row(name, [Cell(*cell) for cell in _cells(case)]) for name, case in zip(names, cases, strict=True)]
    caption = f"{'; '.join(case_lines(found))}."
    if len(cases) < len(found.cases):
        caption += f" The worst {len(cases):,} cases; --json holds all."
    return Table("cases", "Cases", caption, list(map(capital, _headings(event))), rows)


def _headings(event: Event) -> list[str]:
    over = OF_PREDICTIONS["overconfidence"].heading
    return ["case", "rows", f"{event.share} %", event.says(over), *(f"{name.upper()} %" for name in ERRORS)]


def _cells(case: Case) -> list[tuple[str, float]]:
    numbers = (case.share, case.gap, case.ece, case.ace, case.mce)
    return [(f"{case.n:,.10g}", case.n), *((PERCENT.text(number), number) for number in numbers)]
