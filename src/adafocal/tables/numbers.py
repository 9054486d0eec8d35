# SPDX-License-Identifier: Apache-2.0
"""What counts as a number in a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adafocal._text import printable
from adafocal.errors import InvalidTypeError, InvalidValueError

# Python also takes digits of other scripts and 0.2_5, which no other reader does.
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?|inf|infinity|nan)\s*", re.ASCII | re.I)
ALLOWED = 1e-3  # how far the sum of any row may be from 1
UNNORMALIZED = ": normalize to divide rows by their sum"
IN_CACHE = 512  # rows turned at a time: those of some twenty classes stay in the cache, which saves a third
MOST_DIGITS = 5  # a float32 cannot tell more; a sum of values printed with six is close enough to 1


def is_number(text: str) -> bool:
    """Tell whether a text is a number as everyone reads it."""
    return NUMBER.fullmatch(text) is not None


def check_plain(array: np.ndarray, name: str) -> None:
    """Refuse what holds no numbers.

    Raises:
        TypeError: If the column does not hold numbers.
    """
    if array.dtype.kind not in "iuf":
        kind = "values that are no numbers" if array.dtype.kind in "OSUV" else f"type {array.dtype}"
        raise InvalidTypeError(f"`{printable(name)}` must hold numbers or lists of numbers of one length, got {kind}.")


def floats(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers as floating point; whole ones become float32, as in CSV.

    Raises:
        TypeError: If the column does not hold numbers.
    """
    check_plain(array, name)
    wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
    held = np.dtype("f4" if array.dtype.kind in "iu" else "f8") if wide or array.dtype.kind != "f" else array.dtype
    return array.astype(held.newbyteorder("="), copy=False)


def matrix(parts: tuple[str, ...], table: Mapping[str, Any]) -> np.ndarray:
    """Join one column of lists or several of numbers to a matrix; a single column of numbers stays as it is.

    Raises:
        TypeError: If a column does not hold numbers.
        ValueError: If shapes do not fit.
    """
    arrays = [floats(table[part], part) for part in parts]
    if len(arrays) == 1 and arrays[0].ndim in (1, 2):
        return arrays[0]
    for part, array in zip(parts, arrays, strict=True):
        if array.ndim != 1:
            rule = "have shape (N, C)" if len(parts) == 1 else "have one number per row"
            raise InvalidValueError(f"`{printable(part)}` must {rule}, got {array.shape}.")
    return np.stack(arrays).T  # class after class


def padded(parts: Sequence[np.ndarray], nothing: float) -> np.ndarray:
    """Join matrices row after row; those of fewer columns get more, which hold ``nothing``."""
    width = max(part.shape[1] for part in parts)
    more = [np.full((len(part), width - part.shape[1]), nothing, part.dtype) for part in parts]
    return np.concatenate([np.hstack(both) for both in zip(parts, more, strict=True)])


def class_after_class(rows: np.ndarray) -> np.ndarray:
    """Lay a matrix of shape (N, C) out in memory class after class, as sums over samples of few classes like it."""
    if rows.T.flags.c_contiguous:
        return rows
    turned = np.empty(rows.shape[::-1], rows.dtype)
    for first in range(0, len(rows), IN_CACHE):
        turned[:, first : first + IN_CACHE] = rows[first : first + IN_CACHE].T
    return turned.T


@dataclass(eq=False)
class Digits:
    """How many digits behind the point the values of a table are printed with, as far as it was read.

    Attributes:
        most: Of all values so far; more than five count as six.
        needed: Rows whose sum only so few digits explain, and which nothing else allows: the first of each number of
            digits, by its place in the table and its values.
    """

    most: int = 0
    needed: dict[int, tuple[int, np.ndarray]] = field(default_factory=dict)

    def see(self, values: np.ndarray) -> None:
        """Take some more values into account."""
        while self.most <= MOST_DIGITS:
            # Values of many digits tell so at once.
            if bool(_printed(values[:64], self.most).all()) and bool(_printed(values, self.most).all()):
                break
            self.most += 1

    def note(self, probs: np.ndarray, off: np.ndarray, rows: np.ndarray, first_row: int) -> None:
        """Remember rows that are allowed only because values have few digits."""
        for row in np.flatnonzero(rows):
            fewest = max(d for d in range(MOST_DIGITS + 1) if off[row] <= _allowed(d, probs.shape[1]))
            self.needed.setdefault(fewest, (first_row + int(row), probs[row]))

    def refused(self) -> tuple[int, np.ndarray] | None:
        """The first row that was allowed before values with more digits came."""
        return min((held for d, held in self.needed.items() if d < self.most), key=lambda held: held[0], default=None)


