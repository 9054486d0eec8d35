# SPDX-License-Identifier: Apache-2.0
"""Losses with state in a Lightning loop: callbacks of a few lines over ``observe``, ``adapt`` and ``set_epoch``."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DistributedSampler

from adafocal._checks import check_integer
from adafocal._lightning import L
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.integrations.summary import adapted_values
from adafocal.integrations.validates import check_batches, check_validates
from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.flsd import ScheduledFocalLoss
from adafocal.losses.selective_au import SelectiveAULoss

EVERY_EPOCH = (1.0, 1)  # what `val_check_interval` and `check_val_every_n_epoch` are if nobody says otherwise


class AdaFocalCallback(L.Callback):
    """Adapt an AdaFocal loss after each validation pass of ``Trainer.fit``, also those within an epoch.

    The loss is found among the module's submodules; its gammas and edges are buffers, so every checkpoint of the module
    holds them. Sanity checking and ``Trainer.validate`` leave it alone. Under DDP all ranks end with the same gammas,
    and samples that a ``DistributedSampler`` repeats to even out the ranks are not observed. Put the callback before
    anything that reads the gammas in ``on_validation_epoch_end``; checkpoint callbacks always come later.

    Args:
        loss: Dotted name of the loss in the module, such as ``criterion``; or the loss itself, which is then moved to
            the module's device and kept in the callback's part of the checkpoint; None finds the only AdaFocal loss.
        outputs: Called as ``outputs(step_output, batch)``, gives ``(logits, labels)`` of a validation step; samples
            come first. By default the step returns a mapping with ``logits`` and ``labels``.
        loader: Index of the validation loader to adapt to, where there are several.
        update_every_n_steps: Let the trainer validate every so many optimiser steps, counted over epochs, instead of
            once per epoch: ``val_check_interval = n * accumulate_grad_batches`` and ``check_val_every_n_epoch = None``.
            None leaves the trainer's own schedule.
        log_prefix: The module logs ``<log_prefix>/gamma_0`` … , ``gap_0`` …, ``ece_equal_mass`` and ``overconfidence``
            after each update, fractions; None logs nothing.

    Raises:
        TypeError: If ``loader`` or ``update_every_n_steps`` is not an integer; during validation, if the step's output
            lacks ``logits`` or ``labels``.
        ValueError: If either is out of range; when fitting starts, if there is no such loss, several and ``loss`` is
            None, a trainer with a schedule of its own next to ``update_every_n_steps``, or one that never validates (no
            loader, no batch, ``limit_val_batches=0``, a schedule beyond the last epoch or step); when validation
            starts, if there are several loaders and ``loader`` is None.

    Example:
        >>> callback = AdaFocalCallback(outputs=lambda step_output, batch: (step_output, batch["label"]))
    """

    def __init__(
        self,
        loss: str | AdaFocalLoss | None = None,
        *,
        outputs: Callable[[Any, Any], tuple[Tensor, Tensor]] | None = None,
        loader: int | None = None,
        update_every_n_steps: int | None = None,
        log_prefix: str | None = "adafocal",
    ) -> None:
        self.loss = loss
        self.outputs = outputs
        self.loader = check_integer("loader", loader, minimum=0, optional=True)
        self.update_every_n_steps = check_integer(
            "update_every_n_steps", update_every_n_steps, minimum=1, optional=True
        )
        self.log_prefix = log_prefix
        self._n_seen = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find the loss before anything runs, so that a mistake shows at once."""
        self._find(pl_module).reset()
        if stage == "fit" and self.update_every_n_steps is not None:
            _validate_every(trainer, self.update_every_n_steps)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse a fit in which no validation batch would come."""
        check_batches(trainer)

    def state_dict(self) -> dict[str, object]:
        """State of a loss that the module does not hold."""
        return {"loss": self.loss.state_dict()} if isinstance(self.loss, AdaFocalLoss) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        if isinstance(self.loss, AdaFocalLoss):
            self.loss.load_state_dict(state_dict["loss"])

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuse a fit without validation, and bring a loss that the module does not hold to the module's device."""
        check_validates(trainer)
        self._find(pl_module).to(pl_module.device)

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from nothing, also after a validation pass that was cut short."""
        self._find(pl_module).reset()
        self._n_seen = 0
        n_loaders = len(trainer.num_val_batches)
        if trainer.state.fn == "fit" and (n_loaders > 1 if self.loader is None else self.loader >= n_loaders):
            raise InvalidValueError(
                f"`loader` must be the index of one of the {n_loaders} validation loaders, got {self.loader}."
            )

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hand the batch to the loss, without what the sampler repeats."""
        if _adapting(trainer) and dataloader_idx == (self.loader or 0):
            logits, labels = self._logits_and_labels(outputs, batch)
            kept = self._new_samples(_loader(trainer, dataloader_idx), len(labels))
            logits, labels = logits[:kept], labels[:kept]
            if len(labels) > 0:
                self._find(pl_module).observe(logits, labels)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move the gammas, and log them with the calibration they follow."""
        if _adapting(trainer):
            criterion = self._find(pl_module)
            values = adapted_values(criterion.adapt(), criterion.gamma)
            if self.log_prefix is not None:
                named = {f"{self.log_prefix}/{name}": value for name, value in values.items()}
                # The values are the same on every rank; Lightning asks to have that said.
                pl_module.log_dict(named, sync_dist=trainer.world_size > 1)

    def _logits_and_labels(self, step_output: object, batch: object) -> tuple[Tensor, Tensor]:
        if self.outputs is not None:
            return self.outputs(step_output, batch)
        if not isinstance(step_output, Mapping) or not {"logits", "labels"} <= step_output.keys():
            raise InvalidTypeError(
                "`validation_step` must return a mapping with `logits` and `labels` for AdaFocalCallback, or `outputs` "
                f"say how to read it, got {type(step_output).__name__}."
            )
        return step_output["logits"], step_output["labels"]

    def _new_samples(self, loader: Any, n_samples: int) -> int:
        """Count the samples of this rank's next batch that no rank has had before; a sampler's repeats come last."""
        sampler = _distributed_sampler(loader)
        if sampler is None:
            return n_samples
        if loader.batch_size is not None and n_samples > loader.batch_size:
            raise InvalidValueError(
                "`outputs` must give one row per sample where a DistributedSampler shards validation, "
                f"got {n_samples} rows for a batch of {loader.batch_size}."
            )
        own = range(sampler.rank, len(sampler.dataset), sampler.num_replicas)  # type: ignore[arg-type]
        left = len(own) - self._n_seen
        self._n_seen += n_samples
        return min(n_samples, max(0, left))

    def _find(self, pl_module: L.LightningModule) -> AdaFocalLoss:
        if isinstance(self.loss, AdaFocalLoss):
            return self.loss
        found = {name: module for name, module in pl_module.named_modules() if isinstance(module, AdaFocalLoss)}
        if self.loss is None and len(found) == 1:
            return next(iter(found.values()))
        if self.loss in found:
            return found[self.loss]
        wanted = "exactly one AdaFocalLoss" if self.loss is None else f"an AdaFocalLoss named {self.loss!r}"
        raise InvalidValueError(f"`pl_module` must hold {wanted}, got {', '.join(found) or 'none'}.")


class LossEpochCallback(L.Callback):
    """Tell losses that follow the epochs when one starts: selective AU empties its histogram, FLSc changes its gamma.

    Calls ``set_epoch`` of every such loss among the submodules.

    Example:
        >>> callback = LossEpochCallback()
    """

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pass the number of the epoch on."""
        for module in pl_module.modules():
            if isinstance(module, (ScheduledFocalLoss, SelectiveAULoss)):
                module.set_epoch(trainer.current_epoch)


