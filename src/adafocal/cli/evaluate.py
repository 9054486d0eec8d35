# SPDX-License-Identifier: Apache-2.0
"""``adafocal evaluate``: calibration of predictions in files, whoever made them."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from adafocal.cli.columns import add_bins, add_columns, bins_of, names_of
from adafocal.cli.parser import CommandParser, check_executor, check_goes_with
from adafocal.tables.columns import Names
from adafocal.tables.source import Source

if TYPE_CHECKING:
    from adafocal.cli.console import PlainConsole
    from adafocal.cli.remedy import Advice
    from adafocal.evaluation.cases import CasesMeasured, CaseWatch
    from adafocal.evaluation.gate import Judgement
    from adafocal.evaluation.measure import Measured
    from adafocal.evaluation.monitor import Monitor
    from adafocal.evaluation.watch import Watch
    from adafocal.evaluation.windows import Monitored
    from adafocal.tables.piece import Piece

DESCRIPTION = """Measure the calibration of predictions in tables.

Columns: logits or probs as a list column, or logit_0 ... or prob_0 ... or prob_cat, prob_dog ..., one per class, or one
of two classes; label (or labels) with class indices or names. Or outcomes: confidence and correct. Nothing is guessed
from values. Parquet, CSV, TSV, JSON lines, npz, Feather and Arrow, text also compressed; tables of any size are read
piece by piece. Several labels per row: --multilabel. Evaluation logs of language models: samples_TASK_DATE.jsonl of
lm-evaluation-harness, .eval and .json of Inspect.

