# SPDX-License-Identifier: Apache-2.0
"""Sums predictions in files as independent tasks: one per file, or per run of row groups of a Parquet file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adafocal.calibration import StreamSums
from adafocal.errors import InvalidValueError
from adafocal.evaluation.event import Event
from adafocal.evaluation.measure import (
    ALL,
    IN_MEMORY,
    Measured,
    Seen,
    add_sums,
    judged_together,
    of_one_width,
    one_torch_thread,
    sum_rows,
    summaries,
)
from adafocal.tables.columns import Columns
from adafocal.tables.read import named, read_table
from adafocal.tables.scan import Names, Piece, count_rows, row_groups, scan
from adafocal.tables.source import Source
from adafocal.workers.executor import Outcome

# Bytes of row groups in one task: a second or so of work, so that starting it costs little.
TASK_BYTES = 1 << 25
BYTES = 8  # of a number in a file whose rows only reading counts, about


@dataclass(frozen=True)
class Task:
    """A part of the rows.

    Attributes:
        file: Their file.
        names: Names of columns.
        n_bins: Number of equal-width bins.
        positive_class: The calibrated event is that the label is this class; None: that the top label is right.
        row_groups: Row groups of a Parquet file; None for the whole file.
        first_row: Where they begin in it.
    """

    file: Source
    names: Names
    n_bins: int
    positive_class: int | str | None
    row_groups: tuple[int, ...] | None = None
    first_row: int = 0


@dataclass(frozen=True)
class TaskSums:
    """The sums of a task.

    Attributes:
        kind: ``logits`` or ``probs``; None without rows.
        sums: Sums of all rows and of each group; empty without rows.
        classes: Names of the classes.
        event: What was calibrated; None without rows.
        rounded: How many rows were divided by their sum.
        said: What the reader did.
    """

    kind: str | None
    sums: dict[str, StreamSums]
    classes: tuple[str, ...] = ()
    event: Event | None = None
    rounded: int = 0
    said: Mapping[str, int] = field(default_factory=dict)


def make_tasks(files: Sequence[Source], names: Names, *, n_bins: int, positive_class: int | str | None) -> list[Task]:
    """Cut files into tasks, in the order of their rows."""
    tasks: list[Task] = []
    for file in files:
        if file.format == ".parquet" and not file.packing:
            tasks += [Task(file, names, n_bins, positive_class, *part) for part in _row_groups(file)]
        else:
            tasks.append(Task(file, names, n_bins, positive_class))
    return tasks


def _row_groups(file: Source) -> list[tuple[tuple[int, ...], int]]:
    """Gather row groups into runs of some size, each with its first row."""
    parts: list[tuple[tuple[int, ...], int]] = []
    run: tuple[int, ...] = ()
    start = row = size = 0
    for index, (rows, held) in enumerate(row_groups(file)):
        run, row, size = (*run, index), row + rows, size + held
        if size >= TASK_BYTES:
            parts.append((run, start))
            run, start, size = (), row, 0
    return [*parts, (run, start)] if run else parts


def sum_task(task: Task) -> TaskSums:
    """Read and sum the rows of a task; raises what reading on one machine raises."""
    found: list[Columns] = []

    def noting(pieces: Iterable[Piece]) -> Iterable[Piece]:
        for piece in pieces:
            found.append(piece.columns)
            yield piece

    pieces = scan([task.file], task.names, row_groups=task.row_groups, first_row=task.first_row)
    seen = Seen(task.positive_class)
    with one_torch_thread():
        sums = sum_rows(of_one_width(noting(pieces), seen), task.n_bins, seen)
    if not found:
        return TaskSums(None, sums)
    return TaskSums(found[0].kind, sums, found[0].classes, seen.event, seen.rounded, seen.said)


def in_tasks(
    outcomes: Callable[[Callable[[Task], TaskSums], Sequence[Task]], Iterable[Outcome | None]], tasks: Sequence[Task]
) -> Iterable[tuple[int, TaskSums]]:
    """Yield place and sums of each task as an executor works on them; at the end raise the error of the first bad rows.

    Args:
        outcomes: ``outcomes`` of an executor, such as those of a study.
        tasks: What to sum.
    """
    errors: dict[int, Exception] = {}
    for outcome in outcomes(sum_task, tasks):
        if outcome is None:
            continue
        if outcome.error is None:
            yield outcome.index, outcome.value
        else:
            errors[outcome.index] = outcome.error
    if errors:
        raise errors[min(errors)]


def merge_tasks(
    tasks: Sequence[Task],
    done: Iterable[tuple[int, TaskSums]],
    advance: Callable[[int], object] = int,
    note: Callable[[TaskSums], object] = bool,
) -> dict[str, StreamSums]:
    """Add the sums of all tasks.

    Args:
        tasks: What was summed.
        done: Place and sums of each task, in any order: they are added in the order of their rows, so that the same
            files give the same numbers each time.
        advance: Called with the number of rows of each task that is done.
        note: Called with the sums of each task that is done.

    Returns:
        Sums of all rows, and of each group.

    Raises:
        ValueError: If files differ in kind or number of classes, or there are too many groups.
    """
    total: dict[str, StreamSums] = {}
    early: dict[int, TaskSums] = {}
    first: TaskSums | None = None
    place = 0
    for index, result in done:
        early[index] = result
        note(result)
        advance(result.sums[ALL].n if result.sums else 0)
        while place in early:
            part = early.pop(place)
            if part.sums:
                first = first or part
                _check_like(first, part, tasks[place].file)
                add_sums(total, part.sums)
            place += 1
    return total


def measure_in_tasks(
    tasks: Sequence[Task], done: Iterable[tuple[int, TaskSums]], advance: Callable[[int], object] = int
) -> dict[str, Measured]:
    """Do what :func:`~adafocal.evaluation.measure.measure` does with rows that tasks sum.

    Raises:
        ValueError: If there is no row, and what :func:`merge_tasks` raises.
    """
    seen = Seen(None, normalized=any(task.names.normalize for task in tasks))

    def note(result: TaskSums) -> None:
        seen.event = seen.event or result.event
        seen.rounded += result.rounded
        seen.said.update(result.said)

    total = merge_tasks(tasks, done, advance, note)
    if not total:
        raise InvalidValueError("`FILE` must hold at least one row, got 0.")
    return judged_together(summaries(total, seen))


def is_large(files: Sequence[Source], names: Names) -> bool:
    """Tell, without reading all of them, whether files hold more numbers than are kept in memory."""
    rows = count_rows(files)
    if rows is None:
        known = [file.path.stat().st_size for file in files if file.path is not None]
        return len(known) < len(files) or sum(known) / BYTES > IN_MEMORY
    with named(files[0], "FILE"):
        first = next(read_table(files[0], names, 1))
    return rows * max(1, first.values[:1].size) > IN_MEMORY


def _check_like(first: TaskSums, part: TaskSums, file: Source) -> None:
    if part.kind != first.kind:
        raise InvalidValueError(f"files must all hold {first.kind}, got {part.kind} in {str(file)!r}.")
    if part.classes != first.classes:
        wanted, got = (", ".join(one.classes) or "numbers" for one in (first, part))
        raise InvalidValueError(f"files must all have the classes {wanted}, got {got} in {str(file)!r}.")
    widths = [len(result.sums[ALL].class_gaps) for result in (first, part)]
    if widths[0] != widths[1]:
        raise InvalidValueError(f"files must all have {widths[0]} classes, got {widths[1]} in {str(file)!r}.")
