# SPDX-License-Identifier: Apache-2.0
"""What a quarter of an hour of one GPU can say, a stage at a time; each ends within its minutes and can go on later.

make gpu-evidence STAGE=cifar10 MINUTES=8 DATA=~/data
python benchmarks/gpu/evidence.py cifar10 --data ~/data --minutes 8 [--losses cross_entropy adafocal] [--seeds 0 1]

cifar10     ResNet-50, the papers' schedule cut to the epochs that fit; the test part, and its images under noise
newsgroups  GP-CNN in the papers' size; vectors from DATA/glove.txt where it is there; ``--keep last`` as one paper does
kernels     time and memory of losses and of the head of a vocabulary against cross-entropy
paired      many tasks, all losses and several seeds on fixed schedules: see paired.py; ``--tasks`` names some

Of a stage all losses and seeds train at once, one process each, for the same number of epochs; ``--one-by-one``
trains them in turn. Tables (with command, versions, hardware and date) and logits in half precision go to $OUT, or
``--out``; checkpoints to ``--work``, where a stage that was stopped goes on.
"""

import argparse
import csv
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from loop import DEFAULT_LOSSES, LOSSES, Pace, Run, Trainer  # noqa: E402
from tasks import TASKS  # noqa: E402

from adafocal.training.provenance import provenance  # noqa: E402

