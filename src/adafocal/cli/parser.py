# SPDX-License-Identifier: Apache-2.0
"""One rule for the flags of every command."""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from adafocal.errors import InvalidValueError

EXECUTORS = ("local", "ray")


class CommandParser(ArgumentParser):
    """The parser of every command: the words of a flag may be joined by ``-`` or ``_``.

    Flags are never abbreviated, as the next version could make two of one; errors are raised, not printed.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"adafocal {command}", description=description, exit_on_error=False, allow_abbrev=False)

    def parse_args(self, args: Sequence[str], **options: Any) -> Namespace:  # type: ignore[override]
        """Parse flags of either spelling."""
        return super().parse_args(underscored(args), **options)

    def parse_given(self, args: Sequence[str]) -> dict[str, object]:
        """Parse what is given, without defaults; ``--print_config`` is for who knows them all."""
        end = list(args).index("--") if "--" in args else len(args)
        asked = [one for one in underscored(args[:end]) if not one.startswith("--print_config")]
        given: dict[str, object] = super().parse_args([*asked, *args[end:]], defaults=False).as_dict()
        return given


def underscored(arguments: Sequence[str]) -> list[str]:
    """Write ``_`` for ``-`` in the names of flags, as they are declared; no value changes."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    inner = re.compile(r"(?<=^--)[^-=][^=]*")
    return [*(inner.sub(lambda name: name[0].replace("-", "_"), given) for given in arguments[:end]), *arguments[end:]]


def first_word(arguments: Sequence[str]) -> str | None:
    """Read what a line begins with, if that is no flag."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("word", nargs="?")
    word: str | None = parser.parse_known_args(arguments[:1])[0].word
    return word


def check_executor(options: Namespace) -> None:
    """Raise unless ``--executor`` names one, and ``--ray_address`` is given for Ray alone."""
    from adafocal._checks import check_choice

    check_choice("executor", options.executor, EXECUTORS)
    if options.ray_address is not None and options.executor != "ray":
        raise InvalidValueError(
            f"`ray_address` must be given with `--executor ray`, got {options.ray_address!r} with {options.executor}."
        )
