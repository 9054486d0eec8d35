# SPDX-License-Identifier: Apache-2.0
"""The root in x = log(1/T) of a derivative that rises: where the likelihood by the temperature is largest."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from adafocal._dtypes import wide_dtype
from adafocal._shapes import ProbMatrix, SampleWeight

CACHED = 2**16  # values held in float64 at a time: what stays in a cache
FEW_STEPS = 10  # of Newton's, from T = 1: four or five are usual
SHORT = 5e-4  # a step whose square, which is what it leaves, float32 can no longer tell
LOWEST = -800.0  # of the logits over T below the largest of a row: beyond, the probability is 0 in float64
# The derivative by 1/T, and its own, at x.
Derivatives: TypeAlias = Callable[[float], tuple[float, float]]


def nll_derivatives(
    scores: ProbMatrix, labels: Tensor, weight: SampleWeight | None, inverse: float, *, rough: bool = False
) -> tuple[float, float]:
    """Differentiate once and twice by 1/T of the mean negative log-likelihood, in chunks of rows in float64.

    ``rough`` computes each row in the dtype of the scores, and only sums them in float64.
    """
    slope = curvature = 0.0
    wide, rows = wide_dtype(scores.device), max(1, CACHED // scores.shape[1])
    weight = scores.new_ones(len(scores), dtype=wide) if weight is None else weight.to(wide)
    held = (torch.split(values, rows) for values in (scores, labels, weight))
    for part, part_labels, each in zip(*held, strict=True):
        z = part if rough else part.to(wide)
        z = z - z.amax(dim=1, keepdim=True)
        at_label = z.gather(1, part_labels[:, None])[:, 0]
        # A masked class has probability 0, and 0 · inf is not a number: any finite number far below does as well.
        odds = z.clamp_min_(LOWEST / inverse).mul(inverse).exp_()
        total = odds.sum(dim=1)
        mean = odds.mul_(z).sum(dim=1) / total
        slope += float(each @ (mean - at_label).to(wide))
        curvature += float(each @ (odds.mul_(z).sum(dim=1) / total - mean.square()).to(wide))
    total_weight = float(weight.sum())
    return slope / total_weight, curvature / total_weight


def few_newton_steps(
    derivatives: Derivatives, rough: Derivatives, x: float, lower: float, upper: float, tolerance: float
) -> float | None:
    """Find the root by Newton's steps alone, as is usual; None where one leaves the bracket, or they are not few.

    Steps follow ``rough``, the derivatives in fewer digits, until they are short; the last ones are exact.
    """
    near = False
    for _ in range(FEW_STEPS):
        slope, curvature = (derivatives if near else rough)(x)
        if slope == 0 or curvature <= 0:  # where likelihoods have become 1 or 0 in float64, which is no root
            return None
        step = -slope / (math.exp(x) * curvature)
        x += step
        if not lower < x < upper:
            return None
        if near and step**2 < tolerance:  # what is left is of the order of the square
            return x
        near = near or abs(step) < SHORT
    return None


def bracketed_root(derivatives: Derivatives, x: float, lower: float, upper: float, tolerance: float) -> float:
    """Find the root by Newton's steps inside a bracket that shrinks."""
    step = math.inf
    for _ in range(200):
        slope, curvature = derivatives(x)
        lower, upper = (x, upper) if slope < 0 else (lower, x)
        newton = -slope / (math.exp(x) * curvature) if curvature > 0 else math.inf
        # A Newton step that leaves the bracket or does not shrink gives way to halving the bracket.
        inside = lower <= x + newton <= upper and abs(newton) < 0.5 * abs(step)
        step = newton if inside else 0.5 * (lower + upper) - x
        x += step
        if abs(step) < tolerance or slope == 0:
            break
    return x
