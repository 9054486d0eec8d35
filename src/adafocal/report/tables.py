# SPDX-License-Identifier: Apache-2.0
"""Tables of the page as plain records: texts to show, numbers to sort by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from adafocal.report.outcome import Outcome

# Metric, heading, factor, digits.
COLUMNS = (
    ("error", "Error %", 100, 2),
    ("ece", "ECE %", 100, 2),
    ("ece_equal_mass", "ECE, equal mass %", 100, 2),
    ("nll", "NLL", 1, 3),
    ("overconfidence", "Conf. − acc. %", 100, 2),
    ("ece_scaled", "ECE % after T", 100, 2),
    ("temperature", "T", 1, 2),
)
COMPARED = COLUMNS[:4]
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


def run_results(title: str, summary: Mapping[str, Any]) -> Table:
    """Give the table of one run's results."""
    test = {**summary["test"], "ece_scaled": summary["test_scaled"]["ece"], "temperature": summary["temperature"]}
    cells = [number_cell(test[metric], digits, scale=scale) for metric, _, scale, digits in COLUMNS]
    caption = (
        "Lower is better, and confidence − accuracy is best at zero. T is the temperature fitted on validation data."
    )
    headings = ["Loss", *(heading for _, heading, _, _ in COLUMNS)]
    return Table("results", "Results", caption, headings, [Row(title, cells, 0)])


def study_results(experiment: Mapping[str, Any], name: str) -> Table:
    """Give the table of an experiment's results: a row per loss."""
    held = [column for column in COLUMNS if all(column[0] in entry["metrics"] for entry in experiment["losses"])]
    rows = [
        Row(entry["title"], [_spread_cell(entry["metrics"][metric], s, digits) for metric, _, s, digits in held], index)
        for index, entry in enumerate(experiment["losses"])
    ]
    caption = (
        "Mean ± standard deviation over seeds; lower is better, and confidence − accuracy is best at zero. "
        "T is the temperature fitted on validation data."
    )
    return Table(name, "Results", caption, ["Loss", *(heading for _, heading, _, _ in held)], rows)


def differences(experiment: Mapping[str, Any], name: str) -> Table | None:
    """Give the table of differences to the baseline; None where nothing was compared."""
    compared = [entry for entry in experiment["losses"] if entry["versus_baseline"]]
    if not compared:
        return None
    held = [column for column in COMPARED if all(column[0] in entry["versus_baseline"] for entry in compared)]
    rows = [
        Row(entry["title"], [_difference_cell(entry["versus_baseline"][m], s, digits) for m, _, s, digits in held])
        for entry in compared
    ]
    baseline = next((entry["title"] for entry in experiment["losses"] if not entry["versus_baseline"]), "the baseline")
    caption = (
        f"Difference to {baseline}, paired over seeds, with its 95 % interval. Verdicts at the 5 % level, corrected "
        "for the number of losses."
    )
    return Table(name, "Differences", caption, ["Loss", *(heading for _, heading, _, _ in held)], rows)


def _spread_cell(value: Mapping[str, Any], scale: float, digits: int) -> Cell:
    text = number(value["mean"], digits, scale=scale)
    if value["std"] is not None and isfinite(value["std"]):
        text = f"{text} ± {number(value['std'], digits, scale=scale)}"
    return Cell(text, value["mean"])


def _difference_cell(value: Mapping[str, Any], scale: float, digits: int) -> Cell:
    low, high = (number(value[end], digits, scale=scale, sign="+") for end in ("low", "high"))
    interval = "one seed: no interval" if low == "–" else f"[{low}, {high}]"
    return Cell(number(value["mean"], digits, scale=scale, sign="+"), value["mean"], interval, value["verdict"])


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
