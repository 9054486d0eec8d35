# SPDX-License-Identifier: Apache-2.0
"""The record of sigmoid models: for every sample the probability of each label, of which several may apply."""

from collections.abc import Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adafocal._arrays import ArrayLike, checked_cluster, checked_weight
from adafocal._dtypes import at_least_float32, tolerance
from adafocal._files import atomic_path
from adafocal._notebook import table_html
from adafocal._rows import UNKNOWN, check_rows, checked_answers, matrix
from adafocal._settings import or_meant
from adafocal._text import listed, shown
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.predictions import Predictions
from adafocal.tables.columns import Names
from adafocal.tables.read import read_whole, write_table
from adafocal.tables.source import known_suffix

__all__ = ["MultilabelPredictions"]


class MultilabelPredictions:
    """Logits or probabilities of labels of which several may apply, with which do, checked when built.

    Every entry is a binary event of its own: "label l applies to sample n". Arrays may be tensors, NumPy arrays, lists,
    or columns of pandas, polars or Arrow.

    Args:
        logits: Log-odds of each label, shape (N, L) with N, L >= 1; -inf marks a masked label.
        probs: Probabilities instead of logits, in [0, 1]; rows need not sum to 1.
        labels: Whether each label applies, booleans or 0 and 1, shape (N, L); -100 or NaN where it is not known: such
            an entry is left out, the others of its sample are not.
        weight: How much each sample counts, shape (N,), finite and >= 0; None: each counts once.
        cluster: What each sample belongs to, such as its document or patient, numbers or words, shape (N,); samples of
            one cluster are not taken to be independent. None: samples stand for themselves.
        classes: Names of the labels, one per column.

    Raises:
        TypeError: If a dtype is wrong, or not exactly one of ``logits`` and ``probs`` is given.
        ValueError: If shapes do not fit, or a value is no logit, probability or label; the message names the row.

    Example:
        >>> labels = [[1, 0], [1, -100]]
        >>> record = MultilabelPredictions(probs=[[0.9, 0.2], [0.6, 0.4]], labels=labels, classes=["a", "b"])
        >>> record
        MultilabelPredictions(probs, n=2, n_labels=2, known=3)
        >>> record.of_label("a").labels
        tensor([1, 1])
    """

    def __init__(
        self,
        *,
        labels: ArrayLike,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        if (logits is None) == (probs is None):
            raise InvalidTypeError("`logits` or `probs` must be given, and not both.")
        self.logits = None if logits is None else matrix("logits", logits)
        self._values = matrix("probs", probs) if self.logits is None else self.logits
        if self._values.numel() == 0:
            rule = f"`{self.kind}` must have shape (N, L) with N, L >= 1"
            raise InvalidValueError(f"{rule}, got {tuple(self._values.shape)}.")
        self.classes = None if classes is None else tuple(map(str, classes))
        if self.classes is not None and not len(set(self.classes)) == len(self.classes) == self.n_labels:
            rule = f"`classes` must name each of the {self.n_labels} labels once"
            raise InvalidValueError(f"{rule}, got {listed(self.classes)}.")
        self.labels = checked_answers(labels, self.kind, self._values)
        self.weight = checked_weight(weight, self.n, of=self.kind)
        self.cluster = checked_cluster(cluster, self.n, of=self.kind)
        if self.logits is None:
            good = (self._values >= 0) & (self._values <= 1 + tolerance(self._values.dtype))
            check_rows("probs", good.all(dim=1), "lie in [0, 1]", self._values)
        else:
            good = self._values < torch.inf
            check_rows("logits", good.all(dim=1), "be finite (-inf only for masked labels)", self._values)

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
    def n_labels(self) -> int:
        """Number of labels L."""
        return self._values.shape[1]

    @property
    def names(self) -> tuple[str, ...]:
        """What labels are called: their names, or their places from 0."""
        return tuple(map(str, range(self.n_labels))) if self.classes is None else self.classes

    @property
    def known(self) -> Tensor:
        """Of which entries it is known whether the label applies, boolean, shape (N, L)."""
        return self.labels != UNKNOWN

    @cached_property
    def probs(self) -> Tensor:
        """Probability of each label, shape (N, L): as given, or the sigmoid of the logits, in float32 or wider."""
        values = at_least_float32(self._values)
        return values.clamp(max=1.0) if self.logits is None else values.sigmoid()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Tensor | slice) -> "MultilabelPredictions":
        """Some samples, by a mask of shape (N,), indices, or a slice."""
        beside = {"weight": self.weight, "cluster": self.cluster}
        parts = {name: None if one is None else one[rows] for name, one in beside.items()}
        return MultilabelPredictions(
            **{self.kind: self._values[rows]}, labels=self.labels[rows], **parts, classes=self.classes
        )

    def of_label(self, label: int | str) -> Predictions:
        """The known entries of one label, as predictions of the two classes "it does not apply" and "it applies".

        ``calibration.evaluate(…, positive_class=1)`` measures its event, and whatever scales two classes scales it.

        Args:
            label: Its place from 0, or its name.

        Raises:
            ValueError: If there is no such label, or no entry of it is known.
        """
        place = self._place(label)
        rows = self.known[:, place]
        if not bool(rows.any()):
            raise InvalidValueError(
                f"`labels` must be known of at least one entry of label {self.names[place]}, got 0."
            )
        held = (None if one is None else one[rows] for one in (self.weight, self.cluster))
        return self._binary(self._values[rows, place], self.labels[rows, place], *held)

    def column(self, place: int) -> Predictions:
        """All entries of one label, also unknown ones, as :meth:`of_label` gives them but without labels.

        Raises:
            ValueError: If there is no such label.
        """
        return self._binary(self._values[:, self._place(place)], None, None, None)

    @classmethod
    def concatenate(cls, parts: Sequence["MultilabelPredictions"]) -> "MultilabelPredictions":
        """Join records of one kind and of the same labels, sample after sample."""
        names, first = ("labels", "weight", "cluster"), parts[0]
        held = {name: [getattr(part, name) for part in parts] for name in names}
        beside = {name: None if column[0] is None else torch.cat(column) for name, column in held.items()}
        return cls(**{first.kind: torch.cat([part._values for part in parts])}, **beside, classes=first.classes)

    def with_values(self, **values: Tensor) -> "MultilabelPredictions":
        """The same samples with other ``logits=`` or ``probs=``, shape (N, L)."""
        held: dict[str, Any] = {**values, "labels": self.labels, "weight": self.weight, "cluster": self.cluster}
        return MultilabelPredictions(**held, classes=self.classes)

    def pooled(self) -> Predictions:
        """The known entries of all labels, as :meth:`of_label` gives those of one.

        The entries of a sample are not independent, so each sample is a cluster where it belongs to no larger one.

        Raises:
            ValueError: If no entry is known.
        """
        known = self.known
        if not bool(known.any()):
            raise InvalidValueError("`labels` must be known of at least one entry, got 0.")
        row = known.nonzero()[:, 0]
        cluster = torch.arange(self.n, device=row.device) if self.cluster is None else self.cluster
        weight = None if self.weight is None else self.weight.to(row.device)[row]
        held = None if self.n_labels == 1 and self.cluster is None else cluster.to(row.device)[row]
        return self._binary(self._values[known], self.labels[known], weight, held)

    def _place(self, label: int | str) -> int:
        if isinstance(label, Integral) and not isinstance(label, bool) and 0 <= label < self.n_labels:
            return int(label)
        if isinstance(label, str) and label in self.names:
            return self.names.index(label)
        known = listed(self.names) if self.classes else f"0 to {self.n_labels - 1}"
        raise InvalidValueError(
            f"`label` must be a label, {known}, got {shown(label)}{or_meant(str(label), self.names)}"
        )

    def _binary(
        self, values: Tensor, labels: Tensor | None, weight: Tensor | None, cluster: Tensor | None
    ) -> Predictions:
        wide = at_least_float32(values)
        if self.logits is not None:
            pair = torch.stack([torch.zeros_like(wide), wide], dim=1)
            return Predictions(logits=pair, labels=labels, weight=weight, cluster=cluster)
        wide = wide.clamp(max=1.0)
        pair = torch.stack([1 - wide, wide], dim=1)
        return Predictions(probs=pair, labels=labels, weight=weight, cluster=cluster)

    def __repr__(self) -> str:
        counts = f"n={self.n}, n_labels={self.n_labels}, known={int(self.known.sum())}"
        return f"MultilabelPredictions({self.kind}, {counts})"

    def _repr_html_(self) -> str:
        rows = [("samples", f"{self.n:,}"), ("labels", f"{self.n_labels:,}"), ("held", self.kind)]
        rows += [] if self.classes is None else [("names", listed(self.classes))]
        rows += [("known entries", f"{int(self.known.sum()):,}")]
        return table_html("", (type(self).__name__, ""), rows)

    def save(self, path: str | Path) -> None:
        """Write to a ``.parquet``, ``.npz`` or ``.csv`` file, in one step, with the names of labels.

        CSV has columns ``prob_cat …`` (or ``logit_cat …``) and ``label_cat …``, numbered where labels have no names
        that can be read back. An entry that is not known is -100.

        Args:
            path: Where to write; missing folders are made.

        Raises:
            ValueError: If the suffix is none of these.
            ModuleNotFoundError: For Parquet without pyarrow, with the command that installs it.
        """
        suffix = known_suffix(path, writes=True)
        values = self._values
        if values.dtype == torch.bfloat16 or (suffix == ".csv" and values.dtype == torch.float16):
            values = values.float()
        named = {self.kind: values, "labels": self.labels, "weight": self.weight, "cluster": self.cluster}
        arrays = {name: one.cpu().numpy() for name, one in named.items() if one is not None}
        with atomic_path(path) as temporary:
            write_table(arrays, temporary, self.classes or ())

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        logits: str | None = None,
        probs: str | None = None,
        weight: str | None = None,
        cluster: str | None = None,
    ) -> "MultilabelPredictions":
        """Read what :meth:`save` wrote, or a table from elsewhere; see the guide to tables.

        Values are found as :meth:`Predictions.load` finds them, and are of sigmoids: rows are not divided by their sum.
        Labels are columns ``label_NAME``, one for each column of values, of 0 and 1, or one column ``label`` or
        ``labels`` of lists of these.

        Args:
            path: A file of any format that :meth:`Predictions.load` reads.
            logits: A column of lists, a prefix ``NAME_0 …``, or columns joined by commas.
            probs: The same of probabilities.
            weight: The column of weights; None reads none.
            cluster: The column of what samples belong to; None reads none.

        Returns:
            The checked record.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the suffix is unknown, columns are missing, the file is damaged, or the values are no such
                predictions.
        """
        names = Names(logits=logits, probs=probs, weight=weight, cluster=cluster, several=True)
        return read_whole(path, names, from_table, rows=False)


def from_table(kind: str, arrays: dict[str, Any], classes: Sequence[str]) -> MultilabelPredictions:
    """Build the record of what was read of a table."""
    values = {kind: arrays[kind], "labels": arrays["features"]}
    wide = {name: one if one.ndim > 1 else one[:, None] for name, one in values.items()}
    beside = {name: arrays[name] for name in ("weight", "cluster")}
    return MultilabelPredictions(**wide, **beside, classes=classes or None)
