# SPDX-License-Identifier: Apache-2.0
"""A fixed grid of fine cells, dense towards confidence 1: for equal-mass bins, sweep and KS from sums of constant size.

Equal-mass edges depend on all confidences, so they cannot be known while data stream by. Sums over the grid's 4,352
cells can be kept instead, merged by adding, and joined into bins afterwards (``cells.py``). What is computed from
joined cells is exact for the edges that it reports; those edges miss equal mass by at most the samples of one cell.
"""

from functools import lru_cache

import torch
from torch import Tensor

from adafocal._docs import documented
from adafocal._shapes import Confidence, Correct, Given, InnerEdges, SampleWeight
from adafocal._values import check_float_dtype, weighted_event
from adafocal.calibration.bins import BinStats, sum_placed
from adafocal.calibration.edges import find_bins

OCTAVES = 16
CELLS_PER_OCTAVE = 256
N_CELLS = (OCTAVES + 1) * CELLS_PER_OCTAVE


def grid_edges(*, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None) -> InnerEdges:
    """Cut [0, 1] into the cells of the grid: 1 - p falls by halves, each half cut into 256 cells.

    Cell widths are at most 0.4 % of 1 - p where p <= 1 - 2^-16; above, each cell holds a single float32 value. All
    edges are float32 numbers, so that the cell of a sample does not depend on the dtype of the edges.

    Args:
        dtype: float32 or float64.
        device: Device of the edges.

    Returns:
        Edges of shape (4351,), ascending in (0, 1).

    Raises:
        TypeError: If ``dtype`` is not floating point.

    Example:
        >>> grid_edges()[-1] == 1 - 2**-24
        tensor(True)
    """
    check_float_dtype(dtype)
    steps = torch.arange(CELLS_PER_OCTAVE, dtype=torch.float64, device="cpu")
    halves = 0.5 ** torch.arange(OCTAVES, dtype=torch.float64, device="cpu")
    octaves = halves[:, None] * (1 - steps / (2 * CELLS_PER_OCTAVE))
    last = 0.5**OCTAVES * (1 - steps / CELLS_PER_OCTAVE)
    distance = torch.cat([octaves.flatten(), last])
    return (1 - distance[1:]).to(device=device, dtype=dtype)


@documented
def grid_stats(
    confidence: Given[Confidence], correct: Given[Correct], *, sample_weight: Given[SampleWeight] | None = None
) -> BinStats:
    """Sum a batch into the cells of the grid; merge batches with :func:`~adafocal.calibration.merge`.

    Args:
        confidence: Values in [0, 1] of shape (N,); N may be 0.
        correct: Whether the event happened, shape (N,).
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once.

    Returns:
        The sums per cell, 4,352 of them whatever N; every sample is in exactly one cell (a, b].

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If the shapes differ or are not one-dimensional.

    Example:
        >>> stats = grid_stats(torch.tensor([0.4, 0.9]), torch.tensor([True, False]))
        >>> stats.n_bins, stats.gap.sum()
        (4352, tensor(0.3000, dtype=torch.float64))
    """
    return sum_cells(*weighted_event(confidence, correct, sample_weight))


def sum_cells(confidence: Confidence, correct: Correct, weight: SampleWeight | None = None) -> BinStats:
    """Sum as :func:`grid_stats` does, without its checks."""
    dtype = torch.float64 if confidence.dtype == torch.float64 else torch.float32
    edges = _edges(dtype, confidence.device)
    return sum_placed(confidence, correct, edges, lambda some: _cells(some, edges), weight)


def grid_cells(confidence: Tensor) -> Tensor:
    """Find the cell of each confidence, of checked values in float32 or float64."""
    return _cells(confidence, _edges(confidence.dtype, confidence.device))


@lru_cache
def _edges(dtype: torch.dtype, device: torch.device) -> Tensor:
    return grid_edges(dtype=dtype, device=device)


def _cells(confidence: Tensor, edges: Tensor) -> Tensor:
    if confidence.dtype == torch.float64 or confidence.device.type == "mps":
        return find_bins(confidence, edges)
    # The leading bits of a float64 are its octave and its place there: the cell without a search. 1 - p is exact.
    distance = 1 - confidence.double()
    leading = distance.view(torch.int64) >> 44
    by_octave = 1023 * CELLS_PER_OCTAVE - 1 - leading
    by_step = N_CELLS - 1 - (distance * 2.0**24).floor().long()
    return torch.where(distance < 0.5**OCTAVES, by_step, by_octave).clamp(0, N_CELLS - 1)
