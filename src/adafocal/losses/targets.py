# SPDX-License-Identifier: Apache-2.0
"""Labels as distributions over classes: given as probabilities, or made of class indices."""

import torch
from torch import Tensor

from adafocal._checks import can_read, check_label_values, shown_row
from adafocal._dtypes import at_least_float32, tolerance
from adafocal._shapes import Labels, Logits
from adafocal.errors import InvalidValueError


def class_axis(logits: Logits) -> int:
    """Find the axis of ``logits`` that holds the classes: 0 for (C,), else 1."""
    return 0 if logits.ndim == 1 else 1


def distributions(logits: Logits, labels: Labels, *, ignore_index: int) -> Labels:
    """Check class probabilities of the shape of ``logits``: raise unless each row is a distribution.

    Values are read on the CPU alone, as a loss does not wait for an accelerator. There, under a compiler and under
    functional transforms a row that is no distribution becomes NaN, and so does its loss: never a number.

    Raises:
        ValueError: If a value is negative or not finite, a row does not sum to 1 (within 1e-3; half precision: 1e-2),
            or ``ignore_index`` names a class, which has no meaning where labels are probabilities.
    """
    if ignore_index >= 0:
        raise InvalidValueError(
            "`ignore_index` must be negative where `labels` are class probabilities, which name no class to ignore, "
            f"got {ignore_index}."
        )
    axis = class_axis(logits)
    wide = at_least_float32(labels.detach())
    allowed = tolerance(labels.dtype)
    off, lowest = (wide.sum(dim=axis) - 1).abs(), wide.amin(dim=axis)
    # A NaN fails every comparison.
    if can_read(off) and (off.numel() == 0 or (off.amax().item() <= allowed and lowest.amin().item() >= 0)):
        return labels
    good = (off <= allowed) & (lowest >= 0)
    if not can_read(good):
        return torch.where(good.unsqueeze(axis), labels, torch.nan)
    raise InvalidValueError(
        "`labels` given as class probabilities must be at least 0 and sum to 1 for each sample, "
        f"got {shown_row(labels.detach().movedim(axis, -1)[~good][0], most=6)}: for several labels per sample use "
        "`sigmoid=True`, and to leave samples out, class indices with `ignore_index`."
    )


def soft_target(logits: Logits, labels: Labels, *, label_smoothing: float, ignore_index: int) -> Tensor:
    """Build the target distribution of each sample, of the shape of ``logits``; all zero where it is ignored."""
    axis = class_axis(logits)
    n_classes = logits.shape[axis]
    if labels.is_floating_point():
        return labels.to(logits.dtype) * (1.0 - label_smoothing) + label_smoothing / n_classes
    if can_read(labels):
        check_label_values(labels, n_classes, ignore_index=ignore_index)
    counted = labels != ignore_index
    target = torch.zeros_like(logits, requires_grad=False)
    target = target.scatter(axis, torch.where(counted, labels, 0).long().unsqueeze(axis), 1.0 - label_smoothing)
    return (target + label_smoothing / n_classes) * counted.unsqueeze(axis)
