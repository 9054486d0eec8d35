# SPDX-License-Identifier: Apache-2.0
"""From logits or probabilities and labels to the event that is calibrated: the top label was right."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import check_labels_match
from adafocal._docs import documented
from adafocal._dtypes import at_least_float32
from adafocal._shapes import Given, Labels, Logits, PerSample
from adafocal._values import check_class_indices, check_distributions, check_softmax
from adafocal.tables.numbers import class_after_class

# Below so many classes, a row is too short for its own search to pay.
FEW = 32


@documented
def top_label_from_probs(
    probs: Given[Logits], labels: Given[Labels], *, ignore_index: int = -100
) -> tuple[PerSample, PerSample]:
    """Find the largest probability of each sample, and whether its class is the label.

    Args:
        probs: Class probabilities of shape (C,), (N, C) or (N, C, d1, …); each row sums to 1 within
            1e-3 (half precision: 1e-2).
        labels: Class indices in [0, C), shape (), (N,) or (N, d1, …).
        ignore_index: Label of samples that do not count: never right, and their values are not checked; leave them out
            of what you measure.

    Returns:
        ``confidence`` in [0, 1] and boolean ``correct``, both of the shape of ``labels``. The lowest class wins ties.

    Raises:
        TypeError: If ``probs`` is not a floating-point tensor, or ``labels`` does not hold class indices.
        ValueError: If the shapes do not fit, a row is no distribution, or a label is out of range.

    Example:
        >>> top_label_from_probs(torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([1]))
        (tensor([0.7000]), tensor([False]))
    """
    confidence, correct, _ = counted_top_label(probs, labels, name="probs", ignore_index=ignore_index)
    return confidence, correct


@documented
def top_label_from_logits(
    logits: Given[Logits], labels: Given[Labels], *, ignore_index: int = -100
) -> tuple[PerSample, PerSample]:
    """Compute the largest softmax probability of each sample, and whether its class is the label.

    The confidence is exp(max - logsumexp), in float32 or wider.

    Args:
        logits: Shape (C,), (N, C) or (N, C, d1, …); finite, or -inf for a masked class.
        labels: Class indices in [0, C), shape (), (N,) or (N, d1, …).
        ignore_index: Label of samples that do not count: never right, and their values are not checked; leave them out
            of what you measure.

    Returns:
        ``confidence`` in [0, 1] and boolean ``correct``, both of the shape of ``labels``. The lowest class wins ties.

    Raises:
        TypeError: If ``logits`` is not a floating-point tensor, or ``labels`` does not hold class indices.
        ValueError: If the shapes do not fit, logits are not finite, or a label is out of range.

    Example:
        >>> top_label_from_logits(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        (tensor([0.8808]), tensor([True]))
    """
    confidence, correct, _ = counted_top_label(logits, labels, name="logits", ignore_index=ignore_index)
    return confidence, correct


def counted_top_label(
    values: Logits, labels: Labels, *, name: str, ignore_index: int
) -> tuple[PerSample, PerSample, PerSample | None]:
    """Follow :func:`top_label_from_probs` or, by ``name``, that of logits; also tell who counts, if not all do."""
    counted = check_class_indices(values, labels, name=name, ignore_index=ignore_index)
    axis, known = min(1, values.ndim - 1), counted is None
    if name == "logits":
        confidence, correct = softmax_top_label(at_least_float32(values), labels, axis, known=known)
        check_softmax(name, confidence, counted=counted)
        return confidence, correct, counted
    rows = class_rows(values, axis)
    check_distributions(name, rows, axis=axis, counted=counted, dtype=values.dtype)
    return *probs_top_label(rows, labels, axis, known=known), counted


def unread_top_label(logits: Logits, labels: Labels) -> tuple[PerSample, PerSample]:
    """Follow :func:`top_label_from_logits` without reading values, for losses; an ignored label is wrong."""
    check_labels_match(logits, labels)
    axis = min(1, logits.ndim - 1)
    return softmax_top_label(at_least_float32(logits), labels, axis)


def class_rows(values: Tensor, axis: int) -> Tensor:
    """Widen values to float32 or more, laid out in memory as sums and searches over the classes like it best."""
    wide = at_least_float32(values)
    if _plain(wide) and wide.ndim == 2 and wide.shape[axis] < FEW:
        return torch.from_numpy(class_after_class(wide.numpy()))
    return wide


def class_columns(probs: Tensor) -> Tensor:
    """Lay checked probabilities of shape (N, C) out class after class, shape (C, N), none above 1 by rounding."""
    columns = class_rows(probs, 1).t().contiguous()
    return columns if _plain(columns) and not bool(columns.max() > 1) else columns.clamp(max=1.0)


def probs_top_label(rows: Tensor, labels: Tensor, axis: int, *, known: bool = False) -> tuple[Tensor, Tensor]:
    """Follow :func:`top_label_from_probs` for rows from :func:`class_rows`, without its checks.

    ``known`` says that every label is a class, so that nobody looks again.
    """
    return _top_label(rows, labels, axis, known=known)


def softmax_top_label(wide: Tensor, labels: Tensor, axis: int, *, known: bool = False) -> tuple[Tensor, Tensor]:
    """Follow :func:`top_label_from_logits` for logits in float32 or wider, without its checks."""
    return _top_label(class_rows(wide, axis), labels, axis, softmax=True, known=known)


def _plain(values: Tensor) -> bool:
    """Say whether NumPy may look at the values."""
    return values.device.type == "cpu" and not values.requires_grad and not torch.compiler.is_compiling()


def _top_label(
    values: Tensor, labels: Tensor, axis: int, *, softmax: bool = False, known: bool
) -> tuple[Tensor, Tensor]:
    """Find the largest value, or its softmax, at most 1, and whether the label is the lowest class that has it."""
    if not _plain(values) or values.numel() == 0:
        largest, predicted = values.max(dim=axis)
        found = (largest - values.logsumexp(dim=axis)).exp() if softmax else largest
        return found.clamp(max=1.0), predicted == labels
    rows, n_classes = values.numpy(), values.shape[axis]
    if values.stride(axis) == 1 and n_classes >= FEW:
        # NumPy searches long rows with vector instructions, PyTorch on the CPU does not.
        lowest = np.asarray(rows.argmax(axis))
        held = values.softmax(dim=axis) if softmax else values
        return _at_most_one(_taken(held, lowest, axis)), torch.from_numpy(lowest) == labels
    top = np.maximum.reduce(rows, axis, keepdims=True)
    found = _softmax_of(torch.from_numpy(top), values, axis) if softmax else torch.from_numpy(top).squeeze(axis)
    # Equal values are rare, and only they (and NaN, which equals nothing) need a search for the class.
    highest = rows == top
    if np.count_nonzero(highest) != top.size:
        return _at_most_one(found), values.argmax(dim=axis) == labels
    index = labels.long() if known else labels.long().clamp(0, n_classes - 1)
    right = _taken(torch.from_numpy(highest), index.numpy(), axis)
    return _at_most_one(found), right if known else right & (index == labels)


def _softmax_of(largest: Tensor, values: Tensor, axis: int) -> Tensor:
    return (values - largest).exp_().sum(dim=axis).reciprocal_()


def _at_most_one(found: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(np.minimum(found.numpy(), 1.0)))


def _taken(values: Tensor, index: Any, axis: int) -> Tensor:
    """Take the value of one class of each row; of a matrix by places in memory, several times faster."""
    if values.ndim != 2:
        return values.gather(axis, torch.from_numpy(np.asarray(index)).unsqueeze(axis)).squeeze(axis)
    rows, (n, n_classes) = values.numpy(), values.shape
    if rows.T.flags.c_contiguous:
        return torch.from_numpy(rows.T.reshape(-1).take(index * n + np.arange(n)))
    return torch.from_numpy(rows.reshape(-1).take(np.arange(0, rows.size, n_classes) + index))
