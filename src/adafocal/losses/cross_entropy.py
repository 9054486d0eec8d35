# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy of each sample, with every option of ``F.cross_entropy``, and functions of it.

The focal family is a per-sample function of cross-entropy: with ``ce = -log p_true`` every member is
``weight(ce, gamma) * ce``. So a loss costs one ``F.cross_entropy(reduction="none")`` and O(N) work, and takes every
shape and option that cross-entropy takes.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._checks import check_label_values, check_labels_match, check_number
from adafocal._dtypes import HALF, at_least_float32
from adafocal._shapes import Labels, Logits, PerSample
from adafocal.losses.options import check_ignore_index, check_weight
from adafocal.losses.reduction import weight_of_labels
from adafocal.losses.targets import class_axis, distributions, soft_target


def modulated_cross_entropy(
    modulate: Callable[[Tensor], Tensor],
    logits: Logits,
    labels: Labels,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> PerSample:
    """Apply ``modulate`` to the cross-entropy of each sample; all else is as in ``F.cross_entropy`` without reduction.

    Args:
        modulate: Maps cross-entropies in [0, inf), nats, to losses of the same shape. It sees one value per sample for
            class indices, and one per sample and class, ``-log p_c``, for soft targets or label smoothing. Both are in
            float32 or wider.

    Returns:
        Losses of shape (), (N,) or (N, d1, …), in the dtype of ``logits`` (float32 under autocast).
    """
    labels = checked_labels(logits, labels, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    wide = at_least_float32(logits)
    if labels.is_floating_point() or label_smoothing > 0.0:
        losses = _over_classes(modulate, wide, labels, weight, ignore_index, label_smoothing)
    else:
        labels = labels.long()
        losses = modulate(cross_entropy_of_labels(wide, labels, ignore_index=ignore_index))
        if weight is not None:
            losses = losses * weight_of_labels(labels, weight, ignore_index)
    return losses.to(output_dtype(logits))


def checked_labels(
    logits: Logits, labels: Labels, *, weight: Tensor | None, ignore_index: int, label_smoothing: float = 0.0
) -> Labels:
    """Check the labels: raise unless shapes, dtypes and options are those of cross-entropy.

    Class probabilities must be distributions: see :func:`~adafocal.losses.targets.distributions`.
    """
    check_labels_match(logits, labels)
    if weight is not None:
        check_weight(weight, logits)
    if not (isinstance(label_smoothing, float) and label_smoothing == 0.0):
        check_number("label_smoothing", label_smoothing, low=0.0, high=1.0)
    check_ignore_index(ignore_index)
    return distributions(logits, labels, ignore_index=ignore_index) if labels.is_floating_point() else labels


def cross_entropy_of_labels(logits: Tensor, labels: Tensor, *, ignore_index: int, **options: Any) -> Tensor:
    """Call ``F.cross_entropy`` without reduction; a label out of range gets a sentence where torch raises."""
    try:
        losses: Tensor = F.cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none", **options)
    except IndexError:
        check_label_values(labels, logits.shape[class_axis(logits)], ignore_index=ignore_index)
        raise
    return losses


def _over_classes(
    modulate: Callable[[Tensor], Tensor],
    logits: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    label_smoothing: float,
) -> Tensor:
    axis = class_axis(logits)
    target = soft_target(logits, labels, label_smoothing=label_smoothing, ignore_index=ignore_index)
    # A class without target mass may be masked with -inf: its cross-entropy is replaced before it meets a zero.
    losses = modulate(torch.where(target > 0, -F.log_softmax(logits, dim=axis), 0.0)) * target
    if weight is not None:
        losses = losses * weight.to(losses.dtype).view(-1, *[1] * (logits.ndim - 1 - axis))
    return losses.sum(dim=axis)


def wide_cross_entropy(
    logits: Logits, labels: Labels, *, weight: Tensor | None, ignore_index: int, label_smoothing: float
) -> PerSample:
    """Compute the checked, unreduced cross-entropy in float32 or wider, with the options of ``F.cross_entropy``."""
    labels = checked_labels(logits, labels, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)
    wide = at_least_float32(logits)
    labels = labels.to(wide.dtype) if labels.is_floating_point() else labels.long()
    weight = None if weight is None else weight.to(wide.dtype)
    return cross_entropy_of_labels(
        wide, labels, ignore_index=ignore_index, weight=weight, label_smoothing=label_smoothing
    )


def as_rows(logits: Logits) -> Tensor:
    """Reshape logits of any of the three shapes to one row per sample, (n, C), in the order of flattened labels."""
    return logits[None] if logits.ndim == 1 else logits.movedim(1, -1).flatten(0, -2)


def output_dtype(logits: Logits) -> torch.dtype:
    """Choose the dtype of the loss: that of the logits, but float32 where autocast asks for a wide loss."""
    if logits.dtype in HALF and torch.is_autocast_enabled(logits.device.type):
        return torch.float32
    return logits.dtype
