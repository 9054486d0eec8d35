# SPDX-License-Identifier: Apache-2.0
"""Checks of tensors that answer bad input with one sentence: name, rule, value received; those of settings beside."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._settings import (
    LARGEST,
    LARGEST_INTEGER,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_sequence,
    require,
)
from adafocal.errors import InvalidTypeError, InvalidValueError

__all__ = [
    "INDEX_DTYPES",
    "LARGEST",
    "LARGEST_INTEGER",
    "can_read",
    "check_choice",
    "check_class_axis",
    "check_flag",
    "check_floating",
    "check_integer",
    "check_label_values",
    "check_labels_match",
    "check_number",
    "check_same_shape",
    "check_sequence",
    "check_tensor",
    "label_shape",
    "require",
    "shown_row",
    "traced",
]
INDEX_DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def shown_row(row: Any, *, most: int = 4) -> str:
    """Show the first numbers of a row in a sentence."""
    numbers = [*(f"{value:.6g}" for value in row[:most].tolist()), *(["…"] if len(row) > most else [])]
    return f"[{', '.join(numbers)}]"


def check_same_shape(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless two tensors have one shape."""
    if value.shape != other.shape:
        raise InvalidValueError(
            f"`{name}` must have the shape of `{other_name}`, {tuple(other.shape)}, got {tuple(value.shape)}."
        )


def check_spatial(name: str, values: Tensor) -> None:
    """Raise unless ``values`` are those of signals, images or volumes: classes, then one to three spatial axes."""
    check_floating(name, values)
    if values.ndim not in (3, 4, 5) or 0 in values.shape[2:]:
        raise InvalidValueError(
            f"`{name}` must have shape (N, C, d1), (N, C, d1, d2) or (N, C, d1, d2, d3) with at least one voxel, "
            f"got {tuple(values.shape)}."
        )


def check_tensor(name: str, value: object, *, kind: str = "a tensor") -> None:
    """Raise unless ``value`` is a tensor; what NumPy or a list holds is named with the way to make it one."""
    if not isinstance(value, Tensor):
        remedy = ": make it one by torch.as_tensor" if isinstance(value, (np.ndarray, np.generic)) else ""
        raise InvalidTypeError(f"`{name}` must be {kind}, got {type(value).__name__}{remedy}.")


def check_floating(name: str, value: object) -> None:
    """Raise unless ``value`` is a floating-point tensor."""
    check_tensor(name, value, kind="a floating-point tensor")
    assert isinstance(value, Tensor)
    if not value.is_floating_point():
        raise InvalidTypeError(f"`{name}` must be a floating-point tensor, got dtype {value.dtype}.")


def check_labels_match(logits: Tensor, labels: Tensor, *, name: str = "logits") -> None:
    """Raise unless ``labels`` are class indices or probabilities for ``logits`` of shape (C,) or (N, C, d1, …)."""
    check_class_axis(name, logits)
    check_tensor("labels", labels)
    if labels.is_floating_point():
        if labels.shape != logits.shape:
            raise InvalidValueError(
                f"`labels` given as class probabilities must have the shape of `{name}`, "
                f"{tuple(logits.shape)}, got {tuple(labels.shape)}."
            )
        return
    if labels.dtype not in INDEX_DTYPES:
        raise InvalidTypeError(
            f"`labels` must be integer class indices or class probabilities, got dtype {labels.dtype}."
        )
    expected = label_shape(logits)
    if labels.shape != expected:
        raise InvalidValueError(
            f"`labels` must have shape {tuple(expected)} for `{name}` of shape {tuple(logits.shape)}, "
            f"got {tuple(labels.shape)}."
        )


def check_class_axis(name: str, logits: Tensor) -> None:
    """Raise unless ``logits`` is a floating-point tensor of shape (C,), (N, C) or (N, C, d1, …) with C >= 2."""
    check_floating(name, logits)
    if logits.ndim == 0:
        raise InvalidValueError(f"`{name}` must have shape (C,), (N, C) or (N, C, d1, …), got a scalar.")
    if logits.shape[min(1, logits.ndim - 1)] < 2:
        raise InvalidValueError(_one_class(name, logits))


def _one_class(name: str, values: Tensor) -> str:
    # One sigmoid per sample is the commonest way here: its softmax is 1, and every loss 0, whatever the label.
    axis, shape = min(1, values.ndim - 1), tuple(values.shape)
    other, instead = f"torch.zeros_like({name})", ", or `sigmoid=True` of a loss"
    if "prob" in name:
        other, instead = f"1 - {name}", ""
    return (
        f"`{name}` must have at least 2 classes, got {shape[axis]} (shape {shape}): for one value per sample use "
        f"torch.cat([{other}, {name}], {axis}) with class indices 0 and 1{instead}."
    )


def label_shape(logits: Tensor) -> torch.Size:
    """Derive the shape of class indices that go with ``logits``: theirs without the class axis."""
    return torch.Size() if logits.ndim == 1 else logits.shape[:1] + logits.shape[2:]


def check_label_values(labels: Tensor, n_classes: int, *, ignore_index: int | None = None) -> None:
    """Raise unless every class index lies in [0, ``n_classes``); reads the values, so only where data enter."""
    if labels.dtype == torch.int64 and can_read(labels) and (labels.numpy().view(np.uint64) < n_classes).all():
        return  # nothing to look at more closely: a negative one would be huge
    outside = (labels < 0) | (labels >= n_classes)
    if ignore_index is not None:
        outside &= labels != ignore_index
    if outside.any():
        index = int(outside.flatten().nonzero()[0])
        value = int(labels.flatten()[index])
        also = "" if ignore_index is None else f" or {ignore_index} (ignored)"
        raise InvalidValueError(
            f"`labels` must be class indices in [0, {n_classes}){also}, got {value} at position {index}."
        )


def traced() -> bool:
    """Whether a compiler or a functional transform is at work, for which values do not exist yet."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


def can_read(values: Tensor) -> bool:
    """Whether values may be read in a forward pass: they lie in the processor's memory, so that nobody waits."""
    return values.device.type == "cpu" and not traced()
