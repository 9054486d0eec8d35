# SPDX-License-Identifier: Apache-2.0
"""What is paid before anything is computed: imports, and the first run of a worker of a study over its later ones."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from row import Pairs, Row

RUNS = 4  # of a worker, the first of which counts against the others


def started(statement: str) -> float:
    """Processor seconds of a process that runs a statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Compiled files are written, as an installed package has them, whatever this process was told.
    subprocess.run([sys.executable, "-c", statement], check=True, env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports(statement: str, *, goal: float = 1.05, note: str = "") -> Row:
    """Row of a statement after torch is imported, over importing torch alone."""

    def pairs(repeats: int) -> Pairs:
        started(f"import torch; {statement}")
        return [(started(f"import torch; {statement}"), started("import torch")) for _ in range(max(repeats, 5))]

    return Row(statement, "import torch", goal, pairs, note)


def trained(item: object) -> float:
    """Processor seconds that a worker trains for."""
    from adafocal.study.execute import _train

    begun = time.process_time()
    _, reason = _train(item)  # type: ignore[arg-type]
    assert reason is None, reason
    return time.process_time() - begun


def runs_of_one_worker() -> list[float]:
    """Seconds of runs of one epoch, in turn, in one worker as a study begins it."""
    from adafocal.recipes import get_recipe
    from adafocal.study.execute import local_executor
    from adafocal.study.plan import Run

    settings = replace(get_recipe("digits").settings("cross_entropy"), epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            Run("digits", replace(settings, seed=seed), Path(folder) / str(seed), "cross_entropy", scaled=True)
            for seed in range(RUNS)
        ]
        outcomes = local_executor(runs, workers=1, cores=1).outcomes(trained, runs)
        return [float(outcome.value) for outcome in outcomes if outcome is not None]


def first_run(repeats: int) -> Pairs:
    """Seconds of a worker's first run and of its later ones; each repeat is a worker of its own."""
    found = [runs_of_one_worker() for _ in range(min(max(repeats, 3), 5))]
    return [(first, statistics.median(later)) for first, *later in found]


ROWS = [
    imports("import adafocal"),
    imports(
        "import adafocal.losses",
        note="Half of it is one collection of garbage over torch's objects, which comes due: 1.06 without.",
    ),
    imports("import adafocal.cli.study, adafocal.study.results", goal=1.5),
    Row(
        "first run of a study's worker (digits, one epoch)",
        "its later runs",
        1.3,
        first_run,
        "a run of one epoch takes one to two seconds, so that 1.3 is at most 0.5 s",
    ),
]
