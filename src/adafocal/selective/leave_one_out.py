# SPDX-License-Identifier: Apache-2.0
"""What a rank-weighted mean of losses becomes without each of its samples in turn: the jackknife in O(N)."""

import torch
from torch import Tensor

from adafocal._shapes import ClassIndex, Correct, PerSample
from adafocal.selective.groups import LossGroups


def without_each(groups: LossGroups, index: ClassIndex, losses: Correct, weights: Tensor) -> PerSample:
    """Compute ``weighted_mean_of_groups`` of the other N - 1 samples, for every sample.

    Leaving a sample out moves the ranks above it down by one; its own ties share one rank less.

    Args:
        groups: All N samples.
        index: The group of each sample, shape (N,).
        losses: Their losses, shape (N,).
        weights: Weight of each rank among N - 1 samples, ascending, shape (N - 1,).

    Returns:
        Values of shape (N,).
    """
    n_left, weights = len(weights), weights.to(groups.count)
    prefix = torch.cat([weights.new_zeros(1), weights.cumsum(0)])
    count = groups.count.long()
    last = count.cumsum(0)
    first = last - count
    mean = groups.loss_sum / groups.count
    stays = (prefix[last.clamp_max(n_left)] - prefix[first]) * mean
    moves = (prefix[last - 1] - prefix[(first - 1).clamp_min(0)]) * mean
    others = (stays.cumsum(0) - stays) + (moves.flip(0).cumsum(0).flip(0) - moves)
    share = (prefix[last - 1] - prefix[first]) / (groups.count - 1).clamp_min(1)
    own = (groups.loss_sum[index] - losses.to(mean.dtype)) * share[index]
    return (others[index] + own) / n_left


def jackknife(left_out: PerSample) -> tuple[float, float]:
    """Estimate the standard error of a statistic from its N values without one sample, and its degrees of freedom.

    The fewer samples the variance comes from, the less it is known: with kurtosis k of the values, as much as that of
    2 N / (k - 1) samples of a normal distribution.
    """
    n = len(left_out)
    distance = left_out - left_out.mean()
    square = float(distance.square().mean())
    if square == 0.0:
        return 0.0, float(n - 1)
    kurtosis = float(distance.pow(4).mean()) / square**2
    return ((n - 1) * square) ** 0.5, 2 * n / max(kurtosis - 1, 1e-9)
