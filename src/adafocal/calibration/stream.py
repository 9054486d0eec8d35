# SPDX-License-Identifier: Apache-2.0
"""Every number at once, of data in memory and of streams: all but the Brier score's parts follow from sums."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._dtypes import at_least_float32, wide_dtype
from adafocal._shapes import Confidence, Correct
from adafocal._sums import Sums, check_sums
from adafocal._values import check_predictions
from adafocal.calibration.bins import BinStats
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.cells import distinct_cells, equal_width_bins
from adafocal.calibration.classwise import check_positive_class
from adafocal.calibration.edges import assign_equal_width_bins, equal_width_edges
from adafocal.calibration.grid import grid_edges, sum_cells
from adafocal.calibration.summary import CalibrationSummary
from adafocal.calibration.sums import PredictionSums, SumsInMemory, Totals
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions

# Numbers worked on at a time: with all that is computed from them, what a processor core keeps near.
IN_CACHE = 1 << 16


@dataclass(frozen=True, eq=False)
class StreamSums(PredictionSums, Sums):
    """Sums over a part of the data; parts merge by adding.

    Attributes:
        cells: The calibrated event on the fine grid.
        bins: The calibrated event in equal-width bins.
        class_gaps: Sum of probability minus occurrence per class and equal-width bin, shape (C, n_bins).
        totals: Sums of right top labels, negative log-likelihood, squared distance to the one-hot label, and squared
            confidence minus event, shape (4,).
    """

    made_by = "stream_sums"

    @classmethod
    def empty(cls, *, n_classes: int, n_bins: int = 15, dtype: torch.dtype = torch.float32) -> "StreamSums":
        """Start from nothing, to which sums of probabilities of this dtype, float32 or float64, can be added."""
        bins = BinStats.empty(equal_width_edges(n_bins, dtype=dtype))
        class_gaps, totals = torch.zeros(n_classes, n_bins, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
        return cls(BinStats.empty(grid_edges(dtype=dtype)), bins, class_gaps, totals)

    def compute(self) -> CalibrationSummary:
        """Compute the numbers of :func:`stream_summary`."""
        if self.n == 0:
            raise InvalidValueError("`sums` must hold at least one sample, got 0.")
        return summary_of(self)


def evaluate(predictions: Predictions, *, n_bins: int = 15, positive_class: int | None = None) -> CalibrationSummary:
    """Measure accuracy, proper scores and calibration of predictions.

    The calibrated event is that the top label is right, except for the classwise error and the parts of the Brier
    score, where it is that the label is each class in turn.

    Args:
        predictions: Probabilities or logits with the labels.
        n_bins: Number of bins of every binned error but the sweep's.
        positive_class: Calibrate the event that the label is this class, in place of "the top label is right"; all but
            ``accuracy`` that speak of the top label then speak of it.

    Returns:
        The summary, plain numbers.

    Raises:
        TypeError: If ``n_bins`` or ``positive_class`` is not an integer.
        ValueError: If ``n_bins`` is below 1, or there is no class ``positive_class``.

    Example:
        >>> probs, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 0])
        >>> summary = evaluate(Predictions(probs=probs, labels=labels))
        >>> summary.accuracy, round(summary.overconfidence, 4)
        (0.5, 0.35)
    """
    return summary_of(sums_in_memory(predictions, n_bins=n_bins, positive_class=positive_class))


def sums_in_memory(predictions: Predictions, *, n_bins: int, positive_class: int | None = None) -> SumsInMemory:
    """Sum all the predictions there are, so that every number is exact."""
    return SumsInMemory(*_sums(predictions, n_bins, positive_class, distinct_cells), predictions)


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
    return StreamSums(*_sums(predictions, n_bins, positive_class, sum_cells))


def _sums(
    predictions: Predictions,
    n_bins: int,
    positive_class: int | None,
    make_cells: Callable[[Confidence, Correct], BinStats],
) -> tuple[BinStats, BinStats, Tensor, Tensor]:
    check_predictions("predictions", predictions)
    check_integer("n_bins", n_bins, minimum=1)
    labels = predictions.labels
    # One row per class: sums and comparisons then run along memory, several times faster for few classes.
    probs = predictions.probs.t().contiguous()
    top, of_label = probs.amax(dim=0), probs.gather(0, labels[None])[0]
    # Equal probabilities are rare, and only they need to know which class comes first.
    tied = int(torch.count_nonzero(probs == top)) > len(top)
    right = predictions.correct if tied else of_label == top
    confidence, happened = top, right
    if positive_class is not None:
        check_positive_class(positive_class, len(probs))
        confidence, happened = probs[positive_class], labels == positive_class
    logits, wide = predictions.logits, wide_dtype(probs.device)
    nll = -of_label.log() if logits is None else F.cross_entropy(at_least_float32(logits), labels, reduction="none")
    confidence = confidence.clamp(max=1.0)
    gaps_per_class, squares = _class_sums(probs, of_label, labels, n_bins, above=bool(top.max() > 1))
    gaps = (confidence.to(wide) - happened.to(wide)).square().sum()
    totals = torch.stack(Totals(right.sum().to(wide), nll.sum(dtype=wide), squares, gaps))
    return make_cells(confidence, happened), equal_width_bins(confidence, happened, n_bins), gaps_per_class, totals


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
    check_sums("first", first, StreamSums)
    return first.merge(second)


def stream_summary(sums: StreamSums) -> CalibrationSummary:
    """Summarise a stream of at least one sample: for data too large for memory.

    Exact, as for data in memory: accuracy, scores, the mean gap, and errors in equal-width bins. From the fine grid:
    errors in equal-mass bins and the sweep are exact for edges that miss equal mass by at most one cell, and so are the
    interval and p-value that go with them; the drift is taken at the edges of cells, the smooth error with each cell's
    samples at their mean. The parts of the Brier score need all samples at once: NaN. The table of measures in the docs
    says which is which.

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
    check_sums("sums", sums, StreamSums)
    return sums.compute()


