# SPDX-License-Identifier: Apache-2.0
"""Dense predictions as rows: every voxel that counts is a sample."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from adafocal._sums import Sums
from adafocal.calibration import BinStats, StreamSums, equal_width_edges, stream_sums
from adafocal.calibration.case_stats import ERRORS
from adafocal.calibration.cases import sum_cases
from adafocal.data.volumes import IGNORED
from adafocal.errors import InvalidValueError
from adafocal.losses.cross_entropy import as_rows
from adafocal.predictions import Predictions

MAX_VOXELS = 1_000_000  # rows of a file of predictions
ROWS = 1 << 16  # rows summed at a time


def counted_rows(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Select every sample that counts, from any shape that losses take: its logits, (M, C), and label, (M,)."""
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
        self.sizes = [int((case != IGNORED).sum()) for case in labels]
        self.share = min(1.0, limit / max(1, sum(self.sizes)))
        self.generator = torch.Generator().manual_seed(seed)
        self.place = 0

    def choose(self, n: int, place: int | None = None) -> Tensor:
        """Draw which of the ``n`` voxels of the next case, or that at ``place``, to keep, in order; at least 1.

        Cases that are passed over draw as well, so that each process of a run chooses what one alone would.
        """
        if self.share == 1.0:
            return torch.arange(n)
        for size in self.sizes[self.place : self.place if place is None else place]:
            torch.randperm(size, generator=self.generator)
        self.place = self.place + 1 if place is None else place + 1
        drawn = torch.randperm(n, generator=self.generator)[: max(1, round(self.share * n))]
        return drawn.sort().values


@dataclass(frozen=True, eq=False)
class VoxelSums(Sums):
    """Sums in equal-width bins over all voxels, over those predicted to be of any class but 0, and of each class.

    Cases are clusters: their voxels are not independent. The sums of the classes have shape (C, n_bins): the event is
    that the label is the class.
    """

    made_by = "VoxelSums.of_part"
    all: StreamSums
    foreground: StreamSums
    classes: BinStats

    @classmethod
    def empty(cls, *, n_classes: int, n_bins: int, dtype: torch.dtype = torch.float32) -> "VoxelSums":
        """Start from nothing, to which sums of logits of this dtype can be added."""
        nothing = StreamSums.empty(n_classes=n_classes, n_bins=n_bins, dtype=dtype)
        return cls(nothing, nothing, BinStats.empty(equal_width_edges(n_bins), n_classes))

    @classmethod
    def of_part(cls, logits: Tensor, labels: Tensor, *, n_bins: int, case: int = 0) -> "VoxelSums":
        """Sum logits, (M, C), and labels, (M,), of voxels of the case of this number."""
        predictions = Predictions(logits=logits, labels=labels, cluster=torch.full_like(labels, case))
        found, probs = predictions.predicted > 0, predictions.probs
        foreground = StreamSums.empty(n_classes=predictions.n_classes, n_bins=n_bins, dtype=probs.dtype)
        if found.any():
            foreground = stream_sums(predictions[found], n_bins=n_bins)
        each = sum_cases(probs, predictions.labels, torch.zeros_like(labels), n_bins=n_bins).bins
        classes = BinStats(each.edges, each.count[0], each.confidence_sum[0], each.correct_sum[0])
        return cls(stream_sums(predictions, n_bins=n_bins), foreground, classes)

    @classmethod
    def of_case(
        cls, rows: Tensor, labels: Tensor, *, n_bins: int, temperature: float = 1.0, case: int = 0
    ) -> "VoxelSums":
        """Sum the voxels of a case, logits (M, C), which are divided by the temperature, and labels (M,)."""
        if len(labels) == 0:
            raise InvalidValueError("Every case must have at least one voxel that counts, got 0.")
        parts = zip(torch.split(rows / temperature, ROWS), torch.split(labels, ROWS), strict=True)
        return reduce(cls.merge, (cls.of_part(*part, n_bins=n_bins, case=case) for part in parts))

    def compute(self) -> dict[str, float]:
        """Error, negative log-likelihood and ECE."""
        right, nll = (self.all.totals[:2] / self.all.bins.count.sum()).tolist()
        return {"error": 1.0 - right, "nll": nll, "ece": float(self.all.bins.compute())}

    def of_classes(self) -> dict[str, list[float]]:
        """Errors of the probability of each class but 0 by their names, see :func:`case_calibration`."""
        return {f"class_{name}": error(self.classes)[1:].tolist() for name, error in ERRORS.items()}

    def summary(self) -> dict[str, object]:
        """Every number of a calibration summary; null where rows would have to be independent."""
        return _summary(self.all)

    def of_foreground(self) -> dict[str, object] | None:
        """The same of the voxels that are predicted to be of any class but 0; None without such voxels."""
        return _summary(self.foreground) if self.foreground.n else None


def _summary(sums: StreamSums) -> dict[str, object]:
    summary = sums.compute()
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}
