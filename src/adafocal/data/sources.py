# SPDX-License-Identifier: Apache-2.0
"""Data sets as they lie on a disk or on the hub: parts by name, each with inputs and classes.

Layouts: one folder of images per class, below a folder per part or not; tables of texts, of numbers or of images in any
format of ``adafocal.tables``, one or one per part (``train-00000-of-00002.parquet``, ``test.csv``); what ``datasets``
saved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._files import below
from adafocal._text import listed, shown
from adafocal.data.config import DataConfig
from adafocal.data.features import Features
from adafocal.data.folders import holds_images, images_in
from adafocal.data.labels import UNLABELLED, classes_of
from adafocal.data.layout import Layout, find_layout
from adafocal.data.roles import Roles, find_roles
from adafocal.data.saved import Arrow, SavedTable, arrow_of, load_hub, open_hub, open_saved
from adafocal.data.tabular import Rows, check_there, image_of, read_rows, rows_of
from adafocal.errors import InvalidValueError
from adafocal.tables.npz import open_npz
from adafocal.tables.piece import FormatError
from adafocal.tables.read import named
from adafocal.tables.source import Source as File


@dataclass(frozen=True, eq=False)
class Source:
    """One part of a data set as it is stored.

    Attributes:
        inputs: Encoded images, paths or arrays of images, or texts, indexed by integers; or a table of features.
        labels: Class indices, int64, shape (N,); -1 where there are none.
        class_names: Names of the classes; empty where the source has none.
        groups: What each row stays together with, shape (N,); None where rows stand for themselves.
        splits: Name of each row's part, shape (N,); None where nothing says it.
        columns: Names of all columns of a table that has none of labels.
        notes: What was left out, a sentence each.
    """

    inputs: Sequence[object]
    labels: np.ndarray
    class_names: tuple[str, ...] = ()
    groups: np.ndarray | None = None
    splits: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def read_source(path: str | Path, config: DataConfig | None = None, *, large: bool = False) -> dict[str, Source]:
    """Read the parts of a data set from a folder or a file.

    Args:
        path: The folder or file.
        config: Names of columns that the user gave; None finds them.
        large: Whether Parquet must not be read into memory; ``datasets`` then maps it from disk.

    Returns:
        Parts by name, ``all`` where the layout names none.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If it is none of the layouts, or a column is missing.
    """
    config = DataConfig() if config is None else config
    return read_layout(find_layout(path, config), config, large=large)


def read_layout(layout: Layout, config: DataConfig, *, large: bool = False) -> dict[str, Source]:
    """Read what was found at a path.

    Args:
        layout: What lies where.
        config: Names of columns that the user gave.
        large: Whether Parquet must not be read into memory.

    Raises:
        ValueError: If a file is damaged, a value is missing, or labels are none.
    """
    if layout.form == "volumes":
        rule = "must hold images, texts or numbers"
        raise InvalidValueError(f"`data.path` {rule}, got volumes in {str(layout.path)!r}.")
    folders = layout.folders.items() if layout.form == "folders" else ()
    if found := {part: source for part, held in folders if (source := _read_folders(held, layout))}:
        return found
    if layout.form == "saved":
        return read_tables(open_saved(layout.path), config)
    if layout.roles is None:
        images = images_in(layout.path)
        return {"all": Source(images, np.full(len(images), UNLABELLED))}
    first = next(iter(layout.tables.values()))[0]
    if large and first.format == ".parquet":
        files = {part: [file.place for file in held] for part, held in layout.tables.items()}
        return read_tables(load_hub("parquet", data_files=files), config)
    return {part: _read_files(files, layout.roles) for part, files in layout.tables.items()}


def read_hub(name: str, config: DataConfig) -> dict[str, Source]:
    """Read the parts of a data set of the hub, which ``datasets`` downloads, caches and maps from disk.

    Args:
        name: ``owner/name``, or ``owner/name:configuration``.
        config: Names of columns that the user gave.

    Raises:
        ModuleNotFoundError: Without ``datasets``, with the command that installs it.
        ValueError: If the data set cannot be had, or a column is missing.
    """
    return read_tables(open_hub(name), config)


class HubColumn(Sequence[object]):
    """A column of a ``datasets`` table, mapped from disk; images come as the bytes that are stored."""

    def __init__(self, table: SavedTable, column: str) -> None:
        self.table = table.select_columns([column])
        self.column = column

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: Any) -> Any:
        value = self.table[int(row)][self.column]
        return image_of(value, self.column, None) if isinstance(value, dict) else value  # an image of the hub


def read_tables(found: Mapping[str, SavedTable], config: DataConfig) -> dict[str, Source]:
    """Read tables of ``datasets``, whose images and texts stay where they are mapped from."""
    parts = {}
    for part, table in found.items():
        roles = find_roles(table.column_names, table[0] if len(table) else {}, config)
        names = () if roles.label is None else getattr(table.features[roles.label], "names", None) or ()
        held = arrow_of(table, [name for name in roles.wanted if name != roles.inputs])
        if roles.inputs is None:
            rows = rows_of(held, roles, None, f"part {part}")
        else:
            rows = replace(_beside(held, roles, part), inputs=HubColumn(table, roles.inputs))
        parts[part] = _of_rows(replace(rows, class_names=tuple(names)), roles)
    return parts


def _beside(held: Arrow, roles: Roles, part: str) -> Rows:
    """Read what stands beside images and texts that stay where they are."""
    alone = Roles("numbers", roles.label, None, (), roles.split, roles.group)
    return rows_of(held, alone, None, f"part {part}")


def _read_files(files: Sequence[File], roles: Roles) -> Source:
    if files[0].format == ".npz" and roles.kind == "images":
        return _read_npz(files, roles)
    return _of_rows(read_rows(files, roles), roles)


def _of_rows(rows: Rows, roles: Roles) -> Source:
    notes = (
        ()
        if not roles.unused
        else (f"Columns that are not read: {listed(name or '(without a name)' for name in roles.unused)}",)
    )
    if rows.labels is None:
        columns = (*roles.wanted, *roles.unused)
        unlabelled = np.full(len(rows.inputs), UNLABELLED)
        return Source(rows.inputs, unlabelled, (), rows.groups, rows.splits, columns, notes)
    labels, names = classes_of(rows.labels, rows.class_names)
    return Source(rows.inputs, labels, names, rows.groups, rows.splits, notes=notes)


def _read_npz(files: Sequence[File], roles: Roles) -> Source:
    """Read arrays of images."""
    parts = []
    for file in files:
        with named(file, "data.path"):
            with file.seekable() as opened, open_npz(opened) as arrays:
                check_there(roles, arrays.names)
                held = {name: arrays[name] for name in roles.wanted if name in arrays}
            values = held[str(roles.inputs)]
            for name in held.keys() - {roles.inputs}:
                check_rows(str(roles.inputs), values, name, held[name])
            if values.ndim > 1 and (values.dtype != np.uint8 or values.ndim not in (3, 4) or 0 in values.shape[1:]):
                rule = "hold texts, or uint8 images of shape (N, H, W) or (N, H, W, channels)"
                raise InvalidValueError(f"`{roles.inputs}` must {rule}, got {values.dtype} of shape {values.shape}.")
            if values.ndim == 4:
                held[str(roles.inputs)] = _channels_last(values, str(roles.inputs))
            parts.append(held)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    inputs = list(whole[str(roles.inputs)])
    if whole[str(roles.inputs)].dtype.kind == "U":
        folder = Path(files[0].place).parent
        inputs = [image_of(str(one), str(roles.inputs), folder) for one in inputs]
    groups, splits = (None if name is None else whole[name].astype(str) for name in (roles.group, roles.split))
    labels = whole.get(str(roles.label))
    return _of_rows(Rows(inputs, labels, groups, splits), roles)


def _channels_last(values: np.ndarray, name: str) -> np.ndarray:
    """Bring the channels of images, which some keep before height and width, to the end."""
    if values.shape[3] not in (1, 3) and values.shape[1] in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    if values.shape[3] not in (1, 3):
        raise InvalidValueError(f"`{name}` must hold images of 1 or 3 channels, got shape {values.shape}.")
    return values


def check_rows(name: str, values: np.ndarray, label: str, labels: np.ndarray) -> None:
    """Raise unless two arrays have a row per sample."""
    if values.ndim == 0 or labels.ndim != 1 or len(values) != len(labels):
        shapes = f"{values.shape} and {labels.shape}"
        raise InvalidValueError(f"`{name}` and `{label}` must have a row per sample, got shapes {shapes}.")


def _read_folders(folders: Sequence[Path], layout: Layout) -> Source | None:
    """Read CLASS/*.png of one part, or Tiny-ImageNet's list of images and classes; None without classes."""
    if folders and folders[0].is_file():
        return _read_listed(folders[0].parent, folders[0])
    filled = [folder for folder in folders if holds_images(folder)]
    others = {folder.name for held in layout.folders.values() if held is not folders for folder in held}
    if len(filled) < 2 and not (filled and filled[0].name in others):
        return None
    images = [images_in(folder) for folder in filled]
    labels = np.repeat(np.arange(len(filled)), [len(files) for files in images])
    empty = [folder.name for folder in folders if folder not in filled]
    notes = (f"Folders without images, which are no classes: {listed(empty)}",) if empty else ()
    names = tuple(folder.name for folder in filled)
    return Source([file for files in images for file in files], labels, names, notes=notes)


def _read_listed(part: Path, listing: Path) -> Source:
    with named(listing, "data.path"):
        try:
            rows = [line.split("\t") for line in listing.read_text(encoding="utf-8").splitlines() if line]
        except UnicodeDecodeError as error:
            raise FormatError.unreadable("text", "it is not UTF-8") from error
        if short := next((row for row in rows if len(row) < 2), None):
            raise InvalidValueError(f"lines must hold an image and its class, got {shown(short)}.")
        images = [below(part / "images", row[0], what="Images") for row in rows]
    return Source(images, *classes_of(np.array([row[1] for row in rows]), ()))


def joined(inputs: Sequence[Sequence[object]]) -> Sequence[object]:
    """Join the inputs of parts."""
    if any(isinstance(one, Features) for one in inputs):
        raise InvalidValueError("Parts of tables of features must be kept apart, got several to pool.")
    return [value for one in inputs for value in one]
