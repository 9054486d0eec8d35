# SPDX-License-Identifier: Apache-2.0
"""The Kolmogorov-Smirnov calibration error: the largest drift between summed confidence and summed accuracy."""

import torch

from adafocal._dtypes import wide_dtype
from adafocal._shapes import Confidence, Correct, Scalar
from adafocal._values import checked_event


def ks_calibration_error(confidence: Confidence, correct: Correct) -> Scalar:
    """Measure the largest difference between the cumulative sums of confidence and of correctness.

    It has no bins, and needs few samples. A gap of one sign adds up to the mean gap; gaps of changing sign partly
    cancel, so it is at most the calibration error in the ``l1`` norm without bins. The calibrated event is the one
    that ``correct`` records. Sampling noise makes it positive, of order N^(-1/2), for a calibrated model.

    Formula: ``max_t |(1/N) sum over {i: confidence_i <= t} of (confidence_i - correct_i)|``.

    Args:
        confidence: Predicted probability of the event, in [0, 1], shape (N,), N at least 1.
        correct: Whether the event happened, shape (N,).

    Returns:
        A scalar in [0, 1], float64, a fraction; lower is better. Equal confidences enter together.

    Raises:
        TypeError: If ``confidence`` is not floating point.
        ValueError: If there is no sample or shapes differ.

    Example:
        >>> ks_calibration_error(torch.tensor([0.6, 0.9]), torch.tensor([False, False]))
        tensor(0.7500, dtype=torch.float64)

    Reference:
        Gupta, Rahimi, Ajanthan, Mensink, Sminchisescu and Hartley, "Calibration of neural networks using splines",
        ICLR 2021, https://arxiv.org/abs/2006.12800 (the KS error).
    """
    confidence, correct = checked_event(confidence, correct)
    return largest_drift(confidence, correct)


def largest_drift(confidence: Confidence, correct: Correct) -> Scalar:
    """Give what :func:`ks_calibration_error` gives, without its checks."""
    values, order = confidence.sort()
    wide = wide_dtype(confidence.device)
    drift = (values.to(wide) - correct[order].to(wide)).cumsum(0) / confidence.numel()
    last_of_equals = torch.cat([values[1:] != values[:-1], torch.ones_like(values[:1], dtype=torch.bool)])
    return torch.where(last_of_equals, drift, 0.0).abs().max()
