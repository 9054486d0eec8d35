# SPDX-License-Identifier: Apache-2.0
"""What labels mean, in whatever spelling: class indices, names of classes, true and false."""

import hashlib
import re
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from adafocal._settings import or_meant
from adafocal._text import listed, printable, shown, without_shared_words
from adafocal.errors import InvalidValueError
from adafocal.tables.numbers import check_plain, is_number
from adafocal.tables.piece import Coded, Column, RowError

EXACT = 2.0**53  # up to here each whole number is a float64
WORDS = {"true": 1, "yes": 1, "t": 1, "y": 1, "false": 0, "no": 0, "f": 0, "n": 0}
WHOLE = re.compile(r"([+-]?\d+)(\.0*)?", re.ASCII)
INDEX = "be an integer class index"


def class_indices(column: Column, name: str = "label", classes: tuple[str, ...] = (), n_classes: int = 0) -> np.ndarray:
    """Turn labels into class indices, int64, shape (N,).

    Whole numbers are indices, whether integers, floating point or text; true and false are 1 and 0 of two classes.

    Args:
        column: Labels.
        name: Their column.
        classes: Names of the classes, which labels may be.
        n_classes: How many there are; 0 where nothing tells.

    Raises:
        TypeError: If the column holds neither numbers nor words.
        RowError: If a label is no class.
    """
    if isinstance(column, Coded):
        # Of `prob_class_cat` and `prob_class_dog` labels may be `class_cat` or `cat`.
        short = without_shared_words(classes) if len(classes) > 1 else ()
        place = {text: index for names in (short, classes) for index, text in enumerate(names)}
        return _by_value(
            column, name, lambda text: _class(text, place, n_classes), _rule(classes), partial(_remedy, classes)
        )
    if column.dtype.kind == "b":
        if n_classes != 2:
            raise InvalidValueError(
                f"`{printable(name)}` must be class indices, got true and false for {n_classes} classes."
            )
        return _plain(column, name).astype(np.int64)
    if column.dtype.kind in "USO" and column.ndim == 1:
        return class_indices(as_coded(column, name), name, classes, n_classes)
    check_plain(column[:0], name)
    column = _plain(column, name)
    if column.dtype.kind == "f":
        column = column.astype(np.float64)
        broken = ~(np.abs(column) <= EXACT) | (column != np.round(column))
    else:
        broken = column > np.iinfo(np.int64).max
    if broken.any():
        row = int(np.flatnonzero(broken)[0])
        raise RowError(f"`{printable(name)}` must be an integer class index, got {column[row]}", row)
    return column.astype(np.int64)


