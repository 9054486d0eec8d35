# SPDX-License-Identifier: Apache-2.0
"""Data sets that ``datasets`` wrote to a disk by ``save_to_disk``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from adafocal._checks import require
from adafocal._text import printable
from adafocal.errors import InvalidValueError

Arrow: TypeAlias = Any  # its tables and columns have no types


@runtime_checkable  # for those who check types at run time
class SavedTable(Protocol):
    """What is used of a table of ``datasets``."""

    column_names: list[str]
    features: Mapping[str, object]

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Mapping[str, object]: ...

    def cast_column(self, column: str, feature: object) -> "SavedTable":
        """Change how a column is read."""

    def select_columns(self, column_names: list[str]) -> "SavedTable":
        """Leave out all other columns."""

    def with_format(self, name: str) -> Arrow:
        """Give rows as another library's."""


def is_saved(path: Path) -> bool:
    """Tell whether ``datasets`` wrote a folder."""
    single = (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
    return single or (path / "dataset_dict.json").is_file()


def open_saved(path: Path) -> dict[str, SavedTable]:
    """Open the tables of a folder by part, mapped from disk; ``all`` where there is one without a name.

    Raises:
        ValueError: If the folder is damaged.
        ModuleNotFoundError: Without ``datasets``, with the command that installs it.
    """
    datasets = require("datasets", extra="train")
    try:
        found = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
        reason = printable((str(error).splitlines() or [type(error).__name__])[0], longest=200)
        raise InvalidValueError(
            f"`data.path` must be a readable folder of `datasets`, got {str(path)!r}: {reason.rstrip('.')}."
        ) from error
    tables = dict(found) if isinstance(found, datasets.DatasetDict) else {"all": found}
    return {name: undecoded(table) for name, table in tables.items()}


def undecoded(table: SavedTable) -> SavedTable:
    """Let the images of a table stay as they are stored."""
    datasets = require("datasets", extra="train")
    for name, feature in table.features.items():
        if isinstance(feature, datasets.Image):
            table = table.cast_column(name, datasets.Image(decode=False))
    return table


def saved_columns(path: Path) -> tuple[list[str], Mapping[str, object]]:
    """Read the names of the columns and the values of the first row.

    Raises:
        ValueError: If there is no row.
    """
    tables = [table for table in open_saved(path).values() if len(table)]
    if not tables:
        raise InvalidValueError(f"`data.path` must hold rows, got none in {str(path)!r}.")
    return list(tables[0].column_names), tables[0][0]


def open_hub(name: str) -> dict[str, SavedTable]:
    """Open the tables of a set of the hub by part, which ``datasets`` downloads, caches and maps from disk.

    Args:
        name: ``owner/name``, or ``owner/name:configuration``.

    Raises:
        ValueError: If the set cannot be had.
        ModuleNotFoundError: Without ``datasets``, with the command that installs it.
    """
    place, _, configuration = name.partition(":")
    return load_hub(place, name=configuration or None)


def load_hub(place: str, **where: object) -> dict[str, SavedTable]:
    """Open the tables that ``datasets.load_dataset`` finds, by part.

    Raises:
        ValueError: If there are none to be had.
    """
    datasets = require("datasets", extra="train")
    try:
        found = datasets.load_dataset(place, **where)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidValueError(
            f"`data.name` must be had from the hub or its cache, got {place!r}: {reason}"
        ) from error
    return {part: undecoded(table) for part, table in found.items()}


def arrow_of(table: SavedTable, columns: list[str]) -> Arrow:
    """Read some columns whole, as a table of Arrow."""
    return table.select_columns(columns).with_format("arrow")[:]
