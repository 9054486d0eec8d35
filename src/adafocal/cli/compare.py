# SPDX-License-Identifier: Apache-2.0
"""``adafocal compare``: which of several models is better, on the same rows, and in what."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from adafocal._settings import or_meant
from adafocal._text import shown
from adafocal.cli.columns import add_bins, add_columns, bins_of, names_of
from adafocal.cli.parser import CommandParser
from adafocal.errors import InvalidValueError
from adafocal.tables.source import FORMATS, LOGS, PACKED, STDIN, Source

if TYPE_CHECKING:
    from adafocal.evaluation.event import Event
    from adafocal.evaluation.whole import Whole

DESCRIPTION = """Compare predictions of several models: differences of accuracy, NLL, Brier score, debiased ECE, AURC
and over-confidence with 95 % intervals, and verdicts corrected for their number.

Each FILE is one model; a folder or a quoted glob holds the parts of one. The others are compared with the first, or
with --baseline. Rows are matched by --id, else by their order where there are as many and labels agree; where they are
not the same, samples are taken to be independent, which is said. Tables must fit in memory. Columns are those of
`adafocal evaluate`."""


def main(arguments: list[str]) -> int:
    """Compare and print; see ``adafocal compare --help``."""
    options = _parser().parse_args(arguments)

    from adafocal.cli.output import check_outputs, console_beside, write_json
    from adafocal.evaluation.compare import compare
    from adafocal.evaluation.whole import read_whole_table
    from adafocal.report.comparison_terminal import print_comparison
    from adafocal.report.terminal import divided_rows
    from adafocal.tables.scan import find_files

    n_bins = bins_of(options)
    files = _named(options, [find_files([place]) for place in options.files])
    if options.baseline is not None and options.baseline not in files:
        raise InvalidValueError(
            f"`baseline` must be one of {', '.join(files)}, got {options.baseline!r}{or_meant(options.baseline, files)}"
        )
    if options.unpaired and options.id is not None:
        raise InvalidValueError(f"`--id` must not be given with `--unpaired`, got {options.id!r}.")
    check_outputs(
        options, "json", "html", reads=[file.path for of in files.values() for file in of if file.path is not None]
    )
    names = names_of(options, of_event=True)
    tables = {
        name: read_whole_table(of, names, id_column=options.id, positive_class=options.positive_class)
        for name, of in files.items()
    }
    event = _one_event({name: table.event for name, table in tables.items()})
    found = compare(
        {name: table.record for name, table in tables.items()},
        baseline=options.baseline,
        ids=None if options.id is None else {name: table.ids for name, table in tables.items()},
        paired=False if options.unpaired else None,
        positive_class=event.index,
        n_bins=n_bins,
    )
    divided = divided_rows(sum(table.rounded for table in tables.values()), normalized=options.normalize)
    found = replace(found, event=event, notes=(*found.notes, *_said(tables.values()), *divided))
    console = console_beside(options.json)
    print_comparison(found, console)
    places = {name: [str(file) for file in of] for name, of in files.items()}
    write_json(options.json, {"files": places, **found.to_dict()}, console)
    if options.html is not None:
        from adafocal.report.comparison_page import write_comparison_page

        write_comparison_page(
            options.html, found, files=places, command=shlex.join(["adafocal", "compare", *arguments])
        )
        console.print(f"page {options.html}", soft_wrap=True)
    return 0


def _said(tables: "Iterable[Whole]") -> list[str]:
    """What the readers of tables did, each sentence once."""
    return list(dict.fromkeys(line for table in tables for line in table.said))


def _parser() -> CommandParser:
    parser = CommandParser("compare", DESCRIPTION)
    parser.add_argument("files", nargs="+", type=str, help="Two or more tables, each of one model.")
    parser.add_argument("--names", nargs="+", type=str, default=None, help="What to call them (default: their files).")
    parser.add_argument("--baseline", type=str, default=None, help="Which one to compare the others with, by name.")
    parser.add_argument(
        "--id", type=str, default=None, help="Column that says which rows are the same, or several joined by commas."
    )
    parser.add_argument("--unpaired", action="store_true", help="Take rows to be independent, whatever they hold.")
    add_columns(parser, "confidence", "correct", "cluster")
    add_bins(parser)
    parser.add_argument("--json", type=str, default=None, help="Write all numbers to this file; - is standard output.")
    parser.add_argument("--html", type=str, default=None, help="Write one self-contained page to this file.")
    return parser


def _named(options: Namespace, files: Sequence[Sequence[Source]]) -> dict[str, Sequence[Source]]:
    """Name each table as asked, else by its file, as far as that tells them apart."""
    if len(files) < 2:
        raise InvalidValueError(f"`FILE` must name at least two tables, got {len(files)}.")
    if options.names is not None:
        if len(options.names) != len(files):
            raise InvalidValueError(
                f"`names` must be as many as there are tables, {len(files)}, got {len(options.names)}."
            )
        twice = [name for name, count in Counter(options.names).items() if count > 1]
        if twice or "" in options.names:
            raise InvalidValueError(f"`names` must be there once and not empty, got {options.names}.")
        return dict(zip(options.names, files, strict=True))
    stems = [_stem(place) for place in options.files]
    names = [place if stems.count(stem) > 1 else stem for stem, place in zip(stems, options.files, strict=True)]
    count: Counter[str] = Counter()
    for place, name in enumerate(names):
        count[name] += 1
        if count[name] > 1:
            names[place] = f"{name} ({count[name]})"
    return dict(zip(names, files, strict=True))


def _stem(place: str) -> str:
    """The last part of a path, without what says how it is packed and of which format it is."""
    name = "stdin" if place == STDIN else Path(place).name
    for suffix in (*PACKED, *FORMATS, *LOGS):
        name = name.removesuffix(suffix)
    return name or place


def _one_event(events: "Mapping[str, Event]") -> "Event":
    """The event that all tables tell of."""
    (first_name, first), *others = events.items()
    for name, event in others:
        if (event.of_outcomes, event.of_class) != (first.of_outcomes, first.of_class):
            raise InvalidValueError(
                f"tables must tell of one event, got {first.text!r} in {shown(first_name)} and {event.text!r} in "
                f"{shown(name)}: name the class with `--positive-class`, or the columns."
            )
    alike = all(event.text == first.text for event in events.values())
    return first if alike else replace(first, text=first.text.partition(", by ")[0])
