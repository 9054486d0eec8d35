# SPDX-License-Identifier: Apache-2.0
"""Validation statistics, as AdaFocal gathers them: every confidence, or sums on the fine grid."""

from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._ranks import over_ranks
from adafocal._shapes import Confidence, Correct
from adafocal.calibration.bins import BinStats, bin_stats
from adafocal.calibration.cells import joined_equal_mass
from adafocal.calibration.edges import equal_mass_edges
from adafocal.calibration.grid import grid_stats


@dataclass(frozen=True, eq=False)
class ValidationStatistics:
    """Confidence and correctness of a part of a validation pass; parts merge.

    Attributes:
        samples: Confidence and correctness of every batch; none where they stream.
        cells: Sums over the fine grid, of constant size, where they stream; None of nothing.
    """

    samples: tuple[tuple[Tensor, Tensor], ...] = ()
    cells: BinStats | None = None

    @classmethod
    def empty(cls) -> "ValidationStatistics":
        """Start with the statistics of nothing."""
        return cls()

    @classmethod
    def of_batch(cls, confidence: Confidence, correct: Correct, *, streaming: bool) -> "ValidationStatistics":
        """Take a batch, both of shape (N,); ``streaming`` keeps sums instead of every confidence."""
        return cls(cells=grid_stats(confidence, correct)) if streaming else cls(samples=((confidence, correct),))

    def merge(self, second: "ValidationStatistics") -> "ValidationStatistics":
        """Add those of another part, on its device."""
        cells = self.cells or second.cells
        if self.cells is not None and second.cells is not None:
            cells = self.cells.to(second.cells.count.device).merge(second.cells)
        return ValidationStatistics(self.samples + second.samples, cells)

    def compute(self, n_bins: int, *, streaming: bool, like: Tensor) -> BinStats | None:
        """Sum in equal-mass bins over all ranks, with the dtype and device of ``like``; None of nothing."""
        nothing = like.new_empty(0)
        if streaming:
            cells = grid_stats(nothing, nothing) if self.cells is None else self.cells.to(like.device)
            cells = cells.over_ranks()
            return joined_equal_mass(cells, n_bins) if cells.count.any() else None
        confidence = over_ranks(torch.cat([nothing, *(part.to(like) for part, _ in self.samples)]))
        correct = over_ranks(torch.cat([nothing.bool(), *(part.to(like.device) for _, part in self.samples)]))
        if confidence.numel() == 0:
            return None
        return bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins))
