# SPDX-License-Identifier: Apache-2.0
"""Drawing functions: each takes data and a matplotlib axis, and draws."""

from collections.abc import Mapping, Sequence

import numpy as np

from adafocal._checks import require
from adafocal._records import as_record
from adafocal.calibration import ReliabilityData, SmoothCurve
from adafocal.measures import MEASURES
from adafocal.report.svg import GRID, INK, SERIES, Axes, LineStyle
from adafocal.results.comparison import RankTable
from adafocal.selective import RiskCoverageCurve

MAX_POINTS = 200  # of a drawn curve: more would only make the file larger
DASHED: LineStyle = (0, (4, 3))


def draw_reliability(
    ax: Axes, data: ReliabilityData, *, curve: SmoothCurve | None = None, color: str = INK, event: str = "accuracy"
) -> None:
    """Draw accuracy against confidence per bin with intervals, beside the diagonal of perfect calibration.

    Args:
        ax: A matplotlib axis.
        data: Bins from :func:`adafocal.calibration.reliability_data`; bars show the gap between both, and dotted
            lines the band that holds all bins at once, where there is one.
        curve: From :func:`adafocal.calibration.smooth_reliability`; None draws none.
        color: Colour of the bins.
        event: Name of the y axis: the share of what.
    """
    parts = (data.lower, data.upper, data.confidence, data.accuracy)
    lower, upper, confidence, accuracy = (part.numpy() for part in parts)
    draw_diagonal(ax)
    ax.bar(lower, confidence - accuracy, upper - lower, accuracy, align="edge", color=color, alpha=0.22, linewidth=0)
    if data.band_low is not None and data.band_high is not None:
        low, high = data.band_low.numpy(), data.band_high.numpy()
        for ends in (low, high):
            ax.hlines(ends, lower, upper, color=color, linewidth=0.9, linestyle=(0, (1, 1.2)))
    if curve is not None:
        ax.plot(*_with_gaps(curve), color=color, linewidth=1.2, alpha=0.75)
    ax.errorbar(confidence, accuracy, _errors(data), color=color, fmt="o", markersize=3, linewidth=1.2, clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel=event)


def draw_scaled(ax: Axes, data: ReliabilityData, *, label: str, color: str) -> None:
    """Draw what a scaling makes of it into a reliability diagram, as a second set of points.

    Args:
        ax: The axis of :func:`draw_reliability`.
        data: Bins of the scaled predictions.
        label: Entry in the legend.
        color: Colour of the points.
    """
    (before,) = [held for held in ax.containers if hasattr(held, "has_yerr")]
    confidence, accuracy = data.confidence.numpy(), data.accuracy.numpy()
    after = ax.errorbar(
        confidence, accuracy, _errors(data), color=color, fmt="s", markersize=2.5, linewidth=0.8, clip_on=False
    )
    ax.legend([before, after], ["as it is", label], loc="upper left")


def draw_counts(ax: Axes, data: ReliabilityData, *, color: str = INK, probability: str = "confidence") -> None:
    """Draw how many samples each bin holds.

    Args:
        ax: A matplotlib axis.
        data: Bins from :func:`adafocal.calibration.reliability_data`.
        color: Colour of the bars.
        probability: Name of the x axis.
    """
    lower, upper, count = data.lower.numpy(), data.upper.numpy(), data.count.numpy()
    ax.bar(lower, count, width=upper - lower, align="edge", color=color, alpha=0.55, linewidth=0)
    ax.set(xlim=(0, 1), xlabel=probability, ylabel="samples")
    ax.locator_params(axis="y", nbins=3)


