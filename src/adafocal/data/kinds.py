# SPDX-License-Identifier: Apache-2.0
"""What kind of data settings name, told without reading them."""

from collections.abc import Collection
from pathlib import Path

from adafocal.data.catalogue import DatasetSpec, get_dataset
from adafocal.data.config import DataConfig
from adafocal.data.layout import Layout, find_layout
from adafocal.data.own import is_made
from adafocal.data.roles import find_roles
from adafocal.data.saved import open_hub
from adafocal.data.used import check_used, only_used
from adafocal.errors import InvalidValueError, MissingFileError


def kind_of(config: DataConfig) -> str:
    """Tell what kind of data settings name, from names, file suffixes and a first row.

    Args:
        config: Which data set, and where it lies.

    Returns:
        A key of ``adafocal.data.used.USED``: ``digits``, ``images``, ``texts``, ``numbers``, ``volumes`` or ``own``.
        A set of the hub without a path is asked of the hub, which downloads it.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If the name is unknown, or what lies there is nothing that can be read.

    Example:
        >>> kind_of(DataConfig(name="20newsgroups"))
        'texts'
    """
    return _told(config)[0]


def _told(config: DataConfig) -> tuple[str, Layout | None]:
    """Tell the kind, with what lies there where that was looked at."""
    if is_made(config):
        return "own", None
    spec = get_dataset(config)
    if spec.kind is not None:
        return spec.kind, None
    layout = layout_of(config)
    if layout is not None:
        return layout.kind, layout
    table = next(iter(open_hub(spec.hub or config.name).values()))
    return find_roles(table.column_names, table[0], config).kind, None


def as_read(config: DataConfig, *, given: Collection[str] = ()) -> DataConfig:
    """Set to its default what the data do not read and nobody asked for.

    That is what a recipe says of other data, or what runs say that were made when such settings were not refused.

    Args:
        config: Which data set, and where it lies.
        given: Names of the settings that were asked for.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If the name is unknown, what lies there is nothing that can be read, or a given setting is not read.
    """
    kind, layout = _told(config)
    if kind == "images" and layout is None:
        layout = layout_of(config)
    table = layout is None or layout.in_table
    check_used(config, kind, table=table, given=given)
    return only_used(config, kind, table=table)


def layout_of(config: DataConfig) -> Layout | None:
    """Tell what lies where the settings say; None where that is on the hub.

    Raises:
        FileNotFoundError: If there is nothing at the path, or no such folder in the root.
        ValueError: If it is nothing that can be read.
    """
    spec = get_dataset(config)
    if spec.load is not None and spec.kind != "volumes":
        raise InvalidValueError(f"`data.name` must be a data set that is read from files, got {config.name!r}.")
    path = place_of(spec, config)
    return None if path is None else find_layout(path, config)


def place_of(spec: DatasetSpec, config: DataConfig) -> Path | None:
    """Find where a set lies: at the path, else in the root; None for the hub.

    Raises:
        FileNotFoundError: If the root has no folder of that name.
    """
    if config.path is not None:
        return Path(config.path)
    if config.root is None:
        return None
    path = Path(config.root) / (spec.folder or config.name)
    if not path.exists():
        raise MissingFileError(f"`data.root` must hold a folder {path.name}, got {config.root!r}.")
    return path
