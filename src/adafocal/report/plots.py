# SPDX-License-Identifier: Apache-2.0
"""What a run or an experiment looks like: contents onto axes, for the page and for papers alike."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isfinite, nan
from typing import NamedTuple

from adafocal._text import told_apart
from adafocal.calibration import BinStats, ReliabilityData, SmoothCurve, reliability_from_bins
from adafocal.evaluation.comparison import Compared
from adafocal.evaluation.event import Event
from adafocal.measures import IN_SHORT, MEASURES
from adafocal.report import figures
from adafocal.report.svg import Axes, Figure, drawn, series
from adafocal.results.comparison import RankTable
from adafocal.results.contents import LossContents
from adafocal.results.folder import RunFolder
from adafocal.results.outcome import Outcome
from adafocal.results.run import column

# Column of the history, title, factor, unit, whether the axis starts at zero.
CURVES = tuple(
    (f"val_{name}", f"Validation {measure.label} over epochs", measure.scale, measure.heading, measure.unit == "%")
    for name, measure in IN_SHORT.items()
)
# The losses of different kinds have different units, so this one is drawn for one loss alone.
TRAIN_CURVE = ("train_loss", "Training loss over epochs", 1.0, "training loss", False)
LONGEST = 20  # characters of a name in the legend of models that are compared


def plot_reliability(
    axes: Sequence[Axes],
    stats: BinStats,
    curve: SmoothCurve | None,
    index: int,
    *,
    event: str = "accuracy",
    probability: str = "confidence",
    independent: bool = True,
    after: tuple[str, BinStats] | None = None,
) -> None:
    """Draw the reliability diagram on the first axis, the counts on the second; ``after`` is a scaling's, by name."""
    data, color = bins_of(stats, independent), series(index)["color"]
    figures.draw_reliability(axes[0], data, curve=curve, color=color, event=event)
    if after is not None:
        name, scaled = after
        figures.draw_scaled(axes[0], bins_of(scaled, independent), label=name, color=series(index + 1)["color"])
    figures.draw_counts(axes[1], data, color=color, probability=probability)


def bins_of(stats: BinStats, independent: bool) -> ReliabilityData:
    """Give the bins of a diagram; of rows that belong together without intervals."""
    data = reliability_from_bins(stats)
    return data if independent else data.without_intervals()


def reliability_summary(ece: float, n_runs: int = 1) -> str:
    """Say the calibration error of a run, or the mean of several."""
    measure, over = MEASURES["ece"], f" (mean over {n_runs} runs)" if n_runs > 1 else ""
    return f"{measure.label} {measure.alone(ece)}".replace(" %", "\u00a0%") + over


class Binned(NamedTuple):
    """Bins of each class's, or label's, probability, and whether rows stand for themselves."""

    class_stats: Sequence[BinStats]
    independent: bool


def binned(losses: Sequence[tuple[str, Outcome]]) -> list[tuple[str, Binned]]:
    """Give what is drawn of the classes of each loss."""
    return [(title, Binned(outcome.class_stats, outcome.independent)) for title, outcome in losses]


def plot_classes(
    figure: Figure,
    losses: Sequence[tuple[str, Binned]],
    names: Sequence[str],
    columns: int,
    *,
    size: int,
    longest: int = 26,
    legend: int = 4,
    of: str = "class",
) -> None:
    """Draw a small diagram per class, or label, with a line per loss; names have at most ``longest`` letters."""
    shape = (ceil(len(names) / columns), columns)
    grid = list(figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).flatten())
    for c, ax in enumerate(grid):
        ax.set_visible(c < len(names))
    for c, (ax, name) in enumerate(zip(grid, names, strict=False)):
        for index, (title, held) in enumerate(losses):
            data = bins_of(held.class_stats[c], held.independent)
            figures.draw_class_reliability(ax, data, label=drawn(title), **series(index))
        ax.set_title(drawn(name, longest))
        ax.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        if c >= len(names) - columns:
            ax.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel(f"probability of the {of}", fontsize=size)
    figure.supylabel(f"share of the {of}" if of == "class" else f"share to which the {of} applies", fontsize=size)
    if len(losses) > 1:
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(legend, len(labels)))


