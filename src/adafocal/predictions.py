# SPDX-License-Identifier: Apache-2.0
"""The record that training writes once and everything after it reads: predictions and labels of a data set."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adafocal._arrays import ArrayLike, checked_cluster, checked_weight
from adafocal._checks import check_flag
from adafocal._dtypes import at_least_float32
from adafocal._files import atomic_path
from adafocal._notebook import record_html
from adafocal._rows import arrays_of, check_values, indices, joined, matrix, with_remedy
from adafocal._text import listed
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.columns import OUTCOMES, Names
from adafocal.tables.piece import RowError
from adafocal.tables.read import read_whole, write_table
from adafocal.tables.source import known_suffix

__all__ = ["Predictions"]


class Predictions:
    """Predicted logits or probabilities with the labels, checked when built.

    Arrays may be tensors, NumPy arrays, lists, or columns of pandas, polars or Arrow.

    Args:
        logits: Unnormalised log-probabilities, shape (N, C) with N >= 1 and C >= 2; -inf marks a masked class.
        probs: Class probabilities instead of logits, shape (N, C); rows sum to 1 within 1e-3 (half precision: 1e-2).
        labels: Class indices in [0, C), or names of ``classes``, shape (N,); None where they are not known: what needs
            them says so.
        features: Penultimate-layer features, shape (N, D), for out-of-distribution scores.
        weight: How much each row counts, shape (N,), finite and >= 0; None: each counts once.
        cluster: What each row belongs to, such as its document or patient, numbers or words, shape (N,); rows of one
            cluster are not taken to be independent. None: rows stand for themselves.
        classes: Names of the classes, one per column.
        ragged: Whether each row has choices of its own, of any number, in place of classes that all rows share: -inf or
            probability 0 where it has none. What speaks of single classes is then not measured.

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
        labels: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        features: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        classes: Sequence[str] | None = None,
        ragged: bool = False,
    ) -> None:
        if (logits is None) == (probs is None):
            raise InvalidTypeError("`logits` or `probs` must be given, and not both.")
        self.logits = None if logits is None else matrix("logits", logits)
        self._values = matrix("probs", probs) if self.logits is None else self.logits
        self.features = None if features is None else matrix("features", features)
        self.classes = None if classes is None else tuple(map(str, classes))
        self.ragged = check_flag("ragged", ragged)
        self._labels = None if labels is None else indices(labels, self.classes)
        if self.n == 0:
            raise InvalidValueError(f"`{self.kind}` must hold at least one row, got 0.")
        if self.n_classes < 2:
            raise InvalidValueError(f"`{self.kind}` must have at least 2 classes, got {self.n_classes}.")
        if self.classes is not None and len(set(self.classes)) != self.n_classes:
            raise InvalidValueError(
                f"`classes` must name each of the {self.n_classes} classes once, got {listed(self.classes)}."
            )
        if ragged and classes is not None:
            raise InvalidValueError(f"`classes` must not be given where rows are ragged, got {listed(classes)}.")
        for name, other in (("labels", self._labels), ("features", self.features)):
            if other is not None and len(other) != self.n:
                rule = f"`{name}` must have one row per row of `{self.kind}`, {self.n}"
                raise InvalidValueError(f"{rule}, got {len(other)}.")
        self.weight = checked_weight(weight, self.n, of=self.kind)
        self.cluster = checked_cluster(cluster, self.n, of=self.kind)
        check_values(self)

    @property
    def labels(self) -> Tensor:
        """Class indices, int64, shape (N,).

        Raises:
            ValueError: If they are not known.
        """
        if self._labels is None:
            rule = "`labels` must be given for what is asked of these predictions, got none"
            raise InvalidValueError(f"{rule}: use Predictions(labels=...), or name their column in load(label=...).")
        return self._labels

    @property
    def labelled(self) -> bool:
        """Whether labels are known."""
        return self._labels is not None

    @property
    def kind(self) -> str:
        """What is stored: ``logits`` or ``probs``."""
        return "probs" if self.logits is None else "logits"

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self._values.device

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

    def __getitem__(self, rows: Tensor | slice) -> "Predictions":
        """The predictions of some rows, by a mask of shape (N,), indices, or a slice."""
        parts = {name: None if one is None else one[rows] for name, one in self._beside.items()}
        return Predictions(**{self.kind: self._values[rows]}, **parts, classes=self.classes, ragged=self.ragged)

    def with_values(self, **values: Tensor) -> "Predictions":
        """The same rows with other ``logits=`` or ``probs=``, shape (N, C)."""
        return Predictions(**values, **self._beside, classes=self.classes, ragged=self.ragged)

    @property
    def _beside(self) -> dict[str, Any]:
        return {"labels": self._labels, "features": self.features, "weight": self.weight, "cluster": self.cluster}

    @classmethod
    def concatenate(cls, parts: Sequence["Predictions"]) -> "Predictions":
        """Join predictions of one kind and of the same classes, or of ragged choices, row after row."""
        first, values = parts[0], joined(parts)
        beside = first._beside.items()
        held = {name: None if one is None else torch.cat([of._beside[name] for of in parts]) for name, one in beside}
        return cls(**{first.kind: values}, **held, classes=first.classes, ragged=first.ragged)

    def __repr__(self) -> str:
        features = "" if self.features is None else f", features={self.features.shape[1]}"
        return f"Predictions({self.kind}, n={self.n}, n_classes={self.n_classes}{features})"

    def _repr_html_(self) -> str:
        return record_html(self)

    def save(self, path: str | Path, **columns: Sequence[object]) -> None:
        """Write to a ``.parquet``, ``.npz`` or ``.csv`` file, in one step: a reader never sees half of it.

        Parquet and npz keep dtypes, but for bfloat16, which becomes float32. CSV is read back as float32 and keeps its
        values exactly. Half-precision probabilities that become float32 are divided by their sum. Names of classes are
        kept, in CSV as ``logit_cat …`` where no name is a number or blank; labels are indices.

        Args:
            path: Where to write; missing folders are made.
            columns: More columns by name, one value per row, such as the name of a file.

        Raises:
            ValueError: If the suffix is none of these, or a column has another length.
            ModuleNotFoundError: For Parquet without pyarrow, with the command that installs it.
        """
        suffix = known_suffix(path, writes=True)
        more = {name: np.asarray(values) for name, values in columns.items()}
        for name, values in more.items():
            if values.shape != (self.n,):
                raise InvalidValueError(f"`{name}` must have one value per row, {self.n}, got shape {values.shape}.")
        with atomic_path(path) as temporary:
            write_table({**more, **arrays_of(self, suffix)}, temporary, self.classes or ())

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        logits: str | None = None,
        probs: str | None = None,
        label: str | None = None,
        weight: str | None = None,
        cluster: str | None = None,
        positive_class: str | None = None,
        normalize: bool = False,
        ragged: bool = False,
        likelihood: str | None = None,
        filter: str | None = None,
    ) -> "Predictions":
        """Read what :meth:`save` wrote, or a table from elsewhere; see the guide to tables.

        Unless named, the predictions are columns ``logit_0 …``, ``prob_0 …``, ``prob_cat, prob_dog …`` or, where there
        is nothing else, ``logit_cat, logit_dog …``, or one column ``logits`` or ``probs``: of lists, or of the one
        logit or probability of two classes. Labels are ``label`` or ``labels``, without which the record has none;
        features are ``features`` or ``feature_0 …``. Rows of probabilities printed with few digits are divided by
        their sum. Messages count rows from 0.

        Args:
            path: A file ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl``, ``.npz``, ``.feather`` or ``.arrow``, the text
                formats also compressed; or an address such as ``s3://bucket/p.parquet``.
            logits: A column, a prefix ``NAME_0 …``, or columns joined by commas.
            probs: The same of probabilities.
            label: The column of labels.
            weight: The column of weights; None reads none.
            cluster: The column of what rows belong to; None reads none.
            positive_class: Label of the class that a single column speaks of; None: 1, True or yes.
            normalize: Divide every row of probabilities by its sum, whatever it is.
            ragged: Whether each row has choices of its own: lists may be of any length.
            likelihood: Of evaluation logs, how log-likelihoods become probabilities; None: ``sum``.
            filter: Of evaluation logs, which filter of answers is read.

        Returns:
            The checked record.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the suffix is unknown, columns are missing, the file is damaged, or the values are no
                predictions.

        Example:
            >>> Predictions.load("no.csv")
            Traceback (most recent call last):
            ...
            adafocal.errors.MissingFileError: `path` must be an existing file, got 'no.csv'.
        """
        positive = None if positive_class is None else str(positive_class)
        names = Names(
            logits=logits, probs=probs, label=label, weight=weight, cluster=cluster, positive=positive, features=True,
            unlabelled=label is None, normalize=normalize, ragged=ragged, likelihood=likelihood, filter=filter,
        )  # fmt: skip
        found = read_whole(path, names, from_table, rows=False)
        if positive is not None and found.labelled and not bool((found.labels == 1).any()):
            raise InvalidValueError(f"`positive_class` must be a label that occurs, got {positive!r}.")
        return found


def from_table(kind: str, arrays: dict[str, Any], classes: Sequence[str]) -> Predictions:
    """Build predictions from what was read of a table.

    Raises:
        TypeError: If it holds outcomes.
        ValueError: If the values are no predictions.
    """
    if kind == OUTCOMES:
        raise InvalidTypeError("columns must hold predictions of all classes, got outcomes: use Outcomes.load.")
    try:
        return Predictions(**arrays, classes=classes or None)
    except RowError as error:
        raise (with_remedy(error, arrays[kind]) if kind == "probs" else error) from None
