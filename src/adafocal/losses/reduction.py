# SPDX-License-Identifier: Apache-2.0
"""How losses of samples become one number: what each sample weighs, and what their sum is divided by."""

import math

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import can_read
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.targets import class_axis


def reduce_losses(
    losses: PerSample, labels: Labels, *, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """Reduce per-sample losses as ``nn.CrossEntropyLoss`` does.

    Args:
        losses: Per-sample losses, already weighted, 0 where ignored.
        labels: Class indices of the shape of ``losses``, or class probabilities with one axis more.
        weight: Weight per class, shape (C,).
        ignore_index: Class index that does not count.
        reduction: ``none`` gives ``losses``; ``sum`` adds; ``mean`` divides the sum by the summed weights of the
            samples that count (by their number where there is no ``weight`` or labels are probabilities).

    Returns:
        A scalar, or ``losses`` for ``none``. The mean of nothing is NaN with gradient 0, as in torch.
    """
    if reduction == "none":
        return losses
    total = at_least_float32(losses).sum()  # a sum in half precision would overflow before it is divided
    if reduction == "mean":
        total = _divide(total, normalizer(labels, weight=weight, ignore_index=ignore_index))
    return total.to(losses.dtype)


def _divide(total: Tensor, n: Tensor | int) -> Tensor:
    """Divide; by 0 the result is NaN with gradient 0, so that a void crop does not poison the step it is part of."""
    if not isinstance(n, Tensor):
        return total / n if n else total + math.nan
    if can_read(n) and n.item() != 0:
        return total / n
    return total / n.masked_fill(n == 0, 1) + 0.0 / n


def normalizer(labels: Labels, *, weight: Tensor | None, ignore_index: int) -> Tensor | int:
    """Count what the mean divides by: the summed weights of the samples that count, or their number."""
    if labels.is_floating_point():
        return labels.numel() // labels.shape[class_axis(labels)]
    if weight is None:
        return _count(labels, ignore_index) if can_read(labels) else (labels != ignore_index).count_nonzero()
    return weight_of_labels(labels, weight, ignore_index).sum()


def _count(labels: Labels, ignore_index: int) -> int:
    return int(np.count_nonzero(labels.numpy() != ignore_index))


def all_counted(labels: Labels, ignore_index: int) -> bool:
    """Whether it is known that no label is ignored; of class probabilities none is."""
    return labels.is_floating_point() or (can_read(labels) and _count(labels, ignore_index) == labels.numel())


def weighted(
    losses: PerSample, logits: Logits, labels: Labels, *, weight: Tensor | None, ignore_index: int
) -> PerSample:
    """Multiply losses by how much each sample counts; see :func:`sample_weights`."""
    if weight is None and all_counted(labels, ignore_index):
        return losses
    return losses * sample_weights(logits, labels, weight=weight, ignore_index=ignore_index)


def weight_of_labels(labels: Labels, weight: Tensor, ignore_index: int) -> Tensor:
    """Weigh each sample by its class, and by 0 where it is ignored."""
    counted = labels != ignore_index
    return look_up(weight, torch.where(counted, labels, 0)) * counted


def sample_weights(logits: Logits, labels: Labels, *, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Measure how much each sample counts, of the shape of the losses: its class's weight, 0 where it is ignored.

    For class probabilities it is the mean of the weights under them.
    """
    dtype = at_least_float32(logits).dtype
    if not labels.is_floating_point():
        counts = labels != ignore_index if weight is None else weight_of_labels(labels, weight, ignore_index)
        return counts.to(dtype)
    axis = class_axis(logits)
    if weight is None:
        return torch.ones_like(logits.select(axis, 0), dtype=dtype)
    return labels.to(dtype).movedim(axis, -1) @ weight.to(dtype)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Look up ``table[index]`` in a one-dimensional table; unlike plain indexing also under ``vmap`` for a scalar."""
    return table.index_select(0, index.flatten()).view_as(index)
