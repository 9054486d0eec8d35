# SPDX-License-Identifier: Apache-2.0
"""The ``adafocal`` command: finds the sub-command's module and loads nothing else.

A sub-command NAME is a module ``adafocal.cli.NAME``, or the one in ``MODULES``, with a function
``main(arguments) -> exit status``.
"""

import argparse
import importlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import adafocal
from adafocal._settings import or_meant, to_install
from adafocal._text import printable, shown
from adafocal.cli.printed import help_of
from adafocal.errors import AdafocalError, is_out_of_memory

COMMANDS = {
    "train": "train one classifier and write its run folder",
    "predict": "predict with a finished run, on its own, corrupted or other data",
    "study": "train a grid of recipes, settings, losses and seeds, and compare the losses",
    "data": "show what would be trained on, before anyone trains",
    "report": "make the HTML page of a run or study again, from its files",
    "evaluate": "measure calibration of predictions in Parquet, CSV or npz files",
    "compare": "compare predictions of several models: differences with intervals, and verdicts",
    "scale": "fit temperature or another scaling on validation predictions, and apply it",
    "ood": "measure how well scores detect out-of-distribution data",
    "list": "list losses, models, data sets, recipes or pairs",
}
MODULES = {"list": "catalogues"}  # a module named list would hide the built-in in this package
EXTRA = dict.fromkeys(
    ("train", "predict", "study", "data"), "train"
)  # that a command needs; all others need ``report``
ALONE = ("pandas", "polars")  # of which either suffices, as the error says
USAGE = "usage: adafocal [-h] [--version] [--debug] COMMAND ..."
DEBUG = "--debug"
LONGEST = 4000  # characters of a sentence
# What to do after an interrupt, where it is more than to begin anew.
GOES_ON = {
    "train": "the same command goes on from the last checkpoint",
    "study": "the same command goes on: finished runs stay, and cut ones resume",
}
STOPPED = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    What a user can mend is printed as one sentence, with status 2; anything else is a fault of ours and is called so,
    with status 1. ``--debug``, anywhere in the line, shows the traceback of either. A process that is interrupted or
    terminated cleans up, says how to go on, and ends with 130 or 143, as shells and schedulers expect.
    """
    flags = argparse.ArgumentParser(prog="adafocal", usage=USAGE, add_help=False, allow_abbrev=False)
    flags.add_argument(DEBUG, action="store_true")
    options, arguments = flags.parse_known_args(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(f"adafocal {adafocal.__version__}")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without a letter is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    command, *rest = arguments
    if command not in COMMANDS:
        known = ", ".join(COMMANDS)
        wrong = f"`COMMAND` must be one of {known}, got {shown(command)}{or_meant(command, COMMANDS)}"
        print(f"{USAGE}\nadafocal: {wrong}", file=sys.stderr)
        return 2
    if (text := help_of([command, *rest])) is not None:
        print(text)
        raise SystemExit(0)
    try:
        with _terminable():
            status: int = importlib.import_module(f"adafocal.cli.{MODULES.get(command, command)}").main(rest)
    except BrokenPipeError:
        return 1
    except (KeyboardInterrupt, _TerminatedError) as error:
        number = signal.SIGTERM if isinstance(error, _TerminatedError) else signal.SIGINT
        hint = GOES_ON.get(command, "the same command begins anew")
        print(f"adafocal {command}: {STOPPED[number]}; {hint}.", file=sys.stderr)
        return 128 + number
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        sentence = _sentence(error, command)
        print(f"adafocal {command}: {printable(sentence or _notice(error), longest=LONGEST)}", file=sys.stderr)
        return 2 if sentence else 1
    return status


class _TerminatedError(BaseException):
    """The process was told to end: no error, so that nothing on the way up takes it for one."""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the block, so that what it began is cleaned up; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _TerminatedError

    earlier = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


def _sentence(error: Exception, command: str) -> str | None:
    """Say what the user can mend; None where it is nothing that a user can."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "adafocal").startswith("adafocal"):
        package = str(error.name).partition(".")[0]
        return str(error) if package in ALONE else to_install(package, EXTRA.get(command, "report"))
    if isinstance(error, AdafocalError):
        return str(error)
    if isinstance(error, argparse.ArgumentError):
        return " ".join(str(error).split())
    if is_out_of_memory(error):
        return "the memory of this process did not suffice: give it more, or less to work on."
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f": {str(error.filename)!r}"
        return f"{error.strerror}{where}."
    return None


def _notice(error: Exception) -> str:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"a fault of adafocal, not of what you gave ({reason}). Please report it with what `{DEBUG}` prints."


def _help() -> str:
    lines = [USAGE, "", "Classifiers whose confidence is true: train, measure, compare.", "", "commands:"]
    lines += [f"  {name:<10} {help_line}" for name, help_line in COMMANDS.items()]
    lines += [
        "",
        "`adafocal COMMAND --help` shows a command's options, which may be written with - or _ between words;",
        "--debug shows the traceback of an error.",
    ]
    return "\n".join(lines)