MODULES = {"cifar10": "cifar", "newsgroups": "newsgroups"}
MARGIN = 0.03  # of the time, between the end that runs plan with and the one at which they are stopped
POLL = 2.0  # seconds between looks at what the processes wrote


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a stage; the status is 1 where a run is not finished, which another call goes on with."""
    options = parsed(arguments)
    deadline = time.time() + 60 * options.minutes
    for folder in (options.out, options.work):
        folder.mkdir(parents=True, exist_ok=True)
    torch.set_float32_matmul_precision("high")
    if options.stage == "kernels":
        rows = import_module("kernels").measure(deadline, small=options.images is not None)
        write_table(options.out / "kernels.csv", rows)
        return 0
    print(f"{options.stage}: {options.minutes:g} minutes on {device()}", flush=True)
    if options.stage == "paired":
        return int(import_module("paired").stage(options, deadline))
    options.losses, options.seeds = options.losses or list(DEFAULT_LOSSES), options.seeds or [0]
    import_module(MODULES[options.stage]).prepare(options, cache_of(options))
    print(f"data ready with {deadline - time.time():.0f} s left", flush=True)
    own = deadline - 60 * MARGIN * options.minutes
    runs = [Run(loss, seed, options.work, own) for seed in options.seeds for loss in options.losses]
    waiting = [run for run in runs if not (options.work / f"{run.name}.rows.json").exists()]
    if options.one_by_one:
        for place, run in enumerate(waiting):
            run.deadline = time.time() + (own - time.time()) / (len(waiting) - place)
            carry_out(options, run, Pace(run))
            collect(options, runs)
    else:
        together(options, waiting, runs, deadline)
    collect(options, runs)
    missing = [run.name for run in runs if not (options.work / f"{run.name}.rows.json").exists()]
    print(
        f"done with {deadline - time.time():.0f} s left" + (f"; unfinished: {missing}" if missing else ""), flush=True
    )
    return 1 if missing else 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["cifar10", "newsgroups", "kernels", "paired"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ADAFOCAL_DATA", "data")))
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "runs/gpu")))
    parser.add_argument("--work", type=Path, help="default: OUT/../gpu-work-STAGE")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), help="default: five; of paired all")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 0; of paired those of each task")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="of paired")
    parser.add_argument("--workers", type=int, default=12, help="processes of paired")
    parser.add_argument("--epochs", type=int, help="at most so many; default: the papers'")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--words", type=int, default=1000, help="of each post")
    parser.add_argument("--keep", choices=["first", "last"], default="first", help="which words of a longer post")
    parser.add_argument("--images", type=int, help="at most so many samples of each part, to try it out")
    parser.add_argument("--compile", action="store_true", help="torch.compile: about a minute, and then faster")
    parser.add_argument("--one-by-one", action="store_true")
    options = parser.parse_args(arguments)
    foreign = ("batch_size", "width", "words", "keep", "compile") if options.stage == "paired" else ("tasks", "workers")
    for name in foreign:
        if getattr(options, name) != parser.get_default(name):
            parser.error(f"--{name.replace('_', '-')} is not of the stage {options.stage}")
    options.work = options.work or options.out.parent / f"gpu-work-{options.stage}"
    return options


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cache_of(options: argparse.Namespace) -> Path:
    found = sorted(path.name for path in (options.data / options.stage.replace("news", "20news")).glob("*.parquet"))
    return options.work / f"{options.stage}-{len(found)}.pt"


def carry_out(options: argparse.Namespace, run: Run, pace: Pace) -> None:
    """Train and measure one run."""
    if device().type == "cuda":
        torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    began = time.time()
    task = import_module(MODULES[options.stage]).make_task(options, cache_of(options), device())
    trainer = Trainer(task, run)
    trainer.fit(pace)
    trainer.finish()
    print(f"{run.name}: {len(run.history)} epochs, {time.time() - began:.0f} s, {run.left:.0f} s left", flush=True)


def together(options: argparse.Namespace, waiting: list[Run], runs: list[Run], deadline: float) -> None:
    """Train each run in a process of its own, and write down what they have found so far."""
    context = multiprocessing.get_context("spawn")
    shared = context.Barrier(max(1, len(waiting))), context.Value("d", 0.0), context.Value("i", 1_000_000)
    processes = [context.Process(target=member, args=(options, run, *shared)) for run in waiting]
    for process in processes:
        process.start()
    written = time.time()
    while any(process.is_alive() for process in processes) and time.time() < deadline:
        time.sleep(min(POLL, max(0.0, deadline - time.time())))
        if time.time() - written > 10 * POLL:
            collect(options, runs)
            written = time.time()
    for process in processes:
        process.terminate()
        process.join()


class Together(Pace):
    """The pace of runs that train at once: the slowest decides, and they keep in step, so that all end alike."""

    def __init__(self, run: Run, barrier: Any, slowest: Any, fewest: Any) -> None:
        super().__init__(run)
        self.barrier, self.slowest, self.fewest = barrier, slowest, fewest

    def ready(self) -> None:
        """Wait until all are warm."""
        try:
            self.barrier.wait(timeout=max(1.0, self.run.left / 2))
        except Exception as error:  # another process failed or is late; this one goes on
            print(f"{self.run.name}: does not wait for the others ({type(error).__name__})", flush=True)

    def epochs(self, seconds: float) -> int:
        """Say how many epochs fit for all of them."""
        with self.slowest.get_lock():
            self.slowest.value = max(self.slowest.value, seconds)
        self.ready()
        return super().epochs(self.slowest.value)

    def still(self, fits: int) -> int:
        """Wait for the others, and say what fits for all of them."""
        if self.barrier.broken:
            return fits
        with self.fewest.get_lock():
            self.fewest.value = min(self.fewest.value, fits)
        self.ready()
        return int(self.fewest.value)


def member(options: argparse.Namespace, run: Run, barrier: Any, slowest: Any, fewest: Any) -> None:
    """Be one of the processes."""
    try:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // max(1, barrier.parties)))
        if (run.folder / f"{run.name}.pt").exists():
            barrier.abort()  # a run that goes on has its epochs already
        carry_out(options, run, Together(run, barrier, slowest, fewest))
    except Exception:
        barrier.abort()
        traceback.print_exc()


def collect(options: argparse.Namespace, runs: Iterable[Run]) -> None:
    """Write the tables, and the logits of the runs that are finished."""
    rows, history, arrays = [], [], {}
    for run in runs:
        place = options.work / run.name
        for found, into in (("rows", rows), ("history", history)):
            path = options.work / f"{run.name}.{found}.json"
            if path.exists():
                head = {} if found == "rows" else {"loss": run.loss, "seed": run.seed}
                into.extend({**head, **row} for row in json.loads(path.read_text(encoding="utf-8")))
        path = place.with_name(f"{run.name}.npz")
        if path.exists() and place.with_name(f"{run.name}.rows.json").exists():
            with np.load(path) as stored:
                arrays |= {
                    (name if name.startswith("labels") else f"{run.name}.{name}"): stored[name] for name in stored
                }
    write_table(options.out / f"{options.stage}.csv", rows)
    write_table(options.out / f"{options.stage}-epochs.csv", history)
    if arrays:
        np.savez(options.out / f"{options.stage}-logits.npz", **arrays)


def write_table(path: Path, rows: list[Mapping[str, object]]) -> None:
    """Write rows as CSV below a comment that says where they come from."""
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {json.dumps(provenance())}\n")
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows(
            {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows
        )
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
