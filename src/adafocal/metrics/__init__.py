# SPDX-License-Identifier: Apache-2.0
"""Calibration as ``torchmetrics.Metric``: sums of constant size that merge over batches and processes by adding.

===========================  ==========================================================
CalibrationError             top-label ECE, RMS and MCE, equal-width or equal-mass bins
CaseCalibrationError         ECE, ACE or MCE of each class in each case of a segmentation
ClasswiseCalibrationError    mean over classes of each class's calibration error
Overconfidence               mean confidence minus accuracy
BrierScore                   mean squared distance to the one-hot label
NegativeLogLikelihood        mean cross-entropy, nats
===========================  ==========================================================

All take ``update(values, labels, sample_weight=None)`` with logits, or probabilities where built with
``inputs="probs"``; that of cases takes ``cases`` in place of weights, and keeps the sums of each case.
"""

from adafocal._checks import require

require("torchmetrics")

from adafocal.metrics.calibration import CalibrationError, ClasswiseCalibrationError, Overconfidence  # noqa: E402
from adafocal.metrics.cases import CaseCalibrationError  # noqa: E402
from adafocal.metrics.scores import BrierScore, NegativeLogLikelihood  # noqa: E402

__all__ = [
    "BrierScore",
    "CalibrationError",
    "CaseCalibrationError",
    "ClasswiseCalibrationError",
    "NegativeLogLikelihood",
    "Overconfidence",
]
