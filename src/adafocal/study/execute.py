# SPDX-License-Identifier: Apache-2.0
"""Run what a study lacks."""

import os
import platform
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout, suppress

from rich.console import Console

from adafocal.errors import AdafocalError
from adafocal.results.comparison import FailedRun
from adafocal.results.folder import STUDYS_LOG
from adafocal.study.overview import overview
from adafocal.study.plan import Run
from adafocal.workers.executor import Executor, Outcome
from adafocal.workers.local import LocalExecutor

# What each run imports, much of it as it goes, and which is imported once for all.
IMPORTS = (
    "adafocal.training.run",
    "adafocal.study.best_scaling",
    "pyarrow.parquet",
    "sklearn.datasets",
    "sklearn.model_selection",
    "tensorboardX",
)


def execute(runs: Sequence[Run], *, executor: Executor | None = None, console: Console) -> list[FailedRun]:
    """Run all unfinished runs; one that fails does not stop the others.

    Args:
        runs: The runs; finished ones are skipped, cut ones resume from their last checkpoint.
        executor: Where they run; None takes :func:`local_executor`.
        console: Where progress is shown.

    Returns:
        The runs that failed, each with a reason in one line; the whole story is in the run folder's ``log.txt``.
    """
    missing = [run for run in runs if not run.finished]
    if len(missing) < len(runs):
        console.print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished already.")
    executor = executor or local_executor(missing)
    failures = []
    ended = closing(_outcomes(executor, missing))  # so that no worker outlives a process that is told to end
    with overview(missing, executor.workers, console) as shown, ended as outcomes:
        for outcome in outcomes:
            if outcome is None:
                shown.refresh()
                continue
            run = missing[outcome.index]
            seconds, reason = _seconds_and_reason(run, outcome)
            shown.ended(run, reason, seconds)
            if reason:
                failures.append(FailedRun(run.experiment, run.loss, run.config.seed, reason))
    return failures


def _outcomes(executor: Executor, runs: Sequence[Run]) -> Generator[Outcome | None, None, None]:
    """Train the runs; closing this closes what the executor gave, if that can be closed."""
    yield from executor.outcomes(_train, runs)


def local_executor(runs: Sequence[Run], workers: int | None = None, cores: int | None = None) -> LocalExecutor:
    """Share this machine out to processes: by default one per core, or one per CUDA device where runs use them."""
    import torch

    n_devices = torch.cuda.device_count() if wants_accelerator(runs) else 0
    return LocalExecutor(workers or n_devices or os.cpu_count() or 1, cores, n_devices, imports=IMPORTS)


def wants_accelerator(runs: Sequence[Run]) -> bool:
    """Tell whether any run uses a CUDA device where there is one."""
    return any(run.config.accelerator in ("auto", "gpu", "cuda") for run in runs)


def _seconds_and_reason(run: Run, outcome: Outcome) -> tuple[float | None, str | None]:
    if outcome.error is not None:
        return None, " ".join(str(outcome.error).split())
    seconds, reason = outcome.value
    if reason is None and not run.finished:
        reason = f"it finished elsewhere: {str(run.folder)!r} must be on a file system that all machines share"
    return seconds, reason


def _train(run: Run) -> tuple[float, str | None]:
    """Train one run with its output in ``log.txt``; gives seconds, and the reason of a failure."""
    began = time.monotonic()
    reason = None
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / STUDYS_LOG).open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} process {os.getpid()} on {platform.node()}", flush=True)
        try:
            from adafocal.training.run import run as train

            train(run.config, run.folder, progress=False)
            if run.scaled:
                from adafocal.study.best_scaling import scaled_run

                with suppress(AdafocalError):  # the run is finished; its comparison says what is missing
                    scaled_run(run.results, keeps=True)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            said = str(error) if isinstance(error, AdafocalError) else f"{type(error).__name__}: {error}"
            reason = " ".join(said.split())
    return time.monotonic() - began, reason
