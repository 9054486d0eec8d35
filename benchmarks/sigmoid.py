# SPDX-License-Identifier: Apache-2.0
"""Train heads of sigmoids with several losses and seeds, and print the tables of docs/sigmoid.md.

Two tasks on real data: MNIST's digits, each against the rest (L = 10, one is true), and 20 Newsgroups by its groups and
their topics (L = 24, one or two are true). The loop is the plain one of anybody's script. Runs that are finished are
read, so the command can be stopped and repeated, or shared between processes by task or loss:

    python benchmarks/sigmoid.py --data ~/data --tasks mnist --folder runs/sigmoid
    python benchmarks/sigmoid.py --data ~/data --output docs/results/sigmoid.csv
    python benchmarks/sigmoid.py --tables docs/results/sigmoid.csv  # no run, the tables alone
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from seeds import ENDS, print_differences, print_means, read_runs, write_runs
from torch import Tensor, nn
from torch.nn import functional as F

from adafocal.calibration import multilabel_calibration_error
from adafocal.data import DataConfig
from adafocal.data.load import load_splits
from adafocal.data.splits import DataSplits, Split
from adafocal.losses import AdaFocalLoss, FocalLoss
from adafocal.models.catalogue import make_model
from adafocal.multilabel import MultilabelPredictions
from adafocal.scaling import fit_beta, fit_isotonic, fit_per_label, fit_platt, fit_temperature

TOPICS = ("comp", "rec", "sci", "talk")
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "bce": nn.BCEWithLogitsLoss,
    "focal": lambda: FocalLoss(gamma=2.0, sigmoid=True),
    "adafocal": lambda: AdaFocalLoss(sigmoid=True),
    "two_speed": lambda: AdaFocalLoss(sigmoid=True, pooled_rate=10.0),
    "predictive": lambda: AdaFocalLoss(sigmoid=True, pooled_rate="predictive"),
    "predictive_per_label": lambda: AdaFocalLoss(sigmoid=True, pooled_rate="predictive", per_label=True),
}
BASELINE = "bce"
SCALINGS = {"temperature": fit_temperature, "platt": fit_platt, "beta": fit_beta, "isotonic": fit_isotonic}
COLUMNS = {
    "errors %": ("error{end}", 100, 2),
    "ECE, mean over labels %": ("macro_ece{end}", 100, 2),
    "ECE, all entries %": ("micro_ece{end}", 100, 2),
    "NLL": ("nll{end}", 1, 4),
}


@dataclass(frozen=True)
class Task:
    """Data, network and how it is trained."""

    title: str
    data: DataConfig
    model: str
    model_args: dict[str, Any]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    epochs: int
    batch_size: int
    topics: bool = False
    milestones: tuple[int, ...] = field(default=())


TASKS = {
    "mnist": Task(
        title="MNIST, each digit against the rest",
        data=DataConfig(name="mnist", train_size=2000, validation_size=1000, scaling_size=1000),
        model="small_cnn",
        model_args={"width": 16},
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=5e-3),
        epochs=20,
        batch_size=32,
        milestones=(10, 15),
    ),
    "20newsgroups": Task(
        title="20 Newsgroups, groups and topics",
        data=DataConfig(
            name="20newsgroups", train_size=5000, validation_size=1000, scaling_size=1000, length=100,
            vocabulary_size=10_000,
        ),
        model="text_cnn",
        model_args={"width": 64, "embedding_size": 64},
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=2e-3),
        epochs=10,
        batch_size=64,
        topics=True,
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder that holds mnist and 20newsgroups")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--folder", type=Path, default=Path("runs/sigmoid"))
    parser.add_argument("--output", type=Path, help="write every run's measures into this CSV file")
    parser.add_argument("--tables", type=Path, help="print the tables of such a file instead of running")
    options = parser.parse_args()
    if options.tables is not None:
        print_tables(options.tables)
        return
    if options.data is None:
        parser.error("--data is needed to run")
    torch.set_num_threads(1)
    for task in options.tasks:
        for seed in options.seeds:
            train_missing(task, seed, options)
    if options.output is not None:
        write_measures(options)
        print_tables(options.output)


def train_missing(task: str, seed: int, options: argparse.Namespace) -> None:
    """Train what has no file yet."""
    missing = [loss for loss in options.losses if not path_of(options.folder, task, loss, seed).exists()]
    if not missing:
        return
    splits = load(task, options.data, seed)
    for loss in missing:
        found = trained(TASKS[task], splits, LOSSES[loss](), seed)
        path = path_of(options.folder, task, loss, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found)
        print(task, loss, seed, flush=True)


def path_of(folder: Path, task: str, loss: str, seed: int) -> Path:
    """Name the file of a run."""
    return folder / task / f"{loss}-{seed}.npz"


def load(task: str, root: str | None, seed: int) -> DataSplits:
    """Load the data of a task; every loss sees the same parts of a seed."""
    config = TASKS[task].data
    return load_splits(DataConfig(**{**vars(config), "root": root}), seed=seed)


def label_names(splits: DataSplits, *, topics: bool) -> list[str]:
    """Name the labels: the classes, and the topics that several of them share."""
    return [*splits.class_names, *(TOPICS if topics else ())]


def targets_of(labels: Tensor, splits: DataSplits, *, topics: bool) -> Tensor:
    """Say of each sample which labels are true, shape (N, L)."""
    names = splits.class_names
    table = torch.eye(len(names))
    if topics:
        of_topic = [[float(name.split(".")[0] == topic) for topic in TOPICS] for name in names]
        table = torch.cat([table, torch.tensor(of_topic)], dim=1)
    return table[labels]


def trained(task: Task, splits: DataSplits, criterion: nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Train a network; give logits and targets of the scaling and the test part, and the last gammas."""
    torch.manual_seed(seed)
    n_labels = len(label_names(splits, topics=task.topics))
    shape = tuple(inputs_of(splits, splits.train, torch.arange(1)).shape[1:])
    vocabulary = {"vocabulary": splits.vocabulary} if splits.vocabulary else {}
    model = make_model(task.model, task.model_args, input_shape=shape, n_classes=n_labels, **vocabulary)
    optimizer = task.optimizer(model)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(task.milestones))
    targets = targets_of(splits.train.labels, splits, topics=task.topics)
    for _ in range(task.epochs):
        model.train()
        for rows in torch.randperm(len(targets)).split(task.batch_size):
            optimizer.zero_grad()
            criterion(model(inputs_of(splits, splits.train, rows, training=True)), targets[rows]).backward()
            optimizer.step()
        schedule.step()
        if isinstance(criterion, AdaFocalLoss):
            criterion.observe(*predicted(model, splits, splits.validation, task))
            criterion.adapt()
    found = {}
    for name, split in (("scaling", splits.scaling), ("test", splits.test)):
        assert split is not None
        logits, answers = predicted(model, splits, split, task)
        found |= {f"{name}_logits": logits.numpy(), f"{name}_targets": answers.to(torch.uint8).numpy()}
    gammas = criterion.learned.items() if isinstance(criterion, AdaFocalLoss) else ()
    return {**found, **{name: values.numpy() for name, values in gammas}}