def _printed(values: np.ndarray, digits: int) -> np.ndarray:
    """Tell which values are whole multiples of the last of so many digits, beyond the rounding of their dtype."""
    scaled = values.astype(np.float64) * 10.0**digits
    found: np.ndarray = np.abs(scaled - np.round(scaled)) <= np.finfo(values.dtype).eps * np.abs(scaled) + 1e-9
    return found


def _allowed(digits: int, n_classes: int) -> float:
    """How far from 1 the sum of a row may be that is printed with so many digits.

    Each value is off by half of its last digit at most; by all of it only if it is a tie, which single digits such as
    0.5 and 0.4 are not taken for.
    """
    return 0.5 * 10.0**-digits * n_classes * (1 + 1e-4 if digits > 1 else 1 - 1e-4)


@np.errstate(invalid="ignore", over="ignore")  # rows that are not finite are left for the check
def divided_by_sum(probs: np.ndarray, digits: Digits, *, always: bool, first_row: int = 0) -> tuple[np.ndarray, int]:
    """Divide rows of probabilities by their sum where printing them with few digits explains that it is not 1.

    A row is divided where its own digits explain its sum; where that is further from 1 than any row may be, all rows of
    the table must be printed with so few digits. So the pieces in which a table is read change nothing.

    Args:
        probs: Shape (N, C).
        digits: What is known of the table so far.
        always: Whether every row is divided, whatever its sum.
        first_row: Where the rows begin in the table.

    Returns:
        The probabilities, and how many rows were divided; rows that cannot be are left for the check.
    """
    # Half precision has too few digits to tell.
    if not len(probs) or (probs.dtype.itemsize < 4 and not always):
        return probs, 0
    if not always:
        digits.see(probs)
    if (not always and _all_near(probs)) or not bool((probs >= 0).all()):
        return probs, 0
    sums = probs.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1)
    if always:
        rows = (off > np.finfo(probs.dtype).eps) & (sums > 0) & np.isfinite(sums)
    else:
        rows = _explained(probs, off)
        beyond = rows & (off > ALLOWED)
        rows &= ~beyond | (off <= _allowed(digits.most, probs.shape[1]))
        digits.note(probs, off, beyond & rows, first_row)
    if not rows.any():
        return probs, 0
    probs = probs.copy()
    probs[rows] = (probs[rows] / sums[rows, None]).astype(probs.dtype)
    return probs, int(rows.sum())


def _all_near(probs: np.ndarray) -> bool:
    """Tell quickly that all sums are as near to 1 as five digits can tell."""
    few = probs.shape[1] <= 128  # so a product in float32 is exact enough
    return few and bool((np.abs(probs @ np.ones(probs.shape[1], probs.dtype) - 1) <= 10.0**-MOST_DIGITS / 8).all())


def _explained(probs: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Tell which rows have a sum that is not 1, and so few digits that they explain it."""
    rows, n_classes = np.zeros(len(probs), dtype=bool), probs.shape[1]
    left = np.flatnonzero((off > 10.0**-MOST_DIGITS / 4) & (off < 1) & (off <= _allowed(0, n_classes)))
    for digits in range(MOST_DIGITS + 1 if len(left) else 0):
        found = _printed(probs[left], digits).all(axis=1)
        rows[left[found]] = off[left[found]] <= _allowed(digits, n_classes)
        left = left[~found]
    return rows
