# SPDX-License-Identifier: Apache-2.0
"""Drawing functions for out-of-distribution detection: each takes data and a matplotlib axis, and draws."""

from collections.abc import Sequence

from adafocal.report.svg import INK, SERIES, Axes, LineStyle


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
        ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
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
