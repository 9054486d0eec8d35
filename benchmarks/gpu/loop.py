# SPDX-License-Identifier: Apache-2.0
"""The training loop of the stages: data on the device, a schedule that fits the time, three epochs kept."""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Measure, followed, measured
from torch import Tensor, nn

from adafocal import Predictions
from adafocal.losses import make_loss
from adafocal.ood import auroc, entropy_score
from adafocal.training.voxels import counted_rows

LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "cross_entropy": ("cross_entropy", {}),
    "flsd53": ("flsd53", {}),
    "dual_focal": ("dual_focal", {}),
    "adafocal": ("adafocal", {}),
    "adafocal_rate5": ("adafocal", {"rate": 5.0}),
    "adafocal_two_speed": ("adafocal", {"pooled_rate": 10.0}),
    "adafocal_predictive": ("adafocal", {"pooled_rate": "predictive"}),
}
DEFAULT_LOSSES = ("cross_entropy", "flsd53", "adafocal", "adafocal_two_speed", "adafocal_predictive")
KEPT = ("last", "refined", "accurate")  # epochs: the last, of least NLL after temperature, of least error; validation
CHECKPOINT = 120  # seconds between checkpoints
RESERVE = 0.93  # share of the time that is planned with


@dataclass
class Task:
    """What is trained on what, all tensors on one device.

    Attributes:
        parts: Inputs and labels of train, validation and test.
        model: Makes the network.
        optimizer: Makes its optimiser.
        train: Turns stored inputs into those of the network, augmented; ``plain`` leaves them as they are.
        shifted: Makes test inputs of another distribution, by name.
        milestones: Shares of the epochs after which the learning rate falls tenfold.
        linear: Whether it falls step by step instead, to nothing at the end, as is usual for fine-tuning.
        epochs: At most so many.
        whole: Whether a last batch that is not full is left out, which a compiled network would be compiled anew for.
        narrow: Whether a GPU computes in bfloat16.
        reduction: Of the loss over a batch.
        loss_args: Settings of losses of this task, by loss.
        passed: Samples passed through the network at once where nothing is learned.
    """

    parts: dict[str, tuple[Tensor, Tensor]]
    model: Callable[[], nn.Module]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    train: Callable[[Tensor], Tensor]
    plain: Callable[[Tensor], Tensor]
    shifted: dict[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    milestones: tuple[float, ...] = ()
    linear: bool = False
    clip_norm: float | None = None
    epochs: int = 350
    batch_size: int = 128
    compiled: bool = False
    whole: bool = True
    narrow: bool = True
    reduction: str = "sum"
    loss_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    passed: int = 500


@dataclass
class Run:
    """One loss and seed of a task, and all that a checkpoint of it holds besides weights.

    A fixed one takes its planned epochs whatever time they take.
    """

    loss: str
    seed: int
    folder: Path
    deadline: float
    planned: int = 0
    fixed: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.loss}-{self.seed}"

    @property
    def left(self) -> float:
        return self.deadline - time.time()

    def write(self, what: str, content: object) -> None:
        path = self.folder / f"{self.name}.{what}.json"
        path.with_suffix(".part").write_text(json.dumps(content), encoding="utf-8")
        path.with_suffix(".part").replace(path)


