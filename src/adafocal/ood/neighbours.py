# SPDX-License-Identifier: Apache-2.0
"""The k-th nearest of many unit vectors: found in float32, and measured in float64 where that is in doubt."""

from math import sqrt

import torch
from torch import Tensor

from adafocal._shapes import Confidence

CHUNK = 2**24  # products held at a time
SPARE = 16  # neighbours found beyond the k-th, and how many may be in doubt before a row is searched anew
SAFETY = 4  # of the error of a float32 product: rounding adds up like a random walk, one step per feature


def kth_cosines(queries: Tensor, bank: Tensor, k: int) -> Confidence:
    """Find the k-th largest cosine of each query with the rows of a bank.

    Float32 takes half the time of float64 and finds all neighbours but those whose cosines differ by less than its
    error, which is assumed to be at most ``SAFETY * sqrt(D) * 2**-24``, and is a small part of that. Cosines that near
    the k-th are measured anew in float64, so that the result is that of float64; were the assumption wrong, it would be
    off by the error of float32, at most ``D * 2**-24``.

    Args:
        queries: Rows of length 1 or 0, float64, shape (N, D).
        bank: Rows of length 1 or 0, float64, shape (M, D); those of 0 count as of cosine 1/2.
        k: Which of them, in [1, M].

    Returns:
        Cosines, float64, shape (N,).
    """
    half = 0.5 * (bank == 0).all(dim=1).double()
    # Where float32 stands for a shorter type, as the user may have asked, it is none that finds neighbours.
    plain = torch.get_float32_matmul_precision() == "highest"
    rough = bank.float() if plain else bank
    with torch.autocast(queries.device.type, enabled=False):
        parts = torch.split(queries, max(1, CHUNK // len(bank)))
        return torch.cat([_found(part, bank, rough, half, k) for part in parts])


def _found(queries: Tensor, bank: Tensor, rough: Tensor, half: Tensor, k: int) -> Tensor:
    wanted = min(k + SPARE, len(bank))
    near = torch.addmm(half.to(rough), queries.to(rough), rough.T).topk(wanted, dim=1)
    cosines = near.values.double()
    doubtful = (cosines - cosines[:, k - 1 : k]).abs() <= 2 * SAFETY * sqrt(bank.shape[1]) * 2.0**-24
    many = doubtful.sum(dim=1) > SPARE
    if wanted < len(bank):
        many |= doubtful[:, -1]
    rows, columns = (doubtful & ~many[:, None]).nonzero(as_tuple=True)
    places = near.indices[rows, columns]
    cosines[rows, columns] = torch.linalg.vecdot(queries[rows], bank[places]) + half[places]
    found = cosines.topk(k, dim=1).values[:, -1]
    if many.any():
        found[many] = torch.addmm(half, queries[many], bank.T).topk(k, dim=1).values[:, -1]
    return found