def inputs_of(splits: DataSplits, split: Split, rows: Tensor, *, training: bool = False) -> Tensor:
    """Give inputs of some rows as the network takes them."""
    assert isinstance(split.inputs, Tensor)
    inputs = split.inputs[rows]
    return inputs if splits.transform is None else splits.transform(inputs, training=training)


@torch.no_grad()
def predicted(model: nn.Module, splits: DataSplits, split: Split, task: Task) -> tuple[Tensor, Tensor]:
    """Predict a part: logits and targets, each of shape (N, L)."""
    model.eval()
    logits = [model(inputs_of(splits, split, rows)) for rows in torch.arange(len(split)).split(500)]
    return torch.cat(logits), targets_of(split.labels, splits, topics=task.topics)


def measures(path: Path) -> dict[str, float | str]:
    """Measure a run on its test part, as trained and after the scaling that cross-fitting chooses."""
    arrays = np.load(path)
    scaling, test = (
        MultilabelPredictions(logits=arrays[f"{part}_logits"], labels=arrays[f"{part}_targets"])
        for part in ("scaling", "test")
    )
    chosen = min(SCALINGS, key=lambda name: cross_fitted(scaling, name))
    scaled = fit_per_label(scaling, fit=SCALINGS[chosen]).apply(test)
    found: dict[str, float | str] = {"scaling": chosen}
    for end, record in zip(ENDS, (test, scaled), strict=True):
        probs, happened = record.probs, record.labels
        error = partial(multilabel_calibration_error, probs, happened)
        found |= {
            f"error{end}": float(((probs > 0.5) != (happened == 1)).float().mean()),
            f"macro_ece{end}": float(error(average="label")),
            f"micro_ece{end}": float(error(average="pooled")),
            f"nll{end}": nll(record),
        }
    return found


def cross_fitted(record: MultilabelPredictions, method: str) -> float:
    """NLL of a scaling on the half of the rows that it was not fitted to, both ways."""
    even = torch.arange(record.n) % 2 == 0
    halves = record[even], record[~even]
    return mean(nll(fit_per_label(halves[fold], fit=SCALINGS[method]).apply(halves[1 - fold])) for fold in (0, 1))


def nll(record: MultilabelPredictions) -> float:
    """Mean over all entries, nats."""
    happened = record.labels.double()
    if record.logits is not None:
        return float(F.binary_cross_entropy_with_logits(record.logits.double(), happened))
    return float(F.binary_cross_entropy(record.probs.double(), happened))


def write_measures(options: argparse.Namespace) -> None:
    rows = [
        {"task": task, "loss": loss, "seed": seed, **measures(path_of(options.folder, task, loss, seed))}
        for task in options.tasks
        for loss in options.losses
        for seed in options.seeds
    ]
    write_runs(rows, options.output)


def print_tables(path: Path) -> None:
    """Print mean and standard deviation over seeds, as trained and scaled, and differences to BCE paired over seeds."""
    for task, runs in read_runs(path, words=["scaling"]).items():
        print(f"\n**{TASKS[task].title}**")
        print_means(runs, COLUMNS)
        shown = {
            f"{title}{', scaled' if end else ''}": (name.format(end=end), scale, digits)
            for title, (name, scale, digits) in COLUMNS.items()
            for end in ENDS
            if title != "errors %" or not end
        }
        print_differences(runs, shown, baseline=BASELINE)


if __name__ == "__main__":
    main()
