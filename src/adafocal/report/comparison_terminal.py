# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal compare`` prints: a sentence, and a table of differences for each set that is compared."""

from math import isnan
from typing import TYPE_CHECKING

from adafocal._measure import UNDEFINED, Measure
from adafocal._text import printable
from adafocal.evaluation.comparison import Compared, Comparison, MeasuredDifference
from adafocal.measures import OF_COMPARISON
from adafocal.report.terminal import _table

if TYPE_CHECKING:
    from rich.console import Console
else:  # an extra, loaded when something is printed
    Console = object

LONGEST = 40  # characters of a name in a heading


def print_comparison(found: Comparison, console: Console) -> None:
    """Print everything to a rich console."""
    console.print(printable(found.sentence, keep="\n"))
    console.print(f"{size_of(found)}\n")
    for one in found.others:
        name, base = (printable(text, longest=LONGEST) for text in (one.name, found.baseline))
        headings = ["measure", base, name, "difference", "95 % interval", "p-value", "verdict"]
        rows = [difference_row(measure, found, one) for measure in OF_COMPARISON]
        console.print(_table(f"{name} against {base}", headings, rows, console.width))
    for note in found.notes:
        console.print(note)


def size_of(found: Comparison) -> str:
    """Say how many rows are compared, and the calibration of what."""
    sizes = list(dict.fromkeys(f"{one.summary.n:,}" for one in found.compared))
    rows = f"{' and '.join(sizes)} {'matched' if found.paired else 'unmatched'} row{'' if sizes == ['1'] else 's'}"
    classes = "" if found.event.of_outcomes else f", {found.base.summary.n_classes} classes"
    return f"{rows}{classes}; calibrated event: {printable(found.event.text)}"


def title_of(name: str, found: Comparison) -> str:
    """A measure with its unit, as rows of the tables call it."""
    unit = {"%": " %", "nats": " (nats)"}.get(OF_COMPARISON[name].unit, "")
    return found.called(name) + unit


def difference_row(name: str, found: Comparison, one: Compared) -> list[str]:
    """Write a measure of both, its difference, interval, p-value and verdict."""
    measure, of = OF_COMPARISON[name], one.versus_baseline[name]
    values = [number(measure, held.value(name)) for held in (found.base, one)]
    verdict = of.verdict.partition(",")[0]
    return [title_of(name, found), *values, number(measure, of.value, "+"), interval(measure, of), p_text(of), verdict]


def number(measure: Measure, value: float, sign: str = "-") -> str:
    """Write a number without its unit, with the digits that it has alone."""
    if isnan(value):
        return UNDEFINED
    digits = measure.digits + (measure.unit != "%")
    text = f"{measure.scale * value:{sign}.{digits}f}"
    return text.lstrip("+-") if not text.strip("+-0.") else text


def interval(measure: Measure, of: MeasuredDifference) -> str:
    """Write an interval of a difference; a dash where there is none."""
    return UNDEFINED if isnan(of.low) else f"{number(measure, of.low, '+')} to {number(measure, of.high, '+')}"


def p_text(of: MeasuredDifference) -> str:
    """Write the corrected p-value."""
    p = of.p_corrected
    return UNDEFINED if isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
