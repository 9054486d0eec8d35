# SPDX-License-Identifier: Apache-2.0
"""``adafocal scale fit --method auto``: which scaling was chosen, and what each did out of fold."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._reading import Record
from adafocal.measures import MEASURES
from adafocal.scaling.best import simplest
from adafocal.scaling.crossfit import FOLDS
from adafocal.scaling.remedy import Remedy, find_remedy, titled

AUTO = "auto"


def choose_method(record: Record, console: Console) -> tuple[str, dict[str, object]]:
    """Choose a scaling by cross-fitting and say what was seen: its method, and the options of its fit."""
    remedy = find_remedy(record)
    method, options = simplest(remedy)
    if remedy.trials:
        found = f"of {len(remedy.trials)} scalings in {FOLDS}-fold cross-fitting over {remedy.rows}"
        console.print(f"chosen {titled(method)}, the simplest {found} that is not sure to be beaten")
    else:
        console.print(f"chosen {titled(method)}, as there are too few rows to compare scalings, {remedy.n:,}")
    show_trials(remedy, console)
    return method, options


def show_trials(remedy: Remedy, console: Console) -> None:
    """Print what every scaling did to rows that it was not fitted to, and why others were not tried."""
    if not remedy.trials:
        return
    table = Table(title=Text(f"Out of fold, {remedy.rows}"), title_justify="left")
    table.add_column("")
    for heading in (MEASURES["nll"].heading, "better by", "± (1 s.e.)", MEASURES["ece"].heading):
        table.add_column(heading, justify="right")
    for trial in (remedy.before, *remedy.trials):
        gain = (f"{trial.gain:+.4f}", f"{trial.gain_error:.4f}") if trial.method else ("", "")
        table.add_row(trial.title or "as they are", f"{trial.nll:.4f}", *gain, f"{100 * trial.ece:.2f}")
    console.print(table)
    console.print("the choice saw all of these rows: on new ones expect a little less of what was chosen")
    left_out = "; ".join(f"{titled(method)} ({why})" for method, why in remedy.left_out.items())
    if left_out:
        console.print(f"not tried: {left_out}")
