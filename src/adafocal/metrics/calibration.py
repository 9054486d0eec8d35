# SPDX-License-Identifier: Apache-2.0
"""Calibration errors as torchmetrics classes, from sums per bin."""

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_integer
from adafocal._shapes import Labels, Logits, Scalar, Weights
from adafocal.calibration.bins import NORMS, BinStats, sums_per_bin
from adafocal.calibration.cells import BINNINGS, joined_equal_mass
from adafocal.calibration.classwise import AVERAGES_OF_CLASSES
from adafocal.calibration.edges import assign_equal_width_bins, equal_width_edges
from adafocal.calibration.grid import N_CELLS, grid_edges, sum_cells
from adafocal.errors import InvalidValueError
from adafocal.metrics.sums import SumMetric


class BinMetric(SumMetric):
    """A metric that keeps the sums of bins."""

    confidence_sum: Tensor
    correct_sum: Tensor


class CalibrationError(BinMetric):
    """Top-label calibration error over all that was seen: ECE, its root mean square, or the maximum (MCE).

    With equal-width bins the value is that of :func:`~adafocal.calibration.expected_calibration_error` on all samples
    at once. Equal-mass bins are joined from a fixed grid of 4,352 cells: exact for their edges, which miss equal mass
    by at most one cell. Biased upward: sampling noise alone makes it positive for a calibrated model.

    Args:
        n_bins: Number of bins (a, b].
        norm: ``l1`` (ECE), ``l2`` (root mean square) or ``max`` (MCE).

    Example:
        >>> metric = CalibrationError(inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        n_bins: int = 15,
        binning: str = "equal_width",
        norm: str = "l1",
        inputs: str = "logits",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)
        check_integer("n_bins", n_bins, minimum=1)
        check_choice("binning", binning, BINNINGS)
        check_choice("norm", norm, NORMS)
        self.n_bins = n_bins
        self.binning = binning
        self.norm = norm
        cells = n_bins if binning == "equal_width" else N_CELLS  # joined into bins later: their number does not enter
        sums = _of_stats(BinStats.empty(self._edges()))
        self.add_sums(CalibrationError, (binning, cells, inputs, ignore_index), **sums)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> dict[str, Tensor]:
        """Sum a batch into bins or cells."""
        confidence, correct, weight = self.top_label(values, labels, weight)
        if self.binning == "equal_width":
            index = assign_equal_width_bins(confidence, self.n_bins)
            return _by_name(*sums_per_bin(confidence, correct, index, self.n_bins, weight))
        return _of_stats(sum_cells(confidence, correct, weight))

    def _edges(self, device: torch.device | None = None) -> Tensor:
        width = self.binning == "equal_width"
        return equal_width_edges(self.n_bins, device=device) if width else grid_edges(device=device)

    def stats(self) -> BinStats:
        """Sums per bin: the data of a reliability diagram."""
        count = self.mass if self.weight_sum.any() else self.count
        sums = BinStats(self._edges(count.device), count, self.confidence_sum, self.correct_sum)
        joined = self.binning == "equal_mass" and bool(count.any())
        return joined_equal_mass(sums, self.n_bins) if joined else sums

    def compute(self) -> Scalar:
        """Compute the error, a fraction in [0, 1]; NaN when nothing was seen."""
        return self.stats().compute(norm=self.norm)


class ClasswiseCalibrationError(BinMetric):
    """Calibration error of each class's probability, in equal-width bins, averaged over the classes.

    The event of class k is "the label is k", its confidence the probability of k, over all samples. With many classes
    most probabilities are near 0, and so is this error: compare it only between models of the same task. The function
    :func:`~adafocal.calibration.classwise_calibration_error` names the sources.

    Formula: ``1/C sum_k sum_b (n_kb / N) |conf_kb - acc_kb|``.

    Args:
        n_classes: Number of classes C.
        n_bins: Number of bins (a, b] per class.
        average: ``macro``: the mean over classes; ``none``: the error of each class, shape (C,).

    Example:
        >>> metric = ClasswiseCalibrationError(n_classes=2, inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    def __init__(
        self,
        *,
        n_classes: int,
        n_bins: int = 15,
        average: str = "macro",
        inputs: str = "logits",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)
        check_integer("n_classes", n_classes, minimum=2)
        check_integer("n_bins", n_bins, minimum=1)
        check_choice("average", average, AVERAGES_OF_CLASSES)
        self.average = average
        self.n_classes = n_classes
        self.n_bins = n_bins
        settings = (n_classes, n_bins, inputs, ignore_index)
        sums = _of_stats(BinStats.empty(equal_width_edges(n_bins), n_classes))
        self.add_sums(ClasswiseCalibrationError, settings, **sums)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> dict[str, Tensor]:
        """Sum a batch into the bins of every class."""
        rows, counted, weight = self.samples(values, labels, weight)
        if rows.shape[1] != self.n_classes:
            raise InvalidValueError(f"`{self.inputs}` must have {self.n_classes} classes, got {rows.shape[1]}.")
        probs = rows.softmax(dim=1) if self.inputs == "logits" else rows
        index = assign_equal_width_bins(probs, self.n_bins) + self.n_bins * torch.arange(
            self.n_classes, device=probs.device
        )
        happened, like = index.gather(1, counted[:, None]), self.confidence_sum
        each = torch.ones_like(happened, dtype=like.dtype) if weight is None else weight[:, None].to(like.dtype)
        number, sums = ("count", self.count) if weight is None else ("weight_sum", like)
        return {
            number: _per_bin(each.expand_as(index), index, sums),
            "confidence_sum": _per_bin(each * probs, index, like),
            "correct_sum": _per_bin(each, happened, like),
        }

    def compute(self) -> Tensor:
        """Compute the error, a fraction in [0, 1], or those of shape (C,); NaN when nothing was seen."""
        edges = equal_width_edges(self.n_bins, device=self.count.device)
        errors = BinStats(edges, self.mass, self.confidence_sum, self.correct_sum).compute()
        return errors if self.average == "none" else errors.mean()


class Overconfidence(BinMetric):
    """Mean confidence minus accuracy: positive where a model claims more than it holds.

    Gaps of opposite sign cancel, so 0 does not mean calibrated; :class:`CalibrationError` is never below its size.

    Example:
        >>> metric = Overconfidence(inputs="probs")
        >>> metric.update(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1]))
        >>> metric.compute()
        tensor(0.3000, dtype=torch.float64)
    """

    higher_is_better = None

    def __init__(self, *, inputs: str = "logits", ignore_index: int = -100) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)
        sums = {name: torch.zeros((), dtype=torch.float64) for name in ("confidence_sum", "correct_sum")}
        self.add_sums(Overconfidence, (inputs, ignore_index), count=torch.zeros((), dtype=torch.int64), **sums)

    def sums(self, values: Logits, labels: Labels, weight: Weights | None) -> dict[str, Tensor | int]:
        """Sum a batch as one bin."""
        confidence, correct, weight = self.top_label(values, labels, weight)
        wide = self.confidence_sum.dtype
        if weight is None:
            return {"count": len(correct), "confidence_sum": confidence.sum(dtype=wide), "correct_sum": correct.sum()}
        each, event = weight.to(wide), torch.stack([confidence.to(wide), correct.to(wide)])
        confidence_sum, correct_sum = (event @ each).unbind()
        return {"weight_sum": each.sum(), "confidence_sum": confidence_sum, "correct_sum": correct_sum}

    def compute(self) -> Scalar:
        """Compute the difference, a fraction in [-1, 1]; NaN when nothing was seen."""
        return (self.confidence_sum - self.correct_sum) / self.mass


def _of_stats(stats: BinStats) -> dict[str, Tensor]:
    return _by_name(stats.count, stats.confidence_sum, stats.correct_sum)


def _by_name(count: Tensor, confidence_sum: Tensor, correct_sum: Tensor, *_: Tensor) -> dict[str, Tensor]:
    number = "weight_sum" if count.is_floating_point() else "count"
    return {number: count, "confidence_sum": confidence_sum, "correct_sum": correct_sum}


def _per_bin(values: Tensor, index: Tensor, like: Tensor) -> Tensor:
    flat = torch.zeros_like(like).flatten()
    return flat.index_add_(0, index.flatten(), values.flatten().to(like.dtype)).view_as(like)
