# SPDX-License-Identifier: Apache-2.0
"""Where commands write: files are checked before anything is computed, and what was written is said."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from jsonargparse import Namespace

from adafocal._files import check_output, write_text
from adafocal.cli.console import PlainConsole
from adafocal.errors import InvalidValueError

STDOUT = "-"


def check_outputs(options: Namespace, *outputs: str, reads: Iterable[str | Path] = ()) -> None:
    """Refuse outputs that cannot be written, see :func:`~adafocal._files.check_output`; ``-`` is standard output."""
    reads = list(reads)
    for name in outputs:
        if options[name] == STDOUT and name != "json":
            raise InvalidValueError(f"`{name}` must name a file, got {STDOUT!r}: numbers alone go there, as JSON.")
        if options[name] != STDOUT:
            check_output(name, options[name], reads=reads)


def console_beside(json_path: str | None) -> PlainConsole:
    """A console for people: standard output, or standard error where the numbers go to standard output."""
    return PlainConsole(soft_wrap=False, stderr=json_path == STDOUT)


def write_json(path: str | None, result: Mapping[str, object], console: PlainConsole) -> None:
    """Write numbers as JSON to a file, which is said, or to standard output (``-``); None writes none."""
    if path is None:
        return
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    if path == STDOUT:
        sys.stdout.write(text)
        return
    write_text(path, text)
    console.print(f"numbers {path}", soft_wrap=True)
