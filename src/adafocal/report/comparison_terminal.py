# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal compare`` prints: a sentence, and a table of differences for each set that is compared."""

from typing import TYPE_CHECKING

from adafocal.evaluation.comparison import COLUMNS, Comparison
from adafocal.report.terminal import _table

if TYPE_CHECKING:
    from rich.console import Console
else:  # an extra, loaded when something is printed
    Console = object


def print_comparison(found: Comparison, console: Console) -> None:
    """Print everything to a rich console."""
    console.print(found.sentence)
    console.print(f"{found.size}\n")
    for one in found.others:
        name, base = found.labels[one.name], found.labels[found.baseline]
        rows = [found.row(measure, one) for measure in one.versus_baseline]
        console.print(_table(f"{name} against {base}", ["measure", base, name, *COLUMNS], rows, console.width))
    for note in found.notes:
        console.print(note)
