# SPDX-License-Identifier: Apache-2.0
"""An alarm on calibration over time that may be looked at after every window: a test martingale.

Each factor of it is a ratio of likelihoods of the labels of a window: that of chances whose logits are shifted, over
that of the confidences. While the confidences are true its mean is 1 whatever has been seen, so that a mixture of such
products exceeds 20 at any time with chance of at most 1 in 20 (Ville's inequality).
"""

import math

import torch
from torch import Tensor

SHIFTS = torch.tensor([0.05, 0.1, 0.2, 0.4, 0.8, 1.6], dtype=torch.float64)  # of logits, either way
BOTH = torch.cat([-SHIFTS.flip(0), SHIFTS])  # symmetric, so that flipping turns each into its opposite


def log_means(confidence: Tensor, tolerance: float) -> Tensor:
    """Logarithms of the means of exp(shift (correct - confidence)) for true confidences, shape (N, shifts).

    Where confidences may be off by a tolerance, the largest mean that chances within it have.
    """
    confidence = confidence.to(torch.float64).clamp(0, 1)[:, None]
    chance = (confidence + tolerance * BOTH.sign()).clamp(0, 1)
    return (chance * BOTH.expm1()).log1p() - BOTH * confidence


def log_ratios(right_minus_confidence: Tensor, means: Tensor) -> Tensor:
    """Logarithms of the likelihood ratios of one window's labels against each alternative, shape (alternatives,).

    The alternatives are that all logits are shifted alike, which is over- or under-confidence; that those of the upper
    and of the lower half of the bins are shifted to opposite sides, which is a wrong temperature of two classes; and
    that those of one bin are shifted.

    Args:
        right_minus_confidence: Sums of correct - confidence per bin, shape (b,).
        means: Sums of :func:`log_means` per bin, shape (b, shifts).
    """
    each = right_minus_confidence[:, None] * BOTH - means
    half = each.shape[0] // 2
    lower, upper = each[:half], each[each.shape[0] - half :]
    return torch.cat([each.sum(0), upper.sum(0) + lower.flip(1).sum(0), each.flatten()])


def prior(n_bins: int) -> Tensor:
    """Logarithms of the weights of the alternatives: a third for each kind."""
    n = len(BOTH)
    return (
        torch.cat([torch.full((n,), 1 / (3 * n))] * 2 + [torch.full((n * n_bins,), 1 / (3 * n * n_bins))])
        .double()
        .log()
    )


def evidence(windows: list[Tensor], n_bins: int) -> list[float]:
    """Logarithms of the martingale after each window: a mixture over alternatives and over when they began.

    A change at window t has the weight 1 / (t (t + 1)), so that a change after a long calm is found as well; windows in
    which nothing was seen do not count.

    Args:
        windows: The :func:`log_ratios` of each.
        n_bins: Number of bins.

    Reference:
        Ville, "Étude critique de la notion de collectif", 1939. Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic
        statistics and safe anytime-valid inference", Statistical Science 38, 2023, https://arxiv.org/abs/2210.01948
        (test martingales, mixtures). Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential
        change detection", 2022, https://arxiv.org/abs/2203.03532 (mixtures over the time of a change).

    Differs from the paper: weights of the times sum to 1, so that the chance of a false alarm at any time is bounded,
        in place of how long it takes to the first.
    """
    weights = prior(n_bins)
    begun, found = torch.full_like(weights, -math.inf), []
    for number, ratios in enumerate(windows, start=1):
        begun = ratios + torch.logaddexp(begun, begun.new_tensor(-math.log(number * (number + 1))))
        to_come = begun.new_tensor(-math.log(number + 1))
        found.append(float(torch.logaddexp((weights + begun).logsumexp(0), to_come)))
    return found
