# SPDX-License-Identifier: Apache-2.0
"""The one way from a command to a terminal: text from data is text, and steers nothing."""

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from adafocal._fit import fitted
from adafocal._text import printable

PLAIN = str.maketrans({"≤": "<=", "±": "+-", "−": "-", "…": "...", "\u00a0": " "})  # where there are no such letters
ANY_WIDTH = 1 << 16  # of what is no terminal, where nobody says how wide it is


class PlainConsole(Console):
    """A console of rich that takes no text for markup and shows hidden characters as escapes.

    Tables are cut nowhere: on a terminal they are fitted to its width, and in a file or a pipe they are as wide as they
    are, unless ``COLUMNS`` says otherwise.

    Args:
        options: As of ``rich.console.Console``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, "soft_wrap": True, **options})
        if not self.is_terminal and "width" not in options and "COLUMNS" not in os.environ:
            self.width = ANY_WIDTH

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, in printable text; its own commands to the terminal, such as those of bars, are kept."""
        if isinstance(renderable, Table):
            renderable = fitted(renderable, (options or self.options).max_width)
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                text = printable(segment.text, keep="\n")
                yield Segment(text if self.encoding.startswith("utf") else text.translate(PLAIN), segment.style)


def say(text: object, *, file: Any = None) -> None:
    """Print a line, to standard output unless told otherwise; ends of lines in it are kept."""
    print(printable(text, keep="\n"), file=file)
