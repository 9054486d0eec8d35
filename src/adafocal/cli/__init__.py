# SPDX-License-Identifier: Apache-2.0
"""The ``adafocal`` command: finds the sub-command's module and loads nothing else.

A sub-command NAME is a module ``adafocal.cli.NAME``, or the one in ``MODULES``, with a function
``main(arguments) -> exit status``.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

import adafocal

COMMANDS = {
    "train": "train one classifier and write its run folder",
    "predict": "predict with a finished run, on its own, corrupted or other data",
    "study": "train a grid of recipes, settings, losses and seeds, and compare the losses",
    "report": "make the HTML page of a run or study again, from its files",
    "evaluate": "measure calibration of predictions in Parquet, CSV or npz files",
    "scale": "fit temperature or another scaling on validation predictions, and apply it",
    "ood": "measure how well scores detect out-of-distribution data",
    "list": "list losses, models, data sets, recipes or pairs",
}
MODULES = {"list": "catalogues"}  # a module named list would hide the built-in in this package
USAGE = "usage: adafocal [-h] [--version] COMMAND ..."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    Errors that a user can mend are printed as one sentence, with status 2.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(f"adafocal {adafocal.__version__}")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        print(f"{USAGE}\nadafocal: `COMMAND` must be one of {', '.join(COMMANDS)}, got {command!r}.", file=sys.stderr)
        return 2
    try:
        status: int = importlib.import_module(f"adafocal.cli.{MODULES.get(command, command)}").main(rest)
    except BrokenPipeError:
        return 1
    except (ValueError, TypeError, OSError, ModuleNotFoundError, argparse.ArgumentError) as error:
        print(f"adafocal {command}: {_sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"adafocal {command}: interrupted.", file=sys.stderr)
        return 130
    return status


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and "pip install" not in str(error):
        return f"{error.name} is not installed: run `pip install 'adafocal[train]'`."
    return " ".join(str(error).split()) if isinstance(error, argparse.ArgumentError) else str(error)


def _help() -> str:
    lines = [USAGE, "", "Classifiers whose confidence is true: train, measure, compare.", "", "commands:"]
    lines += [f"  {name:<10} {help_line}" for name, help_line in COMMANDS.items()]
    lines += ["", "`adafocal COMMAND --help` shows a command's options."]
    return "\n".join(lines)
