# SPDX-License-Identifier: Apache-2.0
"""Sums per case, class and bin, and what they tell: calibration errors of each case, averaged over cases."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_flag, check_number
from adafocal._estimate import Estimate, mean_over_cases
from adafocal._sums import Sums, check_sums
from adafocal.calibration.bins import BinStats
from adafocal.calibration.edges import equal_width_edges
from adafocal.errors import InvalidValueError


def average_gap(count: Tensor, confidence_sum: Tensor, correct_sum: Tensor, held: Tensor) -> Tensor:
    """Average |mean confidence - share of what happened| over the bins, the last axis, that hold something.

    Each such bin counts the same, however much is in it; 0 where no bin does.
    """
    gaps = torch.where(held, (confidence_sum - correct_sum).abs() / torch.where(held, count, 1.0), 0.0)
    return gaps.sum(dim=-1) / held.sum(dim=-1).clamp_min(1)


def _average(bins: BinStats) -> Tensor:
    held = bins.count > 0
    error = average_gap(bins.count, bins.confidence_sum, bins.correct_sum, held)
    return torch.where(held.any(dim=-1), error, torch.nan)


ERRORS: dict[str, Callable[[BinStats], Tensor]] = {
    "ece": BinStats.compute,
    "ace": _average,
    "mce": lambda bins: bins.compute(norm="max"),
}


@dataclass(frozen=True)
class CaseCalibration:
    """Calibration errors of each case's own voxels, averaged over cases. Fractions; lower is better.

    Attributes:
        n_cases: Number of cases that have a voxel that counts.
        n_bins: Number of equal-width bins.
        level: Coverage of the intervals.
        ece: Mean over cases of the mean over classes of the expected calibration error, with its interval over cases.
        ace: The same of the average calibration error, in which every bin that holds a voxel counts the same.
        mce: The same of the maximum calibration error, the largest gap of a bin.
        classes: The three of each class that counts, by its index.
    """

    n_cases: int
    n_bins: int
    level: float
    ece: Estimate
    ace: Estimate
    mce: Estimate
    classes: dict[int, dict[str, Estimate]]

    def to_dict(self) -> dict[str, object]:
        """Turn into plain numbers for JSON: of each error ``value``, ``low`` and ``high``, and the same per class."""
        found = asdict(self)
        return {**found, "classes": {str(index): errors for index, errors in found["classes"].items()}}


@dataclass(frozen=True, eq=False)
class CaseStats(Sums):
    """Sums per case, class and equal-width bin; they grow with cases, classes and bins, not with voxels.

    Attributes:
        codes: What tells cases apart, int64, ascending, shape (G,).
        bins: Sums of the event that the label is the class, of shape (G, C, n_bins).
    """

    made_by = "case_stats"
    codes: Tensor
    bins: BinStats

    @classmethod
    def empty(cls, *, n_classes: int, n_bins: int = 20) -> "CaseStats":
        """Start from no case."""
        return cls(torch.zeros(0, dtype=torch.int64), BinStats.empty(equal_width_edges(n_bins), 0, n_classes))

    def merge(self, second: "CaseStats") -> "CaseStats":
        """Add another part of the data; a case may have voxels in both."""
        check_sums("second", second, CaseStats)
        shapes = [part.bins.count.shape[1:] for part in (self, second)]
        if shapes[0] != shapes[1]:
            raise InvalidValueError(
                f"`second.bins` must have the classes and bins of `first.bins`, {tuple(shapes[0])}, "
                f"got {tuple(shapes[1])}."
            )
        return join_cases([self, second])

    @property
    def n_cases(self) -> int:
        """Number of cases G."""
        return len(self.codes)

    def errors(self, measure: str = "ace") -> Tensor:
        """Compute an error of each case and class.

        Args:
            measure: ``ece``, ``ace`` or ``mce``, see :func:`case_calibration`.

        Returns:
            Fractions, float64, shape (G, C).

        Raises:
            ValueError: If there is no such measure.
        """
        check_choice("measure", measure, tuple(ERRORS))
        return ERRORS[measure](self.bins)

    def compute(self, *, include_background: bool = False, level: float = 0.95) -> CaseCalibration:
        """Average over classes and cases as :func:`case_calibration` does."""
        check_flag("include_background", include_background)
        check_number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
        first = 0 if include_background else 1
        errors = {name: self.errors(name)[:, first:] for name in ERRORS}

        def estimate(values: Tensor) -> Estimate:
            return mean_over_cases(values.tolist(), level=level, low=0.0, high=1.0)

        classes = {
            first + place: {name: estimate(values[:, place]) for name, values in errors.items()}
            for place in range(self.bins.count.shape[1] - first)
        }
        overall = {name: estimate(values.mean(dim=1)) for name, values in errors.items()}
        return CaseCalibration(self.n_cases, self.bins.n_bins, level, **overall, classes=classes)


def join_cases(parts: Sequence[CaseStats]) -> CaseStats:
    """Add what is of one case, within the parts and over them; classes and bins must be the same."""
    codes, index = torch.unique(torch.cat([part.codes for part in parts]), return_inverse=True)

    def joined(name: str) -> Tensor:
        rows = torch.cat([getattr(part.bins, name) for part in parts])
        return rows.new_zeros(len(codes), *rows.shape[1:]).index_add_(0, index, rows)

    return CaseStats(codes, BinStats(parts[0].bins.edges, *map(joined, ("count", "confidence_sum", "correct_sum"))))
