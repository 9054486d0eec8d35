# SPDX-License-Identifier: Apache-2.0
"""What metrics of sigmoid models are: sums over entries, each a binary event of one sample and one label.

Metrics of one label (``binary.py``) and of several (``multilabel.py``) are these measures with a shape.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from adafocal._arrays import takes_arrays
from adafocal._checks import check_choice, check_floating, check_integer, check_same_shape, check_tensor
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Given, Logits, PerSample, SomeWeights
from adafocal._values import check_log_odds, checked_sample_weight, checked_shares
from adafocal.calibration.bins import NORMS, BinStats, sums_per_bin
from adafocal.calibration.cells import BINNINGS, equal_mass_bins
from adafocal.calibration.edges import assign_equal_width_bins, equal_width_edges
from adafocal.calibration.grid import N_CELLS, grid_cells, grid_edges
from adafocal.calibration.smooth import smoothed_gap
from adafocal.errors import InvalidValueError
from adafocal.metrics.sums import SumMetric
from adafocal.selective.areas import weighted_augrc, weighted_aurc
from adafocal.selective.groups import LossGroups

AVERAGES = ("macro", "micro", "none")


class Entries(NamedTuple):
    """What counts of a batch, each of shape (n,): the row of sums of each entry, and its weight or None."""

    logits: Tensor | None
    probs: Tensor
    happened: Tensor
    row: Tensor
    weight: Tensor | None


class EventMetric(SumMetric):
    """Sums over entries: one row of them for each label, or a single one for all.

    Args:
        n_bins: Number of equal-width bins that are summed; None: what the measure sums.
    """

    def __init__(
        self,
        *,
        inputs: str,
        ignore_index: int,
        n_labels: int | None = None,
        average: str = "micro",
        n_bins: int | None = None,
    ) -> None:
        super().__init__(inputs=inputs, ignore_index=ignore_index)
        if n_labels is not None:
            check_integer("n_labels", n_labels, minimum=1)
        check_choice("average", average, AVERAGES)
        self.n_labels, self.average = n_labels, average
        self.n_rows = 1 if n_labels is None or average == "micro" else n_labels
        ours = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("adafocal."))
        self.add_sums(ours, (n_labels, self.n_rows, n_bins, inputs, ignore_index), **self.zeros(n_bins))

    def zeros(self, n_bins: int | None) -> dict[str, Tensor]:
        """The sums of nothing by name, each of shape (n_rows, …)."""
        raise NotImplementedError

    @takes_arrays
    def update(
        self, values: Given[Logits], labels: Given[PerSample], sample_weight: Given[SomeWeights] | None = None
    ) -> None:
        """Add a batch: of one label (N,), (N, 1) or any shape, of several (N, L) or (N, L, d1, …).

        Args:
            values: Logits or probabilities of the labels.
            labels: Whether each label applies, booleans or 0 and 1, of the same shape.
            sample_weight: How much each entry counts, of that shape, or each sample, shape (N,).

        Raises:
            TypeError: If ``values`` are not floating point.
            ValueError: If shapes do not fit, or a value is no logit or probability, label or weight.
        """
        check_floating(self.inputs, values)
        check_tensor("labels", labels)
        if self.n_labels is None and values.shape == (*labels.shape, 1):
            values = values[..., 0]
        if self.n_labels is not None and (values.ndim < 2 or values.shape[1] != self.n_labels):
            rule = f"`{self.inputs}` must have shape (N, {self.n_labels}) or (N, {self.n_labels}, d1, …)"
            raise InvalidValueError(f"{rule}, got {tuple(values.shape)}.")
        check_same_shape("labels", labels, self.inputs, values)
        if isinstance(sample_weight, Tensor) and sample_weight.shape == labels.shape[:1]:
            sample_weight = sample_weight.view(-1, *[1] * (labels.ndim - 1)).expand(labels.shape)
        weight = checked_sample_weight(sample_weight, labels, name="labels", none=True)
        for name, value in self.of_entries(self.entries(values, labels, weight)).items():
            getattr(self, name).add_(value)

    def entries(self, values: Logits, labels: Tensor, weight: Tensor | None) -> Entries:
        """Check a batch, and keep the entries that count."""
        counted = labels != self.ignore_index
        if weight is not None:
            counted = counted & (weight > 0)
        everything = bool(counted.all())
        if not everything:  # what does not count may hold anything
            values, labels = torch.where(counted, values, 0), torch.where(counted, labels, torch.zeros_like(labels))
        if self.inputs == "logits":
            check_log_odds("logits", values)
        probs = at_least_float32(values).sigmoid() if self.inputs == "logits" else values
        probs, labels = checked_shares(probs, labels, names=(self.inputs, "labels"), yes_or_no=True)
        places = torch.arange(self.n_rows, device=values.device)
        row = places.view(1, -1, *[1] * (values.ndim - 2)) if self.n_rows > 1 else places[0]
        logits = at_least_float32(values) if self.inputs == "logits" else probs
        parts = [logits, probs, labels != 0, row.expand(values.shape)] + ([] if weight is None else [weight])
        logits, probs, happened, row, *held = [one.flatten() if everything else one[counted] for one in parts]
        return Entries(logits if self.inputs == "logits" else None, probs, happened, row, held[0] if held else None)

    def of_entries(self, entries: Entries) -> dict[str, Tensor]:
        """Sum entries, under the names of the states."""
        raise NotImplementedError

    def per_row(self) -> Tensor:
        """Compute the value of each row of sums, NaN of nothing."""
        raise NotImplementedError

    def compute(self) -> Tensor:
        """Compute the value, a scalar, or of ``average="none"`` shape (L,); NaN of what was not seen."""
        values = self.per_row()
        return values if self.average == "none" else values.nanmean()


class CellMetric(EventMetric):
    """Entries summed into cells of their probability: equal-width bins, or the fine grid."""

    confidence_sum: Tensor
    correct_sum: Tensor

    def zeros(self, n_bins: int | None) -> dict[str, Tensor]:
        """Empty cells."""
        self.n_cells = n_bins
        zeros = torch.zeros(self.n_rows, n_bins or N_CELLS, dtype=torch.float64)
        return {"count": zeros.long(), "confidence_sum": zeros, "correct_sum": zeros.clone()}

    def event(self, entries: Entries) -> tuple[Tensor, Tensor]:
        """The probability that is summed, and what it is a probability of: that the label applies."""
        return entries.probs, entries.happened

    def of_entries(self, entries: Entries) -> dict[str, Tensor]:
        """Sum entries per row and cell."""
        confidence, correct = self.event(entries)
        shape = self.count.shape
        cell = assign_equal_width_bins(confidence, self.n_cells) if self.n_cells else grid_cells(confidence)
        index = cell.long() + shape[1] * entries.row
        sums = sums_per_bin(confidence, correct, index, shape.numel(), entries.weight)
        names = ("count" if entries.weight is None else "weight_sum", "confidence_sum", "correct_sum")
        return {name: one.view(shape) for name, one in zip(names, sums[:3], strict=True)}

    def stats(self) -> BinStats:
        """Sums per label and cell: the data of reliability diagrams; one row where all entries are together."""
        device = self.count.device
        edges = equal_width_edges(self.n_cells, device=device) if self.n_cells else grid_edges(device=device)
        count = self.mass if self.weight_sum.any() else self.count
        return BinStats(edges, count, self.confidence_sum, self.correct_sum)

    def per_row(self) -> Tensor:
        """Compute the value of each row of cells."""
        stats, nothing = self.stats(), self.confidence_sum.new_tensor(torch.nan)
        sums = zip(stats.count, stats.confidence_sum, stats.correct_sum, strict=True)
        rows = (BinStats(stats.edges, *row) for row in sums)
        return torch.stack([self.of_row(row) if bool(row.count.any()) else nothing for row in rows])

    def of_row(self, row: BinStats) -> Tensor:
        """Compute the value of at least one entry."""
        raise NotImplementedError


class EventCalibrationError(CellMetric):
    """The gap between the probability of a label and its share, in bins."""

    def __init__(
        self, *, n_bins: int, binning: str, norm: str, inputs: str, ignore_index: int, n_labels: int | None = None,
        average: str = "micro",
    ) -> None:  # fmt: skip
        check_integer("n_bins", n_bins, minimum=1)
        check_choice("binning", binning, BINNINGS)
        check_choice("norm", norm, NORMS)
        cells = n_bins if binning == "equal_width" else None
        super().__init__(inputs=inputs, ignore_index=ignore_index, n_labels=n_labels, average=average, n_bins=cells)
        self.n_bins, self.binning, self.norm = n_bins, binning, norm

    def of_row(self, row: BinStats) -> Tensor:
        """Compute the error of one row."""
        bins = row if self.binning == "equal_width" else equal_mass_bins(row, self.n_bins)
        return bins.compute(norm=self.norm)


class SmoothGap(CellMetric):
    """The gap between the probability of a label and its share, smoothed."""

    def of_row(self, row: BinStats) -> Tensor:
        """Compute the error of one row."""
        return smoothed_gap(row)


class RiskArea(CellMetric):
    """An area under the risk-coverage curve of the decision at 0.5, whose confidence is max(p, 1 - p)."""

    entry_sum: Tensor

    def zeros(self, n_bins: int | None) -> dict[str, Tensor]:
        """Empty cells, and the number of entries, which weights of any size count as."""
        return {**super().zeros(n_bins), "entry_sum": torch.zeros(self.n_rows, 1, dtype=torch.int64)}

    def event(self, entries: Entries) -> tuple[Tensor, Tensor]:
        """The confidence in the decision, and whether it is right."""
        return torch.maximum(entries.probs, 1 - entries.probs), (entries.probs > 0.5) == entries.happened

    def of_entries(self, entries: Entries) -> dict[str, Tensor]:
        """Sum entries per row and cell, and count them."""
        number = torch.bincount(entries.row, minlength=self.n_rows)[:, None]
        return {**super().of_entries(entries), "entry_sum": number}

    def stats(self) -> BinStats:
        """Sums per label and cell; weights that are not all whole sum to the number of entries."""
        stats = super().stats()
        if bool((stats.count == stats.count.round()).all()):
            return stats
        scale = self.entry_sum / stats.count.sum(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        return BinStats(stats.edges, *(scale * part for part in (stats.count, stats.confidence_sum, stats.correct_sum)))

    def losses(self, row: BinStats) -> LossGroups:
        """The wrong decisions of each confidence that was seen."""
        seen = row.count > 0
        count = row.count[seen].to(row.correct_sum)
        return LossGroups(row.confidence[seen], count, count - row.correct_sum[seen])


class AreaOfRisk(RiskArea):
    """AURC."""

    def of_row(self, row: BinStats) -> Tensor:
        """Compute the area of one row."""
        return weighted_aurc(self.losses(row), "harmonic")


class AreaOfGeneralizedRisk(RiskArea):
    """AUGRC."""

    def of_row(self, row: BinStats) -> Tensor:
        """Compute the area of one row."""
        return weighted_augrc(self.losses(row))


class EventScore(EventMetric):
    """The mean of a proper score of entries."""

    total: Tensor

    def zeros(self, n_bins: int | None) -> dict[str, Tensor]:
        """No entry, and no score."""
        zeros = torch.zeros(self.n_rows, dtype=torch.float64)
        return {"count": zeros.long(), "total": zeros}

    def of_entries(self, entries: Entries) -> dict[str, Tensor]:
        """Sum the scores of entries, and count them, by their weights."""
        score, none = self.score(entries).to(self.total), torch.zeros_like(self.total)
        if entries.weight is None:
            number = torch.bincount(entries.row, minlength=self.n_rows)
            return {"count": number, "total": none.index_add_(0, entries.row, score)}
        weight = entries.weight.to(score)
        parts = {"weight_sum": weight, "total": weight * score}
        return {name: none.index_add(0, entries.row, part) for name, part in parts.items()}

    def score(self, entries: Entries) -> Tensor:
        """The score of each entry."""
        raise NotImplementedError

    def per_row(self) -> Tensor:
        """Compute the mean of each row."""
        return self.total / self.mass


class SquaredGap(EventScore):
    """The square of probability minus event."""

    def score(self, entries: Entries) -> Tensor:
        """The square of each entry."""
        return (entries.probs.to(self.total) - entries.happened.to(self.total)).square()


class Nats(EventScore):
    """The negative logarithm of the probability of what happened."""

    def score(self, entries: Entries) -> Tensor:
        """The nats of each entry: of a logit without rounding its probability."""
        if entries.logits is None:
            probs = entries.probs.to(self.total)
            return -torch.where(entries.happened, probs, 1 - probs).log()
        return softplus(torch.where(entries.happened, -entries.logits, entries.logits))
