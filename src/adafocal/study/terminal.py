# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of a plan and of a comparison."""

from collections.abc import Mapping, Sequence
from math import isnan

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._measure import p_text
from adafocal._text import printable
from adafocal.measures import IN_SHORT, OF_RUNS, Measure
from adafocal.results.comparison import ComparedExperiment, ComparedLoss, Comparison, Difference, RankTable, Spread
from adafocal.study.plan import Study
from adafocal.study.tables import TABLES, Layout, make_table

TRAINED = {**IN_SHORT, "overconfidence": OF_RUNS["overconfidence"]}
# By their headings as trained: the title of the table says that they are scaled.
SCALED = {
    "ece_scaled": OF_RUNS["ece"], "nll_scaled": OF_RUNS["nll"], "temperature": OF_RUNS["temperature"],
}  # fmt: skip
BEST_SCALED = {f"{name}_best_scaled": measure for name, measure in IN_SHORT.items()}


def print_plan(study: Study, console: Console) -> None:
    """Print what a study holds, what of it is finished, and how many epochs are left."""
    runs = study.runs
    sizes = f"{len(study.experiments)} experiments x " if len(study.experiments) > 1 else ""
    sizes += f"{len(study.losses)} losses x {len(study.seeds)} seeds = {len(runs)} runs"
    console.print(f"{sizes} in {study.folder}", markup=False, highlight=False)
    if len(study.experiments) > 1:
        table = _table("", ["experiment", "runs", "finished", "epochs to go"])
        for experiment in study.experiments:
            own = [run for run in runs if run.experiment == experiment.name]
            left = [run.epochs_left for run in own if not run.finished]
            table.add_row(_plain(experiment.name), str(len(own)), str(len(own) - len(left)), f"{sum(left):,}")
        console.print(table)
    left = [run.epochs_left for run in runs if not run.finished]
    console.print(
        f"{len(runs) - len(left)} finished, {len(left)} missing; {sum(left):,} epochs to go.", highlight=False
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what a study found: each loss on one experiment, or the papers' tables of several."""
    if len(comparison.experiments) == 1:
        _print_experiment(comparison.experiments[0], comparison.baseline, console)
    else:
        for experiment in comparison.experiments:
            if experiment.finding:
                console.print(f"{printable(experiment.title)}: {experiment.finding}", markup=False, highlight=False)
        for layout in TABLES.values():
            console.print(_paper_table(comparison, layout))
        for metric in ("ece", "error"):
            console.print(_verdicts(comparison, metric))
        for metric in ("ece", "error"):
            if metric in comparison.rank_tables:
                _print_ranks(comparison.rank_tables[metric], metric, console)
    for note in comparison.notes:
        console.print(note, markup=False, highlight=False)


def _print_experiment(experiment: ComparedExperiment, baseline: str, console: Console) -> None:
    losses = experiment.rows
    if experiment.finding:
        console.print(experiment.finding, markup=False, highlight=False)
    console.print(_spreads(losses, "Test results: mean ± standard deviation over seeds", TRAINED))
    console.print(_spreads(experiment.losses, "After temperature scaling, T fitted on validation", SCALED))
    if any(entry.best_scaling for entry in experiment.losses):
        after = "After the best scaling, chosen and fitted on validation"
        console.print(_spreads(experiment.losses, after, BEST_SCALED, which=True))
    title = next((entry.title for entry in losses if entry.loss == baseline), None)
    if not any(entry.versus_baseline for entry in losses):
        return
    table = _table(
        f"Difference to {title}, paired over seeds [95 % interval]; verdicts at 5 %, Holm-corrected",
        ["loss", *(measure.heading for measure in IN_SHORT.values())],
    )
    for entry in losses:
        if entry.versus_baseline:
            cells = [_difference(entry.versus_baseline.get(name), measure) for name, measure in IN_SHORT.items()]
            table.add_row(_plain(entry.title), *cells)
    console.print(table)


def _spreads(
    losses: Sequence[ComparedLoss], title: str, measures: Mapping[str, Measure], *, which: bool = False
) -> Table:
    table = _table(title, ["loss", *(measure.heading for measure in measures.values()), *["which"] * which])
    for entry in losses:
        cells = [_spread(entry.metrics.get(name), measure) for name, measure in measures.items()]
        table.add_row(_plain(entry.title), *cells, *[_plain(entry.best_scaling)] * which)
    return table


def _spread(value: Spread | None, measure: Measure) -> str:
    if value is None:
        return ""
    mean = measure.text(value.mean, signed=measure.better == "zero")
    return mean if isnan(value.std) else f"{mean} ± {measure.text(value.std)}"


def _difference(value: Difference | None, measure: Measure) -> Text:
    if value is None:
        return Text()
    interval = "one seed: no interval"
    if not isnan(value.low):
        interval = f"[{measure.text(value.low, signed=True)}, {measure.text(value.high, signed=True)}]"
    return Text(f"{measure.text(value.mean, signed=True)}\n{interval}\n{value.verdict}")


def _paper_table(comparison: Comparison, layout: Layout) -> Table:
    content = make_table(comparison, layout)
    table = _table(f"{layout.caption}, means over seeds", content.labels, content.losses)
    for labels, row in content.rows:
        cells = content.cells(row, bold="[bold]{}[/bold]".format, spread=False)
        table.add_row(*map(_plain, labels), *map(Text.from_markup, cells))
    return table


def _verdicts(comparison: Comparison, name: str) -> Table:
    measure, titles, baseline = OF_RUNS[name], comparison.titles, comparison.baseline
    others = [loss for loss in titles if loss != baseline]
    table = _table(
        f"{measure.heading}: difference to {titles.get(baseline, baseline)}, paired over seeds; verdicts at 5 %, "
        "Holm-corrected over losses",
        ["experiment"],
        [titles[loss] for loss in others],
    )
    for experiment in comparison.experiments:
        held = {entry.loss: entry.versus_baseline.get(name) for entry in experiment.rows}
        table.add_row(_plain(experiment.name), *(_difference(held.get(loss), measure) for loss in others))
    return table


def _print_ranks(found: RankTable, name: str, console: Console) -> None:
    order = ", ".join(f"{entry.title} {entry.rank:.2f}" for entry in found.losses)
    console.print(
        f"Average rank by {OF_RUNS[name].heading} over {found.n_experiments} experiments: {order}; Friedman p: "
        f"{p_text(found.p_value)}, critical difference {found.critical_difference:.2f} (Nemenyi, 5 %).",
        markup=False,
        highlight=False,
    )


def _table(title: str, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Begin a table: the first column to the left, or all of ``left`` where ``right`` is given."""
    table = Table(title=_plain(title) if title else None, title_justify="left")
    for place, heading in enumerate([*left, *right]):
        to_left = place < len(left) if right else place == 0
        table.add_column(_plain(heading), justify="left" if to_left else "right")
    return table


def _plain(text: str) -> Text:
    """Show a name from data as it is, whatever it looks like."""
    return Text(printable(text, longest=120))
