# SPDX-License-Identifier: Apache-2.0
"""Labels as they are stored, names or numbers, to class indices."""

import re

import numpy as np

from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.tables.labels import class_indices
from adafocal.tables.numbers import is_number

UNLABELLED = -1
MOST_CLASSES = 1_000_000  # larger numbers are identifiers: a network would need an output for each number below them
WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0+)?", re.ASCII)


def classes_of(labels: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn labels as they are stored into class indices, int64, and names, none where they are indices.

    Args:
        labels: Names, whole numbers, or true and false, shape (N,).
        names: What is known of the names of indices.

    Raises:
        ValueError: If they are neither.

    Example:
        >>> classes_of(np.array(["b", "a"]), ())
        (array([1, 0]), ('a', 'b'))
    """
    if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        other = next(label for label in labels if not isinstance(label, str))
        raise InvalidValueError(f"Labels must be names or class indices, got {shown(other)}.")
    if labels.dtype.kind in "OUS":
        found, places = np.unique(np.char.strip(labels.astype(str)), return_inverse=True)
        whole = [WHOLE.fullmatch(name) for name in found.tolist()]
        if all(whole):
            labels = np.array([int(match[1]) for match in whole if match], dtype=np.int64)[places]
        elif all(map(is_number, found.tolist())) and any("." in name for name in found.tolist()):
            labels = found.astype(np.float64)[places]
        else:
            return places.astype(np.int64), tuple(found.tolist())
    if labels.dtype.kind == "f":
        broken = labels[labels != np.round(labels)]
        if len(broken):
            raise InvalidValueError(
                f"Labels must be names or class indices, got {broken[0]:g}: put numbers that are measured into classes "
                "first."
            )
        labels = class_indices(labels)
    if labels.dtype.kind not in "iub" or (len(labels) and labels.min() < -1):
        got = f"dtype {labels.dtype}" if labels.dtype.kind not in "iub" else str(labels.min())
        raise InvalidValueError(f"Labels must be names or class indices, got {got}.")
    if len(labels) and (most := int(labels.max())) >= max(MOST_CLASSES, len(names)):
        raise InvalidValueError(
            f"Labels must be class indices below {MOST_CLASSES:,}, or names, as identifiers are; got {most}."
        )
    return labels.astype(np.int64), names or (("False", "True") if labels.dtype.kind == "b" else ())
