# SPDX-License-Identifier: Apache-2.0
"""Collecting tensors over the processes of a distributed run; with one process they stay as they are."""

from operator import itemgetter
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def _ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def over_ranks(values: Tensor) -> Tensor:
    """Concatenate a one-dimensional tensor over the ranks, whose lengths may differ, in rank order."""
    if _ranks() == 1:
        return values
    length = torch.tensor([values.numel()], device=values.device)
    lengths = [torch.zeros_like(length) for _ in range(_ranks())]
    dist.all_gather(lengths, length)
    longest = int(torch.cat(lengths).max())
    # Bytes travel where booleans may not.
    wire = values.to(torch.uint8) if values.dtype == torch.bool else values
    padded = torch.cat([wire, wire.new_zeros(longest - wire.numel())])
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)]).to(values.dtype)


def join_over_ranks(by_place: dict[int, T]) -> dict[int, T]:
    """Join what the ranks found at their places, in the order of the places; values may be anything that pickles."""
    found: list[Any] = [by_place] * _ranks()
    if _ranks() > 1:
        dist.all_gather_object(found, by_place)
    return dict(sorted((item for part in found for item in part.items()), key=itemgetter(0)))


def sum_over_ranks(values: Tensor) -> Tensor:
    """Add a tensor over the ranks; the observed sums themselves stay as they are."""
    total = values.clone()
    if _ranks() > 1:
        dist.all_reduce(total)
    return total


def from_first_rank(values: Tensor) -> Tensor:
    """Spread the first rank's values to every rank: sums on accelerators may differ in the last bit."""
    values = values.contiguous()
    if _ranks() > 1:
        dist.broadcast(values, src=0)
    return values
