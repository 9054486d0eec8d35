# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal evaluate`` prints: a table of measures, a reliability diagram, a table of groups."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adafocal._checks import require
from adafocal._fit import fitted
from adafocal._text import printable, told_apart
from adafocal.calibration import BinStats, CalibrationSummary
from adafocal.calibration.measure import QUESTIONS, PredictionMeasure
from adafocal.evaluation.event import Event
from adafocal.evaluation.measure import ALL, Measured
from adafocal.measures import MEASURES, OF_GROUPS, OF_PREDICTIONS
from adafocal.scaling.crossfit import FOLDS
from adafocal.scaling.remedy import Remedy

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
else:  # an extra, loaded when something is printed
    Console = Table = object

STREAM_NOTE = "~ too many rows for memory: from sums over a fine grid of confidences, with edges at most one cell off."
FIT_ON = "Fit it on validation predictions; what it was fitted on no longer tells how good it is."
WIDTH, SHORTEST = 40, 6  # of a bar
WIDEST = 120
LONGEST_GROUP = 400  # characters of a name: tables fold it, and no one reads more
TRIED = {name: MEASURES[name] for name in ("nll", "brier", "ece")}
REMEDY_HEADINGS = ("scaling", *(one.heading for one in TRIED.values()), "NLL gained ± standard error")


def print_measured(
    measured: dict[str, Measured], console: Console, remedy: Remedy | None = None, commands: Sequence[str] = ()
) -> None:
    """Print everything that was measured to a rich console, the answer first.

    Args:
        measured: As ``measure`` gives it.
        console: A ``rich.console.Console``; ASCII is used where it has nothing else.
        remedy: What to do; None where it was not measured.
        commands: How to do it.
    """
    whole = measured[ALL]
    print_lines(console, headline(whole), "", *answer_lines(measured, remedy, commands), "")
    ascii_only = console.options.ascii_only
    print_lines(console, *diagram_lines(whole.bins, ascii_only=ascii_only, event=whole.event, width=console.width), "")
    rows = [row for question, held in measure_rows(whole) for row in ((question, "", ""), *held)]
    console.print(_table("", ["measure", "value", "95 % interval"], rows, console.width))
    print_lines(console, *notes(whole))
    if remedy is not None and remedy.trials:
        print_lines(console, "")
        console.print(_table(remedy_title(remedy), REMEDY_HEADINGS, remedy_rows(remedy), console.width))
    groups = {name: part.summary for name, part in measured.items() if name != ALL}
    if groups:
        titles, named = group_rows(groups, whole.event)
        names = told_apart([name for name, _ in named], printable, LONGEST_GROUP)
        cells = [(name, *(shown for shown, _ in numbers)) for name, (_, numbers) in zip(names, named, strict=True)]
        print_lines(console, "")
        console.print(_table(f"{len(groups)} groups", titles, cells, console.width))


def answer_lines(
    measured: dict[str, Measured], remedy: Remedy | None = None, commands: Sequence[str] = ()
) -> list[str]:
    """The verdict, those of groups, what to do, and the commands that do it."""
    whole = measured[ALL]
    lines = [*whole.summary.verdict.sentences(of_class=whole.event.of_class), *group_lines(measured)]
    lines += [] if remedy is None else remedy.sentences()
    return [*lines, *(f"  {command}" for command in commands), *([FIT_ON] if commands else [])]


def group_lines(measured: dict[str, Measured]) -> list[str]:
    """Count the verdicts of the groups, where there are some."""
    groups = [part for name, part in measured.items() if name != ALL]
    kinds = Counter(one.summary.verdict.headline(of_class=one.event.of_class).lower() for one in groups)
    counted = [f"{count:,} {kind}" for kind, count in kinds.most_common()]
    return [f"Of {len(groups):,} groups: {', '.join(counted)}."] if counted else []


def print_lines(console: Console, *lines: str) -> None:
    """Print lines as they are, whole words to the width; commands stay on one line, to be copied."""
    for line in lines:
        text = line.replace("→", "->").replace("±", "+-") if console.options.ascii_only else line
        console.print(text, markup=False, highlight=False, soft_wrap=line.startswith("  "))


def headline(whole: Measured) -> str:
    """Say how much was measured, and the calibration of what."""
    summary, event = whole.summary, whole.event
    classes = "each with its own choices" if event.of_choices else f"{summary.n_classes} classes"
    held = f"{summary.n:,} outcomes" if event.of_outcomes else f"{summary.n:,} samples, {classes}"
    return f"{held}; calibrated event: {printable(event.text)}"


def notes(whole: Measured) -> list[str]:
    """Say what was done to rows, and what is not exact."""
    said = []
    if whole.n_files > 1:
        said.append(f"{whole.n_files:,} files are pooled into one set of rows: `adafocal compare` compares files.")
    said += whole.said
    if whole.event.of_choices:
        said.append("Choices are not the same in every row: no measure of single classes, no parts of the Brier score.")
    said += divided_rows(whole.rounded, normalized=whole.normalized)
    if whole.summary.n_effective < whole.summary.n:
        said.append(f"Weighted: the effective sample size is {whole.summary.n_effective:,.1f}.")
    if whole.summary.n_clusters:
        said.append(f"Intervals are those of {whole.summary.n_clusters:,} clusters.")
    if whole.sample is None:
        said.append("Other processes read the rows, so that no scaling was tried on them.")
    return said if whole.exact else [*said, STREAM_NOTE]