def _adapting(trainer: L.Trainer) -> bool:
    return trainer.state.fn == "fit" and not trainer.sanity_checking


def _validate_every(trainer: L.Trainer, n_steps: int) -> None:
    """Set the trainer's validation schedule; it reads it when the training loop starts, after ``setup``."""
    wanted = (n_steps * trainer.accumulate_grad_batches, None)
    schedule = (trainer.val_check_interval, trainer.check_val_every_n_epoch)
    if schedule not in (EVERY_EPOCH, wanted):
        raise InvalidValueError(
            "`update_every_n_steps` must be None where the trainer has a validation schedule of its own, "
            f"got {n_steps} next to val_check_interval={schedule[0]} and check_val_every_n_epoch={schedule[1]}."
        )
    trainer.val_check_interval, trainer.check_val_every_n_epoch = wanted


def _loader(trainer: L.Trainer, index: int) -> Any:
    loaders = trainer.val_dataloaders
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    return loaders[index] if isinstance(loaders, (list, tuple)) else loaders


def _distributed_sampler(loader: object) -> DistributedSampler[object] | None:
    """Find the sampler that shards the loader over the ranks, if there is one."""
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(loader if batches is None else batches, "sampler", None)
    return sampler if isinstance(sampler, DistributedSampler) else None
