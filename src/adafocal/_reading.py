# SPDX-License-Identifier: Apache-2.0
"""Tables as checked records, whichever of the two kinds they hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from adafocal._text import shown
from adafocal.errors import InvalidTypeError
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions, from_table
from adafocal.tables.columns import OUTCOMES, Names
from adafocal.tables.numbers import class_after_class
from adafocal.tables.piece import Piece, RowError
from adafocal.tables.read import named, read_whole
from adafocal.tables.source import Source

Record: TypeAlias = Predictions | Outcomes


def load_record(path: str | Path | Source, names: Names) -> Record:
    """Read a table whole, with the file in every sentence: for commands that read several.

    Args:
        path: The file or address.
        names: Names of columns.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks columns, or its values are no predictions or outcomes.
    """
    return read_whole(path, names, _record, rows=True)


def load_predictions(path: str | Path | Source, names: Names | None = None) -> Predictions:
    """Do what :func:`load_record` does where only predictions will do.

    Raises:
        TypeError: If the table holds outcomes.
    """
    record = load_record(path, names or Names(features=True, unlabelled=True))
    if isinstance(record, Outcomes):
        raise InvalidTypeError(f"`path` must hold predictions of all classes, got outcomes in {shown(str(path))}.")
    return record


def checked(piece: Piece) -> Record:
    """Check the rows of a piece.

    Raises:
        ValueError: With the row and file, if they are no predictions or outcomes.
    """
    with named(piece.path, "FILE"):
        arrays, kind = piece.arrays(), piece.columns.kind
        if kind != OUTCOMES:
            arrays[kind] = class_after_class(arrays[kind])
        try:
            return _record(kind, arrays, piece.columns.classes)
        except RowError as error:
            raise error.after(piece.first_row) from None


def _record(kind: str, arrays: dict[str, Any], classes: Sequence[str]) -> Record:
    return Outcomes(**arrays) if kind == OUTCOMES else from_table(kind, arrays, classes)
