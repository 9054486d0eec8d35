# SPDX-License-Identifier: Apache-2.0
"""What every place of work offers: a function called on many items, and what became of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

# A worker that dies may have been in the way of something else; one that dies twice on one item has a reason.
ATTEMPTS = 2
TICK = 0.5  # seconds
Item = TypeVar("Item")


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        index: Place of the item.
        value: What the function gave.
        error: What it raised, or :class:`WorkerDiedError`; None where there is a value.
    """

    index: int
    value: Any = None
    error: Exception | None = None


class WorkerDiedError(RuntimeError):
    """A worker process ended in the middle of an item, each time that the item was tried."""

    def __init__(self) -> None:
        super().__init__(f"its worker process died {ATTEMPTS} times (killed, or out of memory)")


@runtime_checkable
class Executor(Protocol):
    """Works on items in some number of processes somewhere.

    Attributes:
        workers: How many at a time; None where that is for others to decide.
    """

    @property
    def workers(self) -> int | None:
        """How many at a time."""

    def outcomes(self, function: Callable[[Item], object], items: Sequence[Item]) -> Iterator[Outcome | None]:
        """Call a function on every item.

        Args:
            function: A function of a module, so that other processes find it.
            items: Arguments that can be pickled.

        Yields:
            One outcome per item as they come, and None about twice a second. An item whose worker dies is tried once
            more; the other items go on.
        """
