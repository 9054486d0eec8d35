# SPDX-License-Identifier: Apache-2.0
"""Validation statistics, as AdaFocal gathers them: every confidence, or sums on the fine grid."""

from dataclasses import dataclass

import torch
from torch import Tensor

from adafocal._checks import check_floating, check_label_values, check_labels_match, check_same_shape
from adafocal._ranks import Group, over_ranks
from adafocal._shapes import Confidence, Correct, Labels, Logits, PerSample
from adafocal.calibration.bins import BinStats, bin_stats
from adafocal.calibration.cells import join_cells, joined_equal_mass
from adafocal.calibration.edges import equal_mass_edges
from adafocal.calibration.grid import grid_stats
from adafocal.calibration.top_label import unread_top_label
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses.targets import class_axis


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

    def compute(self, n_bins: int, *, streaming: bool, like: Tensor, group: Group = None) -> BinStats | None:
        """Sum in equal-mass bins over the ranks of the group, of the dtype and device of ``like``; None of nothing."""
        if streaming:
            cells = self._all_cells(like, group)
            return joined_equal_mass(cells, n_bins) if cells.count.any() else None
        confidence, correct = self._all_samples(like, group)
        if confidence.numel() == 0:
            return None
        return bin_stats(confidence, correct, equal_mass_edges(confidence, n_bins))

    def between(self, edges: Tensor, *, streaming: bool, group: Group = None) -> BinStats:
        """Sum in the bins of these edges over the ranks of the group; where sums stream, edges are those of cells."""
        if streaming:
            return join_cells(self._all_cells(edges, group), edges)
        return bin_stats(*self._all_samples(edges, group), edges)

    def _all_cells(self, like: Tensor, group: Group) -> BinStats:
        nothing = like.new_empty(0)
        cells = grid_stats(nothing, nothing) if self.cells is None else self.cells.to(like.device)
        return cells.over_ranks(group)

    def _all_samples(self, like: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        nothing = like.new_empty(0)
        confidence = over_ranks(torch.cat([nothing, *(part.to(like) for part, _ in self.samples)]), group)
        correct = over_ranks(torch.cat([nothing.bool(), *(part.to(like.device) for _, part in self.samples)]), group)
        return confidence, correct


def counted_top_label(
    logits: Logits, labels: Labels, *, ignore_index: int, ignore_predicted: int | None, beside: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Check a batch and give confidence and correctness of the samples that count, and what stands beside them.

    Raises:
        TypeError: If ``logits`` is not floating point or ``labels`` does not hold class indices.
        ValueError: If the batch is empty, shapes do not fit, a label is out of range, or logits are not finite.
    """
    check_labels_match(logits, labels)
    if labels.is_floating_point():
        raise InvalidTypeError("`labels` must be class indices to observe a batch, got class probabilities.")
    if labels.numel() == 0:
        raise InvalidValueError("`logits` must hold at least one sample to observe, got 0.")
    n_classes = logits.shape[class_axis(logits)]
    check_label_values(labels, n_classes, ignore_index=ignore_index)
    if ignore_predicted is not None and ignore_predicted >= n_classes:
        raise InvalidValueError(
            f"`ignore_predicted` must be a class index in [0, {n_classes}), got {ignore_predicted}."
        )
    confidence, correct = unread_top_label(logits, labels)
    counted = labels != ignore_index
    confidence, correct = confidence[counted], correct[counted]
    if not confidence.isfinite().all():
        position = int((~confidence.isfinite()).nonzero()[0])
        raise InvalidValueError(
            f"`logits` must be finite (-inf only for masked classes), got another value in sample {position}."
        )
    found = (confidence, correct) if beside is None else (confidence, correct, beside[counted])
    if ignore_predicted is None:
        return found
    kept = logits.argmax(class_axis(logits))[counted] != ignore_predicted
    return tuple(part[kept] for part in found)


def checked_top_label(confidence: PerSample, correct: PerSample) -> tuple[Confidence, Correct]:
    """Check what is observed without logits, and give it as rows; see ``AdaFocalLoss.observe_top_label``."""
    check_floating("confidence", confidence)
    check_same_shape("correct", correct, "confidence", confidence)
    if correct.dtype != torch.bool:
        raise InvalidTypeError(f"`correct` must be a boolean tensor, got dtype {correct.dtype}.")
    confidence, correct = confidence.flatten(), correct.flatten()
    outside = ~((confidence >= 0) & (confidence <= 1))
    if outside.any():
        position = int(outside.nonzero()[0])
        raise InvalidValueError(
            f"`confidence` must be in [0, 1], got {float(confidence[position])} in sample {position}."
        )
    return confidence, correct
