# SPDX-License-Identifier: Apache-2.0
"""What a scaling does to rows that it was not fitted to: folds, clusters whole, each scaled by a fit to the others."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from adafocal._reading import Record
from adafocal.calibration.rows import Sampling, counted
from adafocal.predictions import Predictions
from adafocal.scaling.scores import as_predictions, like

FOLDS = 5


class Fitted(Protocol):
    """What a fit gives: something that scales predictions."""

    def apply(self, predictions: Predictions) -> Predictions:
        """Scale predictions."""
        ...


def draw_folds(record: Record, n_folds: int = FOLDS) -> Tensor:
    """Draw a fold in [0, n_folds) for every row, int64, shape (N,): clusters whole, folds of one size, a fixed seed.

    Example:
        >>> logits, labels = torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])
        >>> folds = draw_folds(Predictions(logits=logits, labels=labels, cluster=[7, 7, 8, 8]), 2)
        >>> bool(folds[0] == folds[1]), bool(folds[1] == folds[2])
        (True, False)
    """
    sampling = Sampling.of(record)
    units = torch.arange(sampling.n) if sampling.cluster is None else sampling.cluster
    n_units = int(units.max()) + 1
    fold = torch.empty(n_units, dtype=torch.int64)
    fold[torch.randperm(n_units, generator=torch.Generator().manual_seed(0))] = torch.arange(n_units) % n_folds
    return fold[units]


def why_not(record: Record, n_folds: int) -> str:
    """Say why a record is not cross-fitted; empty where each fold holds two rows or clusters that count."""
    if n_folds == 0:
        return "as asked"
    sampling = Sampling.of(counted(record))
    what, n = ("rows", sampling.n) if sampling.cluster is None else ("clusters", sampling.n_clusters)
    return "" if n >= 2 * n_folds else f"too few {what}, {n:,}, for {n_folds} folds of at least 2"


def refused_in_fold(refused: Exception) -> str:
    """Say that a fit refuses what a fold leaves to it."""
    return f"a fold does not leave enough to fit it ({str(refused).rstrip('.')})"


def cross_fit(record: Record, fit: Callable[[Predictions], Fitted], folds: Tensor | None = None) -> Record:
    """Scale every row by what was fitted to the other folds.

    Args:
        record: Labelled predictions or outcomes.
        fit: What fits a scaling to predictions; outcomes are those of two classes.
        folds: The fold of every row, shape (N,); None draws them.

    Returns:
        The record, row by row, out of fold.

    Raises:
        ValueError: If a fit refuses its rows.
    """
    plain, folds = as_predictions(record), draw_folds(record) if folds is None else folds
    return like(record, over_folds(folds.to(plain.device), lambda kept, out: fit(plain[kept]).apply(plain[out])))


def over_folds(folds: Tensor, scaled: Callable[[Tensor, Tensor], Predictions]) -> Predictions:
    """Put together what a function of the rows to fit to and the rows to scale, both masks, makes of every fold."""
    each = [folds == fold for fold in torch.unique(folds).tolist()]
    return put_back([scaled(~out, out) for out in each], each)


def put_back(parts: Sequence[Predictions], held: Sequence[Tensor]) -> Predictions:
    """Join parts in the order of their rows, which masks of shape (N,) tell: each row is in one of them."""
    order = torch.cat([mask.nonzero().squeeze(1) for mask in held]).argsort()
    return Predictions.concatenate(parts)[order.to(parts[0].device)]


def paired(difference: Tensor, sampling: Sampling) -> tuple[float, float]:
    """Mean of a difference of rows with its standard error, of clusters where there are some."""
    mean = sampling.mean(difference)
    if not bool(mean.isfinite()):  # a likelihood of 0 before, after, or both
        return float(mean), 0.0
    return float(mean), math.sqrt(sampling.spread(difference - mean)[0])
