# SPDX-License-Identifier: Apache-2.0
"""Measuring calibration: pure functions of confidence and correctness.

===========================  ==========================================================
edges.py                     equal-width and equal-mass edges; bins are (a, b]
bins.py                      BinStats: sums per bin, merged by adding
grid.py                      sums of constant size for streams, and what follows from them
errors.py                    expected, root-mean-square and maximum calibration error
reliability.py               data of the reliability diagram, with intervals
top_label.py                 logits or probabilities to (confidence, correct)
===========================  ==========================================================
"""

from adafocal.calibration.bins import BinStats, bin_stats, merge
from adafocal.calibration.edges import assign_bins, equal_mass_edges, equal_width_edges
from adafocal.calibration.errors import binned_error, expected_calibration_error
from adafocal.calibration.grid import (
    grid_edges,
    grid_ks_error,
    grid_stats,
    join_cells,
    joined_equal_mass,
    joined_sweep,
)
from adafocal.calibration.reliability import ReliabilityData, reliability_data, reliability_from_bins, wilson_interval
from adafocal.calibration.top_label import top_label_from_logits, top_label_from_probs

__all__ = [
    "BinStats",
    "ReliabilityData",
    "assign_bins",
    "bin_stats",
    "binned_error",
    "equal_mass_edges",
    "equal_width_edges",
    "expected_calibration_error",
    "grid_edges",
    "grid_ks_error",
    "grid_stats",
    "join_cells",
    "joined_equal_mass",
    "joined_sweep",
    "merge",
    "reliability_data",
    "reliability_from_bins",
    "top_label_from_logits",
    "top_label_from_probs",
    "wilson_interval",
]
