# SPDX-License-Identifier: Apache-2.0
"""Every number of :func:`~adafocal.calibration.evaluate` from sums that do not grow with the data."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from adafocal._shapes import ClassIndex, InnerEdges, ProbMatrix, Scalar
from adafocal.calibration.bins import BinStats, merge, sum_bins
from adafocal.calibration.edges import assign_bins, equal_width_edges
from adafocal.calibration.errors import binned_error
from adafocal.calibration.grid import grid_ks_error, grid_stats, joined_equal_mass, joined_sweep
from adafocal.calibration.smooth import residuals_on_grid, smooth_error
from adafocal.calibration.summary import CalibrationSummary
from adafocal.predictions import Predictions


@dataclass(frozen=True)
class StreamSums:
    """Sums over a part of the data; parts merge by adding.

    Attributes:
        cells: The calibrated event on the fine grid.
        bins: The calibrated event in equal-width bins.
        class_gaps: Sum of probability minus occurrence per class and equal-width bin, shape (C, n_bins).
        totals: Sums of right top labels, negative log-likelihood and squared distance to the one-hot label, shape (3,).
    """

    cells: BinStats
    bins: BinStats
    class_gaps: Tensor
    totals: Tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.bins.count.sum())


def stream_sums(predictions: Predictions, *, n_bins: int = 15, positive_class: int | None = None) -> StreamSums:
    """Sum one batch of a stream.

    Args:
        predictions: A checked batch; of a few thousand rows for speed.
        n_bins: Number of equal-width bins.
        positive_class: The calibrated event is that the label is this class; None: that the top label is right.

    Returns:
        The sums, of a size that depends on ``n_bins`` and the number of classes alone.
    """
    probs, labels = predictions.probs, predictions.labels
    top = probs.amax(dim=1)
    of_label = probs.gather(1, labels[:, None])[:, 0]
    # Equal probabilities are rare, and only they need to know which class comes first.
    right = predictions.correct if _any_tie(probs, top) else of_label == top
    index = equal_width_index(probs, n_bins)
    residual = probs.scatter_add(1, labels[:, None], probs.new_full((len(labels), 1), -1.0))
    places = index + n_bins * torch.arange(probs.shape[1])
    gaps = torch.bincount(places.flatten(), residual.flatten(), probs.shape[1] * n_bins).view(-1, n_bins)
    if positive_class is None:
        confidence, happened = top, right
    else:
        confidence, happened = probs[:, positive_class].contiguous(), labels == positive_class
    nll = -(of_label.double().log() if predictions.logits is None else _log_of_label(predictions))
    squares = (residual * residual) @ residual.new_ones(residual.shape[1])
    edges = equal_width_edges(n_bins, dtype=probs.dtype)
    return StreamSums(
        cells=grid_stats(confidence, happened),
        bins=sum_bins(confidence, happened, edges, equal_width_index(confidence, n_bins)),
        class_gaps=gaps,
        totals=torch.stack([right.sum().double(), nll.sum(), squares.double().sum()]),
    )


def _any_tie(probs: Tensor, top: Tensor) -> bool:
    return int((probs == top[:, None]).sum()) > len(top)


def equal_width_index(values: Tensor, n_bins: int) -> Tensor:
    """Give the equal-width bin of each value as bins are assigned everywhere, by a multiplication where that is safe."""
    edges = equal_width_edges(n_bins, dtype=values.dtype)
    scale = _scale(n_bins) if values.dtype == torch.float32 else None
    if scale is None:
        return assign_bins(values, edges)
    return _scaled_index(values, n_bins, scale)


def _scaled_index(values: Tensor, n_bins: int, scale: float) -> Tensor:
    return (values.double() * scale).ceil_().clamp_(1, n_bins).long().sub_(1)


@lru_cache
def _scale(n_bins: int) -> float | None:
    """Give a factor whose products fall on the right side of every float32 edge, or None where there is none.

    Products rise with the value, so that both neighbours of every edge decide for all values.
    """
    edges = equal_width_edges(n_bins, dtype=torch.float32)
    excess = edges.double() * n_bins / torch.arange(1, n_bins) - 1
    scale = n_bins / (1 + max(0.0, float(excess.max()))) if n_bins > 1 else 1.0
    scale *= 1 - 2.0**-50
    beside = torch.cat([edges, torch.nextafter(edges, torch.tensor(2.0)), torch.tensor([0.0, 1.0])])
    safe = torch.equal(assign_bins(beside, edges), _scaled_index(beside, n_bins, scale))
    return scale if safe else None
