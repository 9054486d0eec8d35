# SPDX-License-Identifier: Apache-2.0
"""What files keep of a comparison: the numbers, and curves of a size that does not grow with the data."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_integer
from adafocal._docs import documented
from adafocal._estimate import Estimate
from adafocal._records import read_record, to_plain
from adafocal._shapes import Given
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.ood.comparison import ComparisonRow
from adafocal.ood.detection import check_scores, roc_curve
from adafocal.ood.intervals import OF_DETECTION

ROC_POINTS = 200
HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class Roc:
    """Points of a curve."""

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]


@dataclass(frozen=True)
class Histogram:
    """Shares of both kinds of samples over the bins between edges."""

    edges: tuple[float, ...]
    id: tuple[float, ...]
    ood: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class DetectionRecord:
    """One score on one out-of-distribution set, as files keep it."""

    ood: str
    score: str
    n_id: int = 0
    n_ood: int
    auroc: Estimate
    aupr_out: Estimate
    aupr_in: Estimate
    fpr95: Estimate
    roc: Roc | None = None
    histogram: Histogram | None = None


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What ``adafocal ood`` writes of a run: each score on each set, with intervals of one level."""

    level: float = 0.95
    results: tuple[DetectionRecord, ...]


def read_detections(path: Path) -> Detections:
    """Read what ``adafocal ood --json`` wrote.

    Raises:
        ValueError: With the file, if it is damaged, or curves or histograms do not fit together.
    """
    record = read_record(path, Detections)
    for one in record.results:
        roc, bins = one.roc or Roc((0.0,), (0.0,)), one.histogram or Histogram((0.0, 1.0), (1.0,), (1.0,))
        parts = (roc.false_positive_rate, roc.true_positive_rate, bins.edges, bins.id, bins.ood)
        for fits, what in (
            (len(parts[0]) == len(parts[1]), "curves of two rates per point"),
            (len(bins.id) == len(bins.ood) == len(bins.edges) - 1 > 0, "histograms of two shares per bin"),
            (all(isfinite(number) for numbers in parts for number in numbers), "finite numbers"),
        ):
            if not fits:
                raise InvalidValueError(f"{shown(str(path))} must hold {what}, got others.")
    return record


def comparison_record(row: ComparisonRow) -> dict[str, Any]:
    """Write down one score on one set as plain values: an entry of ``results`` in what ``adafocal ood --json`` writes.

    The page of a run shows the files ``ood/*.json`` in its folder, each an object with ``results``, a list of these.

    Args:
        row: From :func:`compare_scores`.

    Returns:
        ``ood`` and ``score``, the names; ``n_id`` and ``n_ood``; ``auroc``, ``aupr_out``, ``aupr_in`` and ``fpr95``,
        each with ``value``, ``low`` and ``high``, fractions; ``roc``, at most 200 points of the curve; and
        ``histogram``, the ``edges`` of 40 bins with the shares ``id`` and ``ood`` of both kinds in them.

    Example:
        >>> from adafocal.ood import compare_scores
        >>> from adafocal.predictions import Predictions
        >>> sure = Predictions(logits=torch.tensor([[9.0, 0.0], [0.0, 8.0]]), labels=torch.tensor([0, 1]))
        >>> unsure = Predictions(logits=torch.tensor([[0.1, 0.0], [0.0, 0.2]]), labels=torch.tensor([0, 0]))
        >>> [row] = compare_scores(sure, {"noise": unsure}, scores=["energy"])
        >>> comparison_record(row)["roc"]["true_positive_rate"]
        [0.0, 0.5, 1.0, 1.0, 1.0]
    """
    if not isinstance(row, ComparisonRow):
        raise InvalidTypeError(f"`row` must be a ComparisonRow, got {type(row).__name__}: use compare_scores.")
    return {name: value for name, value in to_plain(detection_record(row)).items() if value is not None}


def detection_record(row: ComparisonRow) -> DetectionRecord:
    """Gather one score on one set as the page shows it."""
    shares = score_histogram(row.id_scores, row.ood_scores)
    return DetectionRecord(
        ood=row.ood_name,
        score=row.score_name,
        n_id=row.detection.n_id,
        n_ood=row.detection.n_ood,
        **{measure: getattr(row.detection, measure) for measure in OF_DETECTION},
        roc=_thinned_roc(row.id_scores, row.ood_scores),
        histogram=Histogram(*(tuple(float(f"{value:.6g}") for value in values.tolist()) for values in shares)),
    )


@documented
def score_histogram(
    id_scores: Given[Tensor], ood_scores: Given[Tensor], *, n_bins: int = HISTOGRAM_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count the shares of both kinds of samples over bins of equal width, common to both.

    The bins span all but the outermost 0.5 % of the finite scores on either side; what lies beyond, infinities among
    it, is counted in the first and last bin.

    Args:
        id_scores: Scores of the in-distribution samples, shape (N,).
        ood_scores: Scores of the out-of-distribution samples, shape (M,).
        n_bins: Number of bins.

    Returns:
        Edges, shape (n_bins + 1,), and the shares of both kinds, each of shape (n_bins,) and sum 1.

    Raises:
        TypeError: If scores are not floating-point tensors.
        ValueError: If there are no samples of a kind, a score is NaN, or ``n_bins`` is below 1.

    Example:
        >>> edges, of_id, of_ood = score_histogram(torch.tensor([0.0, 0.1]), torch.tensor([0.9, 1.0]), n_bins=2)
        >>> of_id.tolist(), of_ood.tolist()
        ([1.0, 0.0], [0.0, 1.0])
    """
    check_integer("n_bins", n_bins, minimum=1)
    check_scores("id_scores", id_scores)
    check_scores("ood_scores", ood_scores)
    scores = [kind.detach().double().cpu().numpy() for kind in (id_scores, ood_scores)]
    both = np.concatenate(scores)
    finite = both[np.isfinite(both)]
    low, high = np.quantile(finite, [0.005, 0.995]) if finite.size else (0.0, 0.0)
    edges = np.histogram_bin_edges([], bins=n_bins, range=(low, high))  # one value gets 0.5 on either side
    shares = [np.histogram(kind.clip(edges[0], edges[-1]), edges)[0] / len(kind) for kind in scores]
    return edges, shares[0], shares[1]


def _thinned_roc(id_scores: Tensor, ood_scores: Tensor) -> Roc:
    """Keep points of the curve that lie evenly along it, the first and the last among them."""
    curve = roc_curve(id_scores, ood_scores)
    way = curve.false_positive_rate + curve.true_positive_rate
    steps = torch.linspace(0, 2, ROC_POINTS, dtype=way.dtype, device=way.device)
    # All points of a short curve; of a long one the first at or after each step.
    held = torch.arange(len(way)) if len(way) <= ROC_POINTS else torch.searchsorted(way, steps)
    rates = (curve.false_positive_rate, curve.true_positive_rate)
    return Roc(*(tuple(round(value, 6) for value in rate[torch.unique(held)].tolist()) for rate in rates))
