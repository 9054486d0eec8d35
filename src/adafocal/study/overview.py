# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows while a study runs: a line for each run that ends, bars for those that run, time to go."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from adafocal.measures import IN_SHORT
from adafocal.study.plan import Run


class Overview:
    """Follows runs by their folders, wherever they are worked on.

    Args:
        runs: What is to be done.
        workers: How many are done at a time; None where that is not known.
        bars: Where bars are drawn.
    """

    def __init__(self, runs: Sequence[Run], workers: int | None, bars: Progress) -> None:
        self.left = {run.folder: run for run in runs}
        self.workers = workers
        self.bars = bars
        self.began = time.monotonic()
        self.before = {run.folder: run.results.epochs_done for run in runs}
        self.first_seen: dict[object, float] = {}  # folder to the time at which its first new epoch was seen
        self.lines: dict[object, TaskID] = {}
        self.paces: dict[str, list[float]] = {}  # experiment to seconds per epoch of its ended runs
        self.n_runs = len(runs)
        self.n_epochs = sum(run.config.epochs for run in runs)
        self.total = bars.add_task("all epochs", total=self.n_epochs, clock="")

    def refresh(self) -> None:
        """Look at the folders and draw."""
        for folder, run in self.left.items():
            done = run.results.epochs_done
            if done > self.before[folder]:
                self.first_seen.setdefault(folder, time.monotonic())
                if folder not in self.lines:
                    self.lines[folder] = self.bars.add_task(run.name, total=run.config.epochs, clock="")
                self.bars.update(self.lines[folder], completed=done)
        epochs_left = sum(run.epochs_left for run in self.left.values())
        self.bars.update(self.total, completed=self.n_epochs - epochs_left, clock=self.time_to_go())

    def ended(self, run: Run, reason: str | None, seconds: float | None = None) -> None:
        """Print how a run ended."""
        epochs = run.config.epochs - self.before[run.folder]
        if seconds is not None and reason is None and epochs > 0:
            self.paces.setdefault(run.experiment, []).append(seconds / epochs)
        del self.left[run.folder]
        if run.folder in self.lines:
            self.bars.remove_task(self.lines.pop(run.folder))
        verdict = f"failed: {reason}"
        if not reason:
            summary = run.results.summary
            verdict = "  ".join(f"{one.heading} {one.text(summary.value(one))}" for one in IN_SHORT.values())
        clock = f"{duration(time.monotonic() - self.began):>9}"
        count = f"[{self.n_runs - len(self.left)}/{self.n_runs}]"
        to_go = f"  ({self.time_to_go()})" if self.left else ""
        self.bars.console.print(
            f"{count:<9} {clock}  {run.name:<32} {verdict}{to_go}", markup=False, highlight=False, soft_wrap=True
        )

    def time_to_go(self) -> str:
        """Say how long the rest takes; nothing is known before the first run ends."""
        if not self.paces:
            return "time to go: known after the first run"
        known = {name: sum(paces) / len(paces) for name, paces in self.paces.items()}
        known |= {name: pace for name, pace in self._running_paces().items() if name not in known}
        seconds = [known[run.experiment] * run.epochs_left for run in self.left.values() if run.experiment in known]
        at_a_time = min(self.workers or len(self.left) or 1, len(self.left) or 1)
        rest = max(sum(seconds) / at_a_time, max(seconds, default=0.0))
        return f"{'about' if len(seconds) == len(self.left) else 'more than'} {duration(max(rest, 1.0))} to go"

    def _running_paces(self) -> dict[str, float]:
        """Measure seconds per epoch of experiments that run, from their second epoch on."""
        now, paces = time.monotonic(), {}
        for folder, seen in self.first_seen.items():
            run = self.left.get(folder)  # type: ignore[call-overload]
            if run is not None and (epochs := run.results.epochs_done - self.before[run.folder] - 1) > 0:
                paces[run.experiment] = (now - seen) / epochs
        return paces


@contextmanager
def overview(runs: Sequence[Run], workers: int | None, console: Console) -> Iterator[Overview]:
    """Show bars while the block runs."""
    first, last = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[clock]}"))
    columns = (first, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), last)
    with Progress(*columns, console=console, transient=True, disable=not runs) as bars:
        yield Overview(runs, workers, bars)


def duration(seconds: float) -> str:
    """Say a time as people do: ``48 s``, ``12 min``, ``5 h 10 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
