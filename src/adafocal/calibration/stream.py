# SPDX-License-Identifier: Apache-2.0
"""The numbers of :func:`~adafocal.calibration.evaluate` from sums that do not grow with the data."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._dtypes import at_least_float32
from adafocal._values import check_predictions
from adafocal.calibration.bins import BinStats, merge, sum_bins
from adafocal.calibration.classwise import check_positive_class
from adafocal.calibration.consistency import CELLS_PER_BIN, resampled_p_value
from adafocal.calibration.edges import assign_equal_width_bins, equal_width_edges
from adafocal.calibration.errors import error_of_bins
from adafocal.calibration.grid import grid_ks_error, joined_equal_mass, joined_sweep, sum_cells
from adafocal.calibration.intervals import N_RESAMPLES, rms_interval
from adafocal.calibration.reliability import score_interval
from adafocal.calibration.smooth import residuals_on_grid, smooth_error
from adafocal.calibration.summary import LEVEL, CalibrationSummary
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions

# Numbers worked on at a time: with all that is computed from them, what a processor core keeps near.
IN_CACHE = 1 << 16


@dataclass(frozen=True)
class StreamSums:
    """Sums over a part of the data; parts merge by adding.

    Attributes:
        cells: The calibrated event on the fine grid.
        bins: The calibrated event in equal-width bins.
        class_gaps: Sum of probability minus occurrence per class and equal-width bin, shape (C, n_bins).
        totals: Sums of right top labels, negative log-likelihood, squared distance to the one-hot label, and squared
            confidence minus event, shape (4,).
    """

    cells: BinStats
    bins: BinStats
    class_gaps: Tensor
    totals: Tensor


def stream_sums(predictions: Predictions, *, n_bins: int = 15, positive_class: int | None = None) -> StreamSums:
    """Sum one batch of a stream.

    Args:
        predictions: A checked batch, fastest with a few hundred thousand numbers.
        n_bins: Number of equal-width bins.
        positive_class: The calibrated event is that the label is this class; None: that the top label is right.

    Returns:
        The sums, of a size that depends on ``n_bins`` and the number of classes alone.

    Raises:
        TypeError: If ``n_bins`` is not an integer, or ``predictions`` are no record.
        ValueError: If ``n_bins`` is below 1, or there is no class ``positive_class``.

    Example:
        >>> batch = Predictions(probs=torch.tensor([[0.9, 0.1], [0.2, 0.8]]), labels=torch.tensor([0, 0]))
        >>> summary = stream_summary(merge_sums(stream_sums(batch), stream_sums(batch)))
        >>> summary.n, summary.accuracy, round(summary.overconfidence, 4)
        (4, 0.5, 0.35)
    """
    check_predictions("predictions", predictions)
    check_integer("n_bins", n_bins, minimum=1)
    labels = predictions.labels
    # One row per class: sums and comparisons then run along memory, several times faster for few classes.
    probs = predictions.probs.t().contiguous()
    top, of_label = probs.amax(dim=0), probs.gather(0, labels[None])[0]
    # Equal probabilities are rare, and only they need to know which class comes first.
    tied = np.count_nonzero(probs.numpy() == top.numpy()) > len(top)
    right = predictions.correct if tied else of_label == top
    confidence, happened = top, right
    if positive_class is not None:
        check_positive_class(positive_class, len(probs))
        confidence, happened = probs[positive_class], labels == positive_class
    nll = -of_label.double().log() if predictions.logits is None else _nll_from_logits(predictions.logits, labels)
    confidence = confidence.clamp(max=1.0)
    gaps_per_class, squares = _class_sums(probs, of_label, labels, n_bins)
    gaps = (confidence.double() - happened.double()).square().sum()
    edges = equal_width_edges(n_bins, dtype=probs.dtype)
    return StreamSums(
        cells=sum_cells(confidence, happened),
        bins=sum_bins(confidence, happened, edges, assign_equal_width_bins(confidence, n_bins)),
        class_gaps=gaps_per_class,
        totals=torch.stack([right.sum().double(), nll.sum(dtype=torch.float64), squares, gaps]),
    )


def merge_sums(first: StreamSums, second: StreamSums) -> StreamSums:
    """Add the sums of two parts of the data.

    Args:
        first: Sums of one part.
        second: Sums of another part, with the same bins and classes.

    Returns:
        The sums of both parts.

    Raises:
        TypeError: If an argument is no :class:`StreamSums`.
        ValueError: If the bins or the classes differ.

    Example:
        >>> part = stream_sums(Predictions(probs=torch.tensor([[0.9, 0.1]]), labels=torch.tensor([0])))
        >>> merge_sums(part, part).totals[0]
        tensor(2., dtype=torch.float64)
    """
    for name, sums in (("first", first), ("second", second)):
        _check_sums(name, sums)
    if first.class_gaps.shape != second.class_gaps.shape:
        raise InvalidValueError(
            f"`second` must be sums over the classes and bins of `first`, {tuple(first.class_gaps.shape)}, "
            f"got {tuple(second.class_gaps.shape)}."
        )
    return StreamSums(
        cells=merge(first.cells, second.cells),
        bins=merge(first.bins, second.bins),
        class_gaps=first.class_gaps + second.class_gaps,
        totals=first.totals + second.totals,
    )


def stream_summary(sums: StreamSums) -> CalibrationSummary:
    """Give the summary of a stream of at least one sample: for data too large for memory.

    Exact, as for data in memory: ``accuracy``, ``nll``, ``brier``, ``overconfidence``, ``ece``, ``mce`` and
    ``classwise_ece``. From the fine grid: the equal-mass errors and the sweep are exact for edges that miss equal mass
    by at most one cell, and so are the interval and p-value that go with them; ``ks`` is taken at the edges of cells,
    ``smooth_ece`` with each cell's samples at their mean. The parts of the Brier score need all samples at once: NaN.

    Args:
        sums: Sums of all parts.

    Returns:
        The summary, plain numbers.

    Raises:
        TypeError: If ``sums`` are no :class:`StreamSums`.
        ValueError: If they hold no sample.

    Example:
        >>> part = stream_sums(Predictions(probs=torch.tensor([[0.9, 0.1]]), labels=torch.tensor([0])))
        >>> round(stream_summary(part).overconfidence, 4)
        -0.1
    """
    _check_sums("sums", sums)
    if int(sums.bins.count.sum()) == 0:
        raise InvalidValueError("`sums` must hold at least one sample, got 0.")
    n, (right, nll, squares, square_gaps) = int(sums.bins.count.sum()), sums.totals.tolist()
    overconfidence = float(sums.bins.confidence_sum.sum() - sums.bins.correct_sum.sum()) / n
    equal_mass = joined_equal_mass(sums.cells, sums.bins.n_bins)
    return CalibrationSummary(
        n=n,
        n_classes=len(sums.class_gaps),
        n_bins=sums.bins.n_bins,
        accuracy=right / n,
        accuracy_interval=_ends(score_interval(sums.totals[:1] / n, torch.tensor([n]), level=LEVEL)),
        nll=nll / n,
        brier=squares / n,
        brier_calibration=math.nan,
        brier_refinement=math.nan,
        overconfidence=overconfidence,
        overconfidence_interval=_mean_interval(overconfidence, square_gaps, n),
        ece=float(error_of_bins(sums.bins)),
        ece_equal_mass=float(error_of_bins(equal_mass)),
        ece_debiased=float(error_of_bins(equal_mass, debias=True)),
        ece_sweep=float(error_of_bins(joined_sweep(sums.cells))),
        mce=float(error_of_bins(sums.bins, norm="max")),
        rms=float(error_of_bins(equal_mass, norm="l2")),
        rms_debiased=float(error_of_bins(equal_mass, norm="l2", debias=True)),
        rms_interval=_ends(rms_interval(equal_mass, level=LEVEL)),
        p_calibrated=_p_value(sums.cells, sums.bins.n_bins),
        ks=float(grid_ks_error(sums.cells)),
        smooth_ece=_smooth_ece(sums.cells),
        classwise_ece=float(sums.class_gaps.abs().sum(dim=1).mean()) / n,
    )


def _check_sums(name: str, sums: StreamSums) -> None:
    if not isinstance(sums, StreamSums):
        raise InvalidTypeError(f"`{name}` must be StreamSums, got {type(sums).__name__}: use stream_sums.")


def _ends(interval: tuple[Tensor, Tensor]) -> tuple[float, float]:
    return float(interval[0]), float(interval[1])


def _mean_interval(mean: float, squares: float, n: int) -> tuple[float, float]:
    """Give the interval of ``overconfidence_interval`` from sums."""
    if n == 1:
        return -1.0, 1.0
    sd = math.sqrt(max(0.0, squares - n * mean * mean) / (n - 1))
    half = NormalDist().inv_cdf(0.5 + LEVEL / 2) * sd / math.sqrt(n)
    return max(-1.0, mean - half), min(1.0, mean + half)


def _p_value(cells: BinStats, n_bins: int) -> float:
    """Give the p-value of ``calibration_test``, whose finer cells are here joined cells of the grid."""
    fine = joined_equal_mass(cells, n_bins * CELLS_PER_BIN)
    rows = (part.view(n_bins, CELLS_PER_BIN) for part in (fine.count, fine.confidence_sum, fine.correct_sum))
    return float(resampled_p_value(*rows, n_resamples=N_RESAMPLES))


def _smooth_ece(cells: BinStats) -> float:
    held = cells.count > 0
    confidence, share = cells.confidence[held], cells.count[held] / cells.count.sum()
    # One sample per cell stands for all: its residual is theirs, mean by mean, times their share.
    return float(smooth_error(residuals_on_grid(confidence, cells.accuracy[held], share)))


def _nll_from_logits(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(at_least_float32(logits), labels, reduction="none")


def _class_sums(probs: Tensor, of_label: Tensor, labels: Tensor, n_bins: int) -> tuple[Tensor, Tensor]:
    """Give the gaps per class and bin, and the squared distance to the one-hot label, of probabilities (C, N)."""
    n_classes, n = probs.shape
    happened = torch.bincount(assign_equal_width_bins(of_label, n_bins) + n_bins * labels, minlength=n_bins * n_classes)
    # Neighbours mostly share a bin, and adding to one place again has to wait: four places take turns.
    turn = (torch.arange(n, dtype=torch.int32) & 3) * n_bins
    expected, squares = [], (1 - 2 * of_label.double()).sum()
    for classes in torch.split(probs, max(1, IN_CACHE // n)):
        wide = classes.double().view(-1)
        first = 4 * n_bins * torch.arange(len(classes), dtype=torch.int32)
        place = assign_equal_width_bins(classes, n_bins).int().add_(turn).add_(first[:, None])
        expected.append(torch.bincount(place.view(-1), wide, 4 * n_bins * len(classes)))
        squares += wide.dot(wide)
    gaps = torch.cat(expected).view(n_classes, 4, n_bins).sum(dim=1) - happened.view(n_classes, n_bins)
    return gaps, squares
