# SPDX-License-Identifier: Apache-2.0
"""Every number at once, of data in memory and of streams: all but the Brier score's parts follow from sums."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, SampleWeight
from adafocal._sums import Sums, check_sums
from adafocal._values import check_predictions
from adafocal.calibration.bins import IN_CACHE, BinStats
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.calibration.cells import distinct_cells, equal_width_bins
from adafocal.calibration.clusters import ClusterSums
from adafocal.calibration.edges import equal_width_edges
from adafocal.calibration.events import label_event, outcome_event
from adafocal.calibration.grid import grid_edges, sum_cells
from adafocal.calibration.judge import judge
from adafocal.calibration.summary import CalibrationSummary
from adafocal.calibration.sums import PredictionSums, SumsInMemory, Totals, WeightTotals
from adafocal.errors import InvalidValueError
from adafocal.multilabel import MultilabelPredictions
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions

if TYPE_CHECKING:
    from adafocal.calibration.multilabel import MultilabelSummary

NO_WEIGHT = "`weight` must be above 0 in at least one row, got 0 in all."


@dataclass(frozen=True, eq=False)
class StreamSums(PredictionSums, Sums):
    """Sums over a part of the data; parts merge by adding.

    Attributes:
        cells: The calibrated event on the fine grid.
        bins: The calibrated event in equal-width bins.
        class_gaps: Sum of probability minus occurrence per class and equal-width bin, shape (C, n_bins).
        totals: Sums of right top labels, negative log-likelihood, squared distance to the one-hot label, and squared
            confidence minus event, shape (4,).
        weight_totals: Of weighted samples their number, and the sums of their squared weights, times the gap, and times
            its square, shape (4,); None where each sample counts once.
        clusters: Sums of each cluster; None where rows stand for themselves.
    """

    made_by = "stream_sums"

    @classmethod
    def empty(cls, *, n_classes: int, n_bins: int = 15, dtype: torch.dtype = torch.float32) -> "StreamSums":
        """Start from nothing, to which sums of probabilities of this dtype, float32 or float64, can be added."""
        bins = BinStats.empty(equal_width_edges(n_bins, dtype=dtype))
        class_gaps, totals = torch.zeros(n_classes, n_bins, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
        return cls(BinStats.empty(grid_edges(dtype=dtype)), bins, class_gaps, totals)

    def like(self, other: "StreamSums") -> "StreamSums":
        """The same sums, with those of squared weights, all 1, if the other sums have some.

        Raises:
            ValueError: If the other sums have clusters and these have rows without.
        """
        if (self.clusters is None) != (other.clusters is None):
            without = self if self.clusters is None else other
            if without.n > 0:
                raise InvalidValueError("`second` must have clusters where `first` has them, got rows without.")
            if without is self:
                return replace(self, clusters=ClusterSums.empty()).like(other)
        if self.weight_totals is not None or other.weight_totals is None:
            return self
        n, gap = self.bins.count.sum(), (self.bins.confidence_sum - self.bins.correct_sum).sum()
        held = torch.stack(WeightTotals(n.to(gap), n.to(gap), gap, self.totals[3]))
        cells, bins = self.cells.like(other.cells), self.bins.like(other.bins)
        return StreamSums(cells, bins, self.class_gaps, self.totals, held, self.clusters)

    def compute(self) -> CalibrationSummary:
        """Compute the numbers of :func:`stream_summary`."""
        if self.n == 0:
            raise InvalidValueError("`sums` must hold at least one sample, got 0.")
        return summary_of(self)


@overload
def evaluate(predictions: MultilabelPredictions, *, n_bins: int = 15) -> "MultilabelSummary": ...


@overload
def evaluate(
    predictions: Predictions | Outcomes, *, n_bins: int = 15, positive_class: int | None = None
) -> CalibrationSummary: ...


def evaluate(
    predictions: Predictions | Outcomes | MultilabelPredictions, *, n_bins: int = 15, positive_class: int | None = None
) -> "CalibrationSummary | MultilabelSummary":
    """Measure accuracy, proper scores and calibration of predictions.

    The calibrated event is that the top label is right, except for the classwise error and the parts of the Brier
    score, where it is that the label is each class in turn.

    Args:
        predictions: Probabilities or logits with the labels; or outcomes, whose event is that the answer is right: NLL
            and Brier score are then those of this one event, and there are no classes. Or predictions of several
            labels: each label is measured as ``positive_class`` is, and all of them together.
        n_bins: Number of bins of every binned error but the sweep's.
        positive_class: Calibrate the event that the label is this class, in place of "the top label is right". All
            numbers but the classwise error then speak of it: accuracy counts it as predicted from a probability above
            0.5, NLL and Brier score are those of this one event.

    Returns:
        The summary, plain numbers. Weights of the record count as rows repeated so often do; only intervals and the
        p-value take the effective number of samples, so that they stay valid for weights of any kind. Where
        rows belong to clusters, the intervals of accuracy and over-confidence are those of the clusters; the interval
        of the RMS error and the p-value, which suppose independent rows, are NaN. Of several labels a
        :class:`MultilabelSummary`: one summary for each label, their mean, and that of all entries.

    Raises:
        TypeError: If ``n_bins`` or ``positive_class`` is not an integer.
        ValueError: If ``n_bins`` is below 1, or there is no class ``positive_class``.

    Example:
        >>> probs, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 0])
        >>> summary = evaluate(Predictions(probs=probs, labels=labels))
        >>> summary.accuracy, round(summary.overconfidence, 4)
        (0.5, 0.35)
    """
    if isinstance(predictions, MultilabelPredictions):
        from adafocal.calibration.multilabel import evaluate_labels  # which calls this for each of them

        if positive_class is not None:
            rule = "`positive_class` must not be given for several labels"
            raise InvalidValueError(f"{rule}, got {positive_class}: use of_label({positive_class}).")
        return evaluate_labels(predictions, n_bins=n_bins)
    return summary_of(sums_in_memory(predictions, n_bins=n_bins, positive_class=positive_class))


def sums_in_memory(
    predictions: Predictions | Outcomes, *, n_bins: int, positive_class: int | None = None
) -> SumsInMemory:
    """Sum all the predictions there are, so that every number is exact."""
    sums = _sums(predictions, n_bins, positive_class, distinct_cells)
    if positive_class is not None and isinstance(predictions, Predictions):
        confidence, happened = predictions.probs[:, positive_class], predictions.labels == positive_class
        predictions = Outcomes(
            confidence=confidence, correct=happened, weight=predictions.weight, cluster=predictions.cluster
        )
    return SumsInMemory(*sums, predictions)


def stream_sums(
    predictions: Predictions | Outcomes, *, n_bins: int = 15, positive_class: int | None = None
) -> StreamSums:
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
    record: Predictions | Outcomes,
    n_bins: int,
    positive_class: int | None,
    make_cells: Callable[[Confidence, Correct, SampleWeight | None], BinStats],
) -> tuple[BinStats, BinStats, Tensor, Tensor, Tensor | None, ClusterSums | None]:
    check_integer("n_bins", n_bins, minimum=1)
    if isinstance(record, Outcomes):
        if positive_class is not None:
            raise InvalidValueError(f"`positive_class` must not be given for outcomes, got {positive_class}.")
    else:
        check_predictions("predictions", record)
    if record.weight is not None and not bool((record.weight > 0).all()):
        if not bool((record.weight > 0).any()):
            raise InvalidValueError(NO_WEIGHT)
        record = record[record.weight > 0]  # what counts nothing is not there
    weight, wide = record.weight, wide_dtype(record.device)
    if isinstance(record, Predictions) and record.ragged and positive_class is not None:
        raise InvalidValueError(f"`positive_class` must not be given for ragged choices, got {positive_class}.")
    event = outcome_event(record) if isinstance(record, Outcomes) else label_event(record, n_bins, positive_class)
    confidence = event.confidence.clamp(max=1.0)
    columns = (confidence, event.happened, event.right, event.nll, *(() if weight is None else (weight,)))
    pieces = zip(*(torch.split(column, IN_CACHE) for column in columns), strict=True)
    right, nll, squared, *of_weights = torch.stack([_totals(*piece) for piece in pieces]).sum(dim=0).unbind()
    totals = torch.stack(Totals(right, nll, event.square, squared))
    held = None if weight is None else torch.stack(WeightTotals(*of_weights))
    clusters = None
    if record.cluster is not None:
        gap = confidence.to(wide) - event.happened.to(wide)
        clusters = ClusterSums.of(record.cluster, weight, event.right, gap)
    cells = make_cells(confidence, event.happened, weight)
    bins = equal_width_bins(confidence, event.happened, n_bins, weight)
    return cells, bins, event.class_gaps, totals, held, clusters


def _totals(confidence: Tensor, happened: Tensor, right: Tensor, nll: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sum what is right, the log-likelihood and squared gaps, and :class:`WeightTotals` of those that have weights."""
    wide = wide_dtype(confidence.device)
    gap = confidence.to(wide) - happened.to(wide)
    of_samples = (right.to(wide), nll.to(wide), gap.square())
    if weight is None:
        return torch.stack([part.sum() for part in of_samples])
    heavy = weight.to(wide)
    squares = heavy.square()
    of_weights = (heavy.new_tensor(len(heavy)), squares.sum(), squares @ gap, squares @ gap.square())
    return torch.stack([*((heavy * part).sum() for part in of_samples), *of_weights])


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
    return CalibrationSummary(
        n=sums.n,
        n_effective=sums.n_effective,
        n_clusters=0 if sums.clusters is None else sums.clusters.n,
        n_classes=len(sums.class_gaps),
        n_bins=sums.bins.n_bins,
        **values,
        verdict=judge(sums, values),
    )
