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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adafocal.data import DataConfig
from adafocal.data.load import load_splits
from adafocal.data.splits import DataSplits, Split
from adafocal.losses import AdaFocalLoss, FocalLoss
from adafocal.models.catalogue import make_model

TOPICS = ("comp", "rec", "sci", "talk")
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "bce": nn.BCEWithLogitsLoss,
    "focal": lambda: FocalLoss(gamma=2.0, sigmoid=True),
    "adafocal": lambda: AdaFocalLoss(sigmoid=True),
    "two_speed": lambda: AdaFocalLoss(sigmoid=True, pooled_rate=10.0),
    "predictive": lambda: AdaFocalLoss(sigmoid=True, pooled_rate="predictive"),
    "predictive_per_label": lambda: AdaFocalLoss(sigmoid=True, pooled_rate="predictive", per_label=True),
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
    options = parser.parse_args()
    torch.set_num_threads(1)
    for task in options.tasks:
        for seed in options.seeds:
            missing = [loss for loss in options.losses if not path_of(options.folder, task, loss, seed).exists()]
            splits = load(task, options.data, seed) if missing else None
            for loss in missing:
                assert splits is not None
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


if __name__ == "__main__":
    main()
