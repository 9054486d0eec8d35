# SPDX-License-Identifier: Apache-2.0
"""The diagrams of the pages, on matplotlib axes of your own: each function takes axes, or makes some, and returns them.

Needs matplotlib: ``pip install 'adafocal[report]'``.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor

from adafocal._arrays import as_array
from adafocal._checks import check_integer, require
from adafocal._text import shown, told_apart
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.evaluation.comparison import Comparison
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from adafocal.results.folder import RunFolder

    Gammas: TypeAlias = str | os.PathLike[str] | RunFolder | Tensor | np.ndarray | Sequence[Sequence[float]]
else:  # an extra, loaded when something is drawn
    Axes = Gammas = object

__all__ = ["comparison", "gammas", "reliability", "risk_coverage"]

SIZE = 4.0, 3.6  # inches of a figure of our own


def reliability(
    predictions: Predictions | Outcomes,
    ax: Axes | None = None,
    *,
    n_bins: int = 15,
    positive_class: int | None = None,
) -> Axes:
    """Draw the reliability diagram: accuracy against confidence per bin with 95 % intervals, and as a smooth curve.

    Rows that belong to clusters have no intervals of single bins, which would be those of independent rows.

    Args:
        predictions: Predictions with labels, or outcomes.
        ax: Where to draw; None makes a figure.
        n_bins: Number of equal-width bins.
        positive_class: The event is that the label is this class; None: that the top label is right.

    Returns:
        The axes, with what they show: points below the diagonal are over-confident.

    Raises:
        TypeError: If this is no record, or ``ax`` are no axes.
        ValueError: If labels are not known, or there is no such class.
        ModuleNotFoundError: Without matplotlib, with the command that installs it.

    Example:
        >>> import torch
        >>> axes = reliability(Outcomes(confidence=torch.tensor([0.9, 0.8]), correct=torch.tensor([True, False])))
        >>> axes.get_xlabel()
        'confidence'
    """
    from adafocal.calibration import reliability_from_bins, smooth_reliability_from_bins
    from adafocal.calibration.stream import sums_in_memory
    from adafocal.report.figures import draw_reliability
    from adafocal.report.svg import SERIES

    _check_record(predictions)
    check_integer("n_bins", n_bins, minimum=1)
    sums = sums_in_memory(predictions, n_bins=n_bins, positive_class=positive_class)
    data, curve = reliability_from_bins(sums.bins), smooth_reliability_from_bins(sums.cells)
    data = data if sums.clusters is None else data.without_intervals()
    axes = _axes(ax)
    of_class = positive_class is not None
    draw_reliability(axes, data, curve=curve, color=SERIES[0], event="share of the class" if of_class else "accuracy")
    axes.set_xlabel("probability" if of_class else "confidence")
    return _inked(axes)


def risk_coverage(
    predictions: Predictions | Outcomes | Mapping[str, Predictions | Outcomes], ax: Axes | None = None
) -> Axes:
    """Draw the error that is left when only the surest predictions are answered.

    Args:
        predictions: Predictions with labels, or outcomes; or several by name.
        ax: Where to draw; None makes a figure.

    Returns:
        The axes; with a legend where there are several curves.

    Raises:
        TypeError: If these are no records, or ``ax`` are no axes.
        ValueError: If labels are not known.
        ModuleNotFoundError: Without matplotlib, with the command that installs it.

    Example:
        >>> import torch
        >>> answers = Outcomes(confidence=torch.tensor([0.9, 0.8]), correct=torch.tensor([True, False]))
        >>> len(risk_coverage({"a": answers, "b": answers}).lines)
        2
    """
    from adafocal.report.figures import draw_risk_coverage
    from adafocal.report.plots import LONGEST, add_legend
    from adafocal.report.svg import drawn, series
    from adafocal.selective import risk_coverage_curve

    several = dict(predictions) if isinstance(predictions, Mapping) else {"": predictions}
    if not several:
        raise InvalidValueError("`predictions` must hold at least one record, got none.")
    for record in several.values():
        _check_record(record)
    curves = [risk_coverage_curve(one.confidence, ~one.correct, sample_weight=one.weight) for one in several.values()]
    names = told_apart(list(several), longest=LONGEST)
    axes = _axes(ax)
    for index, (name, curve) in enumerate(zip(names, curves, strict=True)):
        draw_risk_coverage(axes, [curve], label=drawn(name) if name else "", **series(index))
    add_legend(axes, len(curves), None)
    return axes


def gammas(run: Gammas, ax: Axes | None = None) -> Axes:
    """Draw gamma per bin over epochs as a map: orange is inverse focal (below zero), purple focal.

    Args:
        run: A finished run folder or its path, of a loss that adapts; or gammas, one row per epoch and one column per
            bin, such as ``[loss.gamma.tolist(), …]``.
        ax: Where to draw; None makes a figure.

    Returns:
        The axes; a colour bar stands beside them.

    Raises:
        TypeError: If ``ax`` are no axes.
        ValueError: If the run has no gammas, or they are not of shape (epochs, bins) and finite.
        ModuleNotFoundError: Without matplotlib, with the command that installs it.

    Example:
        >>> gammas([[1.0, 1.0], [1.2, 0.4], [1.5, -0.3]]).get_ylabel()
        'bin, low to high confidence'
    """
    from adafocal.report.figures import draw_gammas

    rows = _gammas_of(run)
    axes = _axes(ax)
    draw_gammas(axes, [row[0] for row in rows], [row[1:] for row in rows])
    axes.locator_params(axis="x", integer=True)
    return axes


def comparison(found: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the reliability of all that are compared in one diagram, as lines with 95 % intervals.

    Args:
        found: What :func:`adafocal.evaluation.compare.compare` gave.
        ax: Where to draw; None makes a figure.

    Returns:
        The axes, with a legend.

    Raises:
        TypeError: If this is no comparison, or ``ax`` are no axes.
        ModuleNotFoundError: Without matplotlib, with the command that installs it.
    """
    from adafocal.report.plots import plot_compared

    if not isinstance(found, Comparison):
        raise InvalidTypeError(f"`found` must be a Comparison, got {type(found).__name__}: use adafocal.compare.")
    axes = _axes(ax)
    plot_compared(axes, found.compared, found.event)
    return _inked(axes)


