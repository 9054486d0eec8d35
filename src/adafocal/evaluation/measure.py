# SPDX-License-Identifier: Apache-2.0
"""Measures the calibration of predictions in files: in memory where they fit, else as a stream of constant size."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

import numpy as np
import torch

from adafocal._reading import Record, checked
from adafocal.calibration import (
    BinStats,
    CalibrationSummary,
    SmoothCurve,
    StreamSums,
    merge_sums,
    smooth_reliability_from_bins,
    stream_summary,
    stream_sums,
)
from adafocal.calibration.judge import corrected
from adafocal.calibration.stream import NO_WEIGHT, summary_of, sums_in_memory
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import Event, find_event
from adafocal.scaling.sample import Sample
from adafocal.tables.piece import Piece, said_of

# Up to this many logits or probabilities, all of them are kept: 80 MB in float32 with what is computed from them.
IN_MEMORY = 10_000_000
MAX_GROUPS = 1000
WORKERS = 2
ALL = ""
Item = TypeVar("Item")
Value = TypeVar("Value")

Rows = tuple[Record, list[tuple[str, np.ndarray]]]


@dataclass
class Seen:
    """What rows that were read have told: the calibrated event, how many were divided by their sum, what was said."""

    positive_class: int | str | None
    event: Event | None = None
    rounded: int = 0
    normalized: bool = False
    said: Counter[str] = field(default_factory=Counter)

    def note(self, piece: Piece) -> None:
        """Take a piece into account."""
        self.said.update(piece.said)
        if not piece.n:
            return
        self.event = self.event or find_event(piece, self.positive_class)
        self.rounded += piece.rounded
        self.normalized |= piece.normalized


@dataclass(frozen=True)
class Measured:
    """The calibration of all predictions or of one group.

    Attributes:
        summary: Every number.
        bins: Equal-width bins of the calibrated event.
        exact: Whether all predictions were in memory, so that every number is exact; else see
            :func:`~adafocal.calibration.stream_summary`.
        curve: Smooth accuracy over confidence, of a stream from each cell's samples at their mean; None for groups.
        predictions: All predictions or outcomes, where they were in memory, have no weights, and the event is the top
            label or that an answer is right; None for groups.
        sample: Rows spread over all of them, for what is tried on them; None for groups, and where rows were read by
            other processes.
        event: What is calibrated.
        rounded: Of all rows, how many were divided by their sum.
        normalized: Whether they were because the user asked; see :class:`~adafocal.tables.piece.Piece`.
        n_files: From how many files the rows come.
        said: What the readers of the files did, in sentences.
    """

    summary: CalibrationSummary
    bins: BinStats
    exact: bool
    curve: SmoothCurve | None = None
    predictions: Record | None = None
    sample: Record | None = None
    event: Event = field(default_factory=Event)
    rounded: int = 0
    normalized: bool = False
    n_files: int = 1
    said: tuple[str, ...] = ()


def measure(
    pieces: Iterable[Piece],
    *,
    n_bins: int = 15,
    positive_class: int | str | None = None,
    advance: Callable[[int], object] = int,
    in_memory: int | None = None,
) -> dict[str, Measured]:
    """Measure the predictions of all pieces, and of each group in them.

    Args:
        pieces: Rows of files, as ``scan`` gives them.
        n_bins: Number of bins.
        positive_class: The calibrated event is that the label is this class, an index, name or label; None: that the
            top label is right, or what a single column of probabilities and outcomes speak of.
        advance: Called with the number of rows of each piece that is done; by default nothing is done with it.
        in_memory: Up to so many logits or probabilities everything is kept and exact; None takes 10 million.

    Returns:
        What was measured, under ``""`` for all rows and under each group's name, sorted by name.

    Raises:
        ValueError: If there is no row, rows are no predictions, the number of classes changes, or there are more than
            1,000 groups.
    """
    held: list[Rows] = []
    seen, known = Seen(positive_class), set[str]()
    numbers, rest = 0, of_one_width(pieces, seen)
    in_memory = IN_MEMORY if in_memory is None else in_memory
    with one_torch_thread():
        for piece in rest:
            record = checked(piece)
            if not _counts(record):
                advance(piece.n)
                continue
            numbers += piece.values.size
            groups = piece.groups()
            known.update(name for name, _ in groups)
            _check_groups(len(known))
            held.append((record, groups))
            advance(piece.n)
            if numbers > in_memory:
                sample = Sample()
                sums = sum_rows(chain(_emptied(held), rest), n_bins, seen, advance, sample)
                return judged_together(summaries(sums, seen, sample.joined()))
        if not held:
            raise InvalidValueError("`FILE` must hold at least one row, got 0." if seen.event is None else NO_WEIGHT)
        return judged_together({name: _exact(part, n_bins, seen, whole=name == ALL) for name, part in _grouped(held)})


def of_one_width(pieces: Iterable[Piece], seen: Seen) -> Iterator[Piece]:
    """Leave out empty pieces, note what the others tell, and raise where the number of classes changes."""
    width = None
    for piece in pieces:
        seen.note(piece)
        if piece.n == 0:
            continue
        n_classes = piece.values[0].size
        width = n_classes if width is None else width
        if n_classes != width and not piece.columns.ragged:
            raise InvalidValueError(f"files must all have {width} classes, got {n_classes} in {str(piece.path)!r}.")
        yield piece


def _grouped(held: list[Rows]) -> Iterator[tuple[str, Record]]:
    yield ALL, _joined([record for record, _ in held])
    parts: dict[str, list[Record]] = {}
    for record, groups in held:
        for name, rows in groups:
            part = record[torch.as_tensor(rows)]
            if _counts(part):
                parts.setdefault(name, []).append(part)
        _check_groups(len(parts))
    for name in sorted(parts):
        yield name, _joined(parts[name])


def _joined(parts: list[Record]) -> Record:
    return type(parts[0]).concatenate(parts)  # type: ignore[arg-type]


def _exact(record: Record, n_bins: int, seen: Seen, *, whole: bool) -> Measured:
    event = seen.event or Event()
    sums = sums_in_memory(record, n_bins=n_bins, positive_class=event.index)
    if not whole:
        return Measured(summary_of(sums), sums.bins, exact=True, event=event, normalized=seen.normalized)
    kept = record if record.weight is None and event.index is None else None
    curve, told = smooth_reliability_from_bins(sums.cells), (event, seen.rounded, seen.normalized)
    return Measured(summary_of(sums), sums.bins, True, curve, kept, record, *told, said=tuple(said_of(seen.said)))


def sum_rows(
    pieces: Iterable[Rows | Piece],
    n_bins: int,
    seen: Seen,
    advance: Callable[[int], object] = int,
    sample: Sample | None = None,
) -> dict[str, StreamSums]:
    """Sum pieces of at least one row, all and by group, and keep some of the rows."""

    def sums(rows: Rows | Piece) -> tuple[int, dict[str, StreamSums], Record]:
        new = isinstance(rows, Piece)
        record, groups = (checked(rows), rows.groups()) if isinstance(rows, Piece) else rows
        index = None if seen.event is None else seen.event.index
        if not _counts(record):
            return record.n if new else 0, {}, record
        parts = {ALL: stream_sums(record, n_bins=n_bins, positive_class=index)}
        for name, chosen in groups:
            part = record[torch.as_tensor(chosen)]
            if _counts(part):
                parts[name] = stream_sums(part, n_bins=n_bins, positive_class=index)
        return record.n if new else 0, parts, record

    total: dict[str, StreamSums] = {}
    for n, parts, record in _in_order(sums, pieces):
        add_sums(total, parts)
        if sample is not None and parts:
            sample.add(record)
        advance(n)
    return total


def _counts(record: Record) -> bool:
    """Tell whether a row has a weight above 0."""
    return record.weight is None or bool((record.weight > 0).any())


def add_sums(total: dict[str, StreamSums], parts: dict[str, StreamSums]) -> None:
    """Add the sums of a part of the rows to those of others."""
    for name, part in parts.items():
        total[name] = merge_sums(total[name], part) if name in total else part
    _check_groups(len(total) - 1)


def summaries(total: dict[str, StreamSums], seen: Seen, sample: Record | None = None) -> dict[str, Measured]:
    """Compute what sums of all rows and of groups tell."""
    curves, event = {ALL: smooth_reliability_from_bins(total[ALL].cells)}, seen.event or Event()
    return {
        name: Measured(
            stream_summary(total[name]),
            total[name].bins,
            exact=False,
            curve=curves.get(name),
            sample=sample if name == ALL else None,
            event=event,
            rounded=seen.rounded if name == ALL else 0,
            normalized=seen.normalized,
            said=tuple(said_of(seen.said)) if name == ALL else (),
        )
        for name in sorted(total)
    }


def judged_together(measured: dict[str, Measured]) -> dict[str, Measured]:
    """Hold the level of the verdicts over all groups together."""
    groups = corrected({name: part.summary.verdict for name, part in measured.items() if name != ALL})
    return measured | {
        name: replace(measured[name], summary=replace(measured[name].summary, verdict=verdict))
        for name, verdict in groups.items()
    }


def _emptied(held: list[Rows]) -> Iterator[Rows]:
    held.reverse()
    while held:
        yield held.pop()


def _check_groups(n_groups: int) -> None:
    if n_groups > MAX_GROUPS:
        raise InvalidValueError(f"`by` must name a column of at most {MAX_GROUPS} different values, got more.")


def _in_order(work: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
    """Work on items in threads, few at a time, and give the results in the order of the items."""
    waiting: deque[Future[Value]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Leave the cores to the threads of this module."""
    # Pieces keep the cores busy by themselves; threads within each would wait for one another.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
