# SPDX-License-Identifier: Apache-2.0
"""One training run: fit, predict, and write a run folder that explains itself.

::

    run/
      config.yaml           the resolved settings
      provenance.json       versions, hardware, git revision, command, date
      metrics.csv           one row per epoch: losses, calibration, gammas
      checkpoints/last.ckpt model, loss (gammas and edges), optimiser, history
      splits.npz            which rows of the source each part holds
      validation.parquet    Predictions of the validation part; scaling.parquet those of a second one, if any
      test.parquet          Predictions of the test part
      examples.json         the most confident mistakes of the test part, to be looked at
      summary.json          the results, before and after temperature scaling; with it the run is finished
"""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from adafocal._checks import require
from adafocal._files import write_text
from adafocal.calibration import evaluate
from adafocal.data import Split, load_splits
from adafocal.integrations.lightning import AdaFocalCallback, LossEpochCallback
from adafocal.losses import AdaFocalLoss, make_loss
from adafocal.models import make_model
from adafocal.predictions import Predictions
from adafocal.scaling import fit_temperature
from adafocal.training.batches import TensorBatches
from adafocal.training.classifier import Classifier
from adafocal.training.config import TrainConfig, plain
from adafocal.training.examples import write_examples
from adafocal.training.history import History
from adafocal.training.provenance import provenance

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402

CHECKPOINT = Path("checkpoints/last.ckpt")


def run(config: TrainConfig, folder: str | Path, *, overwrite: bool = False, progress: bool = True) -> dict[str, Any]:
    """Train one classifier and write its run folder; an unfinished run of the same settings is resumed.

    Args:
        config: Settings of the run.
        folder: The run folder.
        overwrite: Delete what the folder holds and start anew.
        progress: Show a progress bar.

    Returns:
        What ``summary.json`` holds.

    Raises:
        ValueError: If a setting is out of range, or the folder holds other things or a run of other settings.
    """
    folder = Path(folder)
    prepare_folder(config, folder, overwrite=overwrite)
    if (folder / "summary.json").exists():
        return read_summary(folder)
    classifier = build(config)
    splits = classifier.splits
    splits.save_rows(folder / "splits.npz")
    trainer = _trainer(config, folder, classifier, progress=progress)
    with _quiet_lightning():
        resumed = folder / CHECKPOINT if (folder / CHECKPOINT).exists() else None
        trainer.fit(classifier, ckpt_path=resumed, weights_only=True)
        parts = {name: predict(trainer, classifier, split) for name, split in splits.parts.items() if name != "train"}
    for name, predictions in parts.items():
        predictions.save(folder / f"{name}.parquet")
    write_examples(
        folder / "examples.json",
        splits.test,
        parts["test"],
        vocabulary=splits.vocabulary,
        tokenizer=config.data.tokenizer,
    )
    temperature = fit_temperature(parts.get("scaling", parts["validation"]))
    parts["test_scaled"] = temperature.apply(parts["test"])
    summary = {
        "loss": config.loss,
        "seed": config.seed,
        "class_names": list(splits.class_names),
        "sizes": {name: len(split) for name, split in splits.parts.items()},
        "temperature": temperature.temperature,
        **{name: summarise(predictions, n_bins=config.n_bins) for name, predictions in parts.items()},
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


def build(config: TrainConfig) -> Classifier:
    """Load the data and build model and loss, seeded."""
    L.seed_everything(config.seed, verbose=False)
    splits = load_splits(config.data, seed=config.seed)
    model = make_model(
        config.model,
        config.model_args,
        input_shape=splits.train.inputs.shape[1:],
        n_classes=splits.n_classes,
        vocabulary=splits.vocabulary,
    )
    return Classifier(config, model, make_loss(config.loss, config.loss_args), splits)


def prepare_folder(config: TrainConfig, folder: Path, *, overwrite: bool) -> None:
    """Make the run folder with its settings and provenance, or accept one that holds the same settings."""
    settings = folder / "config.yaml"
    if overwrite and settings.exists():
        shutil.rmtree(folder)
    if settings.exists():
        if yaml.safe_load(settings.read_text(encoding="utf-8")) != plain(config):
            raise ValueError(
                f"`run_dir` must be new, or hold a run of the same settings, got {str(folder)!r}: "
                "choose another folder or add --overwrite."
            )
        return
    if folder.exists() and any(entry.name != "log.txt" for entry in folder.iterdir()):
        raise ValueError(f"`run_dir` must be new or a run folder, got {str(folder)!r}, which holds other files.")
    write_text(folder / "provenance.json", json.dumps(provenance(), indent=2) + "\n")
    write_text(settings, yaml.safe_dump(plain(config), sort_keys=False))


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the results of a finished run."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def predict(trainer: L.Trainer, classifier: Classifier, split: Split) -> Predictions:
    """Run the model over a split in its order, in the precision it was trained in."""
    batches = TensorBatches(split, classifier.config.evaluation_batch_size)
    parts: list[Any] = trainer.predict(classifier, batches, return_predictions=True) or []
    return Predictions(logits=torch.cat([logits.float().cpu() for logits in parts]), labels=split.labels)


def summarise(predictions: Predictions, *, n_bins: int) -> dict[str, Any]:
    """Give every number of :func:`adafocal.calibration.evaluate` and the error; fractions and nats."""
    summary = evaluate(predictions, n_bins=n_bins)
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}


def _trainer(config: TrainConfig, folder: Path, classifier: Classifier, *, progress: bool) -> Any:
    callbacks: list[L.Callback] = [LossEpochCallback(), History(folder / "metrics.csv", n_bins=config.n_bins)]
    if isinstance(classifier.loss, AdaFocalLoss):
        callbacks.insert(0, AdaFocalCallback("loss"))
    checkpoint = L.callbacks.ModelCheckpoint(
        dirpath=folder / CHECKPOINT.parent,
        filename=CHECKPOINT.stem,
        enable_version_counter=False,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
    )
    with _quiet_lightning():
        return L.Trainer(
            accelerator=config.accelerator,
            devices=1,
            precision=config.precision,
            max_epochs=config.epochs,
            deterministic=config.deterministic,
            gradient_clip_val=config.optimizer.clip_norm,
            callbacks=[*callbacks, checkpoint],
            default_root_dir=folder,
            logger=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=1,
        )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says about our own choices: no worker processes, no logger, one device."""
    talkers = [logging.getLogger(name) for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (".*does not have many workers.*", ".*Checkpoint directory.*", ".*treespec, LeafSpec.*"):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
