# SPDX-License-Identifier: Apache-2.0
"""What the command says of the remedy: whether it is measured, and which commands do it."""

import shlex
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from jsonargparse import Namespace

from adafocal import __version__
from adafocal.cli.columns import column_options
from adafocal.evaluation.measure import Measured
from adafocal.scaling.remedy import Remedy, find_remedy


class Advice(NamedTuple):
    """What to do, the commands that do it, and how and when this was found, line by line."""

    remedy: Remedy | None
    steps: list[str]
    made: list[str]


def advise(options: Namespace, whole: Measured, arguments: list[str]) -> Advice:
    """Try scalings, unless that is not wanted, or the rows were read by other processes."""
    remedy = None
    if not options.no_remedy and whole.sample is not None:
        remedy = find_remedy(
            whole.sample, n_bins=whole.summary.n_bins, positive_class=whole.event.index, n_rows=whole.summary.n
        )
    return Advice(remedy, _steps(remedy, options, whole), how_made(arguments))


def how_made(arguments: list[str]) -> list[str]:
    """Say by which command, version and when a page was made, line by line."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return [shlex.join(["adafocal", "evaluate", *arguments]), f"adafocal {__version__}, {now}"]


def _steps(remedy: Remedy | None, options: Namespace, whole: Measured) -> list[str]:
    """The commands that apply what is recommended; of several files the user names one."""
    if remedy is None or remedy.chosen is None:
        return []
    single = len(options.files) == 1 and ("://" in options.files[0] or Path(options.files[0]).is_file())
    told = ["--method", remedy.chosen.method]
    told += [part for name, value in remedy.chosen.options.items() for part in (f"--{name}", f"{value:g}")]
    columns = column_options(options, "confidence", "correct", without=() if whole.event.label else ("positive_class",))
    # Others need no label and no weight.
    values = column_options(options, "confidence", "correct", without=("label", "weight", "positive_class"))
    file = options.files[0] if single else "VALIDATION.parquet"
    return [
        shlex.join(["adafocal", "scale", "fit", file, *told, *columns, "--output", "scaling.json"]),
        shlex.join(
            ["adafocal", "scale", "apply", "scaling.json", "OTHER.parquet", *values, "--output", "scaled.parquet"]
        ),
    ]