def plot_risk_coverage(ax: Axes, losses: Sequence[LossContents], *, size: float | None = None) -> None:
    """Draw the risk-coverage curves of all losses; their names have this size, or that of the style."""
    for index, loss in enumerate(losses):
        curves = [run.outcome.risk_coverage for run in loss.runs]
        figures.draw_risk_coverage(ax, curves, label=drawn(loss.title), **series(index))
    add_legend(ax, len(losses), size)


def plot_compared(ax: Axes, compared: Sequence[Compared], event: Event) -> None:
    """Draw the reliability of sets that are compared in one diagram, as lines with intervals."""
    for index, (label, one) in enumerate(_labelled(compared)):
        if one.bins is not None:
            data = bins_of(one.bins, independent=not one.summary.n_clusters)
            figures.draw_class_reliability(ax, data, label=label, **series(index))
    ax.set(xlabel=event.probability, ylabel="share that happened" if event.of_class else event.share)
    ax.legend(loc="upper left", fontsize=9)


def plot_risks(ax: Axes, compared: Sequence[Compared]) -> None:
    """Draw the risk-coverage curves of sets that are compared."""
    for index, (label, one) in enumerate(_labelled(compared)):
        if one.risk_coverage is not None:
            figures.draw_risk_coverage(ax, [one.risk_coverage], label=label, **series(index))
    add_legend(ax, len(compared), 9)


def _labelled(compared: Sequence[Compared]) -> list[tuple[str, Compared]]:
    """Name sets for a legend, which a longer name would make wider than the diagram."""
    names = told_apart([one.name for one in compared], longest=LONGEST)
    return [(drawn(name), one) for name, one in zip(names, compared, strict=True)]


def add_legend(ax: Axes, n: int, size: float | None) -> None:
    """Name the lines of an axis where there are several."""
    if n > 1:
        ax.legend(ncols=1 if n <= 5 else 2, fontsize=size)


def curves_of(losses: Sequence[LossContents]) -> list[tuple[str, str, float, str, bool]]:
    """Choose the curves that every run of the losses has."""
    curves = (*CURVES, TRAIN_CURVE) if len(losses) == 1 else CURVES
    runs = [run for loss in losses for run in loss.runs]
    return [curve for curve in curves if all(any(map(isfinite, column(run.history, curve[0]))) for run in runs)]


def plot_curve(ax: Axes, losses: Sequence[LossContents], name: str, scale: float, unit: str, from_zero: bool) -> None:
    """Draw a column of the history over epochs, with a line per loss."""
    for index, loss in enumerate(losses):
        values = [[scale * value for value in column(run.history, name)] for run in loss.runs]
        epochs = [epoch + 1.0 for epoch in range(max(map(len, values)))]
        figures.draw_curves(ax, epochs, values, label=drawn(loss.title), **series(index))
    ax.set(xlabel="epoch", ylabel=unit)
    ax.locator_params(axis="x", integer=True)
    if from_zero:
        ax.set_ylim(0, None)


def gammas_of(run: RunFolder) -> list[list[float]]:
    """Gammas of each epoch that has all of them, after its number; none for losses without gammas."""
    names = [name for name in (run.history[0] if run.history else {}) if name.startswith("gamma_")]
    rows = [[row.get("epoch", nan) + 1, *(row[name] for name in names)] for row in run.history]
    return [row for row in rows if names and all(map(isfinite, row))]


def adaptive_runs(losses: Sequence[LossContents]) -> list[tuple[LossContents, RunFolder]]:
    """Find the losses that have gammas, each with its first run."""
    return [(loss, loss.runs[0]) for loss in losses if gammas_of(loss.runs[0])]


def plot_ranks(ax: Axes, ranks: RankTable) -> None:
    """Draw average ranks and the critical difference of one metric."""
    losses = tuple(replace(entry, title=drawn(entry.title)) for entry in ranks.losses)
    figures.draw_critical_difference(ax, replace(ranks, losses=losses))


def plot_gammas(ax: Axes, run: RunFolder) -> None:
    """Draw the gammas of a run over epochs."""
    rows = gammas_of(run)
    figures.draw_gammas(ax, [row[0] for row in rows], [row[1:] for row in rows])
    ax.locator_params(axis="x", integer=True)