def _axes(ax: Axes | None) -> Axes:
    """The axes that were given, or those of a new figure."""
    kind = require("matplotlib.axes").Axes
    if ax is None:
        figure: Axes = require("matplotlib.pyplot").subplots(figsize=SIZE, layout="constrained")[1]
        return figure
    if not isinstance(ax, kind):
        remedy = ": give one of them" if isinstance(ax, Sequence) or hasattr(ax, "__array__") else ""
        raise InvalidTypeError(f"`ax` must be axes of matplotlib, got {type(ax).__name__}{remedy}.")
    given: Axes = ax
    return given


def _inked(axes: Axes) -> Axes:
    """Draw in the ink of the style at hand, which may be dark, what pages draw in theirs."""
    from adafocal.report.svg import INK

    ink = require("matplotlib").rcParams["text.color"]
    for line in axes.lines:
        if line.get_color() == INK:
            line.set_color(ink)
    return axes


def _check_record(record: object) -> None:
    if not isinstance(record, (Predictions, Outcomes)):
        raise InvalidTypeError(f"`predictions` must be Predictions or Outcomes, got {type(record).__name__}.")


def _gammas_of(run: Gammas) -> list[list[float]]:
    """Gammas of each epoch, after its number."""
    from adafocal.report.plots import gammas_of
    from adafocal.results.folder import RunFolder

    if isinstance(run, (str, os.PathLike)):
        from pathlib import Path

        folder = run if isinstance(run, RunFolder) else RunFolder(Path(run))
        if not folder.begun:
            raise InvalidValueError(f"`run` must be a run folder, got {shown(str(folder.path))}.")
        rows = gammas_of(folder)
        if not rows:
            raise InvalidValueError(f"`run` must be of a loss with gammas, got {folder.loss}.")
        return rows
    table = run.detach().cpu().numpy() if isinstance(run, Tensor) else as_array("run", run)
    if table.ndim != 2 or not table.size or table.dtype.kind not in "iuf":
        raise InvalidValueError(f"`run` must hold gammas of shape (epochs, bins), got shape {table.shape}.")
    rows = [[epoch + 1.0, *map(float, row)] for epoch, row in enumerate(table)]
    if not all(abs(value) < float("inf") for row in rows for value in row):
        raise InvalidValueError("`run` must hold finite gammas, got others.")
    return rows
