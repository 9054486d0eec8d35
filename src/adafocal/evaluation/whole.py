# SPDX-License-Identifier: Apache-2.0
"""Tables that are read whole, each of one or several files: what is to be compared must lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adafocal._reading import Record, checked
from adafocal._text import shown
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import Event
from adafocal.evaluation.measure import Seen, of_one_width
from adafocal.tables.columns import Names
from adafocal.tables.piece import EMPTY, NO_VALUE, said_of
from adafocal.tables.scan import scan
from adafocal.tables.source import Source


@dataclass(frozen=True, eq=False)
class Whole:
    """A table in memory.

    Attributes:
        record: Its rows.
        event: What is calibrated.
        ids: What each row is called, as text, shape (N,); None where no column was named.
        rounded: How many rows were divided by their sum.
        said: What the readers of the files did, in sentences.
    """

    record: Record
    event: Event
    ids: np.ndarray | None
    rounded: int
    said: tuple[str, ...] = ()


def read_whole_table(
    files: Sequence[Source], names: Names, *, id_column: str | None = None, positive_class: str | None = None
) -> Whole:
    """Read files as one table.

    Args:
        files: Parts of one table.
        names: Names of columns.
        id_column: The column of identifiers, or several joined by commas; None reads none.
        positive_class: Index, name or label of the class whose event is calibrated.

    Raises:
        ValueError: If there is no row, a file is damaged, rows are no predictions, an identifier is missing, or there
            is no such class.
    """
    seen, records, ids = Seen(positive_class), [], []
    for piece in of_one_width(scan(files, replace(names, by=id_column)), seen):
        if piece.group is not None:
            texts = np.array([None if text in (NO_VALUE, EMPTY) else text for text in piece.group_names], dtype=object)
            ids.append(texts[piece.group])
        records.append(checked(piece))
    if not records or seen.event is None:
        raise InvalidValueError(f"`FILE` must hold at least one row, got 0 in {shown(', '.join(map(str, files)))}.")
    record: Record = type(records[0]).concatenate(records)  # type: ignore[arg-type]
    seen.event.check_occurs(bool((record.labels == 1).any()))
    return Whole(record, seen.event, np.concatenate(ids) if ids else None, seen.rounded, tuple(said_of(seen.said)))
