# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of a plan and of a comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._text import printable
from adafocal.study.metrics import METRICS, Metric
from adafocal.study.overview import epochs_done
from adafocal.study.plan import Study
from adafocal.study.tables import TABLES, make_table

PLAIN = {name: METRICS[name] for name in ("error", "ece", "nll")}
TRAINED = {**PLAIN, "overconfidence": METRICS["overconfidence"]}
SCALED = {"ece_scaled": Metric("ECE %", 100, 2), "nll_scaled": Metric("NLL"), "temperature": METRICS["temperature"]}


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
            left = [run.config.epochs - epochs_done(run) for run in own if not run.finished]
            table.add_row(_plain(experiment.name), str(len(own)), str(len(own) - len(left)), f"{sum(left):,}")
        console.print(table)
    left = [run.config.epochs - epochs_done(run) for run in runs if not run.finished]
    console.print(
        f"{len(runs) - len(left)} finished, {len(left)} missing; {sum(left):,} epochs to go.", highlight=False
    )


def print_comparison(comparison: Mapping[str, Any], console: Console) -> None:
    """Print what a study found: each loss on one experiment, or the papers' tables of several."""
    experiments = comparison["experiments"]
    if len(experiments) == 1:
        _print_experiment(experiments[0], comparison["baseline"], console)
    else:
        for layout in TABLES.values():
            console.print(_paper_table(comparison, layout))
        for metric in ("ece", "error"):
            console.print(_verdicts(comparison, metric))
        for metric in ("ece", "error"):
            _print_ranks(comparison["ranks"], metric, console)
    for note in comparison["notes"]:
        console.print(note, markup=False, highlight=False)


def _print_experiment(experiment: Mapping[str, Any], baseline: str, console: Console) -> None:
    losses = experiment["losses"]
    console.print(_spreads(losses, "Test results: mean ± standard deviation over seeds", TRAINED))
    console.print(_spreads(losses, "After temperature scaling, T fitted on validation", SCALED))
    title = next((entry["title"] for entry in losses if entry["loss"] == baseline), None)
    if not any(entry["versus_baseline"] for entry in losses):
        return
    table = _table(
        f"Difference to {title}, paired over seeds [95 % interval]; verdicts at 5 %, Holm-corrected",
        ["loss", *(metric.heading for metric in PLAIN.values())],
    )
    for entry in losses:
        if entry["versus_baseline"]:
            cells = [_difference(entry["versus_baseline"].get(name), metric) for name, metric in PLAIN.items()]
            table.add_row(_plain(entry["title"]), *cells)
    console.print(table)


def _spreads(losses: Sequence[Mapping[str, Any]], title: str, metrics: Mapping[str, Metric]) -> Table:
    table = _table(title, ["loss", *(metric.heading for metric in metrics.values())])
    for entry in losses:
        cells = [
            _spread(entry["metrics"].get(name), metric, signed=name == "overconfidence")
            for name, metric in metrics.items()
        ]
        table.add_row(_plain(entry["title"]), *cells)
    return table


def _spread(value: Mapping[str, Any] | None, metric: Metric, *, signed: bool) -> str:
    if value is None:
        return ""
    mean = metric.text(value["mean"], signed=signed)
    return mean if value["std"] is None else f"{mean} ± {metric.text(value['std'])}"


def _difference(value: Mapping[str, Any] | None, metric: Metric) -> Text:
    if value is None:
        return Text()
    interval = "one seed: no interval"
    if value["low"] is not None:
        interval = f"[{metric.text(value['low'], signed=True)}, {metric.text(value['high'], signed=True)}]"
    return Text(f"{metric.text(value['mean'], signed=True)}\n{interval}\n{value['verdict']}")


def _paper_table(comparison: Mapping[str, Any], layout: Any) -> Table:
    content = make_table(comparison, layout)
    table = _table(f"{layout.caption}, means over seeds", content.labels, content.losses)
    for labels, row in content.rows:
        cells = content.cells(row, bold="[bold]{}[/bold]".format)
        table.add_row(*map(_plain, labels), *map(Text.from_markup, cells))
    return table


def _verdicts(comparison: Mapping[str, Any], name: str) -> Table:
    metric, experiments = METRICS[name], comparison["experiments"]
    entries = {entry["loss"]: entry for experiment in experiments for entry in experiment["losses"]}
    title = entries[comparison["baseline"]]["title"] if comparison["baseline"] in entries else comparison["baseline"]
    others = [loss for loss in entries if loss != comparison["baseline"]]
    table = _table(
        f"{metric.heading}: difference to {title}, paired over seeds; verdicts at 5 %, Holm-corrected over losses",
        ["experiment"],
        [entries[loss]["title"] for loss in others],
    )
    for experiment in experiments:
        held = {entry["loss"]: entry["versus_baseline"].get(name) for entry in experiment["losses"]}
        cells = [_difference(held.get(loss), metric) for loss in others]
        table.add_row(_plain(experiment["name"]), *cells)
    return table


def _print_ranks(ranks: Mapping[str, Any] | None, name: str, console: Console) -> None:
    if ranks is None or name not in ranks:
        return
    found = ranks[name]
    order = ", ".join(f"{entry['title']} {entry['rank']:.2f}" for entry in found["losses"])
    p_value = "-" if found["p_value"] is None else f"{found['p_value']:.3f}"
    console.print(
        f"Average rank by {METRICS[name].heading} over {found['n_experiments']} experiments: {order}; Friedman p = "
        f"{p_value}, critical difference {found['critical_difference']:.2f} (Nemenyi, 5 %).",
        markup=False,
        highlight=False,
    )


def _table(title: str, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    """Give an empty table: the first column to the left, or all of ``left`` where ``right`` is given."""
    table = Table(title=_plain(title) if title else None, title_justify="left")
    for place, heading in enumerate([*left, *right]):
        to_left = place < len(left) if right else place == 0
        table.add_column(_plain(heading), justify="left" if to_left else "right")
    return table


def _plain(text: str) -> Text:
    """Give a name from data as it is, whatever it looks like."""
    return Text(printable(text, longest=120))
