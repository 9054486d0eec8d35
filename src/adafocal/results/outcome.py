# SPDX-License-Identifier: Apache-2.0
"""What is shown of test predictions: sums and confidences that can be pooled over runs."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce

import torch
from torch import Tensor

from adafocal.calibration import (
    BinStats,
    SmoothCurve,
    assign_bins,
    bin_stats,
    equal_width_edges,
    merge,
    one_class_from_probs,
    smooth_reliability,
    stream_sums,
)
from adafocal.predictions import Predictions
from adafocal.selective import RiskCoverageCurve, aurc, risk_coverage_curve

SMALL_MULTIPLES = 20  # up to so many classes each has its own diagram
CLASS_BINS = 10


@dataclass(frozen=True, eq=False)
class Outcome:
    """Test predictions of one run, or of several runs pooled.

    Runs predict the same rows, and a row that is right in one is mostly right in the others: intervals take the number
    of rows for the effective number of samples, see :func:`pooled`.

    Attributes:
        confidence: Probability of the predicted class, shape (N,).
        correct: Whether the predicted class is the label, shape (N,).
        labels: The labels, shape (N,).
        stats: Equal-width bins of both.
        class_count: Samples of each class, shape (C,).
        class_right: Samples of each class that are predicted as it, shape (C,).
        class_expected: Summed probability of each class, shape (C,).
        class_gaps: Sum of probability minus occurrence per class and equal-width bin, shape (C, n_bins).
        class_stats: Ten equal-width bins of each class's probability, for up to 20 classes; else empty.
        independent: Whether rows stand for themselves; of clusters, intervals of single bins are not known.
    """

    confidence: Tensor
    correct: Tensor
    labels: Tensor
    stats: BinStats
    class_count: Tensor
    class_right: Tensor
    class_expected: Tensor
    class_gaps: Tensor
    class_stats: tuple[BinStats, ...]
    independent: bool = True

    @property
    def n(self) -> int:
        """Number of predictions N."""
        return len(self.confidence)

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return len(self.class_count)

    @property
    def class_error(self) -> Tensor:
        """Calibration error of each class's probability, a fraction, shape (C,)."""
        return self.class_gaps.abs().sum(dim=1) / self.n

    @property
    def curve(self) -> SmoothCurve:
        """Smooth accuracy over confidence."""
        return smooth_reliability(self.confidence, self.correct)

    @property
    def risk_coverage(self) -> RiskCoverageCurve:
        """Error of the most confident predictions against their share."""
        return risk_coverage_curve(self.confidence, ~self.correct)

    @property
    def aurc(self) -> float:
        """Area under the risk-coverage curve, a fraction."""
        return float(aurc(self.confidence, ~self.correct))


def outcome_of(predictions: Predictions, *, n_bins: int) -> Outcome:
    """Sum up the predictions of one run."""
    confidence, correct = predictions.confidence, predictions.correct
    probs, labels = predictions.probs, predictions.labels
    classes = range(predictions.n_classes) if predictions.n_classes <= SMALL_MULTIPLES else range(0)
    edges = equal_width_edges(CLASS_BINS, dtype=probs.dtype)
    return Outcome(
        confidence=confidence,
        correct=correct,
        labels=labels,
        stats=bin_stats(confidence, correct, equal_width_edges(n_bins, dtype=confidence.dtype)),
        class_count=torch.bincount(labels, minlength=predictions.n_classes),
        class_right=torch.bincount(labels[correct], minlength=predictions.n_classes),
        class_expected=probs.sum(dim=0, dtype=torch.float64),
        class_gaps=stream_sums(predictions, n_bins=n_bins).class_gaps,
        class_stats=tuple(bin_stats(*one_class_from_probs(probs, labels, positive_class=c), edges) for c in classes),
        independent=predictions.cluster is None,
    )


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Join the predictions of several runs on the same classes: sums add, and rows that are the same count once.

    In a bin that holds row i of k_i runs the effective number of samples is (sum k_i)^2 / sum k_i^2, as of weighted
    rows: that of the rows where all runs agree, and at most that of the predictions. Where rows are others in each run,
    and of single classes, it is the number of predictions over that of the runs, which is never more.
    """
    if len(outcomes) == 1:
        return outcomes[0]

    parts = {field.name: [getattr(outcome, field.name) for outcome in outcomes] for field in fields(Outcome)}
    by_class = zip(*parts.pop("class_stats"), strict=True)
    stats = _once(reduce(merge, parts.pop("stats")), outcomes)
    independent = all(parts.pop("independent"))
    samples = {name: torch.cat(parts.pop(name)) for name in ("confidence", "correct", "labels")}
    sums = {name: torch.stack(values).sum(dim=0) for name, values in parts.items()}
    return Outcome(
        **samples,
        **sums,
        stats=stats,
        class_stats=tuple(_repeated(reduce(merge, part), len(outcomes)) for part in by_class),
        independent=independent,
    )


def _once(stats: BinStats, outcomes: Sequence[Outcome]) -> BinStats:
    """Count the rows of each bin once."""
    first, n_bins = outcomes[0], stats.n_bins
    if not all(one.n == first.n and bool((one.labels == first.labels).all()) for one in outcomes):
        return _repeated(stats, len(outcomes))
    bins = torch.stack([assign_bins(one.confidence, stats.edges) for one in outcomes])
    rows, times = torch.unique(bins + n_bins * torch.arange(first.n), return_counts=True)
    return _squares(stats, torch.zeros(n_bins, dtype=torch.int64).index_add_(0, rows % n_bins, times.square()))


def _repeated(stats: BinStats, n_runs: int) -> BinStats:
    return _squares(stats, n_runs * stats.count)


def _squares(stats: BinStats, squares: Tensor) -> BinStats:
    """Sums whose effective number of samples follows from these squares."""
    return replace(stats, count=stats.count.to(torch.float64), square_sum=squares.to(torch.float64))
