# SPDX-License-Identifier: Apache-2.0
"""The record that training writes once and everything after it reads: predictions and labels of a data set."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from adafocal._checks import INDEX_DTYPES, check_label_values, require
from adafocal._files import atomic_path

ArrayLike: TypeAlias = Tensor | np.ndarray
SUFFIXES = (".parquet", ".npz", ".csv")


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
            raise TypeError("`logits` or `probs` must be given, and not both.")
        self.logits = None if logits is None else _matrix("logits", logits)
        self._probs = None if probs is None else _matrix("probs", probs)
        self.features = None if features is None else _matrix("features", features)
        self.labels = _labels(labels)
        values = self._values
        if values.shape[1] < 2:
            raise ValueError(f"`{self.kind}` must have at least 2 classes, got {values.shape[1]}.")
        for name, other in (("labels", self.labels), ("features", self.features)):
            if other is not None and len(other) != len(values):
                raise ValueError(f"`{name}` must have one row per row of `{self.kind}`, {len(values)}, got {len(other)}.")
        if len(values) == 0:
            raise ValueError(f"`{self.kind}` must hold at least one row, got 0.")
        check_label_values(self.labels, values.shape[1])
        if self.logits is not None:
            _check_logits(self.logits)
        else:
            _check_probs(values)
        if self.features is not None:
            _check_rows("features", self.features.isfinite().all(dim=1), "be finite", self.features)

    @property
    def _values(self) -> Tensor:
        values = self._probs if self.logits is None else self.logits
        assert values is not None
        return values

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

    @property
    def probs(self) -> Tensor:
        """Class probabilities of shape (N, C): as given, or the softmax of the logits, in float32 or wider."""
        return _wide(self._values) if self.logits is None else _wide(self.logits).softmax(dim=1)

    @property
    def log_probs(self) -> Tensor:
        """Logarithms of the class probabilities, nats, shape (N, C); -inf where a probability is 0."""
        return _wide(self._values).log() if self.logits is None else _wide(self.logits).log_softmax(dim=1)

    @property
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

        Parquet and npz keep dtypes; CSV keeps float32 values exactly by writing enough digits.

        Args:
            path: Where to write; missing folders are made.

        Raises:
            ValueError: If the suffix is none of these.
            ModuleNotFoundError: For Parquet without pyarrow, with the command that installs it.
        """
        write: Callable[[Predictions, Path], None] = _by_suffix(
            path, {".parquet": _write_parquet, ".npz": _write_npz, ".csv": _write_csv}
        )
        with atomic_path(path) as temporary:
            write(self, temporary)

    @classmethod
    def load(cls, path: str | Path) -> "Predictions":
        """Read what :meth:`save` wrote, or a table of the same columns from elsewhere.

        Parquet: list columns ``logits`` or ``probs``, integer column ``label``, optional list column ``features``.
        npz: arrays of these names, with ``labels``. CSV: columns ``logit_0 …`` or ``prob_0 …``, ``label``,
        ``feature_0 …``.

        Args:
            path: A ``.parquet``, ``.npz`` or ``.csv`` file.

        Returns:
            The checked record.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the suffix is unknown, columns are missing, the file is damaged, or the values are no
                predictions.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"`path` must be an existing file, got {str(path)!r}.")
        read: Callable[[Path], dict[str, np.ndarray]] = _by_suffix(
            path, {".parquet": _read_parquet, ".npz": _read_npz, ".csv": _read_csv}
        )
        columns = read(Path(path))
        if "labels" not in columns or not columns.keys() & {"logits", "probs"}:
            raise ValueError(
                f"`path` must hold a label and logits or probs, got {', '.join(columns) or 'neither'} in {str(path)!r}."
            )
        return cls(**columns)


def _by_suffix(path: str | Path, handlers: Mapping[str, Callable]) -> Callable:  # type: ignore[type-arg]
    suffix = Path(path).suffix.lower()
    if suffix not in handlers:
        raise ValueError(f"`path` must end in {', '.join(SUFFIXES)}, got {str(path)!r}.")
    return handlers[suffix]


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _matrix(name: str, values: ArrayLike) -> Tensor:
    tensor = torch.as_tensor(values).detach()
    if not tensor.is_floating_point():
        raise TypeError(f"`{name}` must be floating point, got dtype {tensor.dtype}.")
    if tensor.ndim != 2:
        raise ValueError(f"`{name}` must have two axes, (N, {'D' if name == 'features' else 'C'}), got {tuple(tensor.shape)}.")
    return tensor


def _labels(values: ArrayLike) -> Tensor:
    tensor = torch.as_tensor(values).detach()
    if tensor.dtype not in INDEX_DTYPES:
        raise TypeError(f"`labels` must be integer class indices, got dtype {tensor.dtype}.")
    if tensor.ndim != 1:
        raise ValueError(f"`labels` must have shape (N,), got {tuple(tensor.shape)}.")
    return tensor.long()


def _check_rows(name: str, good: Tensor, rule: str, values: Tensor) -> None:
    if not good.all():
        row = int((~good).nonzero()[0])
        shown = ", ".join(f"{value:.6g}" for value in values[row, :4].tolist()) + (", …" if values.shape[1] > 4 else "")
        raise ValueError(f"`{name}` must {rule}, got [{shown}] in row {row}.")


def _check_logits(logits: Tensor) -> None:
    good = logits.amax(dim=1).isfinite() & ~logits.isnan().any(dim=1)
    _check_rows("logits", good, "be finite (-inf only for masked classes)", logits)


def _check_probs(probs: Tensor) -> None:
    tolerance = 1e-2 if probs.dtype in (torch.float16, torch.bfloat16) else 1e-3
    wide = _wide(probs)
    _check_rows("probs", wide.isfinite().all(dim=1), "be finite", probs)
    _check_rows("probs", ((wide >= 0) & (wide <= 1 + tolerance)).all(dim=1), "lie in [0, 1]", probs)
    _check_rows("probs", (wide.sum(dim=1) - 1).abs() <= tolerance, f"sum to 1 within {tolerance:g} in each row", probs)


def _write_npz(predictions: Predictions, path: Path) -> None:
    np.savez(path, **{name: _as_numpy(tensor) for name, tensor in _tensors(predictions).items()})


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"`path` must be a readable npz file of plain arrays, got {str(path)!r}: {error}.") from error
    if "label" in columns:
        columns["labels"] = columns.pop("label")
    return {name: columns[name] for name in ("logits", "probs", "labels", "features") if name in columns}


def _write_parquet(predictions: Predictions, path: Path) -> None:
    pa, pq = require("pyarrow", extra="report"), require("pyarrow.parquet", extra="report")
    columns = {}
    for name, tensor in _tensors(predictions).items():
        array = _as_numpy(tensor)
        if array.ndim == 1:
            columns["label"] = pa.array(array)
        else:
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
    pq.write_table(pa.table(columns), path)


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    pa, pq = require("pyarrow", extra="report"), require("pyarrow.parquet", extra="report")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"`path` must be a readable Parquet file, got {str(path)!r}: {error}.") from error
    names = {"logits": "logits", "probs": "probs", "label": "labels", "labels": "labels", "features": "features"}
    return {names[name]: _column(table[name], name) for name in table.column_names if name in names}


def _column(column, name: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    if column.null_count:
        raise ValueError(f"`{name}` must have no missing values, got {column.null_count}.")
    array = column.combine_chunks()
    if not hasattr(array, "flatten") or not hasattr(array.type, "value_type"):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    flat = array.flatten()
    if flat.null_count:
        raise ValueError(f"`{name}` must have no missing values, got {flat.null_count}.")
    widths = np.unique(np.asarray([len(array[0])]) if hasattr(array.type, "list_size") else np.diff(array.offsets))
    if len(widths) > 1:
        raise ValueError(f"`{name}` must have rows of one length, got lengths from {widths[0]} to {widths[-1]}.")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(array), -1)


def _write_csv(predictions: Predictions, path: Path) -> None:
    single = {"logits": "logit", "probs": "prob", "features": "feature"}
    header, blocks = [], []
    for name, tensor in _tensors(predictions).items():
        array = _as_numpy(tensor)
        if array.ndim == 1:
            header.append("label")
            blocks.append(array[:, None].astype(str))
        else:
            header += [f"{single[name]}_{index}" for index in range(array.shape[1])]
            blocks.append(array.astype(str))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(np.concatenate(blocks, axis=1).tolist())


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file), [])
        try:
            table = np.loadtxt(file, delimiter=",", ndmin=2, dtype=np.float64)
        except ValueError as error:
            raise ValueError(f"`path` must be a CSV file of numbers, got {str(path)!r}: {error}.") from error
    if table.size and table.shape[1] != len(header):
        raise ValueError(f"`path` must have {len(header)} values in each row, got {table.shape[1]} in {str(path)!r}.")
    table = table.reshape(-1, len(header))
    columns: dict[str, np.ndarray] = {}
    for name, prefix in (("logits", "logit_"), ("probs", "prob_"), ("features", "feature_")):
        places = [header.index(f"{prefix}{i}") for i in range(sum(h.startswith(prefix) for h in header))]
        if places:
            columns[name] = table[:, places].astype(np.float32)
    if "label" in header:
        labels = table[:, header.index("label")]
        if not np.array_equal(labels, np.round(labels)):
            raise ValueError(f"`label` must hold integer class indices, got {labels[labels != np.round(labels)][0]}.")
        columns["labels"] = labels.astype(np.int64)
    return columns


def _tensors(predictions: Predictions) -> dict[str, Tensor]:
    tensors = {predictions.kind: predictions._values, "labels": predictions.labels, "features": predictions.features}
    return {name: tensor.cpu() for name, tensor in tensors.items() if tensor is not None}


def _as_numpy(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
