# SPDX-License-Identifier: Apache-2.0
"""The one way from a command to a terminal: text from data is text, and steers nothing."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from adafocal._text import printable


class PlainConsole(Console):
    """A console of rich that takes no text for markup and shows hidden characters as escapes.

    Args:
        options: As of ``rich.console.Console``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, "soft_wrap": True, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, in printable text; its own commands to the terminal, such as those of bars, are kept."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text, keep="\n"), segment.style)


def say(text: object) -> None:
    """Print a line; ends of lines in it are kept."""
    print(printable(text, keep="\n"))
