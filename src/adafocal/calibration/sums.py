# SPDX-License-Identifier: Apache-2.0
"""What every measure of predictions is computed from: sums, of data in memory or of a stream."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from adafocal.calibration.bins import BinStats
from adafocal.calibration.cells import equal_mass_bins
from adafocal.calibration.clusters import ClusterSums
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions

Made = TypeVar("Made")


class Totals(NamedTuple):
    """Four numbers of a set of samples, as (weighted) sums or per sample."""

    right: Tensor
    nll: Tensor
    square: Tensor
    square_of_gap: Tensor


class WeightTotals(NamedTuple):
    """Of weighted samples: their number, and sums of their squared weights, times the gap, times its square."""

    n: Tensor
    square: Tensor
    gap: Tensor
    square_of_gap: Tensor


@dataclass(frozen=True, eq=False)
class PredictionSums:
    """The sums of :class:`~adafocal.calibration.StreamSums`, of a stream or not, and what measures take from them."""

    cells: BinStats
    bins: BinStats
    class_gaps: Tensor
    totals: Tensor
    weight_totals: Tensor | None = None
    clusters: ClusterSums | None = None

    @cached_property
    def n(self) -> int:
        """Number of samples that count."""
        return int(self.bins.count.sum() if self.weight_totals is None else self.weight_totals[0])

    @cached_property
    def mass(self) -> float | int:
        """What sums are divided by: the number of samples, or the sum of their weights."""
        return self.n if self.weight_totals is None else float(self.bins.count.sum())

    @property
    def n_effective(self) -> float:
        """Effective number of samples: (sum w)^2 / sum w^2."""
        return self.n if self.weight_totals is None else float(self.mass**2 / self.weight_totals[1])

    @property
    def mean(self) -> Totals:
        """The totals per sample."""
        return Totals(*(self.totals / self.mass).unbind())

    @property
    def gap(self) -> Tensor:
        """Mean confidence minus mean event."""
        return (self.bins.confidence_sum.sum() - self.bins.correct_sum.sum()) / self.mass

    @property
    def spread(self) -> Tensor:
        """Sum of the squared distances of the gaps to their mean, of as many samples as count effectively."""
        if self.weight_totals is None:
            return self._spread
        # The variance of a weighted mean is sum w^2 (gap - mean)^2 / (sum w)^2.
        held, gap = WeightTotals(*self.weight_totals.unbind()), self.gap
        squares = held.square_of_gap - 2 * gap * held.gap + gap.square() * held.square
        return (squares * (self.n_effective / self.mass) ** 2).clamp_min(0)

    @property
    def _spread(self) -> Tensor:
        return (self.totals[3] - self.n * self.gap.square()).clamp_min(0)

    @property
    def most_bins(self) -> int:
        """How many bins can hold samples: a grid cannot tell the samples of one cell apart."""
        return int((self.cells.count > 0).sum())

    @cached_property
    def equal_mass(self) -> BinStats:
        """The calibrated event in bins of equal mass, as many as there are of equal width."""
        return equal_mass_bins(self.cells, self.bins.n_bins)

    def once(self, make: Callable[["PredictionSums"], Made]) -> Made:
        """Make of these sums what several measures share, at the first call alone."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @cached_property
    def _made(self) -> dict[Callable[["PredictionSums"], Any], Any]:
        return {}


@dataclass(frozen=True, eq=False)
class SumsInMemory(PredictionSums):
    """Sums in cells of one distinct confidence each, with the predictions themselves, for what no sums hold."""

    record: Predictions | Outcomes | None = None

    @property
    def _spread(self) -> Tensor:
        """Sum of the squared distances of the gaps to their mean.

        A sum of squares less the square of a sum loses a spread that is small against the mean gap; this loses none.
        """
        gap = self.gap
        total = torch.zeros_like(gap)
        for cells in self.cells.pieces():
            from_mean, wrong = cells.confidence - gap, cells.count - cells.correct_sum
            total += (cells.correct_sum * (from_mean - 1).square() + wrong * from_mean.square()).sum()
        return total

    @property
    def most_bins(self) -> int:
        """How many bins can hold samples: every sample can be told apart; a whole weight of 3 is three of them."""
        return int(self.mass) if self.cells.whole else self.n
