# SPDX-License-Identifier: Apache-2.0
"""One rule for the flags of every command."""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from adafocal._settings import MEANT, check_choice, or_meant
from adafocal.errors import InvalidValueError

EXECUTORS = ("local", "ray")


class CommandParser(ArgumentParser):
    """The parser of every command: the words of a flag may be joined by ``-`` or ``_``.

    Flags are never abbreviated, as the next version could make two of one; errors are raised, not printed.
    """

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"adafocal {command}", description=description, exit_on_error=False, allow_abbrev=False)

    def parse_args(self, args: Sequence[str], **options: Any) -> Namespace:  # type: ignore[override]
        """Parse flags of either spelling; where a name is misspelt, the error asks for the one that may be meant."""
        return self._parse(self._as_declared(args), **options)

    def parse_given(self, args: Sequence[str]) -> dict[str, object]:
        """Parse what is given, without defaults; ``--print_config`` is for who knows them all."""
        flags, rest = parted(self._as_declared(args))
        asked = [one for one in flags if not one.startswith("--print_config")]
        given: dict[str, object] = self._parse([*asked, *rest], defaults=False).as_dict()
        return given

    def _as_declared(self, args: Sequence[str]) -> list[str]:
        given = underscored(args)
        return data_named(given) if "--data.name" in self._option_string_actions else given

    def _parse(self, args: Sequence[str], **options: Any) -> Namespace:
        try:
            return super().parse_args(args, **options)
        except argparse.ArgumentError as error:
            raise argparse.ArgumentError(None, f"{error}{_asked(str(error), self)}") from error


def parted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part a line before its ``--``, after which nothing is a flag."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:end]), list(arguments[end:])


def underscored(arguments: Sequence[str]) -> list[str]:
    """Write ``_`` for ``-`` in the names of flags, as they are declared; no value changes."""
    flags, rest = parted(arguments)
    inner = re.compile(r"(?<=^--)[^-=][^=]*")
    return [*(inner.sub(lambda name: name[0].replace("-", "_"), given) for given in flags), *rest]


def data_named(arguments: Sequence[str]) -> list[str]:
    """Write ``--data.name NAME`` for ``--data NAME``; settings in braces, or a file of them, stay what they are."""
    flags, rest = parted(arguments)
    named: list[str] = []
    for given in flags:
        flag, sign, value = given.partition("=")
        if flag == "--data" and sign and _is_name(value):
            given = f"--data.name={value}"
        elif named and named[-1] == "--data" and _is_name(given):
            named[-1] = "--data.name"
        named.append(given)
    return [*named, *rest]


def _is_name(value: str) -> bool:
    return not value.startswith(("{", "-")) and not value.endswith((".yaml", ".yml", ".json"))


UNKNOWN = re.compile(r"unrecognized arguments: (--[^\s=]+)", re.IGNORECASE)
UNKNOWN_KEY = re.compile(r"(?:Group '(?P<group>[^']*)' does not accept option|Option) '(?P<name>[^']*)'")
NO_CHOICE = re.compile(r"invalid choice: '(?P<got>[^']*)' \(choose from (?P<known>.*)\)")
NO_LITERAL = re.compile(r"typing\.Literal\[(?P<known>[^\]]*)\]\. Got value: (?P<got>\S+)")


def _asked(fault: str, parser: ArgumentParser) -> str:
    """Ask what was meant by the name that a parser does not know; nothing where no name is near."""
    if MEANT in fault:  # a sub-command has asked
        return ""
    if unknown := UNKNOWN.search(fault):
        meant = or_meant(unknown[1], _flags(parser))
    elif key := UNKNOWN_KEY.search(fault):  # in a file of settings
        name = ".".join(part for part in key.groups() if part)
        meant = or_meant(name, [flag.removeprefix("--") for flag in _flags(parser)])
    elif wrong := NO_CHOICE.search(fault) or NO_LITERAL.search(fault):
        meant = or_meant(wrong["got"], [name.strip(" '\"") for name in wrong["known"].split(",")])
    else:
        return ""
    return meant.rstrip(".")


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    """List the flags of a parser and of its sub-commands."""
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    inner = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [*flags, *(flag for choices in inner for other in choices.values() for flag in _flags(other))]


def first_word(arguments: Sequence[str]) -> str | None:
    """Read what a line begins with, if that is no flag."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("word", nargs="?")
    word: str | None = parser.parse_known_args(arguments[:1])[0].word
    return word


def check_executor(options: Namespace) -> None:
    """Raise unless ``--executor`` names one, and ``--ray_address`` is given for Ray alone."""
    check_choice("executor", options.executor, EXECUTORS)
    if options.ray_address is not None and options.executor != "ray":
        raise InvalidValueError(
            f"`ray_address` must be given with `--executor ray`, got {options.ray_address!r} with {options.executor}."
        )


def check_goes_with(options: Namespace, names: Sequence[str], partner: str, *, given: bool) -> None:
    """Raise if one of the options is given without what it belongs to, which would leave it aside."""
    for name in names:
        if not given and is_given(options, name):
            raise InvalidValueError(f"`{name}` must go with `{partner}`, got it alone.")


def is_given(options: Namespace, name: str) -> bool:
    """Tell whether an option is there whose default is null or, of a switch, false; 0 is a value."""
    return options[name] is not None and options[name] is not False
