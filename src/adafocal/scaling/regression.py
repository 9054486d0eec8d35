# SPDX-License-Identifier: Apache-2.0
"""An affine map of class scores, and softmax regression with a ridge that finds it.

It is what vector, matrix, Dirichlet and structured scaling solve, check and apply.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from adafocal._shapes import ClassIndex, ProbMatrix, SampleWeight
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions

CACHED = 2**17  # values held beside the scores at a time: what stays in a cache
FEWEST_ROWS = 128  # at a time, so that products of matrices stay efficient
MEMORY, STEPS, HALVINGS = 20, 500, 40
SUFFICIENT = 1e-4  # of the decrease that the slope promises
ROUNDING = 1e-15  # of a mean of likelihoods in float64

Objective: TypeAlias = Callable[[Tensor], tuple[float, Tensor]]


class Affine(NamedTuple):
    """What is added to the scores: by factors, (C,) for each class its own or (C, C), and a bias, (C,)."""

    factors: Tensor
    bias: Tensor

    def flat(self) -> Tensor:
        """All its numbers."""
        return torch.cat([self.factors.reshape(-1), self.bias])

    def like(self, numbers: Tensor) -> "Affine":
        """These numbers, in its shapes."""
        size = self.factors.numel()
        return Affine(numbers[:size].view(self.factors.shape), numbers[size:])


def check_map(method: str, weight: Tensor, bias: Tensor) -> None:
    """Raise unless ``weight`` has shape (C, C), ``bias`` shape (C,), and their numbers are finite."""
    c = bias.numel()
    if bias.ndim != 1 or weight.shape != (c, c):
        raise InvalidValueError(
            f"`weight` must have shape (C, C) for `bias` of shape ({c},), got {tuple(weight.shape)}."
        )
    if not (weight.isfinite().all() and bias.isfinite().all()):
        raise InvalidValueError(f"`weight` and `bias` must be finite, got {method} scaling with numbers that are not.")


def check_n_classes(predictions: Predictions, bias: Tensor) -> None:
    """Raise unless there is a class for each number of ``bias``."""
    if predictions.n_classes != bias.numel():
        raise InvalidValueError(f"`predictions` must have {bias.numel()} classes, got {predictions.n_classes}.")


def mapped(scores: ProbMatrix, weight: Tensor, bias: Tensor, *, diagonal: bool) -> ProbMatrix:
    """Compute W z + b of scores z in float64, shape (N, C); of a diagonal W without a product of matrices."""
    weight = weight.to(scores.device)
    return (scores * weight.diagonal() if diagonal else scores @ weight.T) + bias.to(scores.device)


def as_weight(factors: Tensor) -> Tensor:
    """The matrix W = I + F, shape (C, C), of factors (C,) or (C, C)."""
    return (1 + factors).diag() if factors.ndim == 1 else torch.eye(len(factors)).to(factors) + factors


def fit_regression(
    scores: ProbMatrix, labels: ClassIndex, ridge: Affine, weight: SampleWeight | None, *, tolerance: float
) -> Affine:
    """Minimise the mean of -log softmax(z + F z + b)[y], plus the sum of ridge times squared numbers of F and b.

    By L-BFGS from 0, whose first step is Newton's of the diagonal of the second derivative. An iteration takes O(N C)
    for factors of shape (C,), O(N C²) for (C, C), and memory for a few rows beside the scores.

    Args:
        scores: In float64, shape (N, C).
        labels: Shape (N,).
        ridge: Penalty of each number, at least 0; the shape of its factors is that of F.
        weight: Of each row, shape (N,).
        tolerance: The fit ends where a step promises less than this, in nats per row.

    Returns:
        F and b.
    """
    each = scores.new_full((len(scores),), 1 / len(scores)) if weight is None else weight / weight.sum()
    penalty = ridge.flat()

    def objective(numbers: Tensor) -> tuple[float, Tensor]:
        value, slope = _likelihood(scores, labels, each, ridge.like(numbers))
        return value + float(penalty @ numbers.square()), slope.flat() + 2 * penalty * numbers

    curvature = _curvature(scores, each, ridge).flat() + 2 * penalty
    first_step = 1 / curvature.clamp_min(torch.finfo(curvature.dtype).eps)
    return ridge.like(_minimise(objective, first_step, tolerance))


def _likelihood(scores: ProbMatrix, labels: ClassIndex, each: SampleWeight, added: Affine) -> tuple[float, Affine]:
    """Mean negative log-likelihood of the changed scores, and its derivative."""
    diagonal, value = added.factors.ndim == 1, 0.0
    slope = Affine(torch.zeros_like(added.factors), torch.zeros_like(added.bias))
    for z, y, w in _parts(scores, labels, each):
        changed = torch.addcmul(added.bias, z, 1 + added.factors) if diagonal else z + added.bias
        if not diagonal:
            changed.addmm_(z, added.factors.T)
        at_label = changed.gather(1, y[:, None])[:, 0]
        largest = changed.amax(dim=1, keepdim=True)
        total = changed.sub_(largest).exp_().sum(dim=1)
        value += float(w @ (total.log() + largest[:, 0] - at_label))
        residual = changed.mul_((w / total)[:, None]).scatter_add_(1, y[:, None], -w[:, None])
        slope.bias.add_(residual.sum(dim=0))
        if diagonal:
            slope.factors.add_((residual * z).sum(dim=0))
        else:
            slope.factors.addmm_(residual.T, z)
    return value, slope


def _curvature(scores: ProbMatrix, each: SampleWeight, like: Affine) -> Affine:
    """Diagonal of the second derivative where nothing is added."""
    found = Affine(torch.zeros_like(like.factors), torch.zeros_like(like.bias))
    for z, w in _parts(scores, each):
        probs = z.softmax(dim=1)
        spread = probs.mul_(1 - probs).mul_(w[:, None])
        found.bias.add_(spread.sum(dim=0))
        if like.factors.ndim == 1:
            found.factors.add_((spread * z.square()).sum(dim=0))
        else:
            found.factors.addmm_(spread.T, z.square())
    return found


def _parts(scores: ProbMatrix, *beside: Tensor) -> "zip[tuple[Tensor, ...]]":
    rows = max(FEWEST_ROWS, CACHED // scores.shape[1])
    return zip(*(torch.split(values, rows) for values in (scores, *beside)), strict=True)


def _minimise(objective: Objective, first_step: Tensor, tolerance: float) -> Tensor:
    """L-BFGS from 0 on a convex function, with steps halved until the function falls as its slope promises."""
    at = torch.zeros_like(first_step)
    value, slope = objective(at)
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=MEMORY)
    for _ in range(STEPS):
        step = _direction(slope, pairs, first_step)
        promised = float(slope @ step)
        if promised < 2 * tolerance:
            break
        share, moved = 1.0, at - step
        new_value, new_slope = objective(moved)
        for _ in range(HALVINGS):
            if new_value <= value - SUFFICIENT * share * promised + ROUNDING * abs(value):
                break
            # The least of the parabola through both values and the slope, within a tenth and a half.
            least = promised * share**2 / (2 * (new_value - value + promised * share))
            share = min(max(least, 0.1 * share), 0.5 * share)
            moved = at - share * step
            new_value, new_slope = objective(moved)
        else:
            break
        change, turn = moved - at, new_slope - slope
        curved = float(change @ turn)
        if curved > 0:
            pairs.append((change, turn, curved))
        at, value, slope = moved, new_value, new_slope
    return at


def _direction(slope: Tensor, pairs: deque[tuple[Tensor, Tensor, float]], first_step: Tensor) -> Tensor:
    """The slope times what the last steps tell of the inverse of the second derivative."""
    step, shares = slope.clone(), []
    for change, turn, curved in reversed(pairs):
        shares.append(float(change @ step) / curved)
        step.sub_(turn, alpha=shares[-1])
    step.mul_(first_step)
    if pairs:
        _, turn, curved = pairs[-1]
        step.mul_(curved / float(turn @ (turn * first_step)))
    for (change, turn, curved), share in zip(pairs, reversed(shares), strict=True):
        step.add_(change, alpha=share - float(turn @ step) / curved)
    return step
