# SPDX-License-Identifier: Apache-2.0
"""What a validation pass has shown so far: every confidence, or sums on the fine grid."""

import torch
from torch import Tensor

from adafocal._ranks import over_ranks
from adafocal._shapes import Confidence, Correct
from adafocal.calibration.bins import BinStats, bin_stats, merge, stats_over_ranks
from adafocal.calibration.cells import joined_equal_mass
from adafocal.calibration.edges import equal_mass_edges
from adafocal.calibration.grid import grid_stats


class Observed:
    """Collect confidence and correctness, and sum them into equal-mass bins over all ranks.

    Args:
        streaming: Keep sums over a fine fixed grid, of constant size, instead of every confidence.
    """

    def __init__(self, *, streaming: bool) -> None:
        self.streaming = streaming
        self._confidence: list[Tensor] = []
        self._correct: list[Tensor] = []
        self._sums: BinStats | None = None

    def add(self, confidence: Confidence, correct: Correct) -> None:
        """Note a batch, both of shape (N,)."""
        if self.streaming:
            batch = grid_stats(confidence, correct)
            self._sums = batch if self._sums is None else merge(self._sums.to(confidence.device), batch)
        else:
            self._confidence.append(confidence)
            self._correct.append(correct)

    def clear(self) -> None:
        """Forget everything."""
        self._confidence.clear()
        self._correct.clear()
        self._sums = None

    def stats(self, n_bins: int, *, like: Tensor) -> BinStats | None:
        """Give the sums in equal-mass bins over all ranks, with the dtype and device of ``like``; None of nothing."""
        return self._streamed(n_bins, like) if self.streaming else self._collected(n_bins, like)

    def _collected(self, n_bins: int, like: Tensor) -> BinStats | None:
        nothing = like.new_empty(0)
        confidence = over_ranks(torch.cat([nothing, *(part.to(like) for part in self._confidence)]))
        correct = over_ranks(torch.cat([nothing.bool(), *(part.to(like.device) for part in self._correct)]))
        if confidence.numel() == 0:
            return None
        return bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins))

    def _streamed(self, n_bins: int, like: Tensor) -> BinStats | None:
        nothing = grid_stats(like.new_empty(0), like.new_empty(0))
        sums = nothing if self._sums is None else self._sums.to(like.device)
        summed = stats_over_ranks(sums)
        return joined_equal_mass(summed, n_bins) if summed.count.any() else None
