# SPDX-License-Identifier: Apache-2.0
"""Calibration as ``torchmetrics.Metric``: sums of constant size that merge over batches and processes by adding.

===========================  ==========================================================
CalibrationError             top-label ECE, RMS and MCE, equal-width or equal-mass bins
CaseCalibrationError         ECE, ACE or MCE of each class in each case of a segmentation
ClasswiseCalibrationError    each class's calibration error, or their mean over classes
Overconfidence               mean confidence minus accuracy
BrierScore                   mean squared distance to the one-hot label
NegativeLogLikelihood        mean cross-entropy, nats
===========================  ==========================================================

Of sigmoid models, ``Binary…`` of one label and ``Multilabel…`` of several, in which every entry is an event:

===========================  ==========================================================
…CalibrationError            ECE, RMS and MCE of the probability of a label
…SmoothCalibrationError      the same without bins
…AURC, …AUGRC                areas under risk-coverage curves of the decision at 0.5
…BrierScore                  mean of (p - y)²
…NegativeLogLikelihood       mean binary cross-entropy, nats
===========================  ==========================================================

All take ``update(values, labels, sample_weight=None)`` with logits, or probabilities where built with
``inputs="probs"``; that of cases takes ``cases`` in place of weights, and keeps the sums of each case.
"""

from adafocal._checks import require

require("torchmetrics")

from adafocal.metrics.binary import (  # noqa: E402
    BinaryAUGRC,
    BinaryAURC,
    BinaryBrierScore,
    BinaryCalibrationError,
    BinaryNegativeLogLikelihood,
    BinarySmoothCalibrationError,
)
from adafocal.metrics.calibration import CalibrationError, ClasswiseCalibrationError, Overconfidence  # noqa: E402
from adafocal.metrics.cases import CaseCalibrationError  # noqa: E402
from adafocal.metrics.multilabel import (  # noqa: E402
    MultilabelAUGRC,
    MultilabelAURC,
    MultilabelBrierScore,
    MultilabelCalibrationError,
    MultilabelNegativeLogLikelihood,
    MultilabelSmoothCalibrationError,
)
from adafocal.metrics.scores import BrierScore, NegativeLogLikelihood  # noqa: E402

__all__ = [
    "BinaryAUGRC",
    "BinaryAURC",
    "BinaryBrierScore",
    "BinaryCalibrationError",
    "BinaryNegativeLogLikelihood",
    "BinarySmoothCalibrationError",
    "BrierScore",
    "CalibrationError",
    "CaseCalibrationError",
    "ClasswiseCalibrationError",
    "MultilabelAUGRC",
    "MultilabelAURC",
    "MultilabelBrierScore",
    "MultilabelCalibrationError",
    "MultilabelNegativeLogLikelihood",
    "MultilabelSmoothCalibrationError",
    "NegativeLogLikelihood",
    "Overconfidence",
]
