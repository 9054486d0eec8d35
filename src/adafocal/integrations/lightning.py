# SPDX-License-Identifier: Apache-2.0
"""Losses with state in a Lightning loop: callbacks of a few lines over ``observe``, ``adapt`` and ``set_epoch``."""

from collections.abc import Mapping
from typing import Any

from adafocal._checks import require
from adafocal.losses.adafocal import AdaFocalLoss
from adafocal.losses.flsd import ScheduledFocalLoss
from adafocal.losses.selective_au import SelectiveAULoss

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402


class AdaFocalCallback(L.Callback):
    """Adapt an AdaFocal loss after each validation pass of ``Trainer.fit``.

    The validation step must return a mapping with ``logits`` and ``labels``. The loss is found among the module's
    submodules; its gammas and edges are buffers, so every checkpoint of the module holds them. Sanity checking and
    ``Trainer.validate`` leave it alone. Put the callback before anything that reads the gammas in
    ``on_validation_epoch_end``; checkpoint callbacks always come later.

    Args:
        loss: Dotted name of the loss in the module, such as ``criterion``; None finds the only AdaFocal loss.

    Raises:
        ValueError: When fitting starts, if there is no such loss, or several and ``loss`` is None.
        TypeError: During validation, if the step's output lacks ``logits`` or ``labels``.

    Example:
        >>> callback = AdaFocalCallback()
    """

    def __init__(self, loss: str | None = None) -> None:
        self.loss = loss

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Find the loss before anything runs, so that a mistake shows at once."""
        self._find(pl_module).reset()

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Start from nothing, also after a validation pass that was cut short."""
        self._find(pl_module).reset()

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Hand the batch to the loss."""
        if _adapting(trainer):
            if not isinstance(outputs, Mapping) or not {"logits", "labels"} <= outputs.keys():
                raise TypeError(
                    "`validation_step` must return a mapping with `logits` and `labels` for AdaFocalCallback, "
                    f"got {type(outputs).__name__}."
                )
            self._find(pl_module).observe(outputs["logits"], outputs["labels"])

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Move the gammas."""
        if _adapting(trainer):
            self._find(pl_module).adapt()

    def _find(self, pl_module: Any) -> AdaFocalLoss:
        found = {name: module for name, module in pl_module.named_modules() if isinstance(module, AdaFocalLoss)}
        if self.loss is None and len(found) == 1:
            return next(iter(found.values()))
        if self.loss in found:
            return found[self.loss]
        wanted = "exactly one AdaFocalLoss" if self.loss is None else f"an AdaFocalLoss named {self.loss!r}"
        raise ValueError(f"`pl_module` must hold {wanted}, got {', '.join(found) or 'none'}.")


class LossEpochCallback(L.Callback):
    """Tell losses that follow the epochs when one starts: selective AU empties its histogram, FLSc changes its gamma.

    Calls ``set_epoch`` of every such loss among the submodules.

    Example:
        >>> callback = LossEpochCallback()
    """

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Pass the number of the epoch on."""
        for module in pl_module.modules():
            if isinstance(module, (ScheduledFocalLoss, SelectiveAULoss)):
                module.set_epoch(trainer.current_epoch)


def _adapting(trainer: Any) -> bool:
    return trainer.state.fn == "fit" and not trainer.sanity_checking
