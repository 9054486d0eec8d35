# SPDX-License-Identifier: Apache-2.0
"""Bin edges, and the one place that decides on which side an edge belongs.

A bin is (a, b]: a confidence equal to an edge falls in the bin below it, and zero falls in the first bin.
Only the ``n_bins - 1`` inner edges are kept; the outer ones are 0 and 1.
"""

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read, check_integer
from adafocal._docs import documented
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Given, InnerEdges, SampleWeight
from adafocal._values import (
    check_confidences,
    check_edges,
    check_float_dtype,
    check_vector,
    checked_sample_weight,
    counted_samples,
)
from adafocal.calibration.ascending import ascending, ascending_places

FEW_EDGES, MANY_VALUES = 32, 1 << 12  # where comparing with all edges is faster than searching among them
IN_CACHE = 1 << 16  # values at a time
SUM_ROUNDING = 1e-9  # as far as ten million equal weights, added one after the other, miss their sum


def equal_width_edges(
    n_bins: int, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> InnerEdges:
    """Cut [0, 1] into bins of equal width.

    Args:
        n_bins: Number of bins, at least 1.
        dtype: Floating dtype of the edges.
        device: Device of the edges.

    Returns:
        Edges of shape (n_bins - 1,), ascending in (0, 1).

    Raises:
        TypeError: If ``n_bins`` is not an integer or ``dtype`` not floating point.
        ValueError: If ``n_bins`` is below 1.

    Example:
        >>> equal_width_edges(4)
        tensor([0.2500, 0.5000, 0.7500], dtype=torch.float64)
    """
    check_integer("n_bins", n_bins, minimum=1)
    check_float_dtype(dtype)
    # On the device itself, so that nobody waits for a copy, but where there is no float64.
    home = "cpu" if device is None or torch.device(device).type == "mps" else device
    ascending = torch.arange(1, n_bins, dtype=torch.float64, device=home) / n_bins
    return ascending.to(device=device, dtype=dtype)


@documented
def equal_mass_edges(
    confidence: Given[Confidence], n_bins: int, *, sample_weight: Given[SampleWeight] | None = None
) -> InnerEdges:
    """Cut [0, 1] so that each bin holds about the same number of samples.

    Edge k is the confidence of rank ceil(k N / n_bins), so without ties the bin sizes differ by at most one. Equal
    confidences always share a bin and the order of the samples does not matter; where ties span several cuts the edges
    coincide and the bins between them are empty.

    Args:
        confidence: Values in [0, 1] of shape (N,), N at least 1.
        n_bins: Number of bins, at least 1; more bins than samples leave some empty.
        sample_weight: How much each sample counts, finite and >= 0, shape (N,); None: each counts once.

    Returns:
        Edges of shape (n_bins - 1,), non-decreasing, with the dtype and device of ``confidence``.

    Raises:
        TypeError: If ``confidence`` is not floating point or ``n_bins`` is not an integer.
        ValueError: If ``confidence`` is empty, not one-dimensional or not in [0, 1], or ``n_bins`` is below 1.

    Example:
        >>> equal_mass_edges(torch.tensor([0.9, 0.1, 0.8, 0.3]), n_bins=2)
        tensor([0.3000])

    Reference:
        Nguyen and O'Connor, "Posterior calibration and exploratory analysis for natural language processing models",
        EMNLP 2015, section 3.2, https://arxiv.org/abs/1508.05154 (adaptive binning).

    Differs from the paper: the published AdaFocal code interpolates edges between ranks and leaves the smallest
    confidence out of every bin; here every sample is in exactly one bin.
    """
    check_integer("n_bins", n_bins, minimum=1)
    check_vector("confidence", confidence)
    check_confidences(confidence)
    confidence, _, weight = counted_samples(confidence, confidence, checked_sample_weight(sample_weight, confidence))
    return mass_edges(confidence, n_bins, weight)


def mass_edges(confidence: Confidence, n_bins: int, weight: SampleWeight | None = None) -> InnerEdges:
    """Cut as :func:`equal_mass_edges` does, without its checks."""
    if weight is not None:
        values, places = ascending_places(confidence.detach())
        cumulative = weight[places].to(wide_dtype(weight.device)).cumsum(0)
        return values[torch.searchsorted(cumulative, cut_masses(cumulative[-1], n_bins))]
    return _of_ranks(confidence, cut_ranks(confidence.numel(), n_bins, device=confidence.device))


def _of_ranks(confidence: Confidence, ranks: Tensor) -> Tensor:
    """Find the values of some ranks, from 1, without sorting all the others.

    Floating-point numbers of one sign are in the order of their bits read as integers, which are told apart faster.
    """
    whole = {torch.float32: torch.int32, torch.float64: torch.int64}.get(confidence.dtype)
    if whole is None or confidence.device.type != "cpu" or not ranks.numel():
        return ascending(confidence)[ranks - 1]
    bits, places = confidence.detach().contiguous().view(whole).numpy(), (ranks - 1).numpy()
    return torch.from_numpy(np.partition(bits, np.unique(places))[places]).view(confidence.dtype)


def cut_ranks(n: int, n_bins: int, *, device: torch.device) -> Tensor:
    """Ranks ceil(k n / n_bins), from 1, of the last of ``n`` samples in every equal-mass bin but the last."""
    cuts = torch.arange(1, n_bins, device=device, dtype=torch.int64)
    return (cuts * n + n_bins - 1) // n_bins


def cut_masses(total: Tensor, n_bins: int) -> Tensor:
    """The shares k total / n_bins of summed weights, a rounding below them: what :func:`cut_ranks` is of counts."""
    cuts = torch.arange(1, n_bins, device=total.device, dtype=total.dtype)
    return cuts * total / n_bins * (1 - SUM_ROUNDING)


@documented
def assign_bins(confidence: Given[Tensor], edges: Given[InnerEdges]) -> Tensor:
    """Find the bin (a, b] that holds each value.

    Args:
        confidence: Values in [0, 1] of any shape; below the first edge is bin 0, above the last edge is the last bin.
        edges: Inner edges in [0, 1], shape (n_bins - 1,), non-decreasing.

    Returns:
        Integer indices in [0, n_bins - 1] with the shape of ``confidence``.

    Raises:
        TypeError: If an argument is not a floating-point tensor.
        ValueError: If a value is not in [0, 1], or ``edges`` fall.

    Example:
        >>> assign_bins(torch.tensor([0.0, 0.5, 0.6]), torch.tensor([0.5]))
        tensor([0, 0, 1])
    """
    check_confidences(confidence)
    check_edges(edges)
    return find_bins(confidence, edges.to(confidence))


def find_bins(confidence: Tensor, edges: InnerEdges) -> Tensor:
    """Search as :func:`assign_bins` does, without its checks."""
    few = edges.numel() <= FEW_EDGES and confidence.numel() >= MANY_VALUES and confidence.dtype == edges.dtype
    if not (few and can_read(confidence)):
        return torch.bucketize(confidence.contiguous(), edges.contiguous(), right=False)
    # Among few edges each value is compared with all; NaN is behind the last. A comparison that gives numbers of the
    # dtype of the values, while these are in the cache, takes a third of the time of one that gives booleans.
    index, limits = torch.empty(confidence.shape, dtype=torch.int64), edges.detach().unbind()
    values = confidence.detach().reshape(-1)
    parts = zip(torch.split(values, IN_CACHE), torch.split(index.view(-1), IN_CACHE), strict=True)
    for part, found in parts:
        place, below = torch.full_like(part, len(limits)), torch.empty_like(part)
        for edge in limits:
            place.sub_(torch.le(part, edge, out=below))
        found.copy_(place)
    return index


def assign_equal_width_bins(confidence: Tensor, n_bins: int) -> Tensor:
    """Find the equal-width bin (a, b] that holds each value, several times faster than by a search.

    Args:
        confidence: Values of any shape.
        n_bins: Number of bins, at least 1.

    Returns:
        What :func:`assign_bins` gives with :func:`equal_width_edges` of the dtype of ``confidence``; int32 or int64.

    Example:
        >>> assign_equal_width_bins(torch.tensor([0.0, 0.5, 0.6]), 2).tolist()
        [0, 0, 1]
    """
    if confidence.dtype != torch.float32 or confidence.device.type == "mps" or n_bins >= 1 << 24:
        return find_bins(confidence, equal_width_edges(n_bins, dtype=confidence.dtype, device=confidence.device))
    # Edges are k / n_bins rounded to float32, so half a float32 step below a value is on its side of k / n_bins; and
    # such a number times n_bins is exact and never whole, so cutting its fraction off is rounding down.
    # A search puts NaN behind the last edge, as it does 1.
    if can_read(confidence):
        low = np.maximum(np.minimum(confidence.detach().numpy(), 1.0), 2.0**-100).astype(np.float64)
        if np.isnan(np.add.reduce(low, None)):
            low = np.fmin(low, 1.0)
        low.view(np.int64)[...] -= 1 << 28
        low *= n_bins
        return torch.from_numpy(low.astype(np.int32))
    below = confidence.nan_to_num(1.0).clamp_(2.0**-100, 1.0).double()
    below.view(torch.int64).sub_(1 << 28)
    return below.mul_(n_bins).int()
