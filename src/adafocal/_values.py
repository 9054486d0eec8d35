# SPDX-License-Identifier: Apache-2.0
"""Checks that read values, for where data enter: public functions of the measuring parts, and metrics, call them once.

Each reads the device once, and searches for the place of a fault only where there is one. NaN fails every comparison,
so none gets through.
"""

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import (
    INDEX_DTYPES,
    can_read,
    check_floating,
    check_label_values,
    check_labels_match,
    check_same_shape,
    check_tensor,
    shown_row,
    traced,
)
from adafocal._dtypes import at_least_float32, tolerance
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions


def check_not_empty(name: str, values: Tensor) -> None:
    """Raise if there is no sample."""
    if values.numel() == 0:
        raise InvalidValueError(f"`{name}` must hold at least one sample, got 0.")


def check_float_dtype(dtype: torch.dtype) -> None:
    """Raise unless ``dtype`` is one of floating-point numbers."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InvalidTypeError(f"`dtype` must be a floating-point torch.dtype, got {dtype!r}.")


def check_vector(name: str, values: object, *, empty: bool = False) -> None:
    """Raise unless ``values`` is a floating-point tensor of shape (N,), with N >= 1 unless ``empty`` is allowed."""
    check_floating(name, values)
    assert isinstance(values, Tensor)
    if values.ndim != 1 or (values.numel() == 0 and not empty):
        rule = "shape (N,)" if empty else "shape (N,) with N >= 1"
        raise InvalidValueError(f"`{name}` must have {rule}, got {tuple(values.shape)}.")


def checked_event(
    confidence: Tensor, correct: Tensor, *, empty: bool = False, yes_or_no: bool = False
) -> tuple[Tensor, Tensor]:
    """Raise unless these are probabilities of an event and whether it happened, both of shape (N,).

    Args:
        confidence: To be in [0, 1]; above 1 by rounding is taken as 1.
        correct: To be booleans or numbers in [0, 1].
        empty: Allow N = 0.
        yes_or_no: Allow no share between 0 and 1 in ``correct``.

    Returns:
        ``confidence`` in float32 or wider, and ``correct``.
    """
    check_vector("confidence", confidence, empty=empty)
    return checked_shares(confidence, correct, names=("confidence", "correct"), yes_or_no=yes_or_no)


def checked_shares(
    probs: Tensor, happened: Tensor, *, names: tuple[str, str], yes_or_no: bool = False
) -> tuple[Tensor, Tensor]:
    """Do what :func:`checked_event` does for tensors of any one shape and these names."""
    name, other = names
    check_floating(name, probs)
    check_tensor(other, happened)
    if happened.is_complex():
        raise InvalidTypeError(f"`{other}` must hold booleans or real numbers, got dtype {happened.dtype}.")
    check_same_shape(other, happened, name, probs)
    if probs.numel() == 0:
        return at_least_float32(probs), happened
    upper = 1 + tolerance(probs.dtype)
    parts = [*probs.detach().aminmax()]
    if happened.dtype != torch.bool:
        parts += happened.detach().aminmax()
        if yes_or_no:
            parts.append(((happened == 0) | (happened == 1)).all())
    low, high, *rest = torch.stack([part.to(torch.float32) for part in parts]).tolist()
    if not (low >= 0 and high <= upper):
        _check_range(name, probs, upper)
    if rest and not (rest[0] >= 0 and rest[1] <= 1):
        _refuse(other, happened, (happened >= 0) & (happened <= 1), "be booleans or lie in [0, 1]")
    if yes_or_no and not all(rest[2:]):
        _refuse(other, happened, (happened == 0) | (happened == 1), "be yes or no, 1 or 0")
    wide = at_least_float32(probs)
    return (wide.clamp(max=1.0) if high > 1 else wide), happened


def weighted_event(
    confidence: Tensor, correct: Tensor, sample_weight: Tensor | None, *, empty: bool = True, yes_or_no: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check as :func:`checked_event` does, with weights; samples of weight 0 are left out."""
    confidence, correct = checked_event(confidence, correct, empty=empty, yes_or_no=yes_or_no)
    return counted_samples(confidence, correct, checked_sample_weight(sample_weight, confidence))


