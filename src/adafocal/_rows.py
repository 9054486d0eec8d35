# SPDX-License-Identifier: Apache-2.0
"""What rows of predictions must be; messages name the row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._arrays import ArrayLike, as_array, as_tensor
from adafocal._checks import shown_row
from adafocal._dtypes import at_least_float32, tolerance
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.labels import class_indices
from adafocal.tables.numbers import UNNORMALIZED
from adafocal.tables.piece import RowError

if TYPE_CHECKING:
    from adafocal.predictions import Predictions

# What stands where a row has no choice.
NOTHING = {"logits": -torch.inf, "probs": 0.0}
UNKNOWN = -100  # where it is not known whether a label applies


def matrix(name: str, values: ArrayLike) -> Tensor:
    """Turn values into a floating-point matrix, or raise."""
    tensor = as_tensor(name, values, "floating point")
    if not tensor.is_floating_point():
        raise InvalidTypeError(f"`{name}` must be floating point, got dtype {tensor.dtype}.")
    if tensor.ndim != 2:
        axes = "(N, D)" if name == "features" else "(N, C)"
        raise InvalidValueError(f"`{name}` must have shape {axes}, got {tuple(tensor.shape)}.")
    return tensor


def indices(values: ArrayLike, classes: tuple[str, ...] | None) -> Tensor:
    """Turn labels into class indices, int64, shape (N,), or raise."""
    rule = "integer class indices"
    if classes is not None and not isinstance(values, Tensor):
        array = as_array("labels", values)
        values = class_indices(array, "labels", classes, len(classes)) if array.dtype.kind in "OUS" else array
    tensor = as_tensor("labels", values, rule)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidTypeError(f"`labels` must be {rule}, got dtype {tensor.dtype}.")
    if tensor.ndim != 1:
        raise InvalidValueError(f"`labels` must have shape (N,), got {tuple(tensor.shape)}.")
    return tensor.long()


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Raise unless labels are class indices."""
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        row = int(outside.nonzero()[0])
        raise RowError(f"`labels` must be class indices in [0, {n_classes}), got {int(labels[row])}", row)


def check_choices(values: Tensor, labels: Tensor, kind: str) -> None:
    """Raise unless each label is a choice that its row has."""
    missing = values.gather(1, labels[:, None])[:, 0] == NOTHING[kind]
    if missing.any():
        row = int(missing.nonzero()[0])
        rule = f"`labels` must be a choice that the row has, whose {kind[:-1]} is not {NOTHING[kind]:g}"
        raise RowError(f"{rule}, got {int(labels[row])}", row)


def check_values(record: "Predictions") -> None:
    """Raise unless every row of a record holds what it should."""
    labels, features = record._labels, record.features
    if labels is not None:
        check_labels(labels, record.n_classes)
    if record.logits is None:
        check_probs(record._values)
    else:
        check_logits(record.logits)
    if record.ragged and labels is not None:
        check_choices(record._values, labels, record.kind)
    if features is not None:
        check_rows("features", features.isfinite().all(dim=1), "be finite", features)


def joined(parts: "Sequence[Predictions]") -> Tensor:
    """Join the values of records row after row; of ragged ones to the width of the widest."""
    width, nothing = max(part.n_classes for part in parts), NOTHING[parts[0].kind]
    held = [part._values for part in parts]
    if parts[0].ragged:
        held = [F.pad(values, (0, width - values.shape[1]), value=nothing) for values in held]
    return torch.cat(held)


def check_rows(name: str, good: Tensor, rule: str, values: Tensor) -> None:
    """Raise for the first row that is not good."""
    if not good.all():
        row = int((~good).nonzero()[0])
        raise RowError(f"`{name}` must {rule}, got {shown_row(values[row])}", row)


def check_logits(logits: Tensor) -> None:
    """Raise unless a row has a finite largest logit and no NaN."""
    good = logits.amax(dim=1).isfinite() & ~logits.isnan().any(dim=1)
    check_rows("logits", good, "be finite (-inf only for masked classes)", logits)


def with_remedy(error: RowError, probs: np.ndarray) -> RowError:
    """The fault of a row of probabilities in a table, with what to do about it."""
    if "labels" in error.what:
        return error
    if np.allclose(probs.sum(axis=1), 100, atol=1):
        return RowError(error.what, error.row, ": rows sum to 100, so divide by 100, or normalize")
    return RowError(error.what, error.row, UNNORMALIZED if "sum to 1" in error.what else error.remedy)


def check_probs(probs: Tensor) -> None:
    """Raise unless rows are distributions."""
    allowed = tolerance(probs.dtype)
    wide = at_least_float32(probs)
    # A NaN fails both comparisons; what is not negative and sums to 1 exceeds 1 nowhere.
    summed = (wide @ wide.new_ones(wide.shape[1]) - 1).abs() <= allowed
    if bool(summed.all()) and bool(wide.amin() >= 0):
        return
    check_rows("probs", wide.isfinite().all(dim=1), "be finite", probs)
    check_rows("probs", ((wide >= 0) & (wide <= 1 + allowed)).all(dim=1), "lie in [0, 1]", probs)
    check_rows("probs", summed, f"sum to 1 within {allowed:g} in each row", probs)


def arrays_of(predictions: "Predictions", suffix: str) -> dict[str, np.ndarray]:
    """The arrays of a record as a file of this suffix keeps them."""
    named = {predictions.kind: predictions._values, "labels": predictions._labels}
    named |= {name: getattr(predictions, name) for name in ("features", "weight", "cluster")}
    arrays = {}
    for name, tensor in named.items():
        if tensor is None:
            continue
        if tensor.dtype == torch.bfloat16 or (suffix == ".csv" and tensor.dtype == torch.float16):
            tensor = tensor.float()
            # Rounding to half precision moves the sum of a row further than the tolerance of float32.
            tensor = tensor / tensor.sum(dim=1, keepdim=True) if name == "probs" else tensor
        arrays[name] = tensor.cpu().numpy()
    return arrays


def checked_answers(labels: ArrayLike, kind: str, values: Tensor) -> Tensor:
    """Whether each label applies, int64, UNKNOWN where it is not known."""
    rule = "booleans, or 0 and 1"
    given = as_tensor("labels", labels, rule)
    if given.is_complex():
        raise InvalidTypeError(f"`labels` must be {rule}, got dtype {given.dtype}.")
    if given.shape != values.shape:
        raise InvalidValueError(
            f"`labels` must have one value per value of `{kind}`, {tuple(values.shape)}, got {tuple(given.shape)}."
        )
    given = torch.where(given.isnan(), UNKNOWN, given) if given.is_floating_point() else given
    good = (given == 0) | (given == 1) | (given == UNKNOWN)
    if not good.all():
        row, place = (~good).nonzero()[0].tolist()
        what = f"`labels` must be 0 or 1 ({UNKNOWN} or NaN where it is not known), got {given[row, place].item():g}"
        raise RowError(what, row)
    return given.long()
