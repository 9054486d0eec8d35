# SPDX-License-Identifier: Apache-2.0
"""The Lightning trainer of a run: callbacks, checkpoints, loggers, devices."""

import inspect
import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from adafocal._checks import check_choice
from adafocal._lightning import L, MisconfigurationException
from adafocal._settings import or_meant
from adafocal.errors import AdafocalError, InvalidValueError
from adafocal.integrations.lightning import AdaFocalCallback, LossEpochCallback
from adafocal.losses import AdaFocalLoss
from adafocal.losses.penalised import innermost
from adafocal.results.folder import BEST, EVENTS, HISTORY, LAST
from adafocal.training.checkpoints import AtomicCheckpointIO
from adafocal.training.classifier import Classifier
from adafocal.training.config import TrainConfig
from adafocal.training.history import History
from adafocal.training.own import own_callbacks

AS_LIGHTNING = (
    "accelerator",
    "devices",
    "num_nodes",
    "strategy",
    "precision",
    "deterministic",
)  # has the same settings


def make_trainer(config: TrainConfig, folder: Path, classifier: Classifier, *, progress: bool) -> L.Trainer:
    """Build the trainer that the settings describe.

    Raises:
        ValueError: If the logger is unknown or does not take its settings, or the devices are not to be had.
    """
    with quiet_lightning():
        try:
            return L.Trainer(
                **{name: getattr(config, name) for name in AS_LIGHTNING},
                max_epochs=config.epochs,
                gradient_clip_val=config.optimizer.clip_norm,
                callbacks=_callbacks(config, folder, classifier),
                plugins=[AtomicCheckpointIO()],
                default_root_dir=folder,
                logger=make_logger(config, folder),
                num_sanity_val_steps=0,
                reload_dataloaders_every_n_epochs=1,
                use_distributed_sampler=False,
                enable_progress_bar=progress,
                enable_model_summary=False,
                log_every_n_steps=1,
            )
        except AdafocalError:
            raise
        except (MisconfigurationException, ValueError) as error:
            raise InvalidValueError(f"Lightning cannot train this way: {error}") from error


def make_logger(config: TrainConfig, folder: Path) -> Any:
    """Build the logger that the settings name; False for none.

    Raises:
        ValueError: If Lightning has no such logger, or it does not take these settings.
    """
    if config.logger == "none":
        return False
    loggers = {
        name.removesuffix("Logger").lower(): cls
        for name, cls in vars(L.loggers).items()
        if name.endswith("Logger") and name != "Logger"
    }
    check_choice("logger", config.logger, ("none", *loggers))
    cls = loggers[config.logger]
    arguments = {"name": "", "version": ""} if config.logger == "tensorboard" else {}
    takes = inspect.signature(cls).parameters
    if "save_dir" in takes:
        arguments["save_dir"] = str(folder / config.logger)
    try:
        return cls(**{**arguments, **config.logger_args})
    except TypeError as error:
        given = config.logger_args
        unknown = next((name for name in given if name not in takes), None)
        raise InvalidValueError(
            f"`logger_args` must be settings of {cls.__name__}, got {given}: {error}{or_meant(unknown, takes)}"
        ) from None


def _callbacks(config: TrainConfig, folder: Path, classifier: Classifier) -> list[L.Callback]:
    loss = innermost(classifier.loss)
    place = next(name for name, module in classifier.named_modules() if module is loss)
    adapting = [AdaFocalCallback(place, log_prefix=None)] if isinstance(loss, AdaFocalLoss) else []
    stopping = [] if config.early_stopping is None else [_EarlyStopping(config.monitor, patience=config.early_stopping)]
    checkpoint = partial(L.callbacks.ModelCheckpoint, enable_version_counter=False, save_on_train_epoch_end=True)
    best = checkpoint(folder / BEST.parent, BEST.stem, monitor=config.monitor, save_weights_only=True)
    last = checkpoint(folder / LAST.parent, LAST.stem, every_n_epochs=1)
    history = History(folder / HISTORY, n_bins=config.n_bins)
    return [
        _SignalOfTheCaller(),
        *adapting,
        *own_callbacks(loss),
        LossEpochCallback(),
        history,
        *stopping,
        best,
        last,
    ]


def restart_events(trainer: L.Trainer, folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Begin TensorBoard's files anew with the epochs of a checkpoint: a killed run may have told of one too many."""
    logger, place = trainer.logger, folder / "tensorboard"
    if not isinstance(logger, L.loggers.TensorBoardLogger) or Path(logger.log_dir).resolve() != place.resolve():
        return
    for file in place.glob(EVENTS):
        file.unlink()
    for row in rows:
        logger.log_metrics(dict(row), step=int(row["epoch"]))


class _SignalOfTheCaller(L.Callback):
    """Leave SIGTERM to who called the trainer; Lightning's own handler would end the process with status 0."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def _restore(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread() and self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)

    on_train_start = on_predict_start = _restore


class _EarlyStopping(L.callbacks.EarlyStopping):
    """Stop early, also when a run that had stopped is resumed before it wrote its results."""

    def __init__(self, monitor: str, *, patience: int) -> None:
        super().__init__(monitor, patience=patience, mode="min", check_on_train_epoch_end=True)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.stopped_epoch > 0:
            trainer.should_stop = True


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says about our own choices: no worker processes, sums over ranks that are ours."""
    talkers = [logging.getLogger(name) for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in QUIET:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)


QUIET = (
    ".*does not have many workers.*",
    ".*Checkpoint directory.*",
    ".*treespec, LeafSpec.*",
    ".*sync_dist=True.*",
    ".*will be overwritten.*",
)
