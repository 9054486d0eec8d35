# SPDX-License-Identifier: Apache-2.0
"""What each row tells of the calibrated event, and how far means over rows scatter."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adafocal._dtypes import at_least_float32
from adafocal._reading import Record
from adafocal.calibration.classwise import check_positive_class
from adafocal.calibration.events import event_nll
from adafocal.calibration.stream import NO_WEIGHT
from adafocal.errors import InvalidValueError
from adafocal.outcomes import Outcomes


def counted(record: Record) -> Record:
    """The rows that count.

    Raises:
        ValueError: If there is none.
    """
    if record.weight is None or bool((record.weight > 0).all()):
        return record
    if not bool((record.weight > 0).any()):
        raise InvalidValueError(NO_WEIGHT)
    return record[record.weight > 0]


@dataclass(frozen=True, eq=False)
class Rows:
    """Numbers of each row, float64 but for booleans, shape (N,).

    Attributes:
        confidence: Probability of the calibrated event.
        happened: Whether it happened.
        right: Whether the prediction is right: of a class that it is above 0.5 where the label is it, and only there.
        sure: How sure the prediction is of being right.
        nll: Negative log-likelihood, nats.
        square: Brier score.
    """

    confidence: Tensor
    happened: Tensor
    right: Tensor
    sure: Tensor
    nll: Tensor
    square: Tensor

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def gap(self) -> Tensor:
        """Probability minus event."""
        return self.confidence - self.happened.double()


def rows_of(record: Record, positive_class: int | None = None) -> Rows:
    """Look at each row for itself, as :func:`~adafocal.calibration.evaluate` does at all of them.

    Args:
        record: Predictions with labels, or outcomes.
        positive_class: The event is that the label is this class; None: that the top label or the answer is right.
    """
    if isinstance(record, Outcomes):
        happened, confidence = record.correct.cpu(), record.confidence.double().cpu()
        nll = -torch.where(happened, confidence, 1 - confidence).log()
        return Rows(confidence, happened, happened, confidence, nll, (confidence - happened.double()).square())
    labels, probs = record.labels.cpu(), record.probs.double().cpu().clamp(max=1.0)
    log_probs = record.log_probs.double().cpu()
    if positive_class is None:
        of_label = probs.gather(1, labels[:, None])[:, 0]
        nll = -log_probs.gather(1, labels[:, None])[:, 0]
        square = probs.square().sum(dim=1) - 2 * of_label + 1
        top, right = probs.amax(dim=1), record.correct.cpu()
        return Rows(top, right, right, top, nll, square)
    check_positive_class(positive_class, record.n_classes)
    confidence, happened = probs[:, positive_class], labels == positive_class
    nll = event_nll(log_probs, positive_class, happened)
    square = (confidence - happened.double()).square()
    right = (at_least_float32(record.probs).cpu()[:, positive_class] > 0.5) == happened
    return Rows(confidence, happened, right, torch.maximum(confidence, 1 - confidence), nll, square)


@dataclass(frozen=True, eq=False)
class Sampling:
    """How rows were drawn: with which weights, and which of them belong together.

    Attributes:
        n: Number of rows.
        weight: Weights, float64, shape (N,); None where each row counts once.
        cluster: Numbers from 0 of what rows belong to, int64, shape (N,); None where rows stand for themselves.
    """

    n: int
    weight: Tensor | None = None
    cluster: Tensor | None = None

    @classmethod
    def of(cls, record: Record) -> "Sampling":
        """That of a record."""
        weight = None if record.weight is None else record.weight.double().cpu()
        cluster = None if record.cluster is None else torch.unique(record.cluster.cpu(), return_inverse=True)[1]
        return cls(record.n, weight, cluster)

    @property
    def heavy(self) -> Tensor:
        """The weights, all 1 where there are none."""
        return torch.ones(self.n, dtype=torch.float64) if self.weight is None else self.weight

    @property
    def n_clusters(self) -> int:
        """Number of clusters; 0 where rows stand for themselves."""
        return 0 if self.cluster is None else int(self.cluster.max()) + 1

    @property
    def n_effective(self) -> float:
        """Effective number of rows: (sum w)^2 / sum w^2."""
        return float(self.heavy.sum() ** 2 / self.heavy.square().sum())

    @property
    def n_independent(self) -> float:
        """Number of what is independent: the clusters, or the effective number of rows."""
        return float(self.n_clusters) if self.cluster is not None else self.n_effective

    def mean(self, values: Tensor) -> Tensor:
        """Average values by the weights."""
        return (self.heavy * values).sum() / self.heavy.sum()

    def spread(self, influence: Tensor) -> tuple[float, float]:
        """Estimate the variance of a statistic and the degrees of freedom that it is known with.

        The fewer rows it comes from, the less it is known: with kurtosis k of what they add, as much as that of
        2 N / (k - 1) rows of a normal distribution.

        Args:
            influence: What each row adds to the statistic, shape (N,); its weighted mean is 0.

        Returns:
            Both; the variance is NaN where fewer than two rows, or clusters, are independent.

        Reference:
            Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73, 1986.
        """
        parts, size = self.heavy * influence, self.n_independent
        if self.cluster is not None:
            parts = parts.new_zeros(self.n_clusters).index_add_(0, self.cluster, parts)
        if size < 2 - 1e-9:
            return float("nan"), 1.0
        squares = parts.square()
        variance = float(squares.sum() / self.heavy.sum().square()) * size / (size - 1)
        mean = float(squares.mean())
        kurtosis = float(squares.square().mean()) / mean**2 if mean > 0 else 1.0
        return variance, max(1.0, min(size - 1, 2 * len(parts) / max(kurtosis - 1, 1e-9)))

    def variance_in_bins(self, residual: Tensor, index: Tensor, n_bins: int) -> Tensor:
        """Estimate the variance of the mean in each bin, shape (B,); 0 for an empty one.

        Args:
            residual: Distance of each row to the mean of its bin, shape (N,).
            index: Its bin, shape (N,).
            n_bins: Number of bins B.
        """
        parts, of_bin, heavy = self.heavy * residual, index, self.heavy
        if self.cluster is not None:
            pairs, place = torch.unique(self.cluster * n_bins + index, return_inverse=True)
            parts, of_bin = parts.new_zeros(len(pairs)).index_add_(0, place, parts), pairs % n_bins
        mass, squares = (
            parts.new_zeros(n_bins).index_add_(0, *pair) for pair in ((index, heavy), (of_bin, parts.square()))
        )
        return torch.where(mass > 0, squares / mass.square().clamp_min(1e-300), 0.0)

    def where(self, rows: Tensor) -> "Sampling":
        """That of some of the rows."""
        kept = {name: None if held is None else held[rows] for name, held in vars(self).items() if name != "n"}
        return replace(self, n=int(rows.sum()) if rows.dtype == torch.bool else len(rows), **kept)
