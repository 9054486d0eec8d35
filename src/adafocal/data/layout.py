# SPDX-License-Identifier: Apache-2.0
"""What lies at a path, told from names and first rows: nothing is read whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from adafocal._text import listed
from adafocal.data.config import DataConfig
from adafocal.data.folders import class_folders, holds_images, is_ours, part_named
from adafocal.data.roles import INPUT_COLUMNS, LABEL_COLUMNS, Roles, find_roles
from adafocal.data.saved import is_saved, saved_columns
from adafocal.data.volume_files import holds_volumes
from adafocal.errors import InvalidValueError, MissingFileError
from adafocal.tables.npz import open_npz
from adafocal.tables.numbers import is_number
from adafocal.tables.raw import raw_batches
from adafocal.tables.read import named
from adafocal.tables.source import FORMATS, PACKED, REMEDIES, known_suffix
from adafocal.tables.source import Source as Table

KINDS = "Parquet files, .npz files or one folder of images per class"


@dataclass(frozen=True)
class Layout:
    """What lies at a path.

    Attributes:
        form: One folder of images per class, images without classes, tables, what ``datasets`` saved, or volumes.
        path: Where.
        tables: Files of tables by part, ``all`` where nothing names one.
        roles: What the columns of tables are for.
        folders: Folders of the classes by part.
        left_out: What lies there and is not read, a sentence each.
    """

    form: Literal["folders", "images", "table", "saved", "volumes"]
    path: Path
    tables: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    roles: Roles | None = None
    folders: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def in_table(self) -> bool:
        """Whether the samples are no files in folders of classes, which have settings of their own."""
        return self.roles is not None or self.form == "volumes"

    @property
    def kind(self) -> str:
        """What the samples are: ``images``, ``texts``, ``numbers`` or ``volumes``."""
        if self.roles is not None:
            return self.roles.kind
        return "volumes" if self.form == "volumes" else "images"


def find_layout(path: str | Path, config: DataConfig) -> Layout:
    """Tell what lies at a path.

    Args:
        path: A folder or a file.
        config: Names of columns that the user gave.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is nothing that can be read, or a column that was named is missing.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"`data.path` must be a folder or file of data, got {str(path)!r}, which is not there.")
    if holds_volumes(path):
        return Layout("volumes", path)
    if path.is_file():
        return _of_tables(path, {"all": [_table(path)]}, config)
    if is_saved(path):
        names, first = saved_columns(path)
        return Layout("saved", path, roles=find_roles(names, first, config))
    tables = _tables_in(path)
    folders = class_folders(path)
    # Images beside folders of images would be left out if those were taken for classes.
    loose = holds_images(path, deep=False)
    if tables and (folders or loose):
        found = _listing(path, tables, config)
        if found is not None:
            return found
        left_out = tuple(f"{table.name} is not read: it lists no images" for part in tables.values() for table in part)
        return Layout("folders" if folders and not loose else "images", path, folders=folders, left_out=left_out)
    if tables:
        return _of_tables(path, tables, config)
    if folders and not loose:
        return Layout("folders", path, folders=folders)
    if loose:  # to predict: nothing tells their classes
        return Layout("images", path)
    raise InvalidValueError(f"`data.path` must hold {KINDS}, got {str(path)!r}.")


def part_of(file: Path) -> str:
    """Name the part that a file's name begins with, ``all`` for none: ``train-00000-of-00002.parquet``.

    Example:
        >>> part_of(Path("train-00000-of-00002.parquet")), part_of(Path("test.csv.gz")), part_of(Path("wine.csv"))
        ('train', 'test', 'all')
    """
    stem = file.name.partition(".")[0].partition("-")[0]
    return stem if part_named(stem) else "all"


def first_row(table: Table) -> tuple[list[str], dict[str, object]]:
    """Read the names of a table's columns and the values of its first row; arrays within a row come as arrays."""
    with named(table, "data.path"):
        if table.format == ".npz":
            with table.seekable() as file, open_npz(file) as arrays:
                held = {name: arrays[name] for name in arrays.names}
            names = [name for name, array in held.items() if array.ndim or name in (*INPUT_COLUMNS, *LABEL_COLUMNS)]
            return names, {name: array[0] for name, array in held.items() if array.ndim and len(array)}
        batch = next(iter(raw_batches(table, rows=1)), None)
        if batch is None or not batch.num_rows:
            raise InvalidValueError("a table must have rows, got none")
        names = list(batch.schema.names)
        if table.format in (".csv", ".tsv") and all(map(is_number, names)):
            raise InvalidValueError(f"the first line must name the columns, got {listed(names)}")
        return names, batch.slice(0, 1).to_pylist()[0]


def _of_tables(path: Path, tables: Mapping[str, Sequence[Table]], config: DataConfig) -> Layout:
    if "all" in tables and len(tables) > 1:
        others = [table.name for part, files in tables.items() if part != "all" for table in files]
        raise InvalidValueError(
            f"Tables of `data.path` must all be named by their parts or none, got {listed(others)} beside "
            f"{listed(table.name for table in tables['all'])}: name the one that is meant by `data.path`."
        )
    roles = [_roles(files[0], config) for files in tables.values()]
    # A part whose labels are hidden is left out later; what the columns are for is told by one with labels.
    chosen = next((one for one in roles if one.label is not None), roles[0])
    return Layout("table", path, tables, chosen)


def _roles(table: Table, config: DataConfig) -> Roles:
    return find_roles(*first_row(table), config)


def _listing(path: Path, tables: Mapping[str, Sequence[Table]], config: DataConfig) -> Layout | None:
    """Take tables beside images for lists of them if that is what they are."""
    try:
        found = _of_tables(path, tables, config)
    except InvalidValueError:
        if config.input_column is not None or config.feature_columns is not None:
            raise
        return None
    return found if found.kind == "images" else None


def _tables_in(path: Path) -> dict[str, list[Table]]:
    """List the tables of a folder by part: Parquet also in its folders, as the hub lays it out."""
    files = sorted(
        file for file in path.rglob("*.parquet") if all(map(is_ours, [file, *file.relative_to(path).parents]))
    )
    if not files:
        files = sorted(file for file in path.iterdir() if file.is_file() and is_ours(file) and _is_table(file))
    kinds = {known_suffix(file) for file in files}
    if len(kinds) > 1:
        raise InvalidValueError(
            f"`data.path` must hold tables of one format, got {listed(file.name for file in files)}: name the one that "
            "is meant."
        )
    found: dict[str, list[Table]] = {}
    for file in files:
        found.setdefault(part_of(file), []).append(Table.of(file))
    return found


def _is_table(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes[-2:]]
    return bool(suffixes) and (
        suffixes[-1] in FORMATS or (suffixes[-1] in PACKED and suffixes[0] in FORMATS and len(suffixes) == 2)
    )


def _table(path: Path) -> Table:
    if _is_table(path):
        return Table.of(path)
    remedy = REMEDIES.get(path.suffix.lower(), "")
    raise InvalidValueError(f"`data.path` must hold {KINDS}, got {str(path)!r}{remedy and f': {remedy}'}.")
