# SPDX-License-Identifier: Apache-2.0
"""``adafocal data show``: what would be trained on, before anyone trains."""

import shlex

from rich.console import Console
from rich.table import Table
from rich.text import Text

from adafocal._files import check_output
from adafocal._settings import check_choice
from adafocal._text import printable, told_apart
from adafocal.cli.console import PlainConsole, say
from adafocal.cli.options import parse, train_parser
from adafocal.data.overview import Overview, examples_of, overview_of

DESCRIPTION = """Show what would be trained on: where it lies, the sizes of its parts, its classes, what a sample is,
what was left out and why. It takes the options of `adafocal train`, or a path in place of `--data.path`; nothing is
trained."""
MOST_CLASSES = 50  # lines on a terminal; the page has them all


def main(arguments: list[str]) -> int:
    """Show the data of a run; see ``adafocal data show --help``."""
    parser = train_parser("data show", DESCRIPTION)
    parser.add_argument("--output", "-o", type=str, default=None, help="Write a page with examples to this file.")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.parse_args(["--help"])
    check_choice("COMMAND", arguments[0], ("show",))
    asked = parse(parser, with_path(arguments[1:]))
    check_output("output", asked.options.output)

    from adafocal.data import load_splits
    from adafocal.data.kinds import kind_of

    data, seed = asked.config.data, asked.config.seed
    splits = load_splits(data, seed=seed)
    overview = overview_of(splits, data, kind_of(data), seed=seed, model=asked.title)
    show(overview, PlainConsole())
    if asked.options.output is not None:
        from adafocal.report.data_page import write_data_page

        command = shlex.join(["adafocal", "data", *arguments])
        write_data_page(overview, examples_of(splits, data), asked.options.output, title=data.name, command=command)
        say(f"{'page':<16} {asked.options.output}")
    return 0


def with_path(arguments: list[str]) -> list[str]:
    """Take a first word that is no flag for the path of the data."""
    if arguments and not arguments[0].startswith("-"):
        return [f"--data.path={arguments[0]}", *arguments[1:]]
    return arguments


def show(overview: Overview, console: Console) -> None:
    """Print the facts, the notes and the counts of the classes."""
    for name, text in overview.facts.items():
        say(f"{name:<16} {text}")
    for note in overview.notes:
        say(f"{'note':<16} {note}")
    table = Table(title=f"{len(overview.classes):,} classes, {overview.unit}", title_justify="left")
    table.add_column("class", no_wrap=True)
    for part in overview.counts:
        table.add_column(part, justify="right", no_wrap=True)
    for place, name in enumerate(told_apart(overview.classes, printable)[:MOST_CLASSES]):
        table.add_row(Text(name), *(f"{held[place]:,}" for held in overview.counts.values()))
    if len(overview.classes) > MOST_CLASSES:
        rest = [sum(held[MOST_CLASSES:]) for held in overview.counts.values()]
        table.add_row(f"{len(overview.classes) - MOST_CLASSES:,} others", *(f"{count:,}" for count in rest))
    console.print(table)
