# SPDX-License-Identifier: Apache-2.0
"""From columns to a piece: the same rules for every format."""

from dataclasses import replace
from typing import Any

import numpy as np

from adafocal._checks import shown_row
from adafocal._text import printable, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.class_names import check_width
from adafocal.tables.columns import OUTCOMES, Columns, Names
from adafocal.tables.labels import as_coded, class_indices, cluster_codes, events
from adafocal.tables.numbers import ALLOWED, UNNORMALIZED, Digits, divided_by_sum, floats, is_number, matrix
from adafocal.tables.piece import Coded, Column, Piece, RowError, group_name
from adafocal.tables.times import moments


def of_folders(keys: dict[str, str | None], columns: Columns, n: int) -> dict[str, Column]:
    """Columns of ``n`` rows that are names of folders and not values of the file.

    Raises:
        ValueError: If one should be a number and is none.
    """
    found: dict[str, Column] = {}
    for name in (name for name in columns.wanted if name in keys):
        text = keys[name]
        if name not in columns.numbers:
            found[name] = Coded(np.zeros(n, np.int64), (text,))
        elif text is not None and is_number(text):
            found[name] = np.full(n, float(text))
        else:
            raise InvalidValueError(f"`{printable(name)}` must be a number, got the folder {shown(text)}.")
    return found


def make_piece(
    path: Any,
    columns: Columns,
    first_row: int,
    table: dict[str, Column],
    names: Names | None = None,
    digits: Digits | None = None,
) -> Piece:
    """Build a piece from arrays by column.

    Args:
        path: The file.
        columns: Which columns hold what.
        first_row: Where the piece begins in the file.
        table: One array per column, or coded words, of one length.
        names: What the user said of them.
        digits: What is known of the digits of probabilities in the table so far.

    Raises:
        TypeError: If a column does not hold numbers.
        ValueError: If shapes do not fit, or a label is no class.
    """
    names, digits = names or Names(), digits or Digits()
    try:
        piece = _piece(path, columns, first_row, table, names, digits)
    except RowError as error:
        raise error.after(first_row) from None
    if (refused := digits.refused()) is not None:
        row, values = refused
        what = f"`probs` must sum to 1 within {ALLOWED:g} in each row, got {shown_row(values)}"
        raise RowError(what, row, UNNORMALIZED)
    return piece


def _piece(
    path: Any, columns: Columns, first_row: int, table: dict[str, Column], names: Names, digits: Digits
) -> Piece:
    values, rounded = matrix(columns.values, table), 0
    _check_ragged(columns, values)
    if names.normalize and (columns.kind != "probs" or values.ndim == 1):
        got = "a single column" if columns.kind == "probs" else columns.kind
        raise InvalidValueError(f"`normalize` must go with probabilities of all classes, got {got}.")
    given = None if columns.label is None else table[columns.label]
    labels: np.ndarray | None = None
    single = columns.kind != OUTCOMES and values.ndim == 1 and not names.several
    check_width(columns, values)
    if names.positive is not None and not single and not names.of_event:
        raise InvalidValueError(
            f"`positive_class` must go with a single column of probabilities or logits, got {names.positive!r} for "
            f"{'outcomes' if columns.kind == OUTCOMES else f'{values.shape[1]} classes'}."
        )
    if columns.kind == OUTCOMES:
        labels = None if given is None else events(given, str(columns.label), right=True)
    elif single:
        values = _both(values, columns)
        labels = None if given is None else events(given, str(columns.label), names.positive).astype(np.int64)
    elif given is not None:
        labels = class_indices(given, str(columns.label), columns.classes, values.shape[1])
    if columns.kind == "probs" and not single and not names.several:
        values, rounded = divided_by_sum(values, digits, always=names.normalize, first_row=first_row)
    weight = None if columns.weight is None else floats(table[columns.weight], columns.weight)  # type: ignore[arg-type]
    piece = Piece(
        path,
        columns,
        first_row,
        values,
        labels,
        single=single,
        rounded=rounded,
        normalized=names.normalize,
        weight=weight,
    )
    features = matrix(columns.features, table) if columns.features else None
    features = features[:, None] if features is not None and features.ndim == 1 else features
    group, group_names = _groups([_words(table[name], name) for name in columns.by])
    piece = replace(piece, features=features, group=group, group_names=group_names)
    if columns.cluster is not None:
        piece = _clustered(piece, _words(table[columns.cluster], columns.cluster), columns.cluster)
    return piece if columns.time is None else _timed(piece, table[columns.time], names)


def _check_ragged(columns: Columns, values: np.ndarray) -> None:
    if columns.ragged and (columns.kind == OUTCOMES or values.ndim == 1):
        got = "outcomes" if columns.kind == OUTCOMES else "a single column"
        raise InvalidValueError(f"`ragged` must go with logits or probabilities of several choices, got {got}.")


def _clustered(piece: Piece, words: Coded, name: str) -> Piece:
    cluster = cluster_codes(words, name)
    held, rows = np.unique(words.index, return_index=True)
    names = {int(cluster[row]): str(words.values[one]) for one, row in zip(held, rows, strict=True)}
    return replace(piece, cluster=cluster, cluster_names=names)


def _timed(piece: Piece, column: Column, names: Names) -> Piece:
    time, zoned = moments(column, str(piece.columns.time), names.time_unit)
    return replace(piece, time=time, zoned=zoned)


def _both(values: np.ndarray, columns: Columns) -> np.ndarray:
    """Turn the probability or logit of the positive class into those of both classes."""
    if columns.kind == "logits":
        return np.stack([np.zeros_like(values), values]).T
    outside = ~((values >= 0) & (values <= 1))
    if outside.any():
        row, (name,) = int(np.flatnonzero(outside)[0]), columns.values
        remedy = ": divide percent by 100" if 1 < values[row] <= 100 else ""
        raise RowError(f"`{printable(name)}` must be a probability in [0, 1], got {values[row]:g}", row, remedy)
    return np.stack([1 - values, values]).T


def _words(column: Column, name: str) -> Coded:
    return column if isinstance(column, Coded) else as_coded(column, name)


def _groups(parts: list[Coded]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Number the combinations of values that occur, and name them."""
    if not parts:
        return None, ()
    if len(parts) == 1:
        return parts[0].index, tuple(group_name(value) for value in parts[0].values)
    rows, index = np.unique(np.stack([part.index for part in parts]), axis=1, return_inverse=True)
    texts = [[group_name(parts[place].values[code]) for place, code in enumerate(row)] for row in rows.T]
    return index.reshape(-1), tuple(", ".join(text) for text in texts)


def check_lengths(table: dict[str, Column], label: str | None) -> None:
    """Refuse columns of different lengths.

    Raises:
        ValueError: With the length of each.
    """
    for name, array in table.items():
        if not isinstance(array, Coded) and array.ndim == 0:
            raise InvalidValueError(f"arrays must have one row per label, got `{name}` of shape ().")
    lengths = {name: len(array) for name, array in table.items()}
    if len(set(lengths.values())) > 1:
        named = {("labels" if name == label else name): n for name, n in lengths.items()}
        raise InvalidValueError(f"arrays must have one row per label, {lengths.get(str(label))}, got {named}.")
