# SPDX-License-Identifier: Apache-2.0
"""Metrics of one sigmoid: each entry of a batch, of any shape, is a binary event of its own."""

from adafocal.metrics.events import (
    AreaOfGeneralizedRisk,
    AreaOfRisk,
    EventCalibrationError,
    EventMetric,
    Nats,
    SmoothGap,
    SquaredGap,
)


class BinaryMetric(EventMetric):
    """One row of sums, of all entries."""

    def __init__(self, *, inputs: str = "logits", ignore_index: int = -100) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)


class BinaryCalibrationError(EventCalibrationError):
    """Calibration error of one label: ECE, its root mean square, or the maximum.

    The calibrated event is that the label applies, its confidence the probability of it, in [0, 1]. With equal-width
    bins the value is that of :func:`~adafocal.calibration.expected_calibration_error` on all entries; equal-mass bins
    are joined from a fixed grid of 4,352 cells, exact for their edges, which miss equal mass by at most one cell.
    Biased upward: sampling noise alone makes it positive for a calibrated model.

    Args:
        n_bins: Number of bins (a, b].
        norm: ``l1`` (ECE), ``l2`` (root mean square) or ``max`` (MCE).

    Example:
        >>> metric = BinaryCalibrationError(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        n_bins: int = 15,
        binning: str = "equal_width",
        norm: str = "l1",
        inputs: str = "logits",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            n_bins=n_bins, binning=binning, norm=norm, inputs=inputs, ignore_index=ignore_index
        )  # fmt: skip


class BinarySmoothCalibrationError(SmoothGap, BinaryMetric):
    """Smooth calibration error of one label, no bins.

    :func:`~adafocal.calibration.smooth_calibration_error` of the event that the label applies, entries of one of
    4,352 cells of the probability taken at their mean.

    Example:
        >>> metric = BinarySmoothCalibrationError(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """


class BinaryAURC(AreaOfRisk, BinaryMetric):
    """Area under the risk-coverage curve of one label: the error rate averaged over all coverages.

    The decision is that the label applies where its probability is above 0.5, its confidence max(p, 1 - p): this
    judges which decisions to hand to somebody else, not how labels are ranked. :func:`~adafocal.selective.aurc` of
    them, in which confidences of one of 4,352 cells count as equal.

    Example:
        >>> metric = BinaryAURC(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.5000, dtype=torch.float64)
    """


class BinaryAUGRC(AreaOfGeneralizedRisk, BinaryMetric):
    """Area under the generalised risk-coverage curve of one label: the risk of an undetected error.

    The decision is that the label applies where its probability is above 0.5, its confidence max(p, 1 - p).
    :func:`~adafocal.selective.augrc` of them, in which confidences of one of 4,352 cells count as equal.

    Example:
        >>> metric = BinaryAUGRC(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """


class BinaryBrierScore(SquaredGap, BinaryMetric):
    """Mean squared distance between the probability and the event of one label: a proper score.

    ``mean((p - y)^2)`` over entries, in [0, 1]: half of what the score of the two classes,
    :class:`~adafocal.metrics.BrierScore`, is.

    Example:
        >>> metric = BinaryBrierScore(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.3400, dtype=torch.float64)
    """


class BinaryNegativeLogLikelihood(Nats, BinaryMetric):
    """Mean negative log-likelihood of the event of one label, in nats: a proper score.

    ``mean(-y log p - (1 - y) log(1 - p))`` over entries. Infinite where what happened had probability 0.

    Example:
        >>> metric = BinaryNegativeLogLikelihood(inputs="probs")
        >>> metric.update(torch.tensor([0.8, 0.8]), torch.tensor([1, 0]))
        >>> metric.compute()
        tensor(0.9163, dtype=torch.float64)
    """
