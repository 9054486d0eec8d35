# SPDX-License-Identifier: Apache-2.0
"""Collecting tensors over the processes of a distributed run; with one process they stay as they are."""

import hashlib
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError

T = TypeVar("T")
Group: TypeAlias = "dist.ProcessGroup | None"  # None is all processes


def _ranks(group: Group = None) -> int:
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


def check_group(group: object) -> None:
    """Raise unless ``group`` is None, or a group of processes that this one is in."""
    if group is None:
        return
    if not dist.is_available() or not isinstance(group, dist.ProcessGroup):
        wrong = shown(group)
        if dist.is_available() and group is dist.GroupMember.NON_GROUP_MEMBER:
            raise InvalidValueError("`process_group` must be a group that this process is in, got one of others.")
        raise InvalidTypeError(f"`process_group` must be None or what torch.distributed.new_group gives, got {wrong}.")


def check_same(values: Mapping[str, object], group: Group = None, *, like: Tensor) -> None:
    """Raise, on every rank of the group, unless all ranks have the same values, which must be plain.

    Numbers of constant size travel, on the device of ``like``; what differs is asked for only if any do.
    """
    if _ranks(group) == 1:
        return
    digest = hashlib.sha256(repr(sorted(values.items())).encode()).digest()
    own = torch.tensor(list(digest), dtype=torch.int32).to(like.device)
    all_own = [torch.empty_like(own) for _ in range(_ranks(group))]
    dist.all_gather(all_own, own, group=group)
    if bool((torch.stack(all_own) == own).all()):
        return
    everyones: list[Any] = [None] * _ranks(group)
    dist.all_gather_object(everyones, dict(values), group=group)
    for rank, theirs in enumerate(everyones):
        for name, first in everyones[0].items():
            if repr(theirs.get(name)) != repr(first):
                raise InvalidValueError(
                    f"`{name}` must be the same on every rank, got {shown(first)} on rank 0 and "
                    f"{shown(theirs.get(name))} on rank {rank}."
                )


def over_ranks(values: Tensor, group: Group = None) -> Tensor:
    """Concatenate a one-dimensional tensor over the ranks, whose lengths may differ, in rank order."""
    if _ranks(group) == 1:
        return values
    length = torch.tensor([values.numel()], device=values.device)
    lengths = [torch.zeros_like(length) for _ in range(_ranks(group))]
    dist.all_gather(lengths, length, group=group)
    longest = int(torch.cat(lengths).max())
    # Bytes travel where booleans may not.
    wire = values.to(torch.uint8) if values.dtype == torch.bool else values
    padded = torch.cat([wire, wire.new_zeros(longest - wire.numel())])
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded, group=group)
    return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)]).to(values.dtype)


def join_over_ranks(by_place: dict[int, T]) -> dict[int, T]:
    """Join what the ranks found at their places, in the order of the places; values may be anything that pickles."""
    found: list[Any] = [by_place] * _ranks()
    if _ranks() > 1:
        dist.all_gather_object(found, by_place)
    return dict(sorted((item for part in found for item in part.items()), key=itemgetter(0)))


def sum_over_ranks(values: Tensor, group: Group = None) -> Tensor:
    """Add a tensor over the ranks; the observed sums themselves stay as they are."""
    total = values.clone()
    if _ranks(group) > 1:
        dist.all_reduce(total, group=group)
    return total


def from_first_rank(values: Tensor, group: Group = None) -> Tensor:
    """Spread the first rank's values to every rank: sums on accelerators may differ in the last bit."""
    values = values.contiguous()
    if _ranks(group) > 1:
        dist.broadcast(values, src=0 if group is None else dist.get_global_rank(group, 0), group=group)
    return values
