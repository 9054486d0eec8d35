# SPDX-License-Identifier: Apache-2.0
"""Many tasks, losses and seeds, paired: runs of one seed share the split, the first weights and the order of samples.

Every run takes the epochs of its task, however long they take; one that does not fit into what is left of the time is
not begun, and another call goes on with it. A few processes take the runs from one queue: the first seeds of all tasks
before further ones, and the longest runs first. Small networks on the digits train on the processor meanwhile.
"""

import argparse
import json
import multiprocessing
import pickle
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loop import LOSSES, Pace, Run, Task, Trainer
from measuring import thorough, thorough_of_voxels
from tasks import TASKS
from torch import Tensor

from adafocal.data import load_splits
from adafocal.models import make_model
from adafocal.training import TrainConfig
from adafocal.training.optimizers import make_optimizer

KEPT = ("last", "refined")
ROUNDS = (3, 5, 8)  # seeds below the first number go before those below the second, and so on
SLACK = 1.3  # a run is begun if so many times what the slowest of its task took is left
MOST_FILES, MOST_BYTES = 4, 15 * 2**20  # of logits
POLL = 0.2


@dataclass(frozen=True)
class Job:
    """A split to be prepared, where there is no loss, or a run."""

    task: str
    seed: int
    loss: str = ""

    @property
    def order(self) -> tuple[int, bool, float]:
        """What goes first: earlier rounds, splits before runs, longer runs."""
        turn = next((place for place, below in enumerate(ROUNDS) if self.seed < below), len(ROUNDS))
        return turn, bool(self.loss), -TASKS[self.task].seconds

    def cache(self, options: argparse.Namespace) -> Path:
        return Path(options.work / self.task / f"split-{self.seed}.pickle")

    def done(self, options: argparse.Namespace) -> bool:
        if not self.loss:
            return self.cache(options).exists()
        return bool((options.work / self.task / f"{self.loss}-{self.seed}.rows.json").exists())


def stage(options: argparse.Namespace, deadline: float) -> int:
    """Carry the stage out; the status is 1 where a run is missing."""
    runs = jobs_of(options)
    splits = [Job(*key) for key in dict.fromkeys((job.task, job.seed) for job in runs if not job.done(options))]
    waiting = [job for job in sorted([*splits, *runs], key=lambda job: job.order) if not job.done(options)]
    for task in options.tasks:
        (options.work / task).mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    taken = context.Value("i", 0)
    arguments = (options, waiting, taken, deadline)
    if options.one_by_one:
        work(*arguments)
    else:
        members = [context.Process(target=work, args=arguments) for _ in range(min(options.workers, len(waiting)))]
        for member in members:
            member.start()
        told = time.time()
        while any(member.is_alive() for member in members) and time.time() < deadline:
            time.sleep(POLL)
            if time.time() - told > 20:
                told = time.time()
                collect(options, runs)
                print(f"{sum(job.done(options) for job in runs)} of {len(runs)} runs, {deadline - told:.0f} s left")
        for member in members:
            member.terminate()
            member.join()
    collect(options, runs)
    hand_out_logits(options, runs)
    return report(options, runs, deadline)


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """Give the runs that were asked for."""
    return [
        Job(task, seed, loss)
        for task in options.tasks
        for seed in (range(TASKS[task].seeds) if options.seeds is None else options.seeds)
        for loss in options.losses or list(LOSSES)
    ]


def report(options: argparse.Namespace, runs: Sequence[Job], deadline: float) -> int:
    """Say what is missing."""
    for task in options.tasks:
        of_task = [job for job in runs if job.task == task]
        missing = [f"{job.loss}-{job.seed}" for job in of_task if not job.done(options)]
        slowest = took(options.work / task, default=float("nan"))
        said = f"; missing: {' '.join(missing)}" if missing else ""
        print(f"{task}: {len(of_task) - len(missing)} of {len(of_task)} runs, slowest {slowest:.1f} s{said}")
    print(f"done with {deadline - time.time():.0f} s left", flush=True)
    return int(not all(job.done(options) for job in runs))


def work(options: argparse.Namespace, waiting: Sequence[Job], taken: Any, deadline: float) -> None:
    """Be one of the processes: take what is next until nothing is left, or no time."""
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    for job in following(waiting, taken):
        expected = SLACK * took(options.work / job.task, default=TASKS[job.task].seconds / SLACK) if job.loss else 0.0
        if time.time() + expected > deadline or job.done(options):
            continue
        try:
            (train if job.loss else prepare)(options, job, deadline)
        except Exception:
            print(f"{job} failed", flush=True)
            traceback.print_exc()
            if not job.loss:
                job.cache(options).with_suffix(".failed").touch()
        if not usable():
            return


def usable() -> bool:
    """Give back what the last run held; a device that a fault has broken for this process fails here too."""
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
    except RuntimeError:
        print("the device is lost to this process, which ends", flush=True)
        return False
    return True


def following(waiting: Sequence[Job], taken: Any) -> Iterator[Job]:
    """Give the jobs that no other process has taken."""
    while True:
        with taken.get_lock():
            place, taken.value = taken.value, taken.value + 1
        if place >= len(waiting):
            return
        yield waiting[place]


def took(folder: Path, *, default: float) -> float:
    """Say what the slowest run took that is done."""
    return max((float(path.read_text()) for path in folder.glob("*.seconds")), default=default)


