# SPDX-License-Identifier: Apache-2.0
"""Measures of runs by task, loss and seed: the file that keeps them, and the tables that pages show of it."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from adafocal.study.statistics import paired_differences

Runs = dict[str, dict[int, dict[str, float]]]  # by loss and seed, the measures by name
Columns = Mapping[str, tuple[str, float, int]]  # title: measure, factor, digits; "{end}" stands for each of ENDS
ENDS = ("", "_scaled")  # as trained, and after scaling


def write_runs(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write a row for each run, floats to five digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{v:.5g}" if isinstance(v, float) else v for name, v in row.items()} for row in rows)


def read_runs(path: Path, *, words: Sequence[str] = ()) -> dict[str, Runs]:
    """Read the runs of each task, of one without a name where the file has no such column.

    Args:
        path: The CSV file.
        words: Columns that hold no numbers, which are left out.
    """
    found: dict[str, Runs] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            of_task = found.setdefault(row.pop("task", ""), {})
            measures = of_task.setdefault(row.pop("loss"), {}).setdefault(int(row.pop("seed")), {})
            measures |= {name: float(value) for name, value in row.items() if name not in words}
    return found


def print_means(runs: Runs, columns: Columns) -> None:
    """Print mean and standard deviation over seeds, as trained and scaled where a measure has an ``{end}``."""
    print(f"\n| loss | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for loss, seeds in runs.items():
        cells = []
        for name, scale, digits in columns.values():
            names = dict.fromkeys(name.format(end=end) for end in ENDS)
            cells.append(" →\u00a0".join(spread([scale * row[one] for row in seeds.values()], digits) for one in names))
        print(f"| `{loss}` | {' | '.join(cells)} |")


def print_differences(runs: Runs, columns: Columns, *, baseline: str) -> None:
    """Print differences to a loss, paired over seeds; bold where Holm over the losses leaves p below 5 %."""
    differences = {
        title: paired_differences(
            {loss: {seed: scale * row[name] for seed, row in seeds.items()} for loss, seeds in runs.items()},
            baseline=baseline,
        )
        for title, (name, scale, _) in columns.items()
    }
    print(f"\n| less `{baseline}` | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for loss in [loss for loss in runs if loss != baseline]:
        cells = []
        for title, (_, _, digits) in columns.items():
            one = differences[title][loss]
            text = f"{one.mean:+.{digits}f} [{one.low:.{digits}f},\u00a0{one.high:.{digits}f}]".replace("-", "−")
            cells.append(f"**{text}**" if one.p_value < 0.05 else text)
        print(f"| `{loss}` | {' | '.join(cells)} |")


def spread(values: Sequence[float], digits: int) -> str:
    """Write a mean, and the standard deviation of several values."""
    deviation = f"\u00a0±\u00a0{stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}".replace("-", "−") + deviation
