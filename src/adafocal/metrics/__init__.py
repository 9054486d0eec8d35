# SPDX-License-Identifier: Apache-2.0
"""Calibration as ``torchmetrics.Metric``: sums of constant size that merge over batches and processes by adding.

===========================  ==========================================================
CalibrationError             top-label ECE, RMS and MCE, equal-width or equal-mass bins
ClasswiseCalibrationError    mean over classes of each class's calibration error
Overconfidence               mean confidence minus accuracy
BrierScore                   mean squared distance to the one-hot label
NegativeLogLikelihood        mean cross-entropy, nats
===========================  ==========================================================

All take ``update(values, labels, sample_weight=None)`` with logits, or probabilities where built with
``inputs="probs"``.
"""

from adafocal._checks import require

require("torchmetrics")

from adafocal.metrics.calibration import CalibrationError, ClasswiseCalibrationError, Overconfidence  # noqa: E402
from adafocal.metrics.scores import BrierScore, NegativeLogLikelihood  # noqa: E402

__all__ = [
    "BrierScore",
    "CalibrationError",
    "ClasswiseCalibrationError",
    "NegativeLogLikelihood",
    "Overconfidence",
]
