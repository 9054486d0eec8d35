# SPDX-License-Identifier: Apache-2.0
"""Sums over all pairs of exponentials of their distance, in O(N): sorted, each kernel is a product of two factors."""

from torch import Tensor

from adafocal._shapes import PerSample

WIDEST = 1000.0  # range of the numbers for which either factor fits into float64 with room to spare


class PairSums:
    """Sums of ``b_j exp(-|x_i - x_j|)`` over the j on either side of i, for ascending numbers x; without gradient.

    Args:
        x: Ascending numbers in float64, shape (N,), with a range of at most ``WIDEST``.
    """

    def __init__(self, x: PerSample) -> None:
        self.rising = (x - 0.5 * (x[:1] + x[-1:])).exp_()
        self.falling = self.rising.reciprocal()

    def below(self, b: Tensor | None = None) -> PerSample:
        """Sum over j <= i; b is 1 by default."""
        return (self.rising.clone() if b is None else b * self.rising).cumsum_(0).mul_(self.falling)

    def above(self, b: Tensor | None = None) -> PerSample:
        """Sum over j >= i; b is 1 by default."""
        weighted = self.falling if b is None else b * self.falling
        return weighted.flip(0).cumsum_(0).flip(0).mul_(self.rising)
