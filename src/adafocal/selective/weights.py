# SPDX-License-Identifier: Apache-2.0
"""Weights that turn per-sample losses, ordered by confidence, into the area under the risk-coverage curve."""

import torch

from adafocal._checks import check_choice, check_integer
from adafocal._shapes import PerSample

KINDS = ("harmonic", "ln", "sele")


def rank_weights(
    n: int, *, kind: str, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> PerSample:
    """Give the weight of each rank, so that the mean of weight times loss estimates AURC.

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
        TypeError: If ``n`` is not an integer.
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
    rank = torch.arange(1, n + 1, dtype=torch.float64, device="cpu")
    if kind == "harmonic":
        # The digamma difference as the sum that it equals: exact to rounding.
        weights = (1.0 / (n + 1.0 - rank)).cumsum(0)
    elif kind == "ln":
        weights = -torch.log1p(-rank / (n + 1.0))
    else:
        weights = rank / n
    return weights.to(device=device, dtype=dtype)
