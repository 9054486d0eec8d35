# SPDX-License-Identifier: Apache-2.0
"""What the columns of a table are for: found by name, and what they hold by the first row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from adafocal._text import listed, shown
from adafocal.data.config import DataConfig
from adafocal.errors import InvalidValueError
from adafocal.tables.dialect import COMMA
from adafocal.tables.numbers import is_number

INPUT_COLUMNS = ("image", "img", "text", "sentence")
FILE_COLUMNS = ("file_name", "filename", "file", "path", "image_path")  # of images, where a table lists them
LABEL_COLUMNS = ("label", "fine_label", "labels", "target", "class")
INDEX_COLUMNS = ("", "Unnamed: 0", "__index_level_0__")  # pandas' numbers of rows, which order often gives away
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".ppm", ".tif", ".tiff"}


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    Attributes:
        kind: What its rows are: ``images``, ``texts`` or ``numbers``.
        label: The column of classes; None for a table without.
        inputs: The column of images, of their files, or of texts; None for numbers.
        features: The columns of numbers and categories.
        split: The column of parts, or none.
        group: The column of what stays together, or none.
        unused: All other columns.
    """

    kind: str
    label: str | None
    inputs: str | None = None
    features: tuple[str, ...] = ()
    split: str | None = None
    group: str | None = None
    unused: tuple[str, ...] = ()

    @property
    def wanted(self) -> list[str]:
        """All columns that are read, each once."""
        named = (self.inputs, *self.features, self.label, self.split, self.group)
        return list(dict.fromkeys(name for name in named if name is not None))


def find_roles(header: Sequence[str], first: Mapping[str, object], config: DataConfig) -> Roles:
    """Find what the columns of a table are for.

    Args:
        header: All names.
        first: The values of the first row by name.
        config: Names that the user gave.

    Raises:
        ValueError: If a column that was named is missing, one is there twice, or nothing tells what the inputs are.
    """
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise InvalidValueError(f"Columns must have names of their own, got several named {listed(twice)}.")
    if config.input_column is not None and config.feature_columns is not None:
        raise InvalidValueError(
            "`data.feature_columns` must be null where `data.input_column` names texts or images, "
            f"got {listed(config.feature_columns)} and {config.input_column!r}."
        )
    named = {kind: _named(header, f"{kind}_column", getattr(config, f"{kind}_column")) for kind in ("split", "group")}
    label = config.label_column if config.label_column in header else None
    if config.label_column is None:
        label = next((name for name in LABEL_COLUMNS if name in header and name not in named.values()), None)
    taken = {label, *named.values()}
    inputs, kind = _inputs(header, first, config, taken)
    features: tuple[str, ...] = ()
    if inputs is None:
        features = _features(header, first, config, taken)
    known = {inputs, *features, *taken}
    unused = tuple(name for name in header if name not in known)
    return Roles(kind, label, inputs, features, **named, unused=unused)


def is_image_file(value: object) -> bool:
    """Tell whether a text names the file of an image."""
    return isinstance(value, str) and PurePosixPath(value.replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES


def _inputs(
    header: Sequence[str], first: Mapping[str, object], config: DataConfig, taken: set[str | None]
) -> tuple[str | None, str]:
    """Find the column of images or texts, and which of them it holds."""
    if config.feature_columns is not None:
        return None, "numbers"
    asked = _named(header, "input_column", config.input_column)
    known = (name for name in INPUT_COLUMNS if name in header and name not in taken)
    files = (name for name in FILE_COLUMNS if name in header and name not in taken and is_image_file(first.get(name)))
    arrays = (name for name in header if name not in taken and _is_image_array(first.get(name)))
    column = asked or next(known, None) or next(files, None) or next(arrays, None)
    if column is None:
        return None, "numbers"
    value = first.get(column)
    stored = isinstance(value, (bytes, dict)) or _is_image_array(value) or is_image_file(value)
    if stored or (column in ("image", "img") and not isinstance(value, str)):
        return column, "images"
    if isinstance(value, str) or value is None:
        return column, "texts"
    kind = "a list" if isinstance(value, list) else type(value).__name__
    raise InvalidValueError(
        f"`data.input_column` must hold images or texts, got {kind} in {column!r}: name columns of numbers by "
        "`data.feature_columns`."
    )


def _is_image_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.ndim > 1


def _features(
    header: Sequence[str], first: Mapping[str, object], config: DataConfig, taken: set[str | None]
) -> tuple[str, ...]:
    """Find the columns of numbers and categories."""
    if config.feature_columns is not None:
        missing = [name for name in config.feature_columns if name not in header]
        mixed = [name for name in config.feature_columns if name in taken]
        if missing or mixed:
            what = "columns of the data" if missing else "other columns than those of labels, parts and groups"
            raise InvalidValueError(
                f"`data.feature_columns` must name {what}, got {listed(missing or mixed)} for columns {listed(header)}."
            )
        return config.feature_columns
    left = tuple(name for name in header if name not in taken and name not in INDEX_COLUMNS)
    if not any(first.get(name) is None or _is_numeric(first.get(name)) for name in left):
        raise InvalidValueError(
            f"`data.input_column` must be set, got columns {listed(header)}: name the one of texts or images, or "
            "columns of numbers or categories by `data.feature_columns`."
        )
    labels = [name for name in header if name in LABEL_COLUMNS]
    if config.label_column is None and set(labels) & set(left):
        raise InvalidValueError(
            f"`data.label_column` must be set where several could be it, got {listed(labels)}: "
            "the others would tell the class, so name the features by `data.feature_columns` too."
        )
    return left


def _is_numeric(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(one is None or _is_numeric(one) for one in value)
    if isinstance(value, str):
        return is_number(value) or COMMA.fullmatch(value) is not None
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return isinstance(value, (bool, int, float, np.number)) or type(value).__name__ == "Decimal"


def _named(header: Sequence[str], argument: str, name: str | None) -> str | None:
    if name is not None and name not in header:
        raise InvalidValueError(
            f"`data.{argument}` must be a column of the data, got {shown(name)} for columns {listed(header)}."
        )
    return name
