# SPDX-License-Identifier: Apache-2.0
"""Drawing functions for out-of-distribution detection: each takes data and a matplotlib axis, and draws."""

from typing import Any

import numpy as np
from torch import Tensor

from adafocal._checks import check_integer
from adafocal.ood import RocCurve
from adafocal.report.svg import INK, SERIES

MAX_POINTS = 400  # of a drawn curve: more would only make the file larger


def draw_roc(ax: Any, curve: RocCurve, *, label: str, color: str = INK) -> None:
    """Draw true against false positive rate, beside the diagonal of a guess.

    Args:
        ax: A matplotlib axis.
        curve: From :func:`adafocal.ood.roc_curve`; drawn with at most 400 of its points.
        label: Entry in the legend.
        color: Colour of the curve.
    """
    false, true = curve.false_positive_rate.numpy(), curve.true_positive_rate.numpy()
    held = np.unique(np.linspace(0, len(false) - 1, min(len(false), MAX_POINTS)).round().astype(int))
    ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.plot(false[held], true[held], color=color, linewidth=1.6, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="false positive rate", ylabel="true positive rate")


def draw_score_histograms(ax: Any, id_scores: Tensor, ood_scores: Tensor, *, n_bins: int = 40) -> None:
    """Draw the shares of both kinds of samples over bins of equal width, common to both.

    The bins span all but the outermost 0.5 % of the finite scores on either side; what lies beyond, infinities among
    it, is counted in the first and last bin.

    Args:
        ax: A matplotlib axis.
        id_scores: Scores of the in-distribution samples, shape (N,).
        ood_scores: Scores of the out-of-distribution samples, shape (M,).
        n_bins: Number of bins.
    """
    check_integer("n_bins", n_bins, minimum=1)
    both = np.concatenate([id_scores.double().numpy(), ood_scores.double().numpy()])
    finite = both[np.isfinite(both)]
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (0.0, 0.0)
    edges = np.histogram_bin_edges([], bins=n_bins, range=(low, high) if low < high else (low - 0.5, low + 0.5))
    for scores, label, color in (
        (id_scores, "in-distribution", SERIES[1]),
        (ood_scores, "out-of-distribution", SERIES[0]),
    ):
        count, _ = np.histogram(scores.double().numpy().clip(edges[0], edges[-1]), edges)
        ax.stairs(count / scores.numel(), edges, color=color, fill=True, alpha=0.3)
        ax.stairs(count / scores.numel(), edges, color=color, linewidth=1.2, label=label)
    ax.set(xlabel="score, higher is more out-of-distribution", ylabel="share of samples", ylim=(0, None))
