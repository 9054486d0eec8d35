# SPDX-License-Identifier: Apache-2.0
"""Drawing functions: each takes data and a matplotlib axis, and draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal.calibration import ReliabilityData
from adafocal.report.svg import GRID, INK


def draw_reliability(ax: Any, data: ReliabilityData, *, color: str = INK) -> None:
    """Draw accuracy against confidence per bin with intervals, beside the diagonal of perfect calibration.

    Args:
        ax: A matplotlib axis.
        data: Bins from :func:`adafocal.calibration.reliability_data`.
        color: Colour of the bins.
    """
    confidence, accuracy = data.confidence.numpy(), data.accuracy.numpy()
    low, high = data.accuracy_low.numpy(), data.accuracy_high.numpy()
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.vlines(confidence, accuracy, confidence, color=color, alpha=0.3, linewidth=7)
    errors = np.stack([accuracy - low, high - accuracy]).clip(min=0)
    ax.errorbar(confidence, accuracy, errors, color=color, fmt="o", markersize=4, linewidth=1.4)
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    ax.set_aspect("auto")


def draw_counts(ax: Any, data: ReliabilityData, *, color: str = INK) -> None:
    """Draw how many samples each bin holds.

    Args:
        ax: A matplotlib axis.
        data: Bins from :func:`adafocal.calibration.reliability_data`.
        color: Colour of the bars.
    """
    lower, upper, count = data.lower.numpy(), data.upper.numpy(), data.count.numpy()
    ax.bar(lower, count, width=upper - lower, align="edge", color=color, alpha=0.55, linewidth=0)
    ax.set(xlim=(0, 1), xlabel="confidence", ylabel="samples")
    ax.locator_params(axis="y", nbins=3)


def draw_curves(
    ax: Any, epochs: Sequence[float], values: Sequence[Sequence[float]], *, label: str, color: str = INK
) -> None:
    """Draw a metric over epochs: the mean of several runs, and their range as a band.

    Args:
        ax: A matplotlib axis.
        epochs: Epoch numbers, n of them.
        values: One sequence of n numbers per run.
        label: Entry in the legend.
        color: Colour of line and band.
    """
    table = np.asarray(values, dtype=float)
    ax.plot(epochs, table.mean(axis=0), color=color, linewidth=1.6, label=label)
    if len(table) > 1:
        ax.fill_between(epochs, table.min(axis=0), table.max(axis=0), color=color, alpha=0.18, linewidth=0)


def draw_gammas(ax: Any, epochs: Sequence[float], gammas: Sequence[Sequence[float]]) -> None:
    """Draw gamma per bin over epochs as a map: above zero focal, below zero inverse focal.

    Args:
        ax: A matplotlib axis.
        epochs: Epoch numbers, n of them.
        gammas: For each epoch the gamma of each bin.
    """
    colors = require("matplotlib.colors", extra="report")
    table = np.asarray(gammas, dtype=float).T
    bound = max(2.0, float(np.abs(table).max()))
    norm = colors.SymLogNorm(linthresh=0.2, linscale=0.3, vmin=-bound, vmax=bound, base=10)
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, 0.5, len(table) + 0.5)
    image = ax.imshow(
        table, norm=norm, cmap="PuOr", aspect="auto", origin="lower", interpolation="nearest", extent=extent
    )
    ax.grid(False)
    ax.set(xlabel="epoch", ylabel="bin, low to high confidence")
    bar = ax.figure.colorbar(image, ax=ax, ticks=[t for t in (-20, -2, -0.2, 0.2, 2, 20) if abs(t) <= bound])
    bar.ax.set_yticklabels([f"{t:g}" for t in bar.get_ticks()])
    bar.set_label("γ")
    bar.outline.set_edgecolor(GRID)
