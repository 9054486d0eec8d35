# SPDX-License-Identifier: Apache-2.0
"""Tables of the page as plain records: texts to show, numbers to sort by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import torch

from adafocal.measures import DIFFERENCES, ON_PAGES, Measure
from adafocal.results.comparison import ComparedExperiment, Difference, Spread
from adafocal.results.outcome import Outcome
from adafocal.results.run import Summary

MAX_CLASSES = 1000  # rows of a table of classes


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is shown.
        value: What the column is sorted by; None comes last.
        note: A second, softer line.
        verdict: ``better``, ``worse``, ``not distinguishable`` or nothing, as a third line.
    """

    text: str
    value: float | None = None
    note: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: Its heading.
        cells: The others.
        series: Number of its colour; None for none.
    """

    title: str
    cells: Sequence[Cell]
    series: int | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Its identifier on the page.
        label: Its name for those who do not see it.
        caption: What it shows.
        headings: Headings of the columns, that of the rows' titles first.
        rows: Its rows.
        sortable: Whether it makes sense in another order.
    """

    name: str
    label: str
    caption: str
    headings: Sequence[str]
    rows: Sequence[Row]
    sortable: bool = True


def number(value: float | None, digits: int, *, scale: float = 1.0, sign: str = "-") -> str:
    """Format with a true minus sign; a dash for what is not defined.

    Example:
        >>> number(-0.0625, 1, scale=100), number(None, 2)
        ('−6.2', '–')
    """
    if value is None or not isfinite(value):
        return "–"
    return f"{scale * value:{sign}.{digits}f}".replace("-", "−")


def number_cell(value: float | None, digits: int, *, scale: float = 1.0) -> Cell:
    """Give a cell that shows a number and is sorted by it."""
    return Cell(number(value, digits, scale=scale), value if value is not None and isfinite(value) else None)


def run_results(title: str, summary: Summary) -> Table:
    """Give the table of one run's results."""
    cells = [_cell(summary.value(measure), measure) for measure in ON_PAGES.values()]
    caption = (
        "Lower is better, and confidence − accuracy is best at zero. T is the temperature fitted on validation data."
    )
    return Table("results", "Results", caption, _headings(ON_PAGES), [Row(title, cells, 0)])


def study_results(experiment: ComparedExperiment, name: str) -> Table:
    """Give the table of an experiment's results: a row per loss."""
    held = {key: one for key, one in ON_PAGES.items() if all(key in entry.metrics for entry in experiment.losses)}
    rows = [
        Row(entry.title, [_spread_cell(entry.metrics[key], one) for key, one in held.items()], index)
        for index, entry in enumerate(experiment.losses)
    ]
    caption = (
        "Mean ± standard deviation over seeds; lower is better, and confidence − accuracy is best at zero. "
        "T is the temperature fitted on validation data."
    )
    return Table(name, "Results", caption, _headings(held), rows)


def differences(experiment: ComparedExperiment, name: str) -> Table | None:
    """Give the table of differences to the baseline; None where nothing was compared."""
    compared = [entry for entry in experiment.losses if entry.versus_baseline]
    if not compared:
        return None
    held = {key: one for key, one in DIFFERENCES.items() if all(key in entry.versus_baseline for entry in compared)}
    rows = [
        Row(entry.title, [_difference_cell(entry.versus_baseline[key], one) for key, one in held.items()])
        for entry in compared
    ]
    baseline = next((entry.title for entry in experiment.losses if not entry.versus_baseline), "the baseline")
    caption = (
        f"Difference to {baseline}, paired over seeds, with its 95 % interval. Verdicts at the 5 % level, corrected "
        "for the number of losses."
    )
    return Table(name, "Differences", caption, _headings(held), rows)


def _headings(measures: Mapping[str, Measure]) -> list[str]:
    return ["Loss", *(measure.on_page for measure in measures.values())]


def _cell(value: float, measure: Measure) -> Cell:
    return Cell(measure.page_text(value), value if isfinite(value) else None)


def _spread_cell(value: Spread, measure: Measure) -> Cell:
    spread = f" ± {measure.page_text(value.std)}" if isfinite(value.std) else ""
    return Cell(measure.page_text(value.mean) + spread, value.mean if isfinite(value.mean) else None)


def _difference_cell(value: Difference, measure: Measure) -> Cell:
    low, high = (measure.page_text(end, sign="+") for end in (value.low, value.high))
    interval = "one seed: no interval" if low == "–" else f"[{low}, {high}]"
    centre = value.mean if isfinite(value.mean) else None
    return Cell(measure.page_text(value.mean, sign="+"), centre, interval, value.verdict)


def run_classes(outcome: Outcome, class_names: Sequence[str]) -> Table:
    """Give the table of one run's classes."""
    n, counted = outcome.n, outcome.class_count
    shown = _shown_classes(outcome.class_error)
    rows = [
        Row(
            class_names[c],
            [
                Cell(f"{int(counted[c]):,}", float(counted[c])),
                number_cell(float(outcome.class_right[c] / counted[c]), 1, scale=100),
                number_cell(float((outcome.class_expected[c] - counted[c]) / n), 2, scale=100),
                number_cell(float(outcome.class_error[c]), 2, scale=100),
            ],
        )
        for c in shown
    ]
    headings = ["Class", "Samples", "Found %", "Mean prob. − share %", "ECE of the class %"]
    caption = "Found: share of the class's samples that are predicted as it." + _cut(shown, class_names)
    return Table("classes", "Classes", caption, headings, rows)


def study_classes(
    losses: Sequence[tuple[str, Outcome]], class_names: Sequence[str], *, name: str, n_runs: int
) -> Table:
    """Give the table of the classes of several losses: the calibration error of each class's probability."""
    errors = torch.stack([outcome.class_error for _, outcome in losses])
    shown = _shown_classes(errors.amax(dim=0))
    count = losses[0][1].class_count
    rows = [
        Row(
            class_names[c],
            [
                Cell(f"{int(count[c]):,}", float(count[c])),
                *(number_cell(float(of_loss), 2, scale=100) for of_loss in errors[:, c]),
            ],
        )
        for c in shown
    ]
    caption = (
        f"ECE of each class's probability in percent, predictions of {n_runs} run{'s' if n_runs > 1 else ''} pooled."
    )
    headings = ["Class", "Samples", *(title for title, _ in losses)]
    return Table(name, "Classes", caption + _cut(shown, class_names), headings, rows)


def _shown_classes(error: torch.Tensor) -> list[int]:
    worst: list[int] = torch.argsort(error, descending=True, stable=True)[:MAX_CLASSES].sort().values.tolist()
    return worst


def _cut(shown: Sequence[int], class_names: Sequence[str]) -> str:
    return "" if len(shown) == len(class_names) else f" The {len(shown):,} worst of {len(class_names):,} classes."
