# SPDX-License-Identifier: Apache-2.0
"""Batches of a split, in an order that seed and epoch fix, shared out over the processes of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import Tensor

from adafocal.data import Split
from adafocal.errors import InvalidValueError


@dataclass(eq=False, repr=False)
class TensorBatches:
    """Iterate a split, or one process's share of it, in batches, with no worker processes.

    Args:
        split: The samples.
        batch_size: Samples per batch over all processes; the last batch may be smaller.
        shuffle_seed: Seed of the order, which is the same for any number of processes; None keeps the order of the
            split.
        rank: Which process this is.
        n_ranks: Number of processes. Every process gets the same number of batches, none of them empty.
        whole_batches: Cut the samples into batches first and share out each batch, as training needs, so that the
            batches are the same for any number of processes; a last batch with fewer samples than processes is left
            out. Otherwise share out the samples, none of them left out and none given twice, as measuring needs.

    Raises:
        ValueError: If there are fewer samples, or samples per batch, than processes.
    """

    split: Split
    batch_size: int
    _: KW_ONLY
    shuffle_seed: int | None = None
    rank: int = 0
    n_ranks: int = 1
    whole_batches: bool = False

    def __post_init__(self) -> None:
        """Refuse processes that would have nothing to do."""
        if min(len(self.split), self.batch_size) < self.n_ranks:
            raise InvalidValueError(
                "`devices` must be at most the number of samples and of samples per batch, "
                f"got {self.n_ranks} processes for {len(self.split)} samples in batches of {self.batch_size}."
            )

    def __len__(self) -> int:
        full, rest = divmod(len(self.split), self.batch_size)
        left_out = rest < self.n_ranks if self.whole_batches else rest == 0
        return full if left_out else full + 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from self.split.batches(self._rows(), seed=0 if self.shuffle_seed is None else self.shuffle_seed)

    def size(self, batch: int) -> int:
        """Count the samples of a batch over all processes, where batches are shared out whole."""
        return min(self.batch_size, len(self.split) - batch * self.batch_size)

    def _rows(self) -> Sequence[Tensor]:
        order = self._order().to(self.split.labels.device)
        if self.whole_batches:
            return [rows[self.rank :: self.n_ranks] for rows in torch.split(order, self.batch_size)[: len(self)]]
        if self.n_ranks == 1:
            return torch.split(order, self.batch_size)
        return torch.tensor_split(order[self.rank :: self.n_ranks], len(self))

    def _order(self) -> Tensor:
        if self.shuffle_seed is None:
            return torch.arange(len(self.split))
        return torch.randperm(len(self.split), generator=torch.Generator().manual_seed(self.shuffle_seed))


def epoch_seed(seed: int, epoch: int) -> int:
    """Mix run seed and epoch into one seed, so that a resumed run draws what the unbroken one would have drawn."""
    return (seed * 1_000_003 + epoch * 7_919 + 1) % 2**63
