# SPDX-License-Identifier: Apache-2.0
"""Own code in a run: which settings name some, whether it may be imported, and a trial before a run begins."""

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from adafocal._lightning import L
from adafocal._own import is_own, module_of, telling, telling_where
from adafocal.data import DATASETS
from adafocal.data.own import is_made
from adafocal.errors import InvalidTypeError, InvalidValueError
from adafocal.losses import LOSSES, AdaFocalLoss, ScheduledFocalLoss, SelectiveAULoss
from adafocal.models import MODELS
from adafocal.training.classifier import Classifier
from adafocal.training.config import TrainConfig

TRIED = 2  # samples


def own_names(config: TrainConfig) -> dict[str, str]:
    """Own code that the settings name, by setting."""
    named = {"loss": config.loss, "model": config.model, "data.name": config.data.name}
    return {what: name for what, name in named.items() if is_own(name)}


def check_trusted(config: TrainConfig, own: Collection[str]) -> None:
    """Refuse to import what a run folder names, unless the caller names it too.

    Args:
        config: Settings from a run folder, which anyone may have written.
        own: Own code that the caller names; the loss may be left out, which predictions do not need.

    Raises:
        ValueError: If the settings name other code.
    """
    flags = {"loss": "--loss", "model": "--model", "data.name": "--data"}
    needed = {what: name for what, name in own_names(config).items() if what != "loss"}
    missing = {flags[what]: name for what, name in needed.items() if name not in own}
    if missing:
        again = " ".join(f"{flag} {name}" for flag, name in missing.items())
        raise InvalidValueError(
            f"`own` must name the code that this run was made with, {', '.join(missing.values())}, as nothing is "
            f"imported that a run folder alone names, got {', '.join(own) or 'none'}: if you trust it, add `{again}`."
        )


@contextmanager
def own_code_told(config: TrainConfig) -> Iterator[None]:
    """Say of an error in the block, if own code has raised it, in which file and line it was."""
    names = (("loss", config.loss, LOSSES), ("model", config.model, MODELS), ("data.name", config.data.name, DATASETS))
    with telling_where(module_of(what, name, built_in) for what, name, built_in in names):
        yield


def try_own(classifier: Classifier, *, with_loss: bool = True) -> None:
    """Let a model and a loss of the user's own have two samples, so that a mistake shows before a folder is made.

    Nothing of it stays: neither random numbers are taken nor buffers changed.

    Raises:
        TypeError: If either gives something else than a tensor.
        ValueError: If logits or loss are of another shape, or there is nothing to train.
        RuntimeError: If own code raises something.
    """
    config, splits = classifier.config, classifier.splits
    own_loss = with_loss and config.loss not in LOSSES
    if not (own_loss or config.model not in MODELS or is_made(config.data)):
        return
    rows = torch.arange(min(TRIED, len(splits.train)))
    inputs, labels = next(iter(splits.train.batches([rows])))
    with torch.random.fork_rng(devices=[]):
        logits = _logits(classifier, inputs, labels)
        if own_loss:
            _check_loss(classifier, logits.detach().requires_grad_(), labels, config.loss)


def _logits(classifier: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
    """What the model gives, checked."""
    name, n_classes = classifier.config.model, classifier.splits.n_classes
    if not any(one.requires_grad for one in classifier.model.parameters()):
        raise InvalidValueError(f"`model` must have parameters to train, got {name} without any.")
    training = classifier.model.training
    classifier.model.eval()
    try:
        with torch.no_grad():
            logits = _called(classifier, inputs)
    finally:
        classifier.model.train(training)
    expected = (len(inputs), n_classes, *labels.shape[1:])
    if not isinstance(logits, Tensor):
        raise InvalidTypeError(f"`model` must give a tensor of logits, got {type(logits).__name__} from {name}.")
    if tuple(logits.shape) != expected:
        raise InvalidValueError(
            f"`model` must give logits of shape (N, C), here {expected} for {n_classes} classes, got "
            f"{tuple(logits.shape)} from {name}."
        )
    return logits


def _called(classifier: Classifier, inputs: Tensor) -> object:
    name = classifier.config.model
    inputs = classifier.prepared(inputs, training=False)
    if name not in MODELS:
        with telling("model", name, [type(classifier.model).__module__, module_of("model", name, MODELS)]):
            return classifier.model(inputs)
    try:
        return classifier.model(inputs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidValueError(
            f"`model` must suit the data, inputs of shape {tuple(inputs.shape[1:])} and {inputs.dtype}, got {name}: "
            f"{said}."
        ) from error


def _check_loss(classifier: Classifier, logits: Tensor, labels: Tensor, name: str) -> None:
    modules = [type(classifier.loss).__module__, module_of("loss", name, LOSSES)]
    with telling("loss", name, modules):
        value = copy.deepcopy(classifier.loss)(logits, labels)
    if not isinstance(value, Tensor):
        raise InvalidTypeError(f"`loss` must give a tensor with one number, got {type(value).__name__} from {name}.")
    if value.ndim != 0:
        raise InvalidValueError(
            f"`loss` must give one number for a batch, got a tensor of shape {tuple(value.shape)} from {name}: take "
            "the mean over the samples."
        )
    if not value.requires_grad:
        raise InvalidValueError(f"`loss` must have a gradient to the logits, got none from {name}.")


class OwnLossCallback(L.Callback):
    """Drive a loss with the methods of an adaptive one, though it is not derived from ours.

    ``observe(logits, labels)`` takes every validation batch and ``adapt()`` ends the pass; ``set_epoch(epoch)`` is
    called as an epoch of training starts.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pass the number of the epoch on."""
        if callable(step := getattr(self.loss, "set_epoch", None)):
            step(trainer.current_epoch)

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, *_: object, **__: object
    ) -> None:
        """Hand the batch to the loss."""
        if callable(step := getattr(self.loss, "observe", None)) and isinstance(outputs, Mapping):
            step(outputs["logits"], outputs["labels"])

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the loss adapt."""
        if callable(step := getattr(self.loss, "adapt", None)):
            step()


def own_callbacks(loss: nn.Module) -> list[L.Callback]:
    """What drives a loss of the user's own; nothing for ours, which have callbacks of their own."""
    ours = isinstance(loss, (AdaFocalLoss, ScheduledFocalLoss, SelectiveAULoss))
    methods = [name for name in ("observe", "adapt", "set_epoch") if callable(getattr(loss, name, None))]
    return [] if ours or not methods else [OwnLossCallback(loss)]
