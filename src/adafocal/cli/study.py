# SPDX-License-Identifier: Apache-2.0
"""``adafocal study``: a grid of losses and seeds, one table, one page."""

from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

from adafocal.cli.options import train_config, train_parser

Columns: TypeAlias = tuple[tuple[str, str, float, int], ...]  # metric, heading, scale, digits
LOSSES = ["cross_entropy", "flsd53", "adafocal"]
COLUMNS = (("error", "error %", 100, 2), ("ece", "ECE %", 100, 2), ("nll", "NLL", 1, 3))
SIGNED = ("overconfidence", "confidence - accuracy %", 100, 2)
SCALED = (("ece_scaled", "ECE %", 100, 2), ("nll_scaled", "NLL", 1, 3), ("temperature", "T", 1, 2))


def main(arguments: list[str]) -> int:
    """Train a grid and compare; see ``adafocal study --help``."""
    parser = train_parser("study", "Train a grid of losses and seeds, compare them, and write one page.", arguments)
    parser.add_argument("--losses", nargs="+", type=str, default=LOSSES, help="Losses of `adafocal list losses`.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="Seeds; runs of a seed are paired.")
    parser.add_argument("--baseline", type=str, default=None, help="Loss to compare with (default: the first).")
    parser.add_argument("--study_dir", type=str, default=None, help="Study folder (default: runs/study-RECIPE).")
    parser.add_argument("--workers", type=int, default=None, help="Worker processes (default: one per core).")
    options = parser.parse_args(arguments)

    from adafocal.report import write_page
    from adafocal.study.execute import execute
    from adafocal.study.plan import Experiment, Study
    from adafocal.study.results import write_results

    study = Study(
        experiments=(Experiment(options.recipe, train_config(options)),),
        losses=tuple(options.losses),
        seeds=tuple(options.seeds),
        baseline=options.baseline or options.losses[0],
        folder=Path(options.study_dir or Path("runs") / f"study-{options.recipe}"),
    )
    study.write()
    console = Console(soft_wrap=True)
    console.print(f"{len(study.losses)} losses x {len(study.seeds)} seeds = {len(study.runs)} runs in {study.folder}")
    failures = execute(study.runs, workers=options.workers, console=console)
    if any(run.finished for run in study.runs):
        show(write_results(study)["experiments"][0] | {"baseline": study.baseline}, console)
        console.print(f"page {write_page(study.folder)}", highlight=False)
    for failure in failures:
        console.print(f"failed: {failure.run.folder}: {failure.reason}", markup=False, highlight=False)
    return 1 if failures else 0


def show(comparison: dict[str, Any], console: Console) -> None:
    """Print mean and spread per loss, before and after temperature, and which differences are larger than chance."""
    title = "Test results: mean ± standard deviation over seeds"
    console.print(_spreads(comparison, title, (*COLUMNS, SIGNED)))
    console.print(_spreads(comparison, "After temperature scaling, T fitted on validation", SCALED))
    baseline = next((e["title"] for e in comparison["losses"] if e["loss"] == comparison["baseline"]), None)
    if baseline is None or not any(entry["versus_baseline"] for entry in comparison["losses"]):
        return
    table = Table(
        title=f"Difference to {baseline}, paired over seeds [95 % interval]; verdicts at 5 %, Holm-corrected",
        title_justify="left",
    )
    table.add_column("loss")
    for _, heading, _, _ in COLUMNS:
        table.add_column(heading, justify="right")
    for entry in comparison["losses"]:
        if entry["versus_baseline"]:
            cells = [
                _difference(entry["versus_baseline"][metric], scale, digits) for metric, _, scale, digits in COLUMNS
            ]
            table.add_row(entry["title"], *cells)
    console.print(table)


def _spreads(comparison: dict[str, Any], title: str, columns: Columns) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("loss")
    for _, heading, _, _ in columns:
        table.add_column(heading, justify="right")
    for entry in comparison["losses"]:
        cells = [
            _spread(entry["metrics"][metric], scale, digits, signed=metric == SIGNED[0])
            for metric, _, scale, digits in columns
        ]
        table.add_row(entry["title"], *cells)
    return table


def _spread(value: dict[str, float], scale: float, digits: int, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return f"{scale * value['mean']:{sign}.{digits}f} ± {scale * value['std']:.{digits}f}"


def _difference(value: dict[str, Any], scale: float, digits: int) -> str:
    interval = f"\\[{scale * value['low']:+.{digits}f}, {scale * value['high']:+.{digits}f}]"
    return f"{scale * value['mean']:+.{digits}f}\n{interval}\n{value['verdict']}"
