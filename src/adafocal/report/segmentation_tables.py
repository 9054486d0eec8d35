# SPDX-License-Identifier: Apache-2.0
"""Single cases of a segmentation in words and numbers, the worst first."""

from collections.abc import Mapping
from math import inf, isnan

from adafocal._measure import Measure
from adafocal._text import short
from adafocal.measures import OF_MASKS
from adafocal.report.tables import Cell, Row, Table

MAX_CASES = 300  # rows of the table
WORST = 3  # cases that are named
NAMED = ("dice", "class_ace")  # by what the worst are chosen

Cases = Mapping[str, Mapping[str, float]]


def worst_cases(cases: Cases) -> list[str]:
    """Name the worst cases by overlap and by calibration, a sentence each; none where a case has no such score."""
    held = _measures(cases)
    return [_worst(cases, name, held[name]) for name in NAMED if name in held]


def case_table(cases: Cases) -> Table | None:
    """Lay out the scores of each case, those of least overlap first, of very many the worst; None of no cases."""
    if not cases:
        return None
    held = _measures(cases)
    ordered = sorted(cases, key=lambda name: _badness(cases[name].get("dice", 0.0), higher_is_better=True))[:MAX_CASES]
    rows = [Row(short(name), [_cell(cases[name][key], one) for key, one in held.items()]) for name in ordered]
    few = "" if len(rows) == len(cases) else f" The {len(rows)} worst of {len(cases):,}."
    caption = f"Means over the classes of each test case, least overlap first.{few}"
    return Table("cases-table", "Cases", caption, ["Case", *(one.on_page for one in held.values())], rows)


def _measures(cases: Cases) -> dict[str, Measure]:
    """Measures of the catalogue that single cases have, in columns of their names."""
    columns = set.intersection(*({*row} for row in cases.values())) if cases else set()
    return {name: measure for name, measure in OF_MASKS.items() if name in columns}


def _worst(cases: Cases, column: str, measure: Measure) -> str:
    higher = measure.better == "higher"
    ordered = sorted(cases, key=lambda name: _badness(cases[name][column], higher_is_better=higher))[:WORST]
    unit = "\u00a0%" if measure.unit == "%" else ""
    named = ", ".join(f"{short(name)} ({measure.page_text(cases[name][column])}{unit})" for name in ordered)
    return f"{'Lowest' if higher else 'Highest'} {measure.label}: {named}."


def _badness(value: float, *, higher_is_better: bool) -> float:
    if isnan(value):
        return inf
    return value if higher_is_better else -value


def _cell(value: float, measure: Measure) -> Cell:
    return Cell(measure.page_text(value), value)
