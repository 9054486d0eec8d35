# SPDX-License-Identifier: Apache-2.0
"""The Lightning module: a model, a loss, and batches from memory."""

from typing import Any

import torch
from torch import Tensor, nn

from adafocal._checks import require
from adafocal.data import DataSplits
from adafocal.training.batches import TensorBatches, epoch_seed
from adafocal.training.config import OptimizerConfig, TrainConfig

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402


class Classifier(L.LightningModule):
    """Train ``model`` with ``loss`` on the splits; the loss may be any peer of ``nn.CrossEntropyLoss``.

    Args:
        config: Settings of the run.
        model: Gives logits of shape (N, C).
        loss: Called as ``loss(logits, labels)``.
        splits: Training and validation data.
    """

    def __init__(self, config: TrainConfig, model: nn.Module, loss: nn.Module, splits: DataSplits) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.loss = loss
        self.splits = splits

    def forward(self, inputs: Tensor) -> Tensor:
        """Give logits of shape (N, C), or (N, C, D, H, W) of volumes."""
        logits: Tensor = self.model(inputs)
        return logits

    def on_train_epoch_start(self) -> None:
        """Seed the epoch's randomness by its number, so that resuming needs no generator state."""
        torch.manual_seed(epoch_seed(self.config.seed, self.current_epoch) + self.global_rank)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Augment and normalise the batch where it lies now, in the precision of the model."""
        inputs, labels = batch
        if self.trainer.training and self.splits.augment is not None:
            inputs, labels = self.splits.augment(inputs, labels)
        return self.prepared(inputs, training=self.trainer.training), labels

    def prepared(self, inputs: Tensor, *, training: bool) -> Tensor:
        """Give what the model takes: augmented if training, normalised, in the precision of the model."""
        if self.splits.transform is None:
            return inputs
        return self.splits.transform(inputs, training=training).to(next(self.model.parameters()).dtype)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Give the loss of a batch."""
        inputs, labels = batch
        loss: Tensor = self.loss(self(inputs), labels)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Give logits and labels for the callbacks that measure."""
        inputs, labels = batch
        return {"logits": self(inputs), "labels": labels}

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Give the logits of a batch."""
        return self.forward(batch[0])

    def train_dataloader(self) -> TensorBatches:
        """Give the epoch's batches; Lightning asks anew each epoch."""
        seed = epoch_seed(self.config.seed, self.trainer.current_epoch)
        return TensorBatches(self.splits.train, self.config.batch_size, shuffle_seed=seed)

    def val_dataloader(self) -> TensorBatches:
        """Give the validation batches."""
        size = self.config.batch_size if self.splits.dense else self.config.evaluation_batch_size
        return TensorBatches(self.splits.validation, size)

    def configure_optimizers(self) -> Any:
        """Give the optimiser and its schedule."""
        optimizer = make_optimizer(self.config.optimizer, self.model)
        schedule = torch.optim.lr_scheduler.MultiStepLR(
            optimizer, list(self.config.optimizer.milestones), gamma=self.config.optimizer.lr_decay
        )
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def make_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser that the settings name."""
    if config.name == "sgd":
        return torch.optim.SGD(
            model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    cls = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return cls(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
