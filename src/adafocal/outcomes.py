# SPDX-License-Identifier: Apache-2.0
"""The record of what has a confidence and was right or wrong: answers of language models, detections, forecasts."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adafocal._arrays import ArrayLike, as_array, as_tensor, checked_cluster, checked_weight
from adafocal._dtypes import at_least_float32, tolerance
from adafocal._files import atomic_path
from adafocal._notebook import record_html
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.tables.columns import Names
from adafocal.tables.labels import events
from adafocal.tables.piece import RowError
from adafocal.tables.read import read_whole, write_table
from adafocal.tables.source import known_suffix

__all__ = ["Outcomes"]


class Outcomes:
    """Confidences with whether each was right, checked when built.

    Arrays may be tensors, NumPy arrays, lists, or columns of pandas, polars or Arrow.

    Args:
        confidence: Probability that the answer is right, shape (N,), in [0, 1].
        correct: Whether it was: booleans, 1 and 0, or words such as yes and no, shape (N,).
        weight: How much each row counts, shape (N,), finite and >= 0; None: each counts once.
        cluster: What each row belongs to, such as its document or video, numbers or words, shape (N,); rows of one
            cluster are not taken to be independent. None: rows stand for themselves.

    Raises:
        TypeError: If a dtype is wrong.
        ValueError: If shapes do not fit, or a value is no probability or neither right nor wrong; the message names
            the row.

    Example:
        >>> outcomes = Outcomes(confidence=[0.9, 0.6], correct=[True, False])
        >>> outcomes
        Outcomes(n=2)
        >>> from adafocal.calibration import evaluate
        >>> round(evaluate(outcomes).overconfidence, 4)
        0.25
    """

    kind = "outcomes"

    def __init__(
        self,
        *,
        confidence: ArrayLike,
        correct: ArrayLike,
        weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
    ) -> None:
        values = as_tensor("confidence", confidence, "floating point")
        if not values.is_floating_point():
            whole = values.dtype != torch.bool and not values.is_complex()
            if not whole:
                raise InvalidTypeError(f"`confidence` must be floating point, got dtype {values.dtype}.")
            values = values.float()
        if values.ndim != 1 or len(values) == 0:
            raise InvalidValueError(f"`confidence` must have shape (N,) with N >= 1, got {tuple(values.shape)}.")
        self.correct = _right(correct)
        if self.correct.shape != values.shape:
            raise InvalidValueError(
                f"`correct` must have one value per confidence, {len(values)}, got {tuple(self.correct.shape)}."
            )
        _check_range(values)
        self.confidence = at_least_float32(values).clamp(max=1.0)
        self.weight = checked_weight(weight, self.n, of="confidence")
        self.cluster = checked_cluster(cluster, self.n, of="confidence")

    @property
    def device(self) -> torch.device:
        """Where the values lie."""
        return self.confidence.device

    @property
    def n(self) -> int:
        """Number of rows N."""
        return len(self.confidence)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Tensor) -> "Outcomes":
        """The outcomes of some rows, by a mask of shape (N,) or indices."""
        held = {"weight": self.weight, "cluster": self.cluster}
        parts = {name: None if one is None else one[rows] for name, one in held.items()}
        return Outcomes(confidence=self.confidence[rows], correct=self.correct[rows], **parts)

    @classmethod
    def concatenate(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Join outcomes, row after row."""
        names = ("confidence", "correct", "weight", "cluster")
        held = {name: [getattr(part, name) for part in parts] for name in names}
        return cls(**{name: None if column[0] is None else torch.cat(column) for name, column in held.items()})

    def __repr__(self) -> str:
        return f"Outcomes(n={self.n}{'' if self.weight is None else ', weighted'})"

    def _repr_html_(self) -> str:
        return record_html(self)

    @cached_property
    def probs(self) -> Tensor:
        """Probabilities of wrong and right, shape (N, 2)."""
        return torch.stack([1 - self.confidence, self.confidence], dim=1)

    @property
    def labels(self) -> Tensor:
        """1 for right, 0 for wrong, int64, shape (N,)."""
        return self.correct.long()

    def save(self, path: str | Path) -> None:
        """Write columns ``confidence``, ``correct`` and, where rows have weights, ``weight``, in one step.

        Args:
            path: A file ``.parquet``, ``.npz`` or ``.csv``; missing folders are made.

        Raises:
            ValueError: If the suffix is none of these.
        """
        known_suffix(path, writes=True)
        arrays = {
            "confidence": self.confidence,
            "correct": self.correct,
            "weight": self.weight,
            "cluster": self.cluster,
        }
        with atomic_path(path) as temporary:
            write_table({name: held.cpu().numpy() for name, held in arrays.items() if held is not None}, temporary)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        confidence: str | None = None,
        correct: str | None = None,
        weight: str | None = None,
        cluster: str | None = None,
        likelihood: str | None = None,
        filter: str | None = None,
    ) -> "Outcomes":
        """Read a table with a column of confidences and one of whether each was right.

        Args:
            path: What :meth:`Predictions.load` reads.
            confidence: The column of confidences; None: ``confidence``.
            correct: The column of whether they were right; None: ``correct``.
            weight: The column of weights; None reads none.
            cluster: The column of what rows belong to; None reads none.
            likelihood: Of evaluation logs, how log-likelihoods of tokens become a confidence; None: ``sum``.
            filter: Of evaluation logs, which filter of answers is read.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If columns are missing, the file is damaged, or the values are no outcomes.
        """
        names = Names(
            confidence=confidence, correct=correct, weight=weight, cluster=cluster, outcomes=True,
            likelihood=likelihood, filter=filter,
        )  # fmt: skip
        return read_whole(path, names, lambda _kind, arrays, _classes: cls(**arrays), rows=False)


def _right(correct: ArrayLike) -> Tensor:
    if isinstance(correct, Tensor):
        if correct.dtype == torch.bool:
            return correct.detach()
        correct = correct.detach().cpu().numpy()
    array = as_array("correct", correct)
    if array.ndim != 1:
        raise InvalidValueError(f"`correct` must have shape (N,), got {array.shape}.")
    return torch.as_tensor(array.copy() if array.dtype == np.bool_ else events(array, "correct", right=True))


def _check_range(values: Tensor) -> None:
    good = (values >= 0) & (values <= 1 + tolerance(values.dtype))
    if good.all():
        return
    row, largest = int((~good).nonzero()[0]), float(values.nan_to_num(nan=0.0).amax())
    scale = 100 if 10 < largest <= 100 else 10 if largest <= 10 else 0
    plain = scale and bool((values >= 0).all())
    remedy = f": divide by {scale}, as it seems to go from 0 to {scale}" if plain else ""
    raise RowError(f"`confidence` must be a probability in [0, 1], got {float(values[row]):g}", row, remedy)