def summary_of(sums: PredictionSums) -> CalibrationSummary:
    """Compute every number of the catalogue, of at least one sample."""
    values: dict[str, Any] = {}
    for name, measure in CATALOGUE.items():
        values[name] = float(measure.compute(sums))
        if measure.ends is not None:
            low, high = measure.ends(sums)
            values[measure.interval] = (float(low), float(high))
    return CalibrationSummary(n=sums.n, n_classes=len(sums.class_gaps), n_bins=sums.bins.n_bins, **values)


def _class_sums(probs: Tensor, of_label: Tensor, labels: Tensor, n_bins: int, *, above: bool) -> tuple[Tensor, Tensor]:
    """Sum the gaps per class and bin, and the squared distance to the one-hot label, of probabilities (C, N)."""
    (n_classes, n), device, dtype = probs.shape, probs.device, wide_dtype(probs.device)
    happened = torch.bincount(assign_equal_width_bins(of_label, n_bins) + n_bins * labels, minlength=n_bins * n_classes)
    # Neighbours mostly share a bin, and adding to one place again has to wait: four places take turns.
    turn = (torch.arange(n, dtype=torch.int32, device=device) & 3) * n_bins
    expected, squares = [], (1 - 2 * of_label.to(dtype)).sum()
    for classes in torch.split(probs, max(1, IN_CACHE // n)):
        wide = classes.to(dtype).view(-1)
        squares += wide.dot(wide)
        first = 4 * n_bins * torch.arange(len(classes), dtype=torch.int32, device=device)
        place = assign_equal_width_bins(classes, n_bins).int().add_(turn).add_(first[:, None])
        shares = wide.clamp(max=1.0) if above else wide
        expected.append(torch.bincount(place.view(-1), shares, 4 * n_bins * len(classes)))
    gaps = torch.cat(expected).view(n_classes, 4, n_bins).sum(dim=1) - happened.view(n_classes, n_bins)
    return gaps, squares
