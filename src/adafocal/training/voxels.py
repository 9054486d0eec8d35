# SPDX-License-Identifier: Apache-2.0
"""Dense predictions as rows: every voxel that counts is a sample."""

import math
from typing import Any

import torch
from torch import Tensor

from adafocal.calibration import (
    BinStats,
    StreamSums,
    bin_stats,
    binned_error,
    equal_width_edges,
    merge,
    merge_sums,
    stream_summary,
    stream_sums,
)
from adafocal.data.volumes import IGNORED
from adafocal.errors import InvalidValueError
from adafocal.losses.cross_entropy import as_rows
from adafocal.predictions import Predictions

MAX_VOXELS = 1_000_000  # rows of a file of predictions
ROWS = 1 << 16  # rows summed at a time
# They take samples to be independent, which the voxels of a case are not.
OF_INDEPENDENT_SAMPLES = ("accuracy_interval", "overconfidence_interval", "rms_interval", "p_calibrated")


def counted_rows(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Give the logits of every sample that counts, (M, C), and its label, (M,), from any shape that losses take."""
    rows, flat = as_rows(logits), labels.flatten()
    counted = flat != IGNORED
    return (rows, flat) if bool(counted.all()) else (rows[counted], flat[counted])


class VoxelSample:
    """Choose at most about ``limit`` voxels of all cases, each with the same chance.

    Args:
        labels: Labels of all cases, shape (N, d1, …).
        seed: Seed of the choice.
        limit: Voxels to keep; all are kept where there are not more.
    """

    def __init__(self, labels: Tensor, *, seed: int, limit: int = MAX_VOXELS) -> None:
        total = sum(int((case != IGNORED).sum()) for case in labels)
        self.share = min(1.0, limit / max(1, total))
        self.generator = torch.Generator().manual_seed(seed)

    def choose(self, n: int) -> Tensor:
        """Draw which of the ``n`` counted voxels of the next case to keep, in order; at least one."""
        if self.share == 1.0:
            return torch.arange(n)
        drawn = torch.randperm(n, generator=self.generator)[: max(1, round(self.share * n))]
        return drawn.sort().values


class PooledVoxels:
    """Sums over the voxels of all cases; those of each case give its own numbers on the way.

    Args:
        n_bins: Bins of the calibration errors.
        temperature: What logits are divided by.
    """

    def __init__(self, *, n_bins: int, temperature: float = 1.0) -> None:
        self.n_bins = n_bins
        self.temperature = temperature
        self._sums: StreamSums | None = None
        self._foreground: BinStats | None = None

    def add(self, rows: Tensor, labels: Tensor) -> dict[str, float]:
        """Add the voxels of a case, logits (M, C) and labels (M,); gives error, NLL and ECE of the case."""
        edges = equal_width_edges(self.n_bins, dtype=rows.dtype)
        case: StreamSums | None = None
        for part, part_labels in zip(
            torch.split(rows / self.temperature, ROWS), torch.split(labels, ROWS), strict=True
        ):
            predictions = Predictions(logits=part, labels=part_labels)
            sums = stream_sums(predictions, n_bins=self.n_bins)
            case = sums if case is None else merge_sums(case, sums)
            found = predictions.predicted > 0
            stats = bin_stats(predictions.confidence[found], predictions.correct[found], edges)
            self._foreground = stats if self._foreground is None else merge(self._foreground, stats)
        if case is None:
            raise InvalidValueError("Every case must have at least one voxel that counts, got 0.")
        self._sums = case if self._sums is None else merge_sums(self._sums, case)
        right, nll = (case.totals[:2] / len(labels)).tolist()
        return {"error": 1.0 - right, "nll": nll, "ece": float(binned_error(case.bins))}

    def summary(self) -> dict[str, Any]:
        """Give every number of a calibration summary that has a meaning for voxels (else None), and the error."""
        if self._sums is None:
            raise InvalidValueError("A part must have at least one case, got 0.")
        summary = stream_summary(self._sums)
        return {"error": 1.0 - summary.accuracy, **summary.to_dict(), **dict.fromkeys(OF_INDEPENDENT_SAMPLES)}

    def foreground_ece(self) -> float | None:
        """Give the ECE of the voxels that are predicted to be of any class but 0; None without such voxels."""
        error = math.nan if self._foreground is None else float(binned_error(self._foreground))
        return error if self._foreground is not None and self._foreground.count.any() else None