def config_of(options: argparse.Namespace, job: Job) -> TrainConfig:
    """Fill in where data lie; of a trial also sizes."""
    config = TASKS[job.task].config
    data = config.data
    if data.name != "digits":
        data = replace(data, root=str(options.data))
    if data.tokenizer is not None:
        folder = str(options.data / "encoder")
        data = replace(data, tokenizer=folder)
        config = replace(config, model_args={"name": folder})
    if options.images is not None:
        data = replace(data, train_size=options.images, validation_size=options.images, test_size=options.images)
        data = replace(data, volume_size=data.volume_size and (16, 16, 16))
    return replace(config, data=data, epochs=min(options.epochs or config.epochs, config.epochs))


def prepare(options: argparse.Namespace, job: Job, deadline: float) -> None:
    """Split and encode, once for all losses."""
    began, splits = time.time(), load_splits(config_of(options, job).data, seed=job.seed)
    parts = {name: (part.inputs, part.labels) for name, part in splits.parts.items()}
    held = TASKS[job.task].validation
    if held is not None:
        few = torch.randperm(len(splits.validation), generator=torch.Generator().manual_seed(job.seed))[:held]
        parts["validation"] = tuple(values[few] for values in parts["validation"])
    stored = {"parts": parts, "transform": splits.transform, "vocabulary": splits.vocabulary}
    path = job.cache(options)
    path.with_suffix(".part").write_bytes(pickle.dumps({**stored, "n_classes": splits.n_classes}))
    path.with_suffix(".part").replace(path)
    print(f"{job.task} {job.seed}: split in {time.time() - began:.1f} s, {deadline - time.time():.0f} left", flush=True)


def train(options: argparse.Namespace, job: Job, deadline: float) -> None:
    """Train and measure one run."""
    while not job.cache(options).exists():
        if time.time() > deadline or job.cache(options).with_suffix(".failed").exists():
            return
        time.sleep(POLL)
    began, folder = time.time(), options.work / job.task
    task = make_task(options, job)
    run = Run(job.loss, job.seed, folder, deadline, planned=task.epochs, fixed=True)
    trainer = Trainer(task, run)
    trainer.fit(Pace(run))
    trained = time.time() - began
    trainer.finish(thorough_of_voxels if TASKS[job.task].voxels else thorough, keep=KEPT)
    (folder / f"{run.name}.seconds").write_text(f"{time.time() - began:.2f}")
    said = f"{trained:.1f} s to train, {time.time() - began - trained:.1f} to measure, {run.left:.0f} left"
    print(f"{job.task} {run.name}: {said}", flush=True)


def make_task(options: argparse.Namespace, job: Job) -> Task:
    """Put everything on the device."""
    config, setting = config_of(options, job), TASKS[job.task]
    stored = pickle.loads(job.cache(options).read_bytes())  # our own
    cuda = torch.cuda.is_available() and not setting.on_cpu
    device = torch.device("cuda" if cuda else "cpu")
    transform = stored["transform"]

    def inputs(batch: Tensor) -> Tensor:
        return batch if transform is None else transform(batch)

    shape = tuple(inputs(stored["parts"]["train"][0][:1]).shape[1:])
    told = {"input_shape": shape, "n_classes": stored["n_classes"], "vocabulary": stored["vocabulary"]}
    return Task(
        parts={name: (values.to(device), labels.to(device)) for name, (values, labels) in stored["parts"].items()},
        model=lambda: make_model(config.model, config.model_args, **told).float(),  # weights may be stored in half
        optimizer=lambda model: make_optimizer(config.optimizer, model),
        train=inputs,
        plain=inputs,
        milestones=tuple(epoch / config.epochs for epoch in config.optimizer.milestones),
        linear=setting.linear,
        clip_norm=config.optimizer.clip_norm,
        epochs=config.epochs,
        batch_size=config.batch_size,
        whole=False,
        narrow=False,
        reduction=config.loss_args.get("reduction", "mean"),
        loss_args=setting.loss_args,
        passed=4 if setting.voxels else 500,
    )


def collect(options: argparse.Namespace, runs: Sequence[Job]) -> None:
    """Write the tables, and the logits of the first seeds."""
    from evidence import write_table

    rows, history = [], []
    for job in filter(lambda job: job.done(options), runs):
        place = options.work / job.task / f"{job.loss}-{job.seed}"
        seconds = place.with_name(f"{place.name}.seconds")
        took = float(seconds.read_text()) if seconds.exists() else float("nan")
        found = json.loads(place.with_name(f"{place.name}.rows.json").read_text(encoding="utf-8"))
        rows.extend({"task": job.task, **row, "seconds": took} for row in found)
        found = json.loads(place.with_name(f"{place.name}.history.json").read_text(encoding="utf-8"))
        history.extend({"task": job.task, "loss": job.loss, "seed": job.seed, **row} for row in found)
    write_table(options.out / "paired.csv", rows)
    write_table(options.out / "paired-epochs.csv", history)


def hand_out_logits(options: argparse.Namespace, runs: Sequence[Job]) -> None:
    """Hand out logits of the first seeds, a file for each, as long as they are within the limits."""
    for seed in sorted({job.seed for job in runs})[:MOST_FILES]:
        arrays: dict[str, np.ndarray] = {}
        for job in runs:
            path = options.work / job.task / f"{job.loss}-{job.seed}.npz"
            if job.seed == seed and job.done(options) and path.exists():
                with np.load(path) as stored:
                    names = {name: name if name.startswith("labels") else f"{job.loss}.{name}" for name in stored}
                    arrays |= {f"{job.task}/{own}": stored[name] for name, own in names.items()}
        path = options.out / f"paired-logits-{seed}.npz"
        if arrays:
            np.savez_compressed(path, **arrays)
            if path.stat().st_size > MOST_BYTES:
                print(f"{path.name} would have {path.stat().st_size:,} bytes and is left out", flush=True)
                path.unlink()
