# SPDX-License-Identifier: Apache-2.0
"""Measuring calibration: pure functions of confidence and correctness.

===========================  ==========================================================
edges.py                     equal-width and equal-mass edges; bins are (a, b]
bins.py                      BinStats: sums per bin, merged by adding
cells.py                     one cell per distinct confidence, and coarser bins joined from cells
grid.py                      cells of a fixed grid, for streams
stream.py                    evaluate, in memory and for streams: every number from sums
errors.py                    expected, root-mean-square and maximum calibration error
sweep.py                     error in as many bins as keep the accuracy rising
kolmogorov_smirnov.py        largest drift of summed confidence from summed accuracy
truthful.py                  averaged two-bin error: no answer but the truth lowers it
smooth.py                    smooth ECE: a kernel instead of bins
classwise.py                 one class, every class, several labels per sample
cases.py, case_stats.py      each class of each case of a segmentation, averaged over cases
scores.py                    NLL, Brier score and its parts, over-confidence
intervals.py                 intervals that cover at their level
consistency.py               test of "is this model calibrated?"
catalogue.py, measure.py     every measure by name, and what it computes and promises
rows.py                      what each row tells, and how rows were drawn
sums.py                      what measures are computed from, in memory and for streams
multilabel.py                MultilabelSummary: every label, their mean, all entries
summary.py                   CalibrationSummary: every number at once
verdict.py, judge.py         is it calibrated? the answer in words, and what decides it
reliability.py               data of the reliability diagram, with intervals
band.py                      a band around it that holds all bins at once
smooth_curve.py              the diagram without bins: accuracy as a smooth curve
top_label.py                 logits or probabilities to (confidence, correct)
linear.py                    the same from features and a linear head, a chunk at a time
===========================  ==========================================================
"""

from adafocal.calibration.band import simultaneous_band
from adafocal.calibration.bins import BinStats, bin_stats, merge
from adafocal.calibration.case_stats import CaseCalibration, CaseStats
from adafocal.calibration.cases import case_calibration, case_stats
from adafocal.calibration.cells import join_cells, joined_equal_mass
from adafocal.calibration.classwise import (
    classwise_calibration_error,
    multilabel_calibration_error,
    one_class_from_probs,
)
from adafocal.calibration.consistency import calibration_test
from adafocal.calibration.edges import assign_bins, equal_mass_edges, equal_width_edges
from adafocal.calibration.errors import binned_error, expected_calibration_error
from adafocal.calibration.grid import grid_edges, grid_stats
from adafocal.calibration.intervals import overconfidence_interval, rms_calibration_interval, rms_interval_from_bins
from adafocal.calibration.kolmogorov_smirnov import grid_ks_error, ks_calibration_error
from adafocal.calibration.linear import top_label_from_features
from adafocal.calibration.multilabel import MultilabelSummary
from adafocal.calibration.reliability import ReliabilityData, reliability_data, reliability_from_bins, wilson_interval
from adafocal.calibration.scores import (
    BrierDecomposition,
    brier_decomposition,
    brier_score,
    negative_log_likelihood,
    overconfidence,
)
from adafocal.calibration.smooth import smooth_calibration_error
from adafocal.calibration.smooth_curve import SmoothCurve, smooth_reliability, smooth_reliability_from_bins
from adafocal.calibration.stream import StreamSums, evaluate, merge_sums, stream_summary, stream_sums
from adafocal.calibration.summary import CalibrationSummary
from adafocal.calibration.sweep import joined_sweep, sweep_calibration_error, sweep_edges
from adafocal.calibration.top_label import top_label_from_logits, top_label_from_probs
from adafocal.calibration.truthful import two_bin_calibration_error
from adafocal.calibration.verdict import Verdict

__all__ = [
    "BinStats",
    "BrierDecomposition",
    "CalibrationSummary",
    "CaseCalibration",
    "CaseStats",
    "MultilabelSummary",
    "ReliabilityData",
    "SmoothCurve",
    "StreamSums",
    "Verdict",
    "assign_bins",
    "bin_stats",
    "binned_error",
    "brier_decomposition",
    "brier_score",
    "calibration_test",
    "case_calibration",
    "case_stats",
    "classwise_calibration_error",
    "equal_mass_edges",
    "equal_width_edges",
    "evaluate",
    "expected_calibration_error",
    "grid_edges",
    "grid_ks_error",
    "grid_stats",
    "join_cells",
    "joined_equal_mass",
    "joined_sweep",
    "ks_calibration_error",
    "merge",
    "merge_sums",
    "multilabel_calibration_error",
    "negative_log_likelihood",
    "one_class_from_probs",
    "overconfidence",
    "overconfidence_interval",
    "reliability_data",
    "reliability_from_bins",
    "rms_calibration_interval",
    "rms_interval_from_bins",
    "simultaneous_band",
    "smooth_calibration_error",
    "smooth_reliability",
    "smooth_reliability_from_bins",
    "stream_summary",
    "stream_sums",
    "sweep_calibration_error",
    "sweep_edges",
    "top_label_from_features",
    "top_label_from_logits",
    "top_label_from_probs",
    "two_bin_calibration_error",
    "wilson_interval",
]
