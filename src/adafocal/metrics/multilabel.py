# SPDX-License-Identifier: Apache-2.0
"""Metrics of one sigmoid per label: several labels of a sample may apply, and each is a binary event."""

from adafocal._checks import check_integer
from adafocal.metrics.events import (
    AreaOfGeneralizedRisk,
    AreaOfRisk,
    EventCalibrationError,
    EventMetric,
    Nats,
    SmoothGap,
    SquaredGap,
)


class MultilabelMetric(EventMetric):
    """A row of sums for each label, or one where all are together."""

    def __init__(
        self, *, n_labels: int, average: str = "macro", inputs: str = "logits", ignore_index: int = -100
    ) -> None:
        check_integer("n_labels", n_labels, minimum=1)
        super().__init__(inputs=inputs, ignore_index=ignore_index, n_labels=n_labels, average=average)


class MultilabelCalibrationError(EventCalibrationError):
    """Calibration error of every label: ECE, its root mean square, or the maximum.

    The calibrated event is that the label applies, its confidence the probability of it, in [0, 1]. With equal-width
    bins the value is that of :func:`~adafocal.calibration.multilabel_calibration_error` on all entries; equal-mass
    bins are joined from a fixed grid of 4,352 cells, exact for their edges, which miss equal mass by at most one
    cell. Biased upward: sampling noise alone makes it positive for a calibrated model.

    Args:
        n_bins: Number of bins (a, b] of each label.
        norm: ``l1`` (ECE), ``l2`` (root mean square) or ``max`` (MCE).

    Example:
        >>> metric = MultilabelCalibrationError(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.3000, 0.5000], dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        n_labels: int,
        average: str = "macro",
        n_bins: int = 15,
        binning: str = "equal_width",
        norm: str = "l1",
        inputs: str = "logits",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            n_bins=n_bins, binning=binning, norm=norm, inputs=inputs, ignore_index=ignore_index, n_labels=n_labels,
            average=average,
        )  # fmt: skip


class MultilabelSmoothCalibrationError(SmoothGap, MultilabelMetric):
    """Smooth calibration error of every label, no bins.

    :func:`~adafocal.calibration.smooth_calibration_error` of the event that the label applies, entries of one of
    4,352 cells of the probability taken at their mean.

    Example:
        >>> metric = MultilabelSmoothCalibrationError(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.3000, 0.5000], dtype=torch.float64)
    """


class MultilabelAURC(AreaOfRisk, MultilabelMetric):
    """Area under the risk-coverage curve of every label: the error rate averaged over all coverages.

    The decision is that the label applies where its probability is above 0.5, its confidence max(p, 1 - p): this
    judges which decisions to hand to somebody else, not how labels are ranked. :func:`~adafocal.selective.aurc` of
    them, in which confidences of one of 4,352 cells count as equal.

    Example:
        >>> metric = MultilabelAURC(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.5000, 0.0000], dtype=torch.float64)
    """


class MultilabelAUGRC(AreaOfGeneralizedRisk, MultilabelMetric):
    """Area under the generalised risk-coverage curve of every label: the risk of an undetected error.

    The decision is that the label applies where its probability is above 0.5, its confidence max(p, 1 - p).
    :func:`~adafocal.selective.augrc` of them, in which confidences of one of 4,352 cells count as equal.

    Example:
        >>> metric = MultilabelAUGRC(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.2500, 0.0000], dtype=torch.float64)
    """


class MultilabelBrierScore(SquaredGap, MultilabelMetric):
    """Mean squared distance between the probability and the event of every label: a proper score.

    ``mean((p - y)^2)`` over entries, in [0, 1]: half of what the score of the two classes,
    :class:`~adafocal.metrics.BrierScore`, is.

    Example:
        >>> metric = MultilabelBrierScore(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.3400, 0.2500], dtype=torch.float64)
    """


class MultilabelNegativeLogLikelihood(Nats, MultilabelMetric):
    """Mean negative log-likelihood of the event of every label, in nats: a proper score.

    ``mean(-y log p - (1 - y) log(1 - p))`` over entries. Infinite where what happened had probability 0.

    Example:
        >>> metric = MultilabelNegativeLogLikelihood(n_labels=2, average="none", inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.5], [0.8, 0.5]]), torch.tensor([[1, 0], [0, 0]]))
        >>> metric.compute()
        tensor([0.9163, 0.6931], dtype=torch.float64)
    """
