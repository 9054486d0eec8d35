# SPDX-License-Identifier: Apache-2.0
"""Run what a study lacks, in worker processes that share the cores."""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from adafocal.study.plan import Run


@dataclass(frozen=True)
class Failure:
    """A run that did not finish.

    Attributes:
        run: The run.
        reason: One line; the whole story is in the run folder's ``log.txt``.
    """

    run: Run
    reason: str


def execute(runs: Sequence[Run], *, workers: int | None = None, console: Console) -> list[Failure]:
    """Run all unfinished runs; one that fails does not stop the others.

    Args:
        runs: The runs; finished ones are skipped, cut ones resume from their last checkpoint.
        workers: Worker processes; None takes one per core, at most one per run. Each gets its share of the cores.
        console: Where progress is shown.

    Returns:
        The runs that failed, with reasons.
    """
    missing = [run for run in runs if not run.finished]
    if len(missing) < len(runs):
        console.print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished already.")
    workers = min(workers or os.cpu_count() or 1, len(missing))
    failures: list[Failure] = []
    with _progress(missing, console) as overview:
        while missing:
            failed, missing = _pool_pass(missing, workers, overview)
            failures += failed
    return failures


def _pool_pass(runs: list[Run], workers: int, overview: "_Overview") -> tuple[list[Failure], list[Run]]:
    """Run in one pool until all is done or a worker dies; gives failures and what another pool must do."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    failures: list[Failure] = []
    broken: list[Run] = []
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    ) as pool:
        futures: dict[Future[str | None], Run] = {pool.submit(_run_in_worker, run): run for run in runs}
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            overview.refresh()
            for future in finished:
                run = futures[future]
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    broken.append(run)
                    continue
                reason = str(error) if error else future.result()
                if reason:
                    failures.append(Failure(run, reason))
                overview.finished(run, reason)
    # When a worker dies the pool takes all down: runs that had begun are to blame, the others get another pool.
    begun = [run for run in broken if (run.folder / "log.txt").exists()]
    for run in begun:
        failures.append(Failure(run, "its worker process died (killed, or out of memory)"))
        overview.finished(run, failures[-1].reason)
    return failures, [run for run in broken if run not in begun]


def _start_worker(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _run_in_worker(run: Run) -> str | None:
    """Train one run with its output in ``log.txt``; gives the reason of a failure."""
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / "log.txt").open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            from adafocal.training.run import run as train

            train(run.config, run.folder, progress=False)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return f"{type(error).__name__}: {error}"
    return None


class _Overview:
    """A bar over all epochs, and a line for each run that ends."""

    def __init__(self, runs: Sequence[Run], bar: Progress) -> None:
        self.runs = list(runs)
        self.bar = bar
        self.started = time.monotonic()
        self.task = bar.add_task("epochs", total=sum(run.config.epochs for run in runs))
        self.ended = 0

    def refresh(self) -> None:
        self.bar.update(self.task, completed=sum(map(_epochs_done, self.runs)))

    def finished(self, run: Run, reason: str | None) -> None:
        self.ended += 1
        verdict = f"failed: {reason}" if reason else _result_line(run)
        clock = f"{time.monotonic() - self.started:5.1f} s"
        self.bar.console.print(
            f"[{self.ended}/{len(self.runs)}] {clock}  {run.name:<30} {verdict}",
            markup=False,
            highlight=False,
        )


@contextmanager
def _progress(runs: Sequence[Run], console: Console) -> Iterator[_Overview]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not runs) as bar:
        yield _Overview(runs, bar)


def _result_line(run: Run) -> str:
    from adafocal.training.run import read_summary

    test = read_summary(run.folder)["test"]
    return f"error {100 * test['error']:5.2f} %  ECE {100 * test['ece']:5.2f} %  NLL {test['nll']:.3f}"


def _epochs_done(run: Run) -> int:
    try:
        with Path(run.folder / "metrics.csv").open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)
    except FileNotFoundError:
        return 0
