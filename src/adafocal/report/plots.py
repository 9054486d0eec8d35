# SPDX-License-Identifier: Apache-2.0
"""What a run or an experiment looks like: contents onto axes, for the page and for papers alike."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

from adafocal.calibration import binned_error, reliability_from_bins
from adafocal.report.contents import LossContents, RunContents
from adafocal.report.figures import (
    draw_class_reliability,
    draw_counts,
    draw_curves,
    draw_gammas,
    draw_reliability,
    draw_risk_coverage,
)
from adafocal.report.outcome import Outcome
from adafocal.report.ranks_figure import draw_critical_difference
from adafocal.report.svg import drawn, series

# Column of the history, title, factor, unit, whether the axis starts at zero.
CURVES = (
    ("val_error", "Validation error over epochs", 100, "error %", True),
    ("val_ece", "Validation ECE over epochs", 100, "ECE %", True),
    ("val_nll", "Validation NLL over epochs", 1, "NLL", False),
)
# The losses of different kinds have different units, so this one is drawn for one loss alone.
TRAIN_CURVE = ("train_loss", "Training loss over epochs", 1, "training loss", False)


def plot_reliability(axes: Sequence[Any], outcome: Outcome, index: int) -> None:
    """Draw the reliability diagram on the first axis and the counts on the second."""
    data, color = reliability_from_bins(outcome.stats), series(index)["color"]
    draw_reliability(axes[0], data, curve=outcome.curve, color=color)
    draw_counts(axes[1], data, color=color)


def reliability_summary(outcome: Outcome) -> str:
    """Say the calibration error of the pooled predictions."""
    return f"ECE {100 * float(binned_error(outcome.stats)):.2f}\u00a0%"


def plot_classes(
    axes: Sequence[Any], losses: Sequence[tuple[str, Outcome]], class_names: Sequence[str], *, longest: int = 26
) -> None:
    """Draw one small diagram per class, with a line per loss; names are cut to ``longest`` letters."""
    for c, (ax, name) in enumerate(zip(axes, class_names, strict=True)):
        for index, (title, outcome) in enumerate(losses):
            data = reliability_from_bins(outcome.class_stats[c])
            draw_class_reliability(ax, data, label=drawn(title), **series(index))
        ax.set_title(drawn(name, longest))
        ax.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])


def plot_risk_coverage(ax: Any, losses: Sequence[LossContents]) -> None:
    """Draw the risk-coverage curves of all losses."""
    for index, loss in enumerate(losses):
        curves = [run.outcome.risk_coverage for run in loss.runs]
        draw_risk_coverage(ax, curves, label=drawn(loss.title), **series(index))


def curves_of(losses: Sequence[LossContents]) -> list[tuple[str, str, float, str, bool]]:
    """Give the curves that every run of the losses has."""
    columns = (*CURVES, TRAIN_CURVE) if len(losses) == 1 else CURVES
    runs = [run for loss in losses for run in loss.runs]
    return [column for column in columns if all(any(map(isfinite, run.column(column[0]))) for run in runs)]


def plot_curve(ax: Any, losses: Sequence[LossContents], column: str, scale: float, unit: str, from_zero: bool) -> None:
    """Draw a column of the history over epochs, with a line per loss."""
    for index, loss in enumerate(losses):
        values = [[scale * value for value in run.column(column)] for run in loss.runs]
        epochs = [epoch + 1.0 for epoch in range(max(map(len, values)))]
        draw_curves(ax, epochs, values, label=drawn(loss.title), **series(index))
    ax.set(xlabel="epoch", ylabel=unit)
    ax.xaxis.get_major_locator().set_params(integer=True)
    if from_zero:
        ax.set_ylim(0, None)


def last_value(run: RunContents, column: str) -> float:
    """Give the last number of a column of the history."""
    return next((value for value in reversed(run.column(column)) if isfinite(value)), nan)


def gammas_of(run: RunContents) -> list[list[float]]:
    """Give the gammas of each epoch that has all of them, after its number; empty for losses without gammas."""
    names = [name for name in (run.history[0] if run.history else {}) if name.startswith("gamma_")]
    rows = [[row.get("epoch", nan) + 1, *(row[name] for name in names)] for row in run.history]
    return [row for row in rows if names and all(map(isfinite, row))]


def adaptive_runs(losses: Sequence[LossContents]) -> list[tuple[LossContents, RunContents]]:
    """Give the first run of each loss that has gammas."""
    return [(loss, loss.runs[0]) for loss in losses if gammas_of(loss.runs[0])]


def plot_ranks(ax: Any, ranks: Mapping[str, Any]) -> None:
    """Draw average ranks and the critical difference of one metric."""
    losses = [{**entry, "title": drawn(entry["title"])} for entry in ranks["losses"]]
    draw_critical_difference(ax, {**ranks, "losses": losses})


def plot_gammas(ax: Any, run: RunContents) -> None:
    """Draw the gammas of a run over epochs."""
    rows = gammas_of(run)
    draw_gammas(ax, [row[0] for row in rows], [row[1:] for row in rows])
    ax.xaxis.get_major_locator().set_params(integer=True)