def weighted_classes(
    probs: Tensor, labels: Tensor, sample_weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Check as :func:`check_prob_matrix` does, with weights; samples of weight 0 are left out."""
    check_prob_matrix(probs, labels)
    return counted_samples(probs, labels, checked_sample_weight(sample_weight, labels, name="labels"))


def counted_samples(first: Tensor, second: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Leave out the samples of weight 0."""
    if weight is None or bool((weight > 0).all()):
        return first, second, weight
    held = weight > 0
    return first[held], second[held], weight[held]


def checked_sample_weight(
    weight: object, like: Tensor, *, name: str = "confidence", none: bool = False
) -> Tensor | None:
    """Check how much each sample counts: one number per value of ``like``, finite, >= 0, not all 0 unless ``none``."""
    if weight is None:
        return None
    check_tensor("sample_weight", weight)
    assert isinstance(weight, Tensor)
    if weight.is_complex() or weight.dtype == torch.bool:
        raise InvalidTypeError(f"`sample_weight` must hold numbers, got dtype {weight.dtype}.")
    check_same_shape("sample_weight", weight, name, like)
    good = weight.isfinite() & (weight >= 0) if weight.is_floating_point() else weight >= 0
    if not bool(good.all()):
        _refuse("sample_weight", weight, good, "be finite and >= 0")
    if weight.numel() and not none and not bool((weight > 0).any()):
        raise InvalidValueError("`sample_weight` must be above 0 for at least one sample, got 0 for all.")
    return weight.detach()


def check_predictions(name: str, value: object) -> None:
    """Raise unless ``value`` is a record of predictions."""
    if not isinstance(value, Predictions):
        raise InvalidTypeError(
            f"`{name}` must be adafocal.Predictions, got {type(value).__name__}: "
            "use Predictions(logits=..., labels=...) or Predictions(probs=..., labels=...)."
        )


def check_unweighted(name: str, predictions: Predictions) -> None:
    """Raise where rows have weights, for what counts each row once."""
    if predictions.weight is not None:
        raise InvalidValueError(
            f"`{name}` must have no weights, as detection counts each row once, got some: repeat rows instead."
        )


def check_edges(edges: Tensor) -> None:
    """Raise unless these are inner edges of bins of [0, 1], shape (n_bins - 1,), in ascending order."""
    check_floating("edges", edges)
    if edges.ndim != 1:
        raise InvalidValueError(f"`edges` must have shape (n_bins - 1,), got {tuple(edges.shape)}.")
    upper = 1 + tolerance(edges.dtype)
    if not bool(((edges >= 0) & (edges <= upper)).all() & (edges.diff() >= 0).all()):
        _check_range("edges", edges, upper)
        raise InvalidValueError(f"`edges` must not fall, got {shown_row(edges)}: use edges.sort().values.")


def check_confidences(confidence: Tensor) -> None:
    """Raise unless ``confidence``, of any shape, lies in [0, 1]."""
    check_floating("confidence", confidence)
    upper = 1 + tolerance(confidence.dtype)
    if confidence.numel() > 0:
        low, high = torch.stack(confidence.detach().aminmax()).tolist()
        if not (low >= 0 and high <= upper):
            _check_range("confidence", confidence, upper)


def _check_range(name: str, values: Tensor, upper: float) -> None:
    good = (values >= 0) & (values <= upper)
    if not good.all():
        _refuse(name, values, good, "lie in [0, 1]")


def check_prob_matrix(probs: Tensor, labels: Tensor) -> None:
    """Raise unless ``probs`` of shape (N, C) holds a distribution per row, and ``labels`` a class index for each."""
    check_class_indices(probs, labels, name="probs")
    if probs.ndim != 2:
        raise InvalidValueError(f"`probs` must have shape (N, C), got {tuple(probs.shape)}.")
    check_distributions("probs", probs, axis=1)


def check_class_indices(values: Tensor, labels: Tensor, *, name: str, ignore_index: int | None = None) -> Tensor | None:
    """Raise unless ``labels`` are class indices for ``values`` of shape (C,), (N, C) or (N, C, d1, …), all in range.

    Returns:
        Which samples count, of the shape of ``labels``, or None where all do.
    """
    check_index_labels(values, labels, name=name)
    n_classes = values.shape[min(1, values.ndim - 1)]
    if labels.numel() > 0 and (ignore_index is None or not 0 <= ignore_index < n_classes):
        if labels.dtype == torch.int64 and can_read(labels):
            low, high = 0, labels.numpy().view(np.uint64).max()  # where a negative one is huge
        else:
            low, high = torch.stack(labels.aminmax()).tolist()
        if low >= 0 and high < n_classes:
            return None
    check_label_values(labels, n_classes, ignore_index=ignore_index)
    return None if ignore_index is None else labels != ignore_index


def check_index_labels(values: Tensor, labels: Tensor, *, name: str) -> None:
    """Raise unless dtype and shape of ``labels`` are those of class indices for ``values``; values are not read."""
    check_floating(name, values)
    check_tensor("labels", labels)
    if labels.is_floating_point() and labels.shape == values.shape:
        raise InvalidTypeError("`labels` must be class indices, got class probabilities.")
    if labels.dtype not in INDEX_DTYPES:
        raise InvalidTypeError(f"`labels` must be integer class indices, got dtype {labels.dtype}: use labels.long().")
    check_labels_match(values, labels, name=name)


def check_distributions(
    name: str, values: Tensor, *, axis: int, counted: Tensor | None = None, dtype: torch.dtype | None = None
) -> None:
    """Raise unless every counted row along ``axis`` holds class probabilities: not negative, with a sum of 1.

    Args:
        name: What the caller knows the probabilities by.
        values: The probabilities.
        axis: The axis of the classes.
        counted: Which rows count, or None where all do.
        dtype: In which the probabilities were rounded before they were widened, if they were.
    """
    if values.numel() == 0:
        return
    wide, allowed = at_least_float32(values.detach()), tolerance(dtype or values.dtype)
    if counted is None and wide.device.type == "cpu" and not traced():
        # NumPy runs these short sums without waiting for threads, which is several times faster on a busy machine.
        rows = wide.numpy()
        long = axis == rows.ndim - 1 and rows.strides[axis] == rows.itemsize
        sums = rows @ np.ones(rows.shape[axis], rows.dtype) if long else np.add.reduce(rows, axis)
        if rows.min() >= 0 and sums.min() >= 1 - allowed and sums.max() <= 1 + allowed:
            return
    bad = ~(((wide.sum(dim=axis) - 1).abs() <= allowed) & (wide.amin(dim=axis) >= 0))
    if counted is not None:
        bad &= counted
    if not bad.any():
        return
    position = bad.nonzero()[0].tolist()
    row = wide.movedim(axis, -1)[tuple(position)]
    raise InvalidValueError(
        f"`{name}` must be class probabilities, not negative and with a sum of 1 within {allowed:g}, "
        f"got {shown_row(row)}{_at(position)}."
    )


def check_log_distributions(name: str, log_probs: Tensor) -> None:
    """Raise unless every row of shape (N, C) holds logarithms of class probabilities."""
    allowed = tolerance(log_probs.dtype)
    total = at_least_float32(log_probs.detach()).logsumexp(dim=1)
    good = total.abs() <= allowed
    if not good.all():
        row = int((~good).nonzero()[0])
        raise InvalidValueError(
            f"`{name}` must be logarithms of class probabilities whose sum is 1 within {allowed:g}, "
            f"got {shown_row(log_probs[row])} at position {row}: use log_softmax for logits."
        )


def check_softmax(name: str, largest: Tensor, *, counted: Tensor | None = None) -> None:
    """Raise where the largest softmax of a row, or its logarithm, is NaN: of logits that are NaN, inf or all -inf."""
    if largest.numel() == 0 or not largest.detach().amin().isnan():
        return
    bad = largest.isnan() if counted is None else largest.isnan() & counted
    if bad.any():
        place = _at(bad.nonzero()[0].tolist())
        raise InvalidValueError(f"`{name}` must be finite (-inf only for masked classes), got another value{place}.")


def check_log_odds(name: str, values: Tensor) -> None:
    """Raise where a logit of a sigmoid is NaN or inf; -inf is a label that is masked."""
    good = values < torch.inf
    if not good.all():
        _refuse(name, values, good, "be finite (-inf only for masked labels)")


def _refuse(name: str, values: Tensor, good: Tensor, rule: str) -> None:
    position = (~good).nonzero()[0].tolist()
    raise InvalidValueError(f"`{name}` must {rule}, got {values[tuple(position)].item():g}{_at(position)}.")


def _at(position: list[int]) -> str:
    if not position:
        return ""
    return f" at position {position[0] if len(position) == 1 else tuple(position)}"
