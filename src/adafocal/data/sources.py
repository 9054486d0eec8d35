# SPDX-License-Identifier: Apache-2.0
"""Data sets as they lie on a disk or on the hub: parts by name, each a column of inputs and one of labels.

Layouts: Parquet files named as the hub names them (``train-00000-of-00002.parquet``), ``.npz`` files with one array
per column, and one folder of images per class, below a folder per part or not.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from adafocal._checks import require
from adafocal._files import below
from adafocal._text import shown
from adafocal.data.saved import SavedTable, column_of, load_hub, open_hub
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.arrow import arrow_faults
from adafocal.tables.labels import class_indices
from adafocal.tables.npz import open_npz
from adafocal.tables.piece import FormatError
from adafocal.tables.read import named

INPUT_COLUMNS = ("image", "img", "text", "sentence")
LABEL_COLUMNS = ("label", "fine_label", "labels", "target")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".ppm", ".tif", ".tiff"}
UNLABELLED = -1
MOST_CLASSES = 1_000_000  # larger numbers are identifiers: a network would need an output for each number below them


@dataclass(frozen=True, eq=False)
class Source:
    """One part of a data set as it is stored.

    Attributes:
        inputs: Encoded images, paths or arrays of images, or texts; indexed by integers.
        labels: Class indices, int64, shape (N,).
        class_names: Names of the classes; empty where the source has none.
    """

    inputs: Sequence[Any]
    labels: np.ndarray
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def read_source(
    path: str | Path, *, input_column: str | None = None, label_column: str | None = None, large: bool = False
) -> dict[str, Source]:
    """Read the parts of a data set from a folder or a file.

    Args:
        path: Folder of Parquet files, ``.npz`` files or images, or one such file.
        input_column: Column of images or texts; None finds it.
        label_column: Column of classes; None finds it.
        large: Whether Parquet must not be read into memory; ``datasets`` then maps it from disk.

    Returns:
        Parts by name, ``all`` where the layout names none.

    Raises:
        FileNotFoundError: If there is nothing at the path.
        ValueError: If it is none of the layouts, or a column is missing.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"`data.path` must be a folder or file of data, got {str(path)!r}, which is not there.")
    columns = (input_column, label_column)
    tables = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if tables and tables[0].suffix == ".parquet":
        files = {name: [table for table in tables if _part_of(table) == name] for name in map(_part_of, tables)}
        if large:
            data_files = {part: [str(table) for table in held] for part, held in files.items()}
            return _read_hub(load_hub("parquet", data_files=data_files), columns)
        return {name: _read_parquet(parts, columns) for name, parts in files.items()}
    arrays = [path] if path.is_file() else sorted(path.glob("*.npz"))
    if arrays and arrays[0].suffix == ".npz":
        return {_part_of(file): _read_npz(file, columns) for file in arrays}
    # Images beside folders of images would be left out if those were taken for classes.
    loose = path.is_dir() and bool(_images(path, deep=False))
    if path.is_dir() and not loose and (parts := _read_image_folders(path)):
        return parts
    if path.is_dir() and (images := _images(path)):  # to predict: nothing tells their classes
        return {"all": Source(images, np.full(len(images), UNLABELLED))}
    raise InvalidValueError(
        f"`data.path` must hold Parquet files, .npz files or one folder of images per class, got {str(path)!r}."
    )


def read_hub(name: str, *, input_column: str | None, label_column: str | None) -> dict[str, Source]:
    """Read the parts of a data set of the hub, which ``datasets`` downloads, caches and maps from disk.

    Args:
        name: ``owner/name``, or ``owner/name:configuration``.
        input_column: Column of images or texts; None finds it.
        label_column: Column of classes; None finds it.

    Returns:
        Parts by name.

    Raises:
        ModuleNotFoundError: Without ``datasets``, with the command that installs it.
        ValueError: If the data set cannot be had, or a column is missing.
    """
    return _read_hub(open_hub(name), (input_column, label_column))


class HubColumn(Sequence[Any]):
    """A column of a ``datasets`` table, mapped from disk; images come as the bytes or the path that are stored."""

    def __init__(self, table: SavedTable, column: str) -> None:
        self.table = table.select_columns([column])
        self.column = column

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: Any) -> Any:
        return _stored(self.table[int(row)][self.column])


def _read_hub(found: Mapping[str, SavedTable], columns: tuple[str | None, str | None]) -> dict[str, Source]:
    parts = {}
    for name, table in found.items():
        inputs, labels = _columns(table.column_names, columns)
        names = tuple(getattr(table.features[labels], "names", None) or ())
        parts[name] = _source(HubColumn(table, inputs), column_of(table, labels), names)
    return parts


def _read_parquet(files: Sequence[Path], columns: tuple[str | None, str | None]) -> Source:
    pyarrow = require("pyarrow", extra="train")
    parquet = require("pyarrow.parquet", extra="train")
    inputs, labels = _columns(_read(files[0], parquet.read_schema).names, columns)
    read = partial(parquet.read_table, columns=[inputs, labels], page_checksum_verification=True)
    tables = [_read(file, read) for file in files]
    for file, table in zip(files, tables, strict=True):
        for column in (inputs, labels):
            if table[column].null_count:
                raise InvalidValueError(f"`{column}` must have no missing values, got some in {shown(str(file))}.")
            if table[column].type != tables[0][column].type:
                kinds = f"{tables[0][column].type} and {table[column].type}"
                raise InvalidValueError(f"`{column}` must have one type, got {kinds} in {shown(str(file))}.")
    joined = pyarrow.concat_tables([table.replace_schema_metadata() for table in tables])
    values = [_stored_bytes(value, inputs) for value in joined[inputs].to_pylist()]
    return _source(values, joined[labels].to_numpy(), _class_names(tables[0].schema.metadata, labels))


