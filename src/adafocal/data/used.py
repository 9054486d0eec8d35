# SPDX-License-Identifier: Apache-2.0
"""Which settings each kind of data reads: one that is not read is refused by name, never ignored."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from adafocal._text import shown
from adafocal.data.config import DataConfig
from adafocal.errors import InvalidValueError

SIZES = frozenset({"train_size", "validation_size", "scaling_size", "test_size"})
ALWAYS = frozenset({"name", "split_seed"}) | SIZES
PLACE = frozenset({"root", "path"})
ROWS = frozenset({"label_column", "split_column", "group_column"})  # of tables alone
OF_IMAGES = frozenset({"image_size", "augment", "noise"})
OF_TEXTS = frozenset({"length", "vocabulary_size", "tokenizer"})
MADE = ALWAYS | {"args"}
COLUMNS = ROWS | {"input_column", "feature_columns"}
# The settings that are read, by kind of data; what a set's own layout takes away is in `unread`.
USED: Mapping[str, frozenset[str]] = {
    "digits": ALWAYS | {"noise"},
    "images": ALWAYS | PLACE | ROWS | OF_IMAGES | {"input_column"},
    "texts": ALWAYS | PLACE | ROWS | OF_TEXTS | {"input_column"},
    "numbers": ALWAYS | PLACE | ROWS | {"feature_columns"},
    "volumes": ALWAYS | PLACE | {"volume_size", "augment"},
    "own": MADE | OF_IMAGES | OF_TEXTS,  # what it gives is known once it was called
    "own_images": MADE | OF_IMAGES,
    "own_texts": MADE | OF_TEXTS,
    "own_arrays": MADE,
    "own_splits": MADE - SIZES,
}
CALLED = {
    "digits": "digits, which come with scikit-learn",
    "own": "data that a function makes",
    "own_images": "images that a function makes",
    "own_texts": "texts that a function makes",
    "own_arrays": "arrays that a function makes",
    "own_splits": "DataSplits that a function makes",
}
REMEDIES = {("digits", "path"): ": name other data by `data.name`"}


def unread(config: DataConfig, kind: str, *, table: bool = True) -> dict[str, str]:
    """Name the settings that data of a kind do not read, each with where that is so.

    Args:
        config: The settings.
        kind: A key of ``USED``.
        table: Whether the data lie in a table, whose columns have names, and not in folders.

    Example:
        >>> unread(DataConfig(), "digits")["root"]
        'for digits, which come with scikit-learn'
    """
    names = [field.name for field in fields(DataConfig)]
    found = {name: f"for {CALLED.get(kind, kind)}" for name in names if name not in USED[kind]}
    if config.path is not None and "path" not in found:
        found.setdefault("root", "where `data.path` is given")
    if config.tokenizer is not None and "tokenizer" not in found:
        found["vocabulary_size"] = "where `data.tokenizer` is given"
    if not table:
        found |= {name: "for one folder of images per class" for name in COLUMNS}
    return found


def check_used(config: DataConfig, kind: str, *, table: bool = True, given: Collection[str] | None = None) -> None:
    """Raise if a setting is not read by data of a kind.

    Args:
        config: The settings.
        kind: A key of ``USED``.
        table: Whether the data lie in a table, whose columns have names.
        given: Names of what was asked for, at its default or not; None is every setting that is not its default.

    Raises:
        ValueError: If one is not read.
    """
    for name, where in unread(config, kind, table=table).items():
        value, neutral = getattr(config, name), default_of(name)
        if value != neutral if given is None else name in given and bool(value):
            remedy = REMEDIES.get((kind, name), "")
            rule = _plain(neutral) if given is None else "left out"
            raise InvalidValueError(f"`data.{name}` must be {rule} {where}, got {_plain(value)}{remedy}.")


def only_used(config: DataConfig, kind: str, *, table: bool = True) -> DataConfig:
    """Set to its default what data of a kind do not read, such as what a recipe says of other data."""
    neutral: dict[str, Any] = {name: default_of(name) for name in unread(config, kind, table=table)}
    return replace(config, **neutral)


def default_of(name: str) -> object:
    """Give a setting's default."""
    field = DataConfig.__dataclass_fields__[name]
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _plain(value: object) -> str:
    """Write a value as YAML does."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else shown(value)
