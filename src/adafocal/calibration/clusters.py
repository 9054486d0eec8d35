# SPDX-License-Identifier: Apache-2.0
"""Rows that belong together, such as the questions of a document or the frames of a video: intervals from clusters.

Rows of a cluster tell less than as many rows of their own; what is independent are the clusters. The variance of a mean
is that of the sums of the clusters about it, with the t distribution of their number.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._dtypes import wide_dtype
from adafocal._shapes import Scalar
from adafocal._sums import Sums
from adafocal._tails import student_quantile
from adafocal.calibration.reliability import score_interval


@dataclass(frozen=True, eq=False)
class ClusterSums(Sums):
    """Sums of each cluster; they grow with the number of clusters, not of rows.

    Attributes:
        codes: What tells clusters apart, int64, ascending, shape (G,).
        sums: Per cluster the sums of the weights, of what was right, and of the gaps, shape (G, 3).
    """

    made_by = "stream_sums"
    codes: Tensor
    sums: Tensor

    @classmethod
    def of(cls, cluster: Tensor, weight: Tensor | None, right: Tensor, gap: Tensor) -> "ClusterSums":
        """Sum rows by their weights, all 1 where there are none."""
        heavy = torch.ones_like(gap) if weight is None else weight.to(gap)
        return cls._joined(cluster, heavy[:, None] * torch.stack([torch.ones_like(gap), right.to(gap), gap], dim=1))

    @classmethod
    def empty(cls) -> "ClusterSums":
        """The sums of no cluster."""
        return cls(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 3, dtype=wide_dtype(torch.device("cpu"))))

    @classmethod
    def _joined(cls, codes: Tensor, sums: Tensor) -> "ClusterSums":
        found, index = numbered(codes)
        return cls(found, sums.new_zeros(len(found), sums.shape[1]).index_add_(0, index, sums))

    def merge(self, second: "ClusterSums") -> "ClusterSums":
        """Add another part of the data; a cluster may have rows in both."""
        return self._joined(torch.cat([self.codes, second.codes]), torch.cat([self.sums, second.sums]))

    @property
    def n(self) -> int:
        """Number of clusters G."""
        return len(self.codes)

    def variance(self, column: int) -> Tensor:
        """Variance of the mean of right (1) or gap (2): G / (G - 1) times the squared residuals of the clusters."""
        mass, held = self.sums[:, 0], self.sums[:, column]
        residuals = held - mass * (held.sum() / mass.sum())
        return residuals.square().sum() * self.n / (self.n - 1) / mass.sum().square()

    def gap_interval(self, *, level: float) -> tuple[Scalar, Scalar]:
        """Bound the mean gap, fractions in [-1, 1]; [-1, 1] for a single cluster.

        Reference:
            Liang and Zeger, "Longitudinal data analysis using generalized linear models", Biometrika 73, 1986; with
            the t distribution of G - 1 degrees of freedom.
        """
        if self.n < 2:
            return self.sums.new_tensor(-1.0), self.sums.new_tensor(1.0)
        mean = self.sums[:, 2].sum() / self.sums[:, 0].sum()
        half = student_quantile(0.5 + level / 2, self.n - 1) * self.variance(2).sqrt()
        return (mean - half).clamp_min(-1), (mean + half).clamp_max(1)

    def accuracy_interval(self, *, level: float, n: float) -> tuple[Scalar, Scalar]:
        """Bound the share of what was right by Wilson's interval of as many samples as the clusters are worth.

        Args:
            level: Coverage, in (0, 1).
            n: Number of samples, more than which the clusters are not taken to be worth.

        Reference:
            Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
            estimated from survey data", Survey Methodology 24, 1998 (effective size, t distribution).
        """
        if self.n < 2:
            return self.sums.new_tensor(0.0), self.sums.new_tensor(1.0)
        share = self.sums[:, 1].sum() / self.sums[:, 0].sum()
        variance = self.variance(1)
        # Where all clusters are alike, all right or all wrong, each of them is worth one sample.
        worth = share * (1 - share) / variance if float(variance) > 0 else share.new_tensor(float(self.n))
        z = student_quantile(0.5 + level / 2, self.n - 1)
        low, high = score_interval(share[None], worth.clamp_max(n)[None], level=level, z=z)
        return low[0], high[0]


def numbered(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Find the distinct codes, ascending, and the place of each code among them; one code alone needs no sorting."""
    if codes.numel() and bool((codes == codes[0]).all()):
        return codes[:1], torch.zeros_like(codes)
    found, index = torch.unique(codes, return_inverse=True)
    return found, index
