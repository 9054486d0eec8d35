# SPDX-License-Identifier: Apache-2.0
"""Names of classes that a table keeps beside its rows, where no columns are named by them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from adafocal._text import printable, shown
from adafocal.errors import InvalidValueError
from adafocal.tables.columns import SINGULAR, Columns

# An array of an npz file, and metadata of the column of lists in Arrow's schema, as JSON.
CLASSES = "classes"
KEY = b"adafocal.classes"


def with_names(field: Any, classes: Sequence[str]) -> Any:
    """Let a field of Arrow's schema, of a column of lists, keep the names of the classes."""
    return field.with_metadata({KEY: json.dumps(list(classes), ensure_ascii=False)}) if classes else field


def names_in(metadata: Mapping[bytes, bytes] | None) -> tuple[str, ...]:
    """Read what :func:`with_names` let a field keep; empty where it keeps nothing.

    Raises:
        ValueError: If it is damaged.
    """
    text = None if metadata is None else metadata.get(KEY)
    if text is None:
        return ()
    try:
        kept = json.loads(text)
    except ValueError:
        kept = None
    if not isinstance(kept, list) or not all(isinstance(name, str) for name in kept):
        raise InvalidValueError(
            f"metadata `{KEY.decode()}` must be a list of names, got {shown(text.decode(errors='replace'))}."
        )
    return tuple(kept)


def names_of(array: np.ndarray) -> tuple[str, ...]:
    """Read an array of names; empty where it holds something else, as an array of that name in older files may."""
    return tuple(array.tolist()) if array.ndim == 1 and array.dtype.kind == "U" else ()


def named_by(columns: Columns, classes: tuple[str, ...]) -> Columns:
    """Give a column of lists the names of classes that are kept beside it; those of columns go first."""
    return columns if columns.classes or len(columns.values) != 1 else replace(columns, classes=classes)


def check_width(columns: Columns, values: np.ndarray) -> None:
    """Raise where a file names another number of classes than it has values for."""
    width = values.shape[1] if values.ndim == 2 else 1
    if len(values) and columns.classes and width != len(columns.classes):
        raise InvalidValueError(
            f"`{printable(columns.values[0])}` must have a value for each of the {len(columns.classes)} classes that "
            f"the file names, got {width}."
        )


def list_columns(name: str, width: int, classes: Sequence[str] = ()) -> list[str]:
    """Name one column per place of a column of lists: by the classes, where they can be read back by these names.

    Example:
        >>> list_columns("logits", 2, ["cat", "dog"]), list_columns("probs", 2, ["1", "2"])
        (['logit_cat', 'logit_dog'], ['prob_0', 'prob_1'])
    """
    good = all(text.isprintable() and text == text.strip() and text and not text.isdecimal() for text in classes)
    return [f"{SINGULAR.get(name, name)}_{text}" for text in (classes if classes and good else range(width))]
