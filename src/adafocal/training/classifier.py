# SPDX-License-Identifier: Apache-2.0
"""The Lightning module: a model, a loss, and batches from memory."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from adafocal._lightning import L
from adafocal.data import DataSplits, Split
from adafocal.losses import PerClassAdaFocalLoss
from adafocal.losses.penalised import innermost
from adafocal.training.batches import TensorBatches, epoch_seed
from adafocal.training.config import TrainConfig
from adafocal.training.optimizers import make_optimizer, make_schedule

# Decoded data sets up to this size move to the accelerator as a whole.
DEVICE_BYTES = 4 * 2**30


class Classifier(L.LightningModule):
    """Train ``model`` with ``loss`` on the splits; the loss may be any peer of ``nn.CrossEntropyLoss``.

    With ``config.ema`` a moving average of the weights is kept beside the model: training steps use the model, all
    else, AdaFocal's statistics included, the average.

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
        if isinstance(adaptive := innermost(loss), PerClassAdaFocalLoss):
            adaptive.keep_classes(splits.n_classes)  # so that a checkpoint of its gammas fits
        self.splits = splits
        self.average: AveragedModel | None = None
        if config.ema is not None:
            average = get_ema_multi_avg_fn(config.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
            self.average.requires_grad_(False)

    @property
    def network(self) -> nn.Module:
        """The model that is measured and kept: the average of the weights where there is one."""
        network: nn.Module = self.model if self.average is None else self.average.module
        return network

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute logits of shape (N, C), or (N, C, D, H, W) of volumes."""
        logits: Tensor = self.model(inputs) if self.training else self.network(inputs)
        return logits

    def setup(self, stage: str) -> None:
        """Move a data set that is decoded and not too large to the accelerator, so that batches are made there."""
        device = self.trainer.strategy.root_device
        size = sum(split.n_bytes for split in self.splits.parts.values())
        if device.type != "cpu" and size <= DEVICE_BYTES:
            self.splits = self.splits.to(device)

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
        """Make of inputs what the model takes: augmented if training, normalised, in its precision."""
        if self.splits.transform is None:
            return inputs
        return self.splits.transform(inputs, training=training).to(next(self.model.parameters()).dtype)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Weigh the loss of this process's share so that the mean over the processes is that of the whole batch."""
        inputs, labels = batch
        loss: Tensor = self.loss(self(inputs), labels)
        if self.trainer.world_size == 1:
            return loss
        share = len(labels) / self._train_batches.size(batch_idx)
        summed = getattr(self.loss, "reduction", "mean") == "sum"
        return loss * (self.trainer.world_size * (1.0 if summed else share))

    def on_train_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
        """Move the average of the weights."""
        if self.average is not None:
            self.average.update_parameters(self.model)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """Hand logits and labels to the callbacks that measure."""
        inputs, labels = batch
        return {"logits": self(inputs), "labels": labels}

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Compute the logits of a batch, without its labels."""
        return self.forward(batch[0])

    def train_dataloader(self) -> TensorBatches:
        """Shuffle this epoch's batches; Lightning asks anew each epoch."""
        seed = epoch_seed(self.config.seed, self.trainer.current_epoch)
        rank, n_ranks, size = self.trainer.global_rank, self.trainer.world_size, self.config.batch_size
        self._train_batches = TensorBatches(
            self.splits.train, size, shuffle_seed=seed, rank=rank, n_ranks=n_ranks, whole_batches=True
        )
        return self._train_batches

    def val_dataloader(self) -> TensorBatches:
        """Validation batches: this process's share."""
        return self.measuring_batches(self.splits.validation)

    def measuring_batches(self, split: Split) -> TensorBatches:
        """Cut this process's share of a split, in its order, into batches that keep no gradient."""
        rank, n_ranks = self.trainer.global_rank, self.trainer.world_size
        size = self.config.batch_size if self.splits.dense else self.config.evaluation_batch_size
        return TensorBatches(split, size * n_ranks, rank=rank, n_ranks=n_ranks)

    def configure_optimizers(self) -> Any:
        """Build the optimiser and its schedule."""
        trained = nn.ModuleList([self.model, self.loss])  # a loss of the user's own may have weights
        optimizer = make_optimizer(self.config.optimizer, trained)
        schedule = make_schedule(self.config.optimizer, optimizer, epochs=self.config.epochs)
        return {"optimizer": optimizer, "lr_scheduler": schedule}
