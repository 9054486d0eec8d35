# SPDX-License-Identifier: Apache-2.0
"""Selective prediction: what it costs to abstain on the least confident samples.

===========================  ==========================================================
weights.py                   the weight of each rank in the area under the risk-coverage curve
groups.py                    samples ranked by confidence, summed where confidences are equal
curves.py                    risk-coverage curve, coverage at a risk, risk at a coverage
areas.py                     AURC, excess AURC, AUGRC
intervals.py                 all of them with intervals
===========================  ==========================================================
"""

from adafocal.selective.areas import augrc, aurc, excess_aurc
from adafocal.selective.curves import RiskCoverageCurve, coverage_at_risk, risk_at_coverage, risk_coverage_curve
from adafocal.selective.intervals import SelectiveSummary, selective_summary
from adafocal.selective.weights import rank_weights

__all__ = [
    "RiskCoverageCurve",
    "SelectiveSummary",
    "augrc",
    "aurc",
    "coverage_at_risk",
    "excess_aurc",
    "rank_weights",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_summary",
]
