# SPDX-License-Identifier: Apache-2.0
"""Metrics and gammas per epoch, kept in checkpoints and written to ``metrics.csv`` after each epoch."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adafocal._files import write_rows
from adafocal._lightning import L
from adafocal._ranks import over_ranks, sum_over_ranks
from adafocal._sums import Sums
from adafocal.calibration import BinStats, equal_width_edges
from adafocal.calibration.bins import sum_bins
from adafocal.calibration.top_label import unread_top_label
from adafocal.losses import AdaFocalLoss
from adafocal.losses.penalised import innermost
from adafocal.scaling.temperature import nll_left
from adafocal.training.voxels import MAX_VOXELS, counted_rows

SCALED = "val_nll_scaled"
MOST_NUMBERS = 50_000_000  # logits that are kept of a validation pass: those of ImageNet


@dataclass(frozen=True, eq=False)
class EpochSums(Sums):
    """Sums over a part of a validation pass: top labels in equal-width bins, and the log-likelihood, nats, shape ()."""

    made_by = "EpochSums.of_batch"
    bins: BinStats
    nll: Tensor

    @classmethod
    def empty(cls, edges: Tensor) -> "EpochSums":
        """Start from nothing, over bins of these edges, on their device."""
        bins = BinStats.empty(edges)
        return cls(bins, bins.confidence_sum.new_zeros(()))

    @classmethod
    def of_batch(cls, logits: Tensor, labels: Tensor, edges: Tensor) -> "EpochSums":
        """Sum a batch of logits, (M, C), and labels, (M,)."""
        bins = sum_bins(*unread_top_label(logits, labels), edges)
        return cls(bins, F.cross_entropy(logits, labels, reduction="sum").to(bins.confidence_sum))

    def compute(self) -> dict[str, float]:
        """Error, negative log-likelihood and calibration error by their columns."""
        n = float(self.bins.count.sum())
        return {
            "val_error": 1.0 - float(self.bins.correct_sum.sum()) / n,
            "val_nll": float(self.nll) / n,
            "val_ece": float(self.bins.compute()),
        }


class KeptRows:
    """The validation rows that a temperature is fitted to: all, or of very many evenly spaced ones.

    Args:
        n: Rows to come, at most: samples, or voxels.
        n_classes: Logits of each.
    """

    def __init__(self, n: int, n_classes: int) -> None:
        self.every = max(1, -(-n // min(MAX_VOXELS, max(2, MOST_NUMBERS // n_classes))))
        self.seen = 0
        self.parts: list[tuple[Tensor, Tensor]] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep every so-manieth row of a batch of logits, (M, C), and labels, (M,)."""
        kept = slice(-self.seen % self.every, None, self.every)
        self.seen += len(labels)
        self.parts.append((logits[kept].clone() if self.every > 1 else logits, labels[kept]))

    def compute(self) -> float:
        """Compute the likelihood after temperature scaling over the rows of all processes; NaN of fewer than 2."""
        logits, labels = (torch.cat(parts) for parts in zip(*self.parts, strict=True))
        n_classes = logits.shape[1]
        logits, labels = over_ranks(logits.flatten()).view(-1, n_classes), over_ranks(labels)
        return nll_left(logits, labels) if len(labels) > 1 else math.nan


class History(L.Callback):
    """Measure each validation pass over all processes, and keep one row per epoch.

    The rows are part of every checkpoint: a resumed run continues them. They also go to the trainer's loggers, by
    epoch. Columns: epoch, lr, train_loss, val_error, val_nll, val_ece (fractions; equal-width bins), val_nll_scaled
    (see :func:`~adafocal.scaling.scaled_nll`), seconds, and gamma_0 … with edge_1 … for AdaFocal.

    Args:
        path: The CSV file to keep up to date.
        n_bins: Bins of ``val_ece``.
    """

    def __init__(self, path: Path, *, n_bins: int) -> None:
        self.path = path
        self.edges = equal_width_edges(n_bins, dtype=torch.float32)
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, object]:
        """State that a checkpoint keeps: the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        # Of a run that began before there was a column of today, the earlier epochs have none.
        self.rows = [row if SCALED in row else {**row, SCALED: math.nan} for row in state_dict["rows"]]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's sums."""
        self._start = time.perf_counter()
        self._loss_sum, self._steps = torch.zeros((), device=pl_module.device), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: object, batch_idx: int
    ) -> None:
        """Add the batch's loss, without waiting for the device."""
        self._loss_sum += outputs["loss"].detach().float()
        self._steps += 1

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the validation sums."""
        self.edges = self.edges.to(pl_module.device)
        self._sums = EpochSums.empty(self.edges)
        self._kept: KeptRows | None = None

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: object, **__: object
    ) -> None:
        """Add the batch."""
        logits, labels = counted_rows(outputs["logits"].float(), outputs["labels"])
        self._sums = self._sums.merge(EpochSums.of_batch(logits, labels, self.edges))
        if self._kept is None:
            module: Any = pl_module
            self._kept = KeptRows(module.splits.validation.labels.numel(), logits.shape[1])
        self._kept.add(logits, labels)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the processes' sums, and let checkpoints and early stopping see what they give."""
        assert self._kept is not None  # every process has at least one batch
        self.measured = {**self._sums.over_ranks().compute(), SCALED: self._kept.compute()}
        pl_module.log_dict(self.measured, logger=False, sync_dist=False)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epoch's row; validation, adaptation and this all come before the checkpoint."""
        row = {
            "epoch": trainer.current_epoch,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": float(sum_over_ranks(self._loss_sum)) / max(1, self._steps) / trainer.world_size,
            **self.measured,
            "seconds": time.perf_counter() - self._start,
        }
        if isinstance(loss := innermost(pl_module.get_submodule("loss")), AdaFocalLoss):
            row |= {f"gamma_{i}": value for i, value in enumerate(loss.gamma.tolist())}
            row |= {f"edge_{i}": value for i, value in enumerate(loss.edges.tolist(), start=1)}
        self.rows.append(row)
        if trainer.is_global_zero:
            write_rows(self.path, self.rows)
        for logger in trainer.loggers:
            logger.log_metrics(row, step=trainer.current_epoch)


def history_of(checkpoint: Mapping[str, Any]) -> list[dict[str, float]]:
    """Read the rows that a checkpoint holds."""
    rows: list[dict[str, float]] = checkpoint.get("callbacks", {}).get(History.__qualname__, {}).get("rows", [])
    return rows