def draw_class_reliability(
    ax: Axes, data: ReliabilityData, *, label: str = "", color: str = INK, linestyle: LineStyle = "-"
) -> None:
    """Draw how often a class occurs against its probability as a line with intervals, for small diagrams.

    Args:
        ax: A matplotlib axis; several losses may share it.
        data: Bins of the class's probability.
        label: Entry in the legend.
        color: Colour of the line.
        linestyle: A matplotlib line style.
    """
    if not ax.lines:
        draw_diagonal(ax)
    confidence, accuracy = data.confidence.numpy(), data.accuracy.numpy()
    ax.vlines(confidence, data.accuracy_low.numpy(), data.accuracy_high.numpy(), color=color, alpha=0.35, linewidth=1.0)
    ax.plot(confidence, accuracy, color=color, linewidth=1.2, linestyle=linestyle, marker="o", ms=2, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def draw_risk_coverage(
    ax: Axes, curves: Sequence[RiskCoverageCurve], *, label: str = "", color: str = INK, linestyle: LineStyle = "-"
) -> None:
    """Draw the error of the most confident predictions against their share: the mean of several runs, and their range.

    Args:
        ax: A matplotlib axis.
        curves: One curve per run, from :func:`adafocal.selective.risk_coverage_curve` with losses of 0 and 1; drawn in
            percent.
        label: Entry in the legend.
        color: Colour of line and band.
        linestyle: A matplotlib line style.
    """
    coverage = np.linspace(0.02, 1.0, MAX_POINTS // 2)
    risks = [np.interp(coverage, curve.coverage.numpy(), curve.risk.numpy()) for curve in curves]
    percent = [(100 * risk).tolist() for risk in risks]
    draw_curves(ax, (100 * coverage).tolist(), percent, label=label, color=color, linestyle=linestyle)
    ax.set(xlim=(0, 100), ylim=(0, None), xlabel="coverage %, surest first", ylabel=MEASURES["error"].heading)


def draw_curves(
    ax: Axes,
    epochs: Sequence[float],
    values: Sequence[Sequence[float]],
    *,
    label: str = "",
    color: str = INK,
    linestyle: LineStyle = "-",
) -> None:
    """Draw a metric over epochs: the mean of several runs, and their range as a band.

    Args:
        ax: A matplotlib axis.
        epochs: Epoch numbers, n of them.
        values: One sequence of at most n numbers per run; what is NaN or missing at the end does not enter.
        label: Entry in the legend.
        color: Colour of line and band.
        linestyle: A matplotlib line style.
    """
    table = np.full((len(values), len(epochs)), np.nan)
    for row, run in zip(table, values, strict=True):
        row[: len(run)] = run
    held = np.unique(np.linspace(0, len(epochs) - 1, min(len(epochs), MAX_POINTS)).round().astype(int))
    known, x = np.ma.masked_invalid(table[:, held]), np.asarray(epochs, dtype=float)[held]
    ax.plot(x, known.mean(axis=0), color=color, linewidth=1.6, linestyle=linestyle, label=label)
    if len(values) > 1:
        ax.fill_between(x, known.min(axis=0), known.max(axis=0), color=color, alpha=0.18, linewidth=0)


def draw_gammas(ax: Axes, epochs: Sequence[float], gammas: Sequence[Sequence[float]]) -> None:
    """Draw gamma per bin over epochs as a map: above zero focal, below zero inverse focal.

    Args:
        ax: A matplotlib axis.
        epochs: Epoch numbers, n of them.
        gammas: For each epoch the gamma of each bin.
    """
    colors = require("matplotlib.colors")
    table = np.asarray(gammas, dtype=float).T
    bound = max(2.0, float(np.abs(table).max()))
    norm = colors.SymLogNorm(linthresh=0.2, linscale=0.3, vmin=-bound, vmax=bound, base=10)
    box = (epochs[0] - 0.5, epochs[-1] + 0.5, 0.5, len(table) + 0.5)
    image = ax.imshow(table, norm=norm, cmap="PuOr", aspect="auto", origin="lower", interpolation="nearest", extent=box)
    ax.grid(False)
    ax.set(xlabel="epoch", ylabel="bin, low to high confidence")
    bar = ax.figure.colorbar(image, ax=ax, ticks=[t for t in (-20, -2, -0.2, 0.2, 2, 20) if abs(t) <= bound])
    bar.ax.set_yticklabels([f"{t:g}".replace("-", "−") for t in bar.get_ticks()])
    bar.set_label("γ")
    bar.outline.set_edgecolor(GRID)


def draw_roc(
    ax: Axes,
    false_positive_rate: Sequence[float],
    true_positive_rate: Sequence[float],
    *,
    label: str = "",
    color: str = INK,
    linestyle: LineStyle = "-",
) -> None:
    """Draw true against false positive rate, beside the diagonal of a guess.

    Args:
        ax: A matplotlib axis; several curves may share it.
        false_positive_rate: Share of in-distribution samples flagged, k points.
        true_positive_rate: Share of out-of-distribution samples flagged, k points.
        label: Entry in the legend.
        color: Colour of the curve.
        linestyle: A matplotlib line style.
    """
    if not ax.lines:
        draw_diagonal(ax)
    ax.plot(false_positive_rate, true_positive_rate, color=color, linewidth=1.6, linestyle=linestyle, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="false positive rate", ylabel="true positive rate")


def draw_score_histograms(
    ax: Axes, edges: Sequence[float], id_shares: Sequence[float], ood_shares: Sequence[float]
) -> None:
    """Draw the shares of both kinds of samples over bins, from :func:`adafocal.ood.score_histogram`.

    Args:
        ax: A matplotlib axis.
        edges: Edges of the bins, b + 1 of them.
        id_shares: Share of the in-distribution samples in each of b bins.
        ood_shares: Share of the out-of-distribution samples in each of b bins.
    """
    for shares, label, color in (
        (id_shares, "in-distribution", SERIES[1]),
        (ood_shares, "out-of-distribution", SERIES[0]),
    ):
        ax.stairs(shares, edges, color=color, fill=True, alpha=0.3)
        ax.stairs(shares, edges, color=color, linewidth=1.2, label=label)
    ax.set(xlabel="score, higher is more out-of-distribution", ylabel="share of samples", ylim=(0, None))


def draw_critical_difference(ax: Axes, ranks: RankTable | Mapping[str, object], *, color: str = INK) -> None:
    """Draw average ranks on a line, best to the left; a bar joins losses that cannot be told apart.

    Args:
        ax: A matplotlib axis; a fifth of an inch of height per two losses, and half an inch more, are enough.
        ranks: What ``comparison.json`` holds under ``ranks`` for one metric, as a record or as it is.
        color: Colour of lines and text.

    Reference:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
        https://jmlr.org/papers/v7/demsar06a.html, section 3.2.4 and figure 1.
    """
    if not isinstance(ranks, RankTable):
        ranks = as_record(ranks, RankTable, "`ranks` must be average ranks of `comparison.json`, got some")
    losses = ranks.losses
    n, place = len(losses), ranks.ranks
    bars = len(ranks.groups)
    _axis_line(ax, n, color)
    _difference_bar(ax, min(ranks.critical_difference, n - 1.0), ranks.critical_difference, color)
    for level, group in enumerate(ranks.groups):
        y = -0.35 - 0.3 * level
        ends = [place[group[0]] - 0.03, place[group[-1]] + 0.03]
        ax.plot(ends, [y, y], color=color, linewidth=3.5, solid_capstyle="butt", gid="group")
    half = (n + 1) // 2
    for index, entry in enumerate(losses):
        left = index < half
        # The first on either side is the outermost, so that no line crosses another.
        y = -0.7 - 0.3 * bars - 0.6 * (index if left else n - 1 - index)
        x = 0.9 if left else n + 0.1
        ax.plot([entry.rank, entry.rank, x], [0, y, y], color=color, linewidth=0.8)
        text = f"{entry.title}  {entry.rank:.2f}" if left else f"{entry.rank:.2f}  {entry.title}"
        ax.text(x - 0.03 if left else x + 0.03, y, text, color=color, ha="right" if left else "left", va="center")
    ax.set(xlim=(0.9, n + 0.1), ylim=(-0.9 - 0.3 * bars - 0.6 * (half - 1), 1.45))
    ax.set_axis_off()


def draw_diagonal(ax: Axes) -> None:
    """Draw the diagonal of perfect calibration, of a guess, or of what vanishes as it is born."""
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=DASHED)


def _axis_line(ax: Axes, n: int, color: str) -> None:
    ax.plot([1, n], [0, 0], color=color, linewidth=0.8)
    for rank in range(1, n + 1):
        ax.plot([rank, rank], [0, 0.12], color=color, linewidth=0.8)
        ax.text(rank, 0.2, str(rank), color=color, ha="center", va="bottom")


def _difference_bar(ax: Axes, drawn: float, value: float, color: str) -> None:
    # As long as the line of ranks at most: a larger difference than that separates nothing.
    ax.plot([1, 1 + drawn], [0.75, 0.75], color=color, linewidth=1.2, marker="|", markersize=7, gid="difference")
    ax.text(1 + drawn / 2, 0.95, f"critical difference {value:.2f}", color=color, ha="center", va="bottom")


def _with_gaps(curve: SmoothCurve) -> tuple[np.ndarray, np.ndarray]:
    """Put a NaN between two points of the curve where some were left out, so that no line joins them."""
    x, y = curve.confidence.numpy(), curve.accuracy.numpy()
    step = np.diff(x)
    holes = np.flatnonzero(step > 1.5 * step.min(initial=1.0)) + 1
    return np.insert(x, holes, np.nan), np.insert(y, holes, np.nan)


def _errors(data: ReliabilityData) -> np.ndarray:
    accuracy = data.accuracy.numpy()
    ends = [accuracy - data.accuracy_low.numpy(), data.accuracy_high.numpy() - accuracy]
    return np.stack(ends).clip(min=0)