def divided_rows(count: int, *, normalized: bool) -> list[str]:
    """Say how many rows were divided by their sum, if any, and why."""
    why = "" if normalized else ", as printing rounds,"
    return [f"{count:,} rows did not sum to 1{why} and were divided by their sum."] if count else []


def measure_rows(whole: Measured) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Write every measure out under its question: title, value and interval; ``~`` marks what is from the fine grid."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for measure in OF_PREDICTIONS.values():
        rows.setdefault(whole.event.says(measure.question), []).append(measure_row(whole, measure))
    return [(question, rows[question]) for question in map(whole.event.says, QUESTIONS) if question in rows]


def measure_row(whole: Measured, measure: PredictionMeasure) -> tuple[str, str, str]:
    """Write one measure out."""
    mark = "" if measure.streams or whole.exact else "~ "
    interval = mark + measure.between(*getattr(whole.summary, measure.interval)) if measure.interval else ""
    return whole.event.says(measure.title), mark + measure.alone(getattr(whole.summary, measure.name)), interval


def remedy_title(remedy: Remedy) -> str:
    """Say how scalings were tried."""
    return f"Scalings, fitted and tried on different rows ({FOLDS} folds of {remedy.rows})"


def remedy_rows(remedy: Remedy) -> list[tuple[str, ...]]:
    """Write out what every scaling does: name, numbers, and how much is gained."""
    rows = []
    for trial in (remedy.before, *remedy.trials):
        numbers = [measure.text(getattr(trial, name)) for name, measure in TRIED.items()]
        gain = f"{trial.gain:+.4f} ± {trial.gain_error:.4f}" if trial.method and math.isfinite(trial.gain) else ""
        title = trial.title + (" *" if trial == remedy.chosen else "")
        rows.append(
            (title or ("as they are" if remedy.n == remedy.n_rows else "these rows as they are"), *numbers, gain)
        )
    return rows


def group_rows(
    groups: dict[str, CalibrationSummary], event: Event
) -> tuple[list[str], list[tuple[str, list[tuple[str, float]]]]]:
    """Lay out the table of groups: titles, and of each group its name and its numbers, as text and as they are."""
    rows = []
    for group, summary in groups.items():
        numbers = [(one, float(getattr(summary, name))) for name, one in OF_GROUPS.items()]
        verdict = summary.verdict.headline(of_class=event.of_class).lower()
        cells = [(verdict, -summary.verdict.p), (f"{summary.n:,}", float(summary.n))]
        rows.append((group, [*cells, *((one.text(held), held) for one, held in numbers)]))
    return ["group", "verdict", "samples", *(event.says(measure.heading) for measure in OF_GROUPS.values())], rows


def print_table(console: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in which nothing is cut off."""
    console.print(_table(title, headings, rows, console.width))


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> "RenderableType":
    """Lay out a table in which nothing is cut off, whatever the width."""
    rich_table, box = require("rich.table"), require("rich.box")
    table: Table = rich_table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    text = require("rich.text").Text
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*map(text, row))  # what comes from data is plain text, whatever it looks like
    shown: RenderableType = fitted(table, width)
    return shown


def diagram_lines(
    bins: BinStats, *, ascii_only: bool = False, event: Event | None = None, width: int = WIDEST
) -> list[str]:
    """Draw a reliability diagram as text: a bar of the accuracy per bin that holds samples, a mark at the confidence.

    Args:
        bins: Sums per bin.
        ascii_only: Draw with ``#`` and ``|`` in place of blocks.
        event: What is calibrated; None for the top label.
        width: Columns of the terminal, which the bars give way to.

    Returns:
        Lines without an end; over-confident where the mark is right of the bar's end.
    """
    event = event or Event()
    full, empty, mark = ("#", ".", "|") if ascii_only else ("█", "·", "┃")
    edges = [0.0, *bins.edges.tolist(), 1.0]
    # Weights need not be whole.
    held = [f"{count:,.{0 if float(count).is_integer() else 1}f}" for count in bins.count.tolist()]
    number = min(13, max(len("samples"), *map(len, held), width - WIDTH - 25))
    longest = max(SHORTEST, min(WIDTH, width - number - 25))
    lines = [
        f"{event.probability:<13} {'samples':>{number}}  {event.share} {full * 2}  mean {event.probability} {mark}"
    ]
    for index, count in enumerate(bins.count.tolist()):
        if count == 0:
            continue
        confidence, accuracy = float(bins.confidence[index]), float(bins.accuracy[index])
        bar = list((full * round(longest * accuracy)).ljust(longest, empty))
        bar[min(longest - 1, int(longest * confidence))] = mark
        place = f"{edges[index]:.3f} - {edges[index + 1]:.3f}"
        lines.append(f"{place} {held[index]:>{number}}  {''.join(bar)}  {100 * accuracy:5.1f} %")
    return lines
