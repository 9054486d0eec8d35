# SPDX-License-Identifier: Apache-2.0
"""Weights that turn per-sample losses, ordered by confidence, into the area under the risk-coverage curve."""

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_integer
from adafocal._shapes import PerSample
from adafocal._values import check_float_dtype

KINDS = ("harmonic", "ln", "sele")


def rank_weights(
    n: int, *, kind: str, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> PerSample:
    """Weigh each rank, so that the mean of weight times loss estimates AURC.

    A confident sample stays selected at nearly every coverage, so its loss counts most. ``harmonic`` is exactly the
    selective risk averaged over the coverages 1/n, 2/n, …, 1; ``ln`` is its limit for many samples and ``sele`` a
    simpler score that bounds it.

    Formula: for rank r = 1 … n in ascending confidence, ``harmonic`` is digamma(n + 1) - digamma(n - r + 1), the sum
    1/(n - r + 1) + … + 1/n; ``ln`` is -ln(1 - r / (n + 1)); ``sele`` is r / n.

    Args:
        n: Number of samples, at least 0.
        kind: ``harmonic``, ``ln`` or ``sele``.
        dtype: Floating dtype of the result; computed in float64 first.
        device: Device of the result.

    Returns:
        Ascending positive weights of shape (n,): the first belongs to the least confident sample. The harmonic ones
        have mean 1.

    Raises:
        TypeError: If ``n`` is not an integer or ``dtype`` not floating point.
        ValueError: If ``n`` is negative or ``kind`` is unknown.

    Example:
        >>> rank_weights(2, kind="harmonic")
        tensor([0.5000, 1.5000], dtype=torch.float64)

    Reference:
        Zhou, Gruber, Popordanoska and Blaschko, "Revisiting reweighted risk for calibration", 2025,
        https://arxiv.org/abs/2505.23463 (ln form). Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation
        for deep neural classifiers", ICLR 2019, https://arxiv.org/abs/1805.08206 (AURC). Franc, Prusa and Voracek,
        "Optimal strategies for reject option classifiers", JMLR 2023, https://arxiv.org/abs/2101.12523 (SELE).
    """
    check_integer("n", n, minimum=0)
    check_choice("kind", kind, KINDS)
    check_float_dtype(dtype)
    rank = torch.arange(1, n + 1, dtype=torch.float64, device="cpu")
    return weight_of_rank(rank, n, kind=kind).to(device=device, dtype=dtype)


def some_rank_weights(n: int, first: int, end: int, *, kind: str) -> Tensor:
    """Compute the :func:`rank_weights` of ranks ``first + 1`` … ``end`` of n alone.

    The harmonic ones grow by 1/n, 1/(n - 1) …, which are added: after 100,000 of them the last misses its value by
    at most 1e-11 of it.
    """
    rank = torch.arange(first + 1, end + 1, dtype=torch.float64, device="cpu")
    if kind != "harmonic":
        return weight_of_rank(rank, n, kind=kind)
    before = weight_of_rank(rank.new_tensor([float(first)]), n, kind=kind)
    return (n + 1 - rank).reciprocal_().cumsum(0).add_(before)


def weight_of_rank(rank: Tensor, n: int | Tensor, *, kind: str) -> Tensor:
    """Weigh any ranks as :func:`rank_weights` does: also fractional ones, and with a count on the device.

    Args:
        rank: Ranks in [0, n], of any shape; differentiable.
        n: Number of samples, an integer or a scalar tensor; 0 is treated as 1.
        kind: ``harmonic``, ``ln`` or ``sele``.

    Returns:
        Weights of the shape of ``rank``, at least 0.
    """
    count = torch.as_tensor(n, dtype=rank.dtype, device=rank.device).clamp_min(1)
    if kind == "harmonic":
        return torch.digamma(count + 1) - torch.digamma(count - rank + 1)
    return -torch.log1p(-rank / (count + 1)) if kind == "ln" else rank / count


def summed_weights(rank: Tensor, n: Tensor, *, kind: str) -> Tensor:
    """Sum the weights of ranks 1 … ``rank`` of n, in closed form, so that ranks and n need not be whole.

    Between whole ranks the sums go on smoothly, as digamma and log-gamma functions do.
    """
    left = (n - rank).clamp_min(0)
    if kind == "harmonic":
        return rank - left * (torch.digamma(n + 1) - torch.digamma(left + 1))
    if kind == "ln":
        return rank * (n + 1).log() - torch.lgamma(n + 1) + torch.lgamma(left + 1)
    return rank * (rank + 1) / (2 * n)
