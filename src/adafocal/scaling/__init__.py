# SPDX-License-Identifier: Apache-2.0
"""Scaling after training: fitted on validation predictions, applied to test predictions.

===========================  ==========================================================
temperature.py, root.py      one temperature: exact minimum of the NLL, or the papers' grid
focal_temperature.py         a temperature, then the map of focal loss
structured.py                structured vector and matrix scaling
affine.py                    vector, matrix and Dirichlet scaling
regression.py                the solver of both
log_odds.py                  two classes: Platt, beta and quadratic
binary.py                    isotonic regression and histogram binning, per class or top label
groups.py                    one scaling per group, drawn towards that of all
per_label.py                 one scaling per label of several, drawn towards that of all
prior.py                     other shares of the classes, known or estimated
catalogue.py                 METHODS: every method by name; load_scaling
scores.py                    from a predictions record to log-scores and back
crossfit.py                  what a scaling does to rows that it was not fitted to
remedy.py, sample.py         what every scaling would do, out of fold, and which to apply
best.py                      the one that suits the data, fitted
origin.py                    what a scaling was fitted on
files.py                     fitted scalings as JSON
===========================  ==========================================================
"""

from adafocal.scaling.affine import AffineScaling, fit_dirichlet, fit_matrix, fit_vector
from adafocal.scaling.best import Choice, choose_scaling
from adafocal.scaling.binary import BinaryScaling, fit_histogram, fit_isotonic
from adafocal.scaling.catalogue import ARGMAX_PRESERVING, METHODS, load_scaling
from adafocal.scaling.focal_temperature import FocalTemperature, fit_focal_temperature
from adafocal.scaling.groups import GroupScaling, fit_by_group
from adafocal.scaling.log_odds import LogOddsScaling, fit_beta, fit_platt, fit_quadratic
from adafocal.scaling.per_label import PerLabelScaling, fit_per_label
from adafocal.scaling.prior import estimate_prior, shift_prior
from adafocal.scaling.structured import StructuredScaling, fit_structured_matrix, fit_structured_vector
from adafocal.scaling.temperature import Temperature, fit_temperature, scaled_nll

__all__ = [
    "ARGMAX_PRESERVING",
    "METHODS",
    "AffineScaling",
    "BinaryScaling",
    "Choice",
    "FocalTemperature",
    "GroupScaling",
    "LogOddsScaling",
    "PerLabelScaling",
    "StructuredScaling",
    "Temperature",
    "choose_scaling",
    "estimate_prior",
    "fit_beta",
    "fit_by_group",
    "fit_dirichlet",
    "fit_focal_temperature",
    "fit_histogram",
    "fit_isotonic",
    "fit_matrix",
    "fit_per_label",
    "fit_platt",
    "fit_quadratic",
    "fit_structured_matrix",
    "fit_structured_vector",
    "fit_temperature",
    "fit_vector",
    "load_scaling",
    "scaled_nll",
    "shift_prior",
]