class Trainer:
    """Trains a task under a loss until the epochs, or the time, are used up."""

    def __init__(self, task: Task, run: Run) -> None:
        torch.manual_seed(run.seed)
        self.task, self.run = task, run
        device = task.parts["train"][1].device
        self.device, self.on_gpu = device, device.type == "cuda"
        self.model = task.model().to(device)
        if task.parts["train"][0].ndim == 4:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.forward = torch.compile(self.model, dynamic=False) if task.compiled else self.model
        name, arguments = LOSSES[run.loss]
        arguments = {**arguments, **task.loss_args.get(name, {}), "reduction": task.reduction}
        self.criterion = make_loss(name, arguments).to(device)
        self.optimizer = task.optimizer(self.model)
        self.kept: dict[str, dict[str, Tensor]] = {}
        self.best = {"refined": float("inf"), "accurate": float("inf")}
        self.path = run.folder / f"{run.name}.pt"
        if self.path.exists():
            self._resume()

    def fit(self, pace: "Pace") -> None:
        """Train. The first epoch compiles and warms up; how long the second takes says how many there are to be."""
        saved, seconds = time.time(), 0.0
        history, run = self.run.history, self.run
        while len(history) < (run.planned or min(2, self.task.epochs)):
            if history and not run.fixed and run.left < seconds + closing(seconds):
                break
            start = time.time()
            self._set_rate(len(history))
            loss = self._epoch()
            row = self._validate(len(history))
            history.append({**row, "train_loss": loss, "seconds": time.time() - start})
            seconds = statistics.median([row["seconds"] for row in history[1:][-5:]] or [0.0])
            run.write("history", history)
            if not run.fixed:
                self._plan(pace, seconds)
            if time.time() - saved > CHECKPOINT and len(history) < run.planned:
                self._save()
                saved = time.time()

    def _plan(self, pace: "Pace", seconds: float) -> None:
        """Say after an epoch how many there are to be."""
        run, done = self.run, len(self.run.history)
        if not run.planned and done == 1:
            pace.ready()
        elif not run.planned:
            run.planned = min(self.task.epochs, max(2, pace.epochs(seconds)))
            print(f"{run.name}: {seconds:.2f} s per epoch, {run.planned} epochs planned", flush=True)
        else:  # slower than it was: the schedule ends all the same, and for all runs at once
            run.planned = min(run.planned, max(done, pace.still(fitting(run, seconds, share=1.0))))

    def _set_rate(self, epoch: int) -> None:
        passed = sum(epoch >= round(share * self.run.planned) for share in self.task.milestones)
        for group in self.optimizer.param_groups:
            group.setdefault("first_lr", group["lr"])
            group["lr"] = group["first_lr"] * 0.1 ** (passed if self.run.planned else 0)

    def _epoch(self) -> float:
        """Train on every sample once, but for those of a last batch that is not full; give the mean loss."""
        self.model.train()
        inputs, labels = self.task.parts["train"]
        size = self.task.batch_size
        n = len(labels) // size * size if self.task.whole else len(labels)
        total = torch.zeros((), device=self.device)
        passed = len(self.run.history) * -(-n // size)
        for chunk in torch.randperm(len(labels), device=self.device)[:n].split(16 * size):
            images, targets = self.task.train(inputs[chunk]), labels[chunk]
            for batch, target in zip(images.split(size), targets.split(size), strict=True):
                if self.task.linear:
                    self._fall(passed / (self.run.planned * -(-n // size)))
                total += self._step(batch, target) * (1 if self.task.reduction == "sum" else len(target))
                passed += 1
        return float(total) / n

    def _fall(self, share: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["first_lr"] * (1 - share)

    def _step(self, batch: Tensor, target: Tensor) -> Tensor:
        with self._narrow():
            logits = self.forward(batch)
        loss = self.criterion(logits.float(), target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.task.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.task.clip_norm)
        self.optimizer.step()
        return loss.detach()

    def _validate(self, epoch: int) -> dict[str, float]:
        """Measure on validation data, adapt the loss by them, and keep the weights of the best epochs."""
        logits, labels = self.outcome("validation")
        if hasattr(self.criterion, "adapt"):
            self.criterion.observe(logits, labels)
            self.criterion.adapt()
        row = followed(logits.cpu(), labels.cpu())
        for name, value in (("refined", row["scaled_nll"]), ("accurate", row["error"])):
            if value <= self.best[name]:
                self.best[name] = value
                self.kept[name] = {key: values.clone() for key, values in self.model.state_dict().items()}
                self.kept[name]["epoch"] = torch.tensor(epoch)
        gamma = getattr(self.criterion, "gamma", None)
        gamma = {"gamma": float(gamma.mean())} if isinstance(gamma, Tensor) else {}
        return {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"], **row, **gamma}

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        self.model.eval()
        with self._narrow():
            return torch.cat([self.model(self.task.plain(part)).float() for part in inputs.split(self.task.passed)])

    def outcome(self, part: str) -> tuple[Tensor, Tensor]:
        """Give the logits (M, C) and labels (M,) of the samples of a part, or of its voxels that count."""
        inputs, labels = self.task.parts[part]
        return counted_rows(self.logits(inputs), labels)

    def finish(self, measure: Measure = measured, *, keep: Sequence[str] = KEPT) -> None:
        """Measure the epochs that were kept on the test part, and keep their logits in half precision."""
        self.kept["last"] = {**self.model.state_dict(), "epoch": torch.tensor(len(self.run.history) - 1)}
        rows, arrays, found = [], {}, {}
        for kept in keep:
            state = dict(self.kept[kept])
            epoch = int(state.pop("epoch"))
            self.model.load_state_dict(state)
            parts = {part: [values.cpu() for values in self.outcome(part)] for part in ("validation", "test")}
            validation, test = (Predictions(logits=logits, labels=labels) for logits, labels in parts.values())
            head = {"loss": self.run.loss, "seed": self.run.seed, "kept": kept, "epoch": epoch}
            head |= {"epochs": len(self.run.history), "planned": self.run.planned}
            if epoch not in found:
                found[epoch] = measure(test, fitted_on=validation)
            rows.append({**head, "data": "test", **found[epoch]})
            if kept != "accurate":
                arrays |= {f"{kept}.{part}": logits.half().numpy() for part, (logits, _) in parts.items()}
            for name, shift in self.task.shifted.items() if kept == "last" else ():
                shifted = Predictions(logits=self.logits(shift(self.task.parts["test"][0])).cpu(), labels=test.labels)
                apart = float(auroc(entropy_score(test), entropy_score(shifted)))
                rows.append({**head, "data": name, **measured(shifted, fitted_on=validation), "auroc": apart})
        arrays |= {f"labels.{part}": labels.numpy().astype(np.int8) for part, (_, labels) in parts.items()}
        if self.task.parts["test"][1].ndim == 1:  # the logits of all voxels would be as many bytes as the volumes
            np.savez_compressed(self.run.folder / f"{self.run.name}.npz", **arrays)
        self.run.write("rows", rows)
        self.path.unlink(missing_ok=True)

    def _narrow(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.on_gpu and self.task.narrow)

    def _save(self) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "criterion")}
        state |= {"kept": self.kept, "best": self.best, "planned": self.run.planned, "history": self.run.history}
        state["random"] = torch.get_rng_state()
        torch.save(state, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path)

    def _resume(self) -> None:
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        for name in ("model", "optimizer", "criterion"):
            getattr(self, name).load_state_dict(state[name])
        self.kept, self.best = state["kept"], state["best"]
        self.run.planned, self.run.history = state["planned"], state["history"]
        torch.set_rng_state(state["random"].cpu())
        if self.on_gpu:  # another order of samples than the unbroken run's, and none that was seen
            torch.cuda.manual_seed(self.run.seed + 1000 * len(self.run.history))


class Pace:
    """How many epochs a run of its own takes; a run among others asks them too."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def ready(self) -> None:
        """Wait for those that train at the same time."""

    def epochs(self, seconds: float) -> int:
        """Say how many epochs fit, those that are done counted in, given the time that one takes."""
        return fitting(self.run, seconds)

    def still(self, fits: int) -> int:
        """Say after each epoch how many there are to be, given how many fit."""
        return fits


def fitting(run: Run, seconds: float, *, share: float = RESERVE) -> int:
    """Say how many epochs fit into a share of the time that is left, those that are done counted in."""
    return len(run.history) + int(share * (run.left - closing(seconds)) / seconds)


def closing(seconds: float) -> float:
    """Guess the time that the last measurements take from that of an epoch."""
    return 5.0 + seconds
