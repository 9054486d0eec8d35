# SPDX-License-Identifier: Apache-2.0
"""Flags by which own code of a finished run is named again, without which none of it is imported."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from adafocal._text import shown
from adafocal.cli.parser import CommandParser
from adafocal.errors import InvalidValueError
from adafocal.results.folder import RunFolder

FLAGS = ("loss", "model", "data")


def add_own(parser: CommandParser) -> None:
    """Add ``--loss``, ``--model`` and ``--data``."""
    for what in FLAGS:
        parser.add_argument(
            f"--{what}",
            type=str,
            default=None,
            help=f"The {what} of a run with code of its own, package.module:name: only then is it imported.",
        )


def own_of(options: Namespace, runs: Sequence[str]) -> tuple[str, ...]:
    """Read what the flags name, which must be what a run was made with.

    Raises:
        ValueError: If it is not.
    """
    settings = [RunFolder(Path(run)).settings for run in runs]
    for what in FLAGS:
        recorded = {"loss": {one.loss for one in settings}, "model": {one.model for one in settings}}
        known = sorted(recorded.get(what, {one.data.name for one in settings}))
        name = options[what]
        if name is not None and name not in known:
            raise InvalidValueError(f"`{what}` must be what the run recorded, {', '.join(known)}, got {shown(name)}.")
    return tuple(options[what] for what in FLAGS if options[what] is not None)
