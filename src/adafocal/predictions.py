# SPDX-License-Identifier: Apache-2.0
"""The record that training writes once and everything after it reads: predictions and labels of a data set."""

from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import shown_row
from adafocal._dtypes import at_least_float32, tolerance
from adafocal._files import atomic_path
from adafocal._text import shown
from adafocal.errors import InvalidTypeError, InvalidValueError, MissingFileError
from adafocal.tables.columns import Names
from adafocal.tables.piece import Piece, RowError, class_after_class
from adafocal.tables.read import known_suffix, named, read_table, write_table

__all__ = ["Predictions"]

ArrayLike: TypeAlias = Tensor | np.ndarray
WHOLE = 1 << 22  # numbers read at a time where all are kept


class Predictions:
    """Predicted logits or probabilities with the labels, checked when built.

    Args:
        logits: Unnormalised log-probabilities, shape (N, C) with N >= 1 and C >= 2; -inf marks a masked class.
        probs: Class probabilities instead of logits, shape (N, C); rows sum to 1 within 1e-3 (half precision: 1e-2).
        labels: Class indices in [0, C), shape (N,).
        features: Penultimate-layer features, shape (N, D), for out-of-distribution scores.

    Raises:
        TypeError: If a dtype is wrong, or not exactly one of ``logits`` and ``probs`` is given.
        ValueError: If shapes do not fit, a value is not finite, a row is no distribution, or a label is out of range;
            the message names the row.

    Example:
        >>> predictions = Predictions(logits=torch.tensor([[2.0, 0.0], [0.0, 1.0]]), labels=torch.tensor([0, 1]))
        >>> predictions.n, predictions.n_classes
        (2, 2)
        >>> predictions.confidence
        tensor([0.8808, 0.7311])
    """

    def __init__(
        self,
        *,
        labels: ArrayLike,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        features: ArrayLike | None = None,
    ) -> None:
        if (logits is None) == (probs is None):
            raise InvalidTypeError("`logits` or `probs` must be given, and not both.")
        self.logits = None if logits is None else _matrix("logits", logits)
        self._values = _matrix("probs", probs) if self.logits is None else self.logits
        self.features = None if features is None else _matrix("features", features)
        self.labels = _indices(labels)
        if self.n == 0:
            raise InvalidValueError(f"`{self.kind}` must hold at least one row, got 0.")
        if self.n_classes < 2:
            raise InvalidValueError(f"`{self.kind}` must have at least 2 classes, got {self.n_classes}.")
        for name, other in (("labels", self.labels), ("features", self.features)):
            if other is not None and len(other) != self.n:
                raise InvalidValueError(
                    f"`{name}` must have one row per row of `{self.kind}`, {self.n}, got {len(other)}."
                )
        _check_labels(self.labels, self.n_classes)
        if self.logits is None:
            _check_probs(self._values)
        else:
            _check_logits(self.logits)
        if self.features is not None:
            _check_rows("features", self.features.isfinite().all(dim=1), "be finite", self.features)

    @property
    def kind(self) -> str:
        """What is stored: ``logits`` or ``probs``."""
        return "probs" if self.logits is None else "logits"

    @property
    def n(self) -> int:
        """Number of samples N."""
        return self._values.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes C."""
        return self._values.shape[1]

    @cached_property
    def probs(self) -> Tensor:
        """Class probabilities of shape (N, C): as given, or the softmax of the logits, in float32 or wider."""
        values = at_least_float32(self._values)
        return values if self.logits is None else values.softmax(dim=1)

    @property
    def log_probs(self) -> Tensor:
        """Logarithms of the class probabilities, nats, shape (N, C); -inf where a probability is 0."""
        values = at_least_float32(self._values)
        return values.log() if self.logits is None else values.log_softmax(dim=1)

    @cached_property
    def confidence(self) -> Tensor:
        """Probability of the predicted class, shape (N,), in [0, 1]."""
        return self.probs.amax(dim=1)

    @property
    def predicted(self) -> Tensor:
        """The class with the largest probability, shape (N,); the lowest class wins ties."""
        return self._values.argmax(dim=1)

    @property
    def correct(self) -> Tensor:
        """Whether the predicted class is the label, boolean, shape (N,)."""
        return self.predicted == self.labels

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        features = "" if self.features is None else f", features={self.features.shape[1]}"
        return f"Predictions({self.kind}, n={self.n}, n_classes={self.n_classes}{features})"

    def save(self, path: str | Path) -> None:
        """Write to a ``.parquet``, ``.npz`` or ``.csv`` file, in one step: a reader never sees half of it.

        Parquet and npz keep dtypes, but for bfloat16, which becomes float32. CSV is read back as float32 and keeps its
        values exactly. Half-precision probabilities that become float32 are divided by their sum.

        Args:
            path: Where to write; missing folders are made.

        Raises:
            ValueError: If the suffix is none of these.
            ModuleNotFoundError: For Parquet without pyarrow, with the command that installs it.
        """
        suffix = known_suffix(path)
        with atomic_path(path) as temporary:
            write_table(_arrays(self, suffix), temporary)

    @classmethod
    def load(cls, path: str | Path) -> "Predictions":
        """Read what :meth:`save` wrote, or a table of the same columns from elsewhere.

        Parquet and CSV: columns ``logit_0 …`` or ``prob_0 …``, ``label``, optionally ``feature_0 …``; in Parquet also
        list columns ``logits`` or ``probs``, and ``features``. npz: arrays ``logits`` or ``probs``, ``labels``, and
        optionally ``features``. Messages count rows from 0.

        Args:
            path: A ``.parquet``, ``.npz`` or ``.csv`` file.

        Returns:
            The checked record.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the suffix is unknown, columns are missing, the file is damaged, or the values are no
                predictions.
        """
        return load_predictions(path, rows=False)


def load_predictions(path: str | Path, *, rows: bool = True) -> Predictions:
    """Do what :meth:`Predictions.load` does, with the file in every sentence: for commands that read several."""
    known_suffix(path)
    if not Path(path).is_file():
        raise MissingFileError(f"`path` must be an existing file, got {shown(str(path))}.")
    with named(path, "path", rows=rows):
        pieces = list(read_table(Path(path), Names(features=True), WHOLE))
        held = [piece for piece in pieces if piece.n] or pieces
        arrays = [piece.arrays() for piece in held]
        del pieces, held
        joined: dict[str, Any] = {name: _joined(arrays, name) for name in list(arrays[0])}
        return Predictions(**joined)


def _joined(arrays: list[dict[str, Any]], name: str) -> np.ndarray | None:
    """Join an array of all pieces, and forget the pieces, in the usual layout: row after row."""
    parts = [part.pop(name) for part in arrays]
    return None if parts[0] is None else np.ascontiguousarray(np.concatenate(parts))


def checked(piece: Piece) -> Predictions:
    """Check the rows of a piece.

    Raises:
        ValueError: With the row and file, if they are no predictions.
    """
    with named(piece.path, "FILE"):
        arrays = piece.arrays()
        values = class_after_class(arrays.pop(piece.columns.kind))
        try:
            return Predictions(**{piece.columns.kind: values}, **arrays)
        except RowError as error:
            raise error.after(piece.first_row) from None


def _matrix(name: str, values: ArrayLike | None) -> Tensor:
    tensor = _tensor(name, values, "floating point")
    if not tensor.is_floating_point():
        raise InvalidTypeError(f"`{name}` must be floating point, got dtype {tensor.dtype}.")
    if tensor.ndim != 2:
        axes = "(N, D)" if name == "features" else "(N, C)"
        raise InvalidValueError(f"`{name}` must have shape {axes}, got {tuple(tensor.shape)}.")
    return tensor


def _indices(values: ArrayLike) -> Tensor:
    rule = "integer class indices"
    # NumPy has unsigned integers that PyTorch can hardly compute with.
    if isinstance(values, np.ndarray) and values.dtype.kind == "u":
        values = values.astype(np.int64)
    tensor = _tensor("labels", values, rule)
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise InvalidTypeError(f"`labels` must be {rule}, got dtype {tensor.dtype}.")
    if tensor.ndim != 1:
        raise InvalidValueError(f"`labels` must have shape (N,), got {tuple(tensor.shape)}.")
    return tensor.long()


def _tensor(name: str, values: ArrayLike | None, rule: str) -> Tensor:
    if not isinstance(values, (Tensor, np.ndarray)):
        raise InvalidTypeError(f"`{name}` must be a tensor or an array, got {type(values).__name__}.")
    if isinstance(values, np.ndarray) and values.dtype.kind not in "iufcb":
        raise InvalidTypeError(f"`{name}` must be {rule}, got dtype {values.dtype}.")
    # PyTorch warns of memory that may not be written, such as Arrow's.
    if isinstance(values, np.ndarray) and not values.flags.writeable:
        values = values.copy()
    return torch.as_tensor(values).detach()


def _check_labels(labels: Tensor, n_classes: int) -> None:
    outside = (labels < 0) | (labels >= n_classes)
    if outside.any():
        row = int(outside.nonzero()[0])
        raise RowError(f"`labels` must be class indices in [0, {n_classes}), got {int(labels[row])}", row)


def _check_rows(name: str, good: Tensor, rule: str, values: Tensor) -> None:
    if not good.all():
        row = int((~good).nonzero()[0])
        raise RowError(f"`{name}` must {rule}, got {shown_row(values[row])}", row)


def _check_logits(logits: Tensor) -> None:
    good = logits.amax(dim=1).isfinite() & ~logits.isnan().any(dim=1)
    _check_rows("logits", good, "be finite (-inf only for masked classes)", logits)


def _check_probs(probs: Tensor) -> None:
    allowed = tolerance(probs.dtype)
    wide = at_least_float32(probs)
    # A NaN fails both comparisons; what is not negative and sums to 1 exceeds 1 nowhere.
    summed = (wide @ wide.new_ones(wide.shape[1]) - 1).abs() <= allowed
    if bool(summed.all()) and bool(wide.amin() >= 0):
        return
    _check_rows("probs", wide.isfinite().all(dim=1), "be finite", probs)
    _check_rows("probs", ((wide >= 0) & (wide <= 1 + allowed)).all(dim=1), "lie in [0, 1]", probs)
    _check_rows("probs", summed, f"sum to 1 within {allowed:g} in each row", probs)


def _arrays(predictions: Predictions, suffix: str) -> dict[str, np.ndarray]:
    named = {predictions.kind: predictions._values, "labels": predictions.labels, "features": predictions.features}
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