Exit status: 0 measured and every limit kept, 1 a fault of adafocal, 2 something that you can mend, 3 a limit of
--fail-above or --fail-below is not kept, or there is an alarm with --fail-on-alarm."""
BEYOND = 3  # exit status


def main(arguments: list[str]) -> int:
    """Measure and print; see ``adafocal evaluate --help``."""
    options = _parser().parse_args(arguments)
    if options.multilabel:
        from adafocal.cli.evaluate_labels import evaluate_labels

        return evaluate_labels(options, arguments)

    from adafocal.cli.output import check_outputs
    from adafocal.cli.remedy import advise
    from adafocal.errors import InvalidValueError
    from adafocal.evaluation.gate import judge, read_limits
    from adafocal.tables.scan import count_rows, find_files

    n_bins = bins_of(options)
    check_executor(options)
    limits = [*read_limits(options.fail_above or [], "above"), *read_limits(options.fail_below or [], "below")]
    if options.strict and not limits:
        raise InvalidValueError("`strict` must go with `--fail-above` or `--fail-below`, got it alone.")
    monitor, cases = _monitor(options, n_bins), _cases(options, n_bins)
    files = find_files(options.files)
    check_outputs(options, "json", "html", reads=[file.path for file in files if file.path is not None])
    names = names_of(options, of_event=True)
    event = {
        "n_bins": n_bins,
        "positive_class": options.positive_class,
    }
    watches = [one for one in (monitor, cases) if one is not None]
    with _progress(count_rows(files)) as advance:
        measured = _measured(options, files, names, event, advance, watches)
    measured[""].event.check_occurs(float(measured[""].bins.correct_sum.sum()) > 0)
    measured[""] = replace(measured[""], n_files=len(files))
    monitored = None if monitor is None else monitor.result()
    judgements = judge(limits, measured, strict=options.strict)
    advice = advise(options, measured[""], arguments)
    per_case = None if cases is None else cases.result()
    _write(options, measured, files, monitored, judgements, advice, per_case)
    alarmed = options.fail_on_alarm and monitored is not None and monitored.alarm is not None
    return BEYOND if alarmed or any(one.failed for one in judgements) else 0


def _monitor(options: Namespace, n_bins: int) -> "Monitor | None":
    """What sums rows by their time, where a column of times is named."""
    from adafocal._checks import check_choice
    from adafocal.errors import InvalidValueError
    from adafocal.evaluation.monitor import Monitor
    from adafocal.tables.times import UNITS

    of_time = ["window", "time_unit", "tolerance", "fail_on_alarm"]
    check_goes_with(options, of_time, "--time COLUMN", given=options.time is not None)
    if options.time is None:
        return None
    if options.executor != "local":
        raise InvalidValueError(f"`time` must go with `--executor local`, got {options.executor!r}.")
    if options.time_unit is not None:
        check_choice("time_unit", options.time_unit, tuple(UNITS))
    if options.window is None:
        raise InvalidValueError("`window` must be given with `--time`: how long a window is, such as 1d or 1w.")
    return Monitor(
        options.time,
        options.window,
        n_bins=n_bins,
        positive_class=options.positive_class,
        tolerance=options.tolerance or 0.0,
    )


def _cases(options: Namespace, n_bins: int) -> "CaseWatch | None":
    """What sums rows by their case, where a column of cases is named."""
    from adafocal.errors import InvalidValueError
    from adafocal.evaluation.cases import CaseWatch

    if options.case is None:
        return None
    if options.cluster is not None:
        raise InvalidValueError("`case` must not go with `cluster`: rows of a case are a cluster. Got both.")
    if options.executor != "local":
        raise InvalidValueError(f"`case` must go with `--executor local`, got {options.executor!r}.")
    return CaseWatch(options.case, n_bins=n_bins, positive_class=options.positive_class)


def _write(
    options: Namespace,
    measured: "dict[str, Measured]",
    files: "Sequence[Source]",
    monitored: "Monitored | None",
    judgements: "Sequence[Judgement]",
    advice: "Advice",
    per_case: "CasesMeasured | None",
) -> None:
    """Write JSON and page, print tables and limits, and say what was written."""
    from adafocal.cli.output import console_beside, write_json
    from adafocal.evaluation.as_json import to_json
    from adafocal.evaluation.measure import ALL
    from adafocal.report.case_table import print_cases
    from adafocal.report.monitor_panel import print_monitored
    from adafocal.report.terminal import notes, print_measured

    whole = measured[ALL]
    result: dict[str, object] = {"files": [str(file) for file in files], "positive_class": options.positive_class}
    result |= {"notes": notes(whole)} | to_json(measured, advice.remedy)
    if monitored is not None:
        result["over_time"] = monitored.to_dict()
    if per_case is not None:
        result["per_case"] = per_case.to_dict()
    if judgements:
        result["limits"] = [one.to_dict() for one in judgements]
    console = console_beside(options.json)
    print_measured(measured, console, advice.remedy, advice.steps)
    if monitored is not None:
        print_monitored(monitored, console, whole.event)
    if per_case is not None:
        print_cases(per_case, console, whole.event)
    write_json(options.json, result, console)
    if options.html is not None:
        from adafocal.report.evaluation_page import write_evaluation

        write_evaluation(
            options.html, measured, files=files, monitored=monitored, per_case=per_case, **advice._asdict()
        )
        console.print(f"page {options.html}", soft_wrap=True)
    _say_limits(options, console, monitored, judgements)


def _say_limits(
    options: Namespace, console: "PlainConsole", monitored: "Monitored | None", judgements: "Sequence[Judgement]"
) -> None:
    """Say what was kept where people read, and what was not on standard error, a line each."""
    from adafocal.cli.console import say
    from adafocal.evaluation.gate import failures, summed_up

    for line in summed_up(judgements):
        console.print(line, soft_wrap=True)
    alarm = options.fail_on_alarm and monitored is not None and monitored.alarm is not None
    for line in [*failures(judgements), *([monitored.verdict()] if alarm and monitored is not None else [])]:
        say(f"adafocal evaluate: {line}", file=sys.stderr)


def _parser() -> CommandParser:
    parser = CommandParser("evaluate", DESCRIPTION)
    parser.add_argument("files", nargs="+", type=str, help="Files, folders, globs, addresses; - is standard input.")
    add_columns(parser, "confidence", "correct", "cluster", "case", "by", "time", "time_unit")
    parser.add_argument(
        "--multilabel",
        action="store_true",
        help="Several labels of a row may apply: prob_cat ... of sigmoids, with label_cat ... of 0 and 1, or lists.",
    )
    parser.add_argument("--window", type=str, default=None, help="With --time: how long a window is, 30m, 12h, 1d, 2w.")
    parser.add_argument(
        "--tolerance", type=float, default=None, help="With --time: by how much confidence may be off without an alarm."
    )
    parser.add_argument("--fail_on_alarm", action="store_true", help="With --time: exit with 3 if there is an alarm.")
    for side, example in (("above", "ece=0.05"), ("below", "accuracy=0.9")):
        parser.add_argument(
            f"--fail_{side}",
            action="append",  # of strings; older jsonargparse takes no type besides
            default=None,
            metavar="MEASURE=LIMIT",
            help=f"Exit with 3 if a measure is {side} a limit, such as {example}, in all rows or a group of --by: if "
            "all of its interval is, where it has one. Names are those of --json; several by commas, or again.",
        )
    parser.add_argument("--strict", action="store_true", help="Fail unless the whole interval keeps the limit.")
    add_bins(parser)
    parser.add_argument("--json", type=str, default=None, help="Write all numbers to this file; - is standard output.")
    parser.add_argument("--html", type=str, default=None, help="Write one self-contained page to this file.")
    parser.add_argument(
        "--no_remedy", action="store_true", help="Do not try scalings: what to do about it is not measured."
    )
    parser.add_argument(
        "--executor", type=str, default="local", help="local, or ray: where rows are many, one task per part of a file."
    )
    parser.add_argument("--ray_address", type=str, default=None, help="A running cluster, as auto.")
    return parser


def _measured(
    options: Namespace,
    files: Sequence[Source],
    names: Names,
    event: dict[str, Any],
    advance: Callable[[int], None],
    watches: "Sequence[Watch]" = (),
) -> "dict[str, Measured]":
    """Measure here, or on Ray where that is wanted and rows are many: they are read once."""
    from adafocal.evaluation.measure import measure
    from adafocal.evaluation.tasks import in_tasks, is_large, make_tasks, measure_in_tasks
    from adafocal.tables.scan import scan

    if options.executor == "local" or not is_large(files, names):
        pieces: Iterable[Piece] = scan(files, names)
        for watch in watches:
            pieces = watch.watched(pieces)
        return measure(pieces, **event, advance=advance)

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
    if not console.is_terminal:  # before version 15, Rich ends a bar that it does not show by an empty line
        yield lambda _: None
        return
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda rows: progress.advance(task, rows)
