# SPDX-License-Identifier: Apache-2.0
"""Tables of the page as plain records: texts to show, numbers to sort by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, isnan, nan
from statistics import mean, stdev

import torch
from torch import Tensor

from adafocal._records import number_at
from adafocal._text import capital
from adafocal.measures import DIFFERENCES, OF_MASKS, ON_PAGES, Measure
from adafocal.results.comparison import ComparedExperiment, Difference
from adafocal.results.outcome import Outcome
from adafocal.results.run import Summary
from adafocal.scaling.remedy import titled

MAX_CLASSES = 1000  # rows of a table of classes
# Of single classes; the catalogue holds measures of all predictions.
FOUND = Measure(name="found", heading="Found %", unit="%", digits=1)
SURPLUS = Measure(name="surplus", heading="Mean prob. − share %", unit="%")
CLASS_ECE = Measure(name="ece_of_class", heading="ECE of the class %", unit="%")
FITTED = "the temperature fitted on validation data"
LOWER = "lower is better, and confidence − accuracy is best at zero."
BEST = f"{LOWER} T is {FITTED}."
BEST_SCALING = "After best: after the scaling that cross-fitting on validation data chooses; below it which."
OF_SEGMENTATION = (
    "Mean over test cases and classes, ± standard deviation over seeds where there are several. Dice is overlap, "
    "higher is better. HD95 is the distance of the surfaces in voxels. Components, tunnels and cavities: by how "
    "many the predicted mask has too many or too few. Calibration of voxels is pooled over all cases, or the mean "
    "of the cases' own errors; predicted foreground leaves out voxels that are called background. Class ECE, ACE and "
    "MCE are means over cases of the errors of each foreground class's probability."
)


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is shown.
        value: What the column is sorted by; None, and what is not finite, come last.
        note: A second, softer line.
        verdict: ``better``, ``worse``, ``not distinguishable`` or nothing, as a third line.
    """

    text: str
    value: float | None = None
    note: str = ""
    verdict: str = ""

    @property
    def key(self) -> float | None:
        """The value, where it has a place in an order."""
        return None if self.value is None or not isfinite(self.value) else self.value


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: Its heading.
        cells: The others.
        series: Number of its colour; None for none.

    A row without cells is a heading of those below it.
    """

    title: str
    cells: Sequence[Cell] = ()
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


def spread_cell(values: Sequence[float], measure: Measure) -> Cell:
    """Show mean and standard deviation of the values that are defined, of one alone the value."""
    known = [value for value in values if not isnan(value)]
    return _cell(mean(known) if known else nan, measure, stdev(known) if len(known) > 1 else nan)


def run_results(title: str, summary: Summary) -> Table:
    """Lay out one run's results: as trained, after temperature scaling, and after its best scaling."""
    held = {key: one for key, one in ON_PAGES.items() if one.place.startswith("test.")}
    after = {key: replace(one, source=f"test_scaled.{one.name}") for key, one in held.items()}
    temperature = f"after temperature scaling, T = {summary.temperature:.2f}"
    rows = [
        Row(title, [_cell(summary.value(one), one) for one in held.values()], 0),
        Row(temperature, [_cell(_at(summary, one), one) for one in after.values()]),
    ]
    best = summary.best_scaling
    if best is not None:
        name = titled(best.method) if best.method else "none helps"
        rows.append(Row(f"after the best scaling: {name}", [_cell(best.value(one), one) for one in held.values()]))
    return Table("results", "Results", f"{capital(LOWER)} {_scaled_how(summary)}", _headings(held), rows)


def _scaled_how(summary: Summary) -> str:
    """Say what was fitted to what."""
    if summary.segmentation is not None:
        return f"T is {FITTED}; of volumes a sample of voxels is kept, on which no further scaling is tried."
    best = summary.best_scaling
    if best is None:
        return f"T is {FITTED}."
    how = f"chosen by cross-fitting on the {best.rows:,} samples of the {best.part} part and fitted to them"
    return f"T is {FITTED}; the best scaling is {how}."


def _at(summary: Summary, measure: Measure) -> float:
    """A measure of a part that may hold fewer of them."""
    part, _, name = measure.place.partition(".")
    held = summary.everything.get(part)
    return number_at(held, name) if isinstance(held, Mapping) and name in held else nan


def study_results(experiment: ComparedExperiment, name: str) -> Table:
    """Lay out an experiment's results, a row per loss."""
    held = {key: one for key, one in ON_PAGES.items() if all(key in entry.metrics for entry in experiment.rows)}
    if not any(entry.best_scaling for entry in experiment.losses):
        held.pop("ece_best_scaled", None)
    rows = []
    for index, entry in enumerate(experiment.rows):
        cells = [_cell(entry.metrics[key].mean, one, entry.metrics[key].std) for key, one in held.items()]
        if "ece_best_scaled" in held:
            cells[-1] = replace(cells[-1], note=entry.best_scaling)
        rows.append(Row(entry.title, cells, index if index < len(experiment.losses) else None))
    caption = f"Mean ± standard deviation over seeds; {BEST}" + (
        f" {BEST_SCALING}" if "ece_best_scaled" in held else ""
    )
    return Table(name, "Results", caption, _headings(held), rows)


