# SPDX-License-Identifier: Apache-2.0
"""Tails of the binomial, t and gamma distribution in closed form, so that intervals need torch alone.

The first two are normal approximations, good to a few thousandths of a probability from two samples on; tests compare
them with scipy.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor


def student_quantile(p: float, df: float) -> float:
    """Approximate a quantile of the t distribution, to 2 % from 3 degrees of freedom on, not too small in the tails.

    Reference:
        Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Annals of Mathematical
        Statistics 30, 1959.
    """
    z = NormalDist().inv_cdf(p) * (8 * df + 3) / (8 * df + 1)
    return math.copysign(math.sqrt(df * math.expm1(z * z / df)), z)


def student_p_value(t: float, df: float) -> float:
    """Approximate the two-sided p-value of a t statistic, the inverse of :func:`student_quantile`."""
    z = math.sqrt(df * math.log1p(t * t / df)) * (8 * df + 1) / (8 * df + 3)
    return math.erfc(z / math.sqrt(2))


def gamma_cdf(z: Tensor, skewness: Tensor) -> Tensor:
    """P(Z <= z) of a shifted gamma distribution of mean 0, variance 1 and this skewness, mirrored where < 0."""
    shape = 4 / skewness.abs().clamp_min(1e-2).square()  # below, it is normal to four digits
    sign = torch.where(skewness < 0, -1.0, 1.0).to(z)
    below = torch.special.gammainc(shape, (shape + sign * z * shape.sqrt()).clamp_min(0))
    return torch.where(skewness < 0, 1 - below, below)


def gamma_quantile(p: float, skewness: float) -> float:
    """Find z with ``gamma_cdf(z, skewness) = p``, for p above the half, up to 1,000 standard deviations."""
    skew = torch.tensor(skewness, dtype=torch.float64)
    low, high = torch.tensor([0.0, 1000.0], dtype=torch.float64)
    return float(_roots(lambda z: gamma_cdf(z, skew.expand_as(z)) < p, low, high))


def binomial_tails(x: Tensor, n: Tensor, p: Tensor | float) -> tuple[Tensor, Tensor]:
    """Compute P(X <= x) and P(X >= x) of a binomial count, each with half of P(X = x) only (mid-p values).

    Args:
        x: Observed counts in [0, n], float64; need not be whole.
        n: Numbers of trials, > 0, of the shape of ``x``.
        p: Chance of each, in (0, 1).

    Returns:
        Both tails, float64, which sum to 1.
    """
    lower = _binomial_cdf(torch.stack([x, x - 1]), n, p).mean(dim=0)
    return lower, 1 - lower


def binomial_interval(x: float, n: float, *, level: float) -> tuple[float, float]:
    """Bound a share by its mid-p interval: all chances under which neither tail of the count is below (1 - level) / 2.

    Reference:
        Agresti and Gottard, "Nonconservative exact small-sample inference for discrete data", Computational Statistics
        and Data Analysis 51, 2007.
    """
    tail, both = (1 - level) / 2, torch.tensor([[x], [x]], dtype=torch.float64)
    lower = torch.tensor([[1 - tail], [tail]], dtype=torch.float64)
    start, stop = torch.tensor([[0.0, x / n], [x / n, 1.0]], dtype=torch.float64)
    low, high = _roots(lambda p: binomial_tails(both, torch.full_like(both, n), p)[0] > lower, start, stop).tolist()
    return 0.0 if x <= 0 else low, 1.0 if x >= n else high


def exact_interval(x: Tensor, n: Tensor, *, tail: float) -> tuple[Tensor, Tensor]:
    """Bound shares by all chances under which neither tail of the count, itself included, is below ``tail``.

    Args:
        x: Counts in [0, n], float64; need not be whole.
        n: Numbers of trials, > 0, of the shape of ``x``.
        tail: Chance on either side, in (0, 0.5).

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
        Biometrika 26, 1934.
    """
    both, trials = torch.stack([n - x, x]).unsqueeze(-1), n.unsqueeze(-1)  # the lower end is the upper of the others
    start = (both / trials).squeeze(-1).clamp(0, 1)
    ends = _roots(
        lambda p: _binomial_cdf(both, trials, p.clamp(1e-300, 1 - 1e-16)) > tail, start, torch.ones_like(start)
    )
    none = 1 - tail ** (1 / n)  # exact where nothing was counted
    counted = both.squeeze(-1)
    low, high = torch.where(counted >= n, 1.0, torch.where(counted <= 0, none, ends))
    return 1 - low, high


def _roots(left: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Find the place in each interval where ``left`` stops to hold, in few rounds of many points in all at once."""
    shares = torch.linspace(0, 1, 130, dtype=low.dtype, device=low.device)
    for _ in range(5):  # 129 parts each time: to 3e-11 of the interval
        points = low.unsqueeze(-1) + (high - low).unsqueeze(-1) * shares
        held = left(points[..., 1:-1]).sum(dim=-1, keepdim=True)
        low, high = (points.gather(-1, held + end).squeeze(-1) for end in (0, 1))
    return 0.5 * (low + high)


def _binomial_cdf(x: Tensor, n: Tensor, p: Tensor | float) -> Tensor:
    """Approximate P(X <= x) by the normal approximation of Peizer and Pratt (JASA 63, 1968)."""
    p = torch.as_tensor(p, dtype=x.dtype, device=x.device)
    q, s, t = 1 - p, x + 0.5, n - x - 0.5
    distance = x + 2 / 3 - (n + 1 / 3) * p + 0.02 * (q / (x + 1) - p / (n - x) + (q - 0.5) / (n + 1))
    below, above = _bend(torch.stack([s / (n * p), t / (n * q)]))
    spread = (1 + q * below + p * above) / ((n + 1 / 6) * p * q)
    cdf = torch.special.ndtr(distance * spread.clamp_min(0).sqrt())
    return torch.where(x < 0, 0.0, torch.where(x >= n, 1.0, cdf))


def _bend(y: Tensor) -> Tensor:
    """Compute (1 - y^2 + 2 y log y) / (1 - y)^2, 1 at y = 0 and 0 at y = 1."""
    off = 1 - y
    near = off.abs() < 1e-4
    safe = torch.where(near, 0.5, y)
    value = (1 - safe.square() + 2 * torch.xlogy(safe, safe)) / (1 - safe).square()
    return torch.where(near, off / 3, torch.where(y <= 0, 1.0, value))
