# SPDX-License-Identifier: Apache-2.0
"""Batches of a split that lies in memory, in an order that seed and epoch fix."""

from collections.abc import Iterator

import torch
from torch import Tensor

from adafocal.data import Split


class TensorBatches:
    """Iterate a split in batches, with no worker processes.

    Args:
        split: The samples.
        batch_size: Samples per batch; the last one may be smaller.
        shuffle_seed: Seed of the order; None keeps the order of the split.
    """

    def __init__(self, split: Split, batch_size: int, *, shuffle_seed: int | None = None) -> None:
        self.split = split
        self.batch_size = batch_size
        self.shuffle_seed = shuffle_seed

    def __len__(self) -> int:
        return -(-len(self.split) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        rows = torch.split(self._order(), self.batch_size)
        yield from self.split.batches(rows, seed=0 if self.shuffle_seed is None else self.shuffle_seed)

    def _order(self) -> Tensor:
        if self.shuffle_seed is None:
            return torch.arange(len(self.split))
        return torch.randperm(len(self.split), generator=torch.Generator().manual_seed(self.shuffle_seed))


def epoch_seed(seed: int, epoch: int) -> int:
    """Mix run seed and epoch into one seed, so that a resumed run draws what the unbroken one would have drawn."""
    return (seed * 1_000_003 + epoch * 7_919 + 1) % 2**63