def differences(experiment: ComparedExperiment, name: str, *, baseline: str) -> Table | None:
    """Lay out the differences to the baseline, a loss; None where nothing was compared."""
    compared = [entry for entry in experiment.rows if entry.versus_baseline]
    if not compared:
        return None
    held = {key: one for key, one in DIFFERENCES.items() if all(key in entry.versus_baseline for entry in compared)}
    rows = [
        Row(entry.title, [_difference_cell(entry.versus_baseline[key], one) for key, one in held.items()])
        for entry in compared
    ]
    title = next((entry.title for entry in experiment.losses if entry.loss == baseline), "the baseline")
    caption = (
        f"Difference to {title}, paired over seeds, with its 95 % interval. Verdicts at the 5 % level, corrected "
        "for the number of losses."
    )
    return Table(name, "Differences", caption, _headings(held), rows)


def segmentation_table(summaries: Mapping[str, Sequence[Summary]], *, name: str) -> Table | None:
    """Lay out overlap, distance, topology and voxel calibration, one row per loss, over its runs.

    Args:
        summaries: The results of each run, under the title of the loss.
        name: Identifier of the table on the page.

    Returns:
        The table; None where no run labels voxels.
    """
    rows = []
    for index, (title, runs) in enumerate(summaries.items()):
        found = [run for run in runs if run.segmentation is not None]
        if found:
            cells = [spread_cell([run.value(measure) for run in found], measure) for measure in OF_MASKS.values()]
            rows.append(Row(title, cells, index))
    return Table(name, "Segmentation", OF_SEGMENTATION, _headings(OF_MASKS), rows) if rows else None


def _headings(measures: Mapping[str, Measure]) -> list[str]:
    return ["Loss", *(measure.on_page for measure in measures.values())]


def _cell(value: float, measure: Measure, std: float = nan) -> Cell:
    spread = f" ± {measure.page_text(std)}" if isfinite(std) else ""
    return Cell(measure.page_text(value) + spread, value)


def _difference_cell(value: Difference, measure: Measure) -> Cell:
    low, high = (measure.page_text(end, sign="+") for end in (value.low, value.high))
    interval = "one seed: no interval" if low == "–" else f"[{low}, {high}]"
    return Cell(measure.page_text(value.mean, sign="+"), value.mean, interval, value.verdict)


def run_classes(outcome: Outcome, class_names: Sequence[str]) -> Table:
    """Lay out one run's classes."""
    found, surplus = outcome.class_right / outcome.class_count, outcome.class_expected - outcome.class_count
    columns = [(FOUND, found), (SURPLUS, surplus / outcome.n), (CLASS_ECE, outcome.class_error)]
    caption = "Found: share of the class's samples that are predicted as it."
    headings = [measure.heading for measure, _ in columns]
    return _classes("classes", caption, outcome.class_count, headings, columns, class_names)


def study_classes(
    losses: Sequence[tuple[str, Outcome]], class_names: Sequence[str], *, name: str, n_runs: int
) -> Table:
    """Lay out the classes of several losses: the calibration error of each class's probability."""
    runs = f"{n_runs} run{'s' if n_runs > 1 else ''}"
    caption = f"ECE of each class's probability in percent, predictions of {runs} pooled."
    columns = [(CLASS_ECE, outcome.class_error) for _, outcome in losses]
    return _classes(name, caption, losses[0][1].class_count, [title for title, _ in losses], columns, class_names)


def _classes(
    name: str,
    caption: str,
    count: Tensor,
    headings: Sequence[str],
    columns: Sequence[tuple[Measure, Tensor]],
    class_names: Sequence[str],
) -> Table:
    """Lay out a row per class, of very many those with the largest calibration errors."""
    errors = torch.stack([values for measure, values in columns if measure is CLASS_ECE]).amax(dim=0)
    shown = torch.argsort(errors, descending=True, stable=True)[:MAX_CLASSES].sort().values.tolist()
    if len(shown) < len(class_names):
        caption += f" The {len(shown):,} worst of {len(class_names):,} classes."
    rows = []
    for c in shown:
        cells = [_cell(float(values[c]), measure) for measure, values in columns]
        rows.append(Row(class_names[c], [Cell(f"{int(count[c]):,}", float(count[c])), *cells]))
    return Table(name, "Classes", caption, ["Class", "Samples", *headings], rows)
