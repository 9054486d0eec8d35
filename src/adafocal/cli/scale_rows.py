# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal scale`` reads: rows with their groups, and which class a single column speaks of."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from adafocal._reading import Record, checked
from adafocal._text import shown
from adafocal.errors import MissingFileError
from adafocal.scaling.origin import POSITIVE
from adafocal.tables.columns import Names
from adafocal.tables.piece import EMPTY, NO_VALUE, Piece, said_by
from adafocal.tables.scan import scan
from adafocal.tables.source import STDIN, Source


class Rows(NamedTuple):
    """A table in memory: its record, the group of each row, the label of a single column, and what its reader did."""

    record: Record
    groups: list[str | None] | None
    positive: str | None
    kind: str
    said: Mapping[str, int]


def read_rows(source: Source, names: Names) -> Rows:
    """Read a table whole.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks columns, or its values are no predictions or outcomes.
    """
    if source.path is not None and not source.path.is_file():
        raise MissingFileError(f"`path` must be an existing file, got {shown(str(source))}.")
    pieces = list(scan([source], names))
    held = [piece for piece in pieces if piece.n] or pieces
    parts = [checked(piece) for piece in held]
    record: Record = parts[0] if len(parts) == 1 else type(parts[0]).concatenate(parts)  # type: ignore[arg-type]
    groups = None if names.by is None else [group for piece in held for group in groups_of(piece)]
    return Rows(record, groups, positive_of(held[0], names), held[0].columns.kind, said_by(pieces))


def groups_of(piece: Piece) -> list[str | None]:
    """The group of each row; None where it has no value."""
    names = np.array([None if name in (NO_VALUE, EMPTY) else name for name in piece.group_names], dtype=object)
    found: list[str | None] = names[piece.group].tolist()
    return found


def positive_of(piece: Piece, names: Names) -> str | None:
    """The label that a single column speaks of; None where each class has its own, or nothing tells."""
    if not piece.single:
        return None
    return names.positive if names.positive is not None or piece.labels is None else POSITIVE


def named(source: Source) -> str:
    """A table as a fitted file names it: without the folders of this machine."""
    return "standard input" if source.place == STDIN else source.place if source.path is None else source.path.name
