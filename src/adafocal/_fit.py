# SPDX-License-Identifier: Apache-2.0
"""Tables on terminals of any width: nothing is cut off, and no two headings are shortened to the same text."""

from typing import Any

from adafocal._checks import require

NAME = 16  # columns that the names of rows get before the table gives way to a list
NORMAL, TIGHT = (0, 1, 0, 1), (0, 1, 0, 0)


def fitted(table: Any, width: int) -> Any:
    """Fit a table of rich's into so many columns: its words stay whole, or else it becomes a list of its rows.

    Args:
        table: A ``rich.table.Table`` whose boxes have a line or a space between columns.
        width: Columns of the terminal.

    Returns:
        The table, its columns told how far they may shrink; or lines of text, for each row its name and below it
        heading and value of every other column.
    """
    texts = [[_text(cell) for cell in (column.header, *column.cells)] for column in table.columns]
    natural = [max(max(map(len, text.plain.splitlines()), default=0) for text in column) for column in texts]
    whole, broken = ([_least(column, place, words) for place, column in enumerate(texts)] for words in (False, True))
    for padding, least in ((NORMAL, whole), (NORMAL, broken), (TIGHT, broken)):
        room = width - len(least) * (1 + padding[1] + padding[3]) - 1
        if sum(least) <= room:
            for column, wide in zip(table.columns, _shared(natural, least, room), strict=True):
                column.width, column.overflow, column.no_wrap = wide, "fold", False
            table.padding = padding
            return table
    return _listed(table, texts)


def _shared(natural: list[int], least: list[int], room: int) -> list[int]:
    """Share the room: each column as wide as it is, or else what is left goes where most is missing."""
    widths = natural[:] if sum(natural) <= room else least[:]
    while sum(widths) < min(room, sum(natural)):
        widths[max(range(len(widths)), key=lambda place: natural[place] - widths[place])] += 1
    return widths


def _text(cell: Any) -> Any:
    kind = require("rich.text").Text
    return cell if isinstance(cell, kind) else kind(str(cell))


def _least(column: list[Any], place: int, words: bool) -> int:
    """How narrow a column may become: headings break between words, numbers only where they must."""
    header, *cells = (text.plain for text in column)
    # A number and its unit stay together.
    lines = [line for cell in cells for line in (cell.replace(" %", "_%").split() if words else cell.splitlines())]
    least = max(map(len, [*header.split(), *lines]), default=1)
    return min(max(map(len, [header, *cells])), NAME) if place == 0 else least


def _listed(table: Any, texts: list[list[Any]]) -> Any:
    kind, lines = require("rich.text").Text, []
    if table.title:
        title = _text(table.title)
        title.stylize("bold")
        lines.append(title)
    (_, *names), *columns = texts
    longest = max((len(header.plain) for header, *_ in columns), default=0)
    for row, name in enumerate(names):
        lines.append(kind.assemble((name.plain, "bold")))
        for header, *cells in columns:
            value = kind(", ").join(cells[row].split("\n"))
            lines.append(kind.assemble("  ", header.plain.ljust(longest), "  ", value))
    for line in lines:
        line.no_wrap, line.overflow = False, "fold"
    return require("rich.console").Group(*lines)
