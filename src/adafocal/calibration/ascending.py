# SPDX-License-Identifier: Apache-2.0
"""Values in ascending order, with their events or their places.

Numbers are sorted several times faster alone than with their places. So what belongs to a value is put into the low
bits of one whole number whose high bits are in the order of the values, where both fit.
"""

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read
from adafocal._dtypes import at_least_float32, wide_dtype

WHOLE = {torch.float32: torch.int32, torch.float64: torch.int64}


def ascending(values: Tensor) -> Tensor:
    """Sort values of shape (N,) without their places, which NumPy does in a third of the time."""
    if values.device.type != "cpu" or values.dtype == torch.bfloat16:
        return values.detach().sort().values
    return torch.from_numpy(np.sort(values.detach().numpy()))


class AscendingEvents:
    """Values of shape (N,), none of them NaN, with booleans, in ascending order; those of equal values in any order.

    They are unpacked part by part, so that what is computed of a part stays in the cache.
    """

    def __init__(self, values: Tensor, events: Tensor) -> None:
        self._dtype, self._wide, self._keys = values.dtype, at_least_float32(values).dtype, _packed(values, events)
        if self._keys is None:
            ordered, places = values.sort()
            self._plain = ordered, events[places]
        else:
            self._keys.sort()

    def part(self, places: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Values and events at some of the places."""
        if self._keys is None:
            values, events = self._plain
            return values[places], events[places]
        keys = self._keys[places if isinstance(places, slice) else places.numpy()]
        happened = torch.from_numpy((keys & 1).astype(np.bool_))
        bits = keys >> 1
        bits = bits if bits.itemsize == self._wide.itemsize else _in_order(bits.astype(np.int32))
        return torch.from_numpy(bits).view(self._wide).to(self._dtype), happened

    def ends(self, places: Tensor) -> Tensor:
        """How many values there are up to the last that equals the one at each place."""
        if self._keys is None:
            values = self._plain[0].detach()
            return torch.searchsorted(values, values[places], right=True)
        return torch.from_numpy(self._keys.searchsorted(self._keys[places.numpy()] | 1, "right"))


def ascending_events(values: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
    """Sort values with their events, all at once, as :class:`AscendingEvents` does."""
    return AscendingEvents(values, events).part(slice(None))


def _packed(values: Tensor, events: Tensor) -> np.ndarray | None:
    """One whole number for each value and its event, in the order of the values; None where both do not fit."""
    if not _plain(values, events):
        return None
    wide = at_least_float32(values)
    low, high = (float(end) for end in wide.aminmax())
    if low >= 0 and high < 2:  # the bits of these leave one free, beside the sign
        keys = np.left_shift(_bits(wide), 1)
    elif wide.dtype == torch.float32:
        keys = np.left_shift(_in_order(_bits(wide + 0.0)), 1, dtype=np.int64)
    else:
        return None
    keys |= events.numpy()
    packed: np.ndarray = keys
    return packed


def ascending_places(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sort values of shape (N,), none of them NaN, with the places that they had; equal ones keep their order.

    Values in float64 that float32 holds, too, are sorted as those of float32.
    """
    narrow, plain = values.float(), _plain(values) and len(values) < 1 << 32
    if not plain or (values.dtype == torch.float64 and not torch.equal(narrow.double(), values)):
        ordered, places = values.sort(stable=True)
        return ordered, places
    keys = np.left_shift(_in_order(_bits(narrow + 0.0)), 32, dtype=np.int64)
    keys |= np.arange(len(keys))
    keys.sort()
    places = torch.from_numpy(keys & 0xFFFFFFFF)
    keys >>= 32
    return torch.from_numpy(_in_order(keys.astype(np.int32))).view(torch.float32).to(values.dtype), places


def run_ends(values: Tensor) -> Tensor:
    """Find where each run of equal values of shape (N,), N at least 1, ends: the number of values up to its last."""
    last = torch.ones(len(values), dtype=torch.bool, device=values.device)
    last[:-1] = values[1:] != values[:-1]
    # NumPy finds them several times faster.
    ends = torch.from_numpy(np.flatnonzero(last.numpy())) if can_read(values) else last.nonzero().squeeze(1)
    ends += 1
    return ends


def run_sums(values: Tensor, ends: Tensor) -> Tensor:
    """Sum booleans or numbers over runs that end as :func:`run_ends` says, in float64 where the device has it."""
    wide = wide_dtype(values.device)
    if values.dtype == torch.bool:
        return run_lengths(values.cumsum(0).index_select(0, ends - 1)).to(wide)
    run = torch.arange(len(ends), device=ends.device).repeat_interleave(run_lengths(ends))
    return torch.zeros(len(ends), dtype=wide, device=ends.device).index_add(0, run, values.to(wide))


def run_lengths(ends: Tensor) -> Tensor:
    """Count the values of each run, or what a cumulated sum adds in it."""
    lengths = ends.clone()
    lengths[1:] -= ends[:-1]
    return lengths


def _plain(values: Tensor, events: Tensor | None = None) -> bool:
    of_events = events is None or (events.dtype == torch.bool and events.device.type == "cpu")
    return can_read(values) and not values.requires_grad and values.numel() > 0 and of_events


def _bits(values: Tensor) -> np.ndarray:
    return values.contiguous().view(WHOLE[values.dtype]).numpy()


def _in_order(bits: np.ndarray) -> np.ndarray:
    """Exchange bits of floating-point numbers but -0 and whole numbers of the same order: done twice, nothing."""
    kind = np.iinfo(bits.dtype)
    ordered: np.ndarray = bits >> (kind.bits - 1)
    ordered &= kind.max
    ordered ^= bits
    return ordered
