# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection: scores (higher is more out-of-distribution) and how well they detect.

===========================  ==========================================================
scores.py                    SCORES: maximum probability, entropy, margin, maximum logit, energy
features.py                  FEATURE_SCORES: Mahalanobis, nearest neighbour, virtual logit
neighbours.py                the k-th nearest of many unit vectors
detection.py                 AUROC, AUPR, FPR at a TPR, ROC curve, from counts per distinct score
intervals.py                 the same with intervals
comparison.py                several scores on several sets: the rows of a table
records.py                   the same for files: numbers, thinned curves, histograms
===========================  ==========================================================
"""

from adafocal._estimate import Estimate
from adafocal.ood.comparison import ComparisonRow, compare_scores
from adafocal.ood.detection import RocCurve, aupr, auroc, fpr_at_tpr, roc_curve
from adafocal.ood.features import (
    FEATURE_SCORES,
    Mahalanobis,
    NearestNeighbour,
    VirtualLogit,
    fit_mahalanobis,
    fit_nearest_neighbour,
    fit_vim,
)
from adafocal.ood.intervals import Detection, auroc_interval, detection
from adafocal.ood.records import comparison_record, score_histogram
from adafocal.ood.scores import SCORES, energy_score, entropy_score, margin_score, max_logit_score, msp_score

__all__ = [
    "FEATURE_SCORES",
    "SCORES",
    "ComparisonRow",
    "Detection",
    "Estimate",
    "Mahalanobis",
    "NearestNeighbour",
    "RocCurve",
    "VirtualLogit",
    "aupr",
    "auroc",
    "auroc_interval",
    "compare_scores",
    "comparison_record",
    "detection",
    "energy_score",
    "entropy_score",
    "fit_mahalanobis",
    "fit_nearest_neighbour",
    "fit_vim",
    "fpr_at_tpr",
    "margin_score",
    "max_logit_score",
    "msp_score",
    "roc_curve",
    "score_histogram",
]
