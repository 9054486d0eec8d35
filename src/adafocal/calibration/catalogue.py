# SPDX-License-Identifier: Apache-2.0
"""Every measure of predictions: one line per file that declares some, in the order of tables.

Lines name the entries, so that one that is missing is an error on import.
"""
# ruff: noqa: F401

from adafocal.calibration.measure import PredictionMeasure

# isort: off
from adafocal.calibration.scores import ACCURACY, NLL, BRIER, BRIER_CALIBRATION, BRIER_REFINEMENT, OVERCONFIDENCE
from adafocal.calibration.errors import ECE, ECE_EQUAL_MASS, ECE_DEBIASED
from adafocal.calibration.sweep import ECE_SWEEP
from adafocal.calibration.smooth import SMOOTH_ECE
from adafocal.calibration.kolmogorov_smirnov import KS
from adafocal.calibration.truthful import ATB
from adafocal.calibration.errors import RMS, RMS_DEBIASED, MCE
from adafocal.calibration.classwise import CLASSWISE_ECE
from adafocal.calibration.consistency import P_CALIBRATED

# isort: on
CATALOGUE = {entry.name: entry for entry in tuple(globals().values()) if isinstance(entry, PredictionMeasure)}