def events(column: Column, name: str, positive: str | None = None, *, right: bool = False) -> np.ndarray:
    """Turn labels of two classes, or whether outcomes are right, into booleans, shape (N,).

    Args:
        column: 1 and 0, true and false, yes and no, in any spelling; any labels where ``positive`` is given.
        name: Their column.
        positive: The label that is the event; all others are not.
        right: Whether it is of outcomes, which have no positive class.

    Raises:
        TypeError: If the column holds neither numbers nor words.
        RowError: If a value is neither.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind not in "OUS":
            check_plain(column[:0].astype(np.int8) if column.dtype.kind == "b" else column[:0], name)
        column = as_coded(_plain(column, name), name)
    remedy = "" if right else ": name the positive class (--positive-class)"
    if positive is None:
        happened = _by_value(column, name, _truth, "be 1 or 0, true or false, yes or no", lambda _: remedy)
    else:
        happened = _by_value(column, name, lambda text: int(same_label(text, positive)), "have no missing values")
    return happened.astype(bool)


def same_label(first: str, second: str) -> bool:
    """Tell whether two spellings are one label: `1` and `1.0`, `True` and `true`.

    Example:
        >>> same_label("1.0", "1"), same_label("TRUE", "true"), same_label("Cat", "cat")
        (True, True, False)
    """
    return first == second or _spelled(first) == _spelled(second)


def _spelled(text: str) -> object:
    text = text.strip()
    if (whole := WHOLE.fullmatch(text)) is not None and len(text) < 20:
        return int(whole[1])
    if is_number(text):
        return float(text)
    return bool(WORDS[text.lower()]) if text.lower() in ("true", "false") else text


def as_coded(values: np.ndarray, name: str) -> Coded:
    """Number the different values of a column.

    Raises:
        ValueError: If there is more than one plain value per row.
    """
    if values.dtype.kind == "O":
        return _objects(values, name)
    if values.ndim != 1 or values.dtype.kind not in "biufSUMm":
        kind = f"shape {values.shape}" if values.ndim != 1 else f"type {values.dtype}"
        raise InvalidValueError(f"`{printable(name)}` must have one plain value per row, got {kind}.")
    found, index = np.unique(values, return_inverse=True)
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8", "backslashreplace")
    return Coded(index.reshape(-1), tuple(str(value) for value in found))


def cluster_codes(column: Coded, name: str) -> np.ndarray:
    """Turn clusters into numbers that stand for them in whatever part of the data they are met, int64, shape (N,).

    Whole numbers stand for themselves.

    Raises:
        RowError: If a value is missing: such rows belong to no known cluster, nor to one another.
    """
    return _by_value(column, name, _cluster, "name a cluster")


def _cluster(text: str) -> int | None:
    if text.strip().lower() in ("", "nan"):
        return None
    if (whole := WHOLE.fullmatch(text)) is not None and len(text) < 19:
        return int(whole[1])
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _objects(values: np.ndarray, name: str) -> Coded:
    codes: dict[str | None, int] = {}
    index = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        missing = value is None or value != value
        if not missing and not isinstance(value, (str, bytes, bool, int, float, np.generic)):
            raise RowError(f"`{printable(name)}` must have one plain value per row, got {shown(value)}", row)
        index[row] = codes.setdefault(None if missing else str(value), len(codes))
    return Coded(index, tuple(codes))


def _by_value(
    column: Coded,
    name: str,
    meaning: Callable[[str], int | None],
    rule: str,
    remedy: Callable[[str], str] = lambda _: "",
) -> npt.NDArray[np.int64]:
    """Look up what each different value means, and name the first row of one that means nothing."""
    found = [None if text is None else meaning(text) for text in column.values]
    held = np.array([-1 if value is None else value for value in found] or [0], dtype=np.int64)
    nothing = np.array([value is None for value in found] or [False])
    bad = nothing[column.index]
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        text = column.values[column.index[row]]
        if text is None or not text.strip():
            raise RowError(
                f"`{printable(name)}` must have no missing values, got {'null' if text is None else shown(text)}", row
            )
        if rule == INDEX and is_number(text):  # as other formats say it, which hold no words
            raise RowError(f"`{printable(name)}` must {rule}, got {float(text)}", row)
        raise RowError(f"`{printable(name)}` must {rule}, got {shown(text)}", row, remedy(text))
    found_rows: npt.NDArray[np.int64] = held[column.index]
    return found_rows


def _class(text: str, classes: dict[str, int], n_classes: int) -> int | None:
    text = text.strip()
    if text in classes:
        return classes[text]
    if (whole := WHOLE.fullmatch(text)) is not None and len(text) < 19:
        return int(whole[1])
    if n_classes == 2 and text.lower() in ("true", "false"):
        return WORDS[text.lower()]
    if is_number(text):
        value = float(text)
        return int(value) if abs(value) <= EXACT and value == round(value) else None
    return None


def _rule(classes: tuple[str, ...]) -> str:
    return f"be one of the classes {listed(classes)}" if classes else INDEX


def _remedy(classes: tuple[str, ...], text: str) -> str:
    return (
        or_meant(text, classes)
        if classes
        else ": name the columns by the classes for labels in words, as prob_cat, prob_dog"
    )


def _truth(text: str) -> int | None:
    spelled = _spelled(text)
    return int(spelled) if spelled in (0, 1) else WORDS.get(str(spelled).lower())


def _plain(column: np.ndarray, name: str) -> np.ndarray:
    if column.ndim != 1:
        raise InvalidValueError(f"`{printable(name)}` must have shape (N,), got {column.shape}.")
    return column
