# SPDX-License-Identifier: Apache-2.0
"""``adafocal evaluate``: calibration of predictions in files, whoever made them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from adafocal.cli.columns import add_columns, names_of
from adafocal.cli.parser import CommandParser, check_executor
from adafocal.tables.columns import Names
from adafocal.tables.source import Source

if TYPE_CHECKING:
    from adafocal.evaluation.measure import Measured

DESCRIPTION = """Measure the calibration of predictions in tables.

Columns: logits or probs as a list column, or logit_0 ... or prob_0 ... or prob_cat, prob_dog ..., one per class, or one
of two classes; label (or labels) with class indices or names. Or outcomes: confidence and correct. Nothing is guessed
from values. Parquet, CSV, TSV, JSON lines, npz, Feather and Arrow, text also compressed; tables of any size are read
piece by piece."""


def main(arguments: list[str]) -> int:
    """Measure and print; see ``adafocal evaluate --help``."""
    options = _parser().parse_args(arguments)

    from adafocal._checks import check_integer
    from adafocal._files import check_output, write_text
    from adafocal.cli.console import PlainConsole
    from adafocal.evaluation.measure import to_json
    from adafocal.report.terminal import notes, print_measured
    from adafocal.tables.scan import count_rows, find_files

    bins = "n_bins" if options.bins is None else "bins"
    check_integer(bins, options[bins], minimum=1)
    check_executor(options)
    files = find_files(options.files)
    for output in ("json", "html"):
        check_output(output, options[output], reads=[file.path for file in files if file.path is not None])
    names = names_of(options, of_event=True)
    event = {
        "n_bins": options[bins],
        "positive_class": options.positive_class,
    }
    with _progress(count_rows(files)) as advance:
        measured = _measured(options, files, names, event, advance)
    measured[""].check_positive()
    measured[""] = replace(measured[""], n_files=len(files))
    if options.json is not None:
        result = {"files": [str(file) for file in files], "positive_class": options.positive_class}
        result |= {"notes": notes(measured[""])} | to_json(measured)
        write_text(options.json, json.dumps(result, indent=2, allow_nan=False) + "\n")
    if options.html is not None:
        from adafocal.report.evaluation_page import write_evaluation

        write_evaluation(options.html, measured, files=files)
    print_measured(measured, PlainConsole(soft_wrap=False))
    return 0


def _parser() -> CommandParser:
    parser = CommandParser("evaluate", DESCRIPTION)
    parser.add_argument("files", nargs="+", type=str, help="Files, folders, globs, addresses; - is standard input.")
    add_columns(parser, "confidence", "correct", "cluster", "by")
    bins = parser.add_mutually_exclusive_group()
    bins.add_argument("--n_bins", type=int, default=15, help="Number of bins.")
    bins.add_argument("--bins", type=int, default=None, help="Another name of --n_bins.")
    parser.add_argument("--json", type=str, default=None, help="Write all numbers to this file.")
    parser.add_argument("--html", type=str, default=None, help="Write one self-contained page to this file.")
    parser.add_argument(
        "--executor", type=str, default="local", help="local, or ray: where rows are many, one task per part of a file."
    )
    parser.add_argument("--ray_address", type=str, default=None, help="A running cluster, as auto.")
    return parser


def _measured(
    options: Namespace, files: Sequence[Source], names: Names, event: dict[str, Any], advance: Callable[[int], None]
) -> "dict[str, Measured]":
    """Measure here, or on Ray where that is wanted and rows are many: they are read once."""
    from adafocal.evaluation.measure import measure
    from adafocal.evaluation.tasks import in_tasks, is_large, make_tasks, measure_in_tasks
    from adafocal.tables.scan import scan

    if options.executor == "local" or not is_large(files, names):
        return measure(scan(files, names), **event, advance=advance)

    from adafocal.workers.on_ray import RayExecutor

    tasks = make_tasks(files, names, **event)
    return measure_in_tasks(tasks, in_tasks(RayExecutor(address=options.ray_address).outcomes, tasks), advance)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the rows read so far on standard error, where that is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from adafocal.cli.console import PlainConsole

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = PlainConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda rows: progress.advance(task, rows)
