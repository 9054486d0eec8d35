# SPDX-License-Identifier: Apache-2.0
"""Before and after a scaling, as ``adafocal scale`` prints it."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._text import printable
from adafocal.calibration import CalibrationSummary
from adafocal.measures import MEASURES

NUMBERS = ("accuracy", "ece", "nll", "overconfidence")


def show(results: Mapping[str, CalibrationSummary], title: str, console: Console) -> None:
    """Print error, calibration error, likelihood and over-confidence before and after."""
    n = next(iter(results.values())).n
    table = Table(title=Text(printable(f"{title}, {n:,} samples")), title_justify="left")
    table.add_column("")
    for measure in ("error", "ece", "nll", "overconfidence"):
        table.add_column(MEASURES[measure].heading, justify="right")
    for name, summary in results.items():
        table.add_row(
            name,
            f"{100 * (1 - summary.accuracy):.2f}",
            f"{100 * summary.ece:.2f}",
            f"{summary.nll:.4f}",
            f"{100 * summary.overconfidence:+.2f}",
        )
    console.print(table)
