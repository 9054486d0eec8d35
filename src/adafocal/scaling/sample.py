# SPDX-License-Identifier: Apache-2.0
"""Some rows of a stream, spread over it: enough to try scalings on, however long it is."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from adafocal._reading import Record
from adafocal.outcomes import Outcomes
from adafocal.predictions import Predictions

R = TypeVar("R", bound=Predictions | Outcomes)
MOST_ROWS, MOST_NUMBERS = 10_000, 2_000_000


def most_rows(record: Record, most: tuple[int, int] = (MOST_ROWS, MOST_NUMBERS)) -> int:
    """How many rows of such a record are enough: at most so many rows, and so many numbers."""
    rows, numbers = most
    return max(1, min(rows, numbers // record.probs.shape[1]))


def spread_rows(record: R, most: int) -> R:
    """At most so many of the rows, spread over the table."""
    if record.n <= most:
        return record
    return record[spread(record.n, most)]  # type: ignore[return-value]


def spread(n: int, most: int) -> Tensor:
    """Places of at most so many of n rows, spread over them, int64."""
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most).round().long()


class Sample:
    """Every so many rows of what is added, so that there are never more than twice as many as are enough.

    Args:
        enough: How many rows of such a record are enough.
    """

    def __init__(self, enough: Callable[[Record], int] = most_rows) -> None:
        self.enough = enough
        self.parts: list[Record] = []
        self.step, self.seen, self.held = 1, 0, 0

    def add(self, record: Record) -> None:
        """Take the next rows of the stream into account."""
        self._keep(record, first=-self.seen % self.step)
        self.seen += record.n
        while self.held > 2 * self.enough(record):
            whole = self.joined()
            self.parts, self.held, self.step = [], 0, 2 * self.step
            self._keep(whole, first=0, step=2)

    def joined(self) -> Record:
        """The kept rows, in their order."""
        return type(self.parts[0]).concatenate(self.parts)  # type: ignore[arg-type]

    def _keep(self, record: Record, *, first: int, step: int | None = None) -> None:
        if first < record.n:
            part = record[torch.arange(first, record.n, step or self.step)]
            self.parts.append(part)
            self.held += part.n