def _read(file: Path, read: Callable[[Path], Any]) -> Any:
    with named(file, "data.path"), arrow_faults("Parquet"):
        found = read(file)
        if hasattr(found, "validate"):  # a table: that texts are UTF-8 is not seen before they are used
            found.validate(full=True)
        return found


def _class_names(metadata: Mapping[bytes, bytes] | None, label: str) -> tuple[str, ...]:
    """Read the names that `datasets` keeps of the classes; none where it keeps them otherwise."""
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _stored_bytes(value: Any, column: str) -> Any:
    """Take what a file holds itself; a path in it leads to files of somebody else."""
    if isinstance(value, dict) and not isinstance(value.get("bytes"), bytes):
        raise InvalidValueError(f"`{column}` must hold images, got {shown(value)} without their bytes.")
    return _stored(value)


def _read_npz(file: Path, columns: tuple[str | None, str | None]) -> Source:
    with named(file, "data.path"):
        with open_npz(file) as arrays:
            inputs, labels = _columns(arrays.names, columns)
            values, classes = arrays[inputs], arrays[labels]
        if values.ndim == 0 or classes.ndim != 1 or len(values) != len(classes):
            shapes = f"{values.shape} and {classes.shape}"
            raise InvalidValueError(f"`{inputs}` and `{labels}` must have a row per sample, got shapes {shapes}.")
        if values.ndim > 1 and (values.dtype != np.uint8 or values.ndim not in (3, 4) or 0 in values.shape[1:]):
            rule = "hold texts, or uint8 images of shape (N, H, W) or (N, H, W, channels)"
            raise InvalidValueError(f"`{inputs}` must {rule}, got {values.dtype} of shape {values.shape}.")
        return _source(list(values) if values.ndim > 1 else values.tolist(), classes, ())


def _read_image_folders(path: Path) -> dict[str, Source]:
    """Read CLASS/*.png or PART/CLASS/*.png, and Tiny-ImageNet's validation part with its list of classes."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if any(_images(folder, deep=False) for folder in folders):
        return {"all": _read_classes(folders)}
    parts: dict[str, Source] = {}
    for part in folders:
        classes = sorted(entry for entry in part.iterdir() if entry.is_dir())
        listed = part / "val_annotations.txt"
        if listed.exists():
            parts[part.name] = _read_listed(part, listed)
        elif len(classes) > 1 and any(_images(folder) for folder in classes):
            parts[part.name] = _read_classes(classes)
    return parts


def _read_classes(folders: Sequence[Path]) -> Source:
    images = [_images(folder) for folder in folders]
    labels = np.repeat(np.arange(len(folders)), [len(files) for files in images])
    return Source([file for files in images for file in files], labels, tuple(folder.name for folder in folders))


def _read_listed(part: Path, listed: Path) -> Source:
    with named(listed, "data.path"):
        try:
            rows = [line.split("\t") for line in listed.read_text(encoding="utf-8").splitlines() if line]
        except UnicodeDecodeError as error:
            raise FormatError.unreadable("text", "it is not UTF-8") from error
        if short := next((row for row in rows if len(row) < 2), None):
            raise InvalidValueError(f"lines must hold an image and its class, got {shown(short)}.")
        images = [below(part / "images", row[0], what="Images") for row in rows]
    return _source(images, np.array([row[1] for row in rows]), ())


def _images(folder: Path, *, deep: bool = True) -> list[Path]:
    entries = folder.rglob("*") if deep else folder.iterdir()
    return sorted(entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file())


def _part_of(file: Path) -> str:
    stem = file.stem.partition("-")[0]
    return stem if stem in ("train", "validation", "valid", "val", "test") else "all"


def _columns(names: Sequence[str], asked: tuple[str | None, str | None]) -> tuple[str, str]:
    found = []
    for kind, known, column in zip(("input", "label"), (INPUT_COLUMNS, LABEL_COLUMNS), asked, strict=True):
        choices = [name for name in (known if column is None else (column,)) if name in names]
        if not choices:
            wanted = "set" if column is None else "a column of the data"
            got = "" if column is None else f"{column!r} for "
            raise InvalidValueError(f"`data.{kind}_column` must be {wanted}, got {got}columns {', '.join(names)}.")
        found.append(choices[0])
    return found[0], found[1]


def _stored(value: Any) -> Any:
    if isinstance(value, dict):  # an image of the hub
        return value["bytes"] if value.get("bytes") is not None else value["path"]
    return value


def _source(inputs: Sequence[Any], labels: np.ndarray, names: tuple[str, ...]) -> Source:
    if labels.dtype.kind == "O" and not all(isinstance(label, str) for label in labels):
        other = next(label for label in labels if not isinstance(label, str))
        raise InvalidValueError(f"Labels must be names or class indices, got {shown(other)}.")
    if labels.dtype.kind == "f" and (labels == np.round(labels)).all():
        labels = class_indices(labels)
    if labels.dtype.kind in "OUS":
        found, places = np.unique(labels.astype(str), return_inverse=True)
        return Source(inputs, places.astype(np.int64), tuple(found.tolist()))
    if labels.dtype.kind not in "iub" or (len(labels) and labels.min() < -1):
        raise InvalidValueError(f"Labels must be names or class indices, got dtype {labels.dtype}.")
    if len(labels) and (most := int(labels.max())) >= max(MOST_CLASSES, len(names)):
        raise InvalidValueError(
            f"Labels must be class indices below {MOST_CLASSES:,}, or names, as identifiers are; got {most}."
        )
    return Source(inputs, labels.astype(np.int64), names)
