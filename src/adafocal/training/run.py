# SPDX-License-Identifier: Apache-2.0
"""One training run: fit, predict, and write a run folder that explains itself.

::

    run/
      config.yaml           the resolved settings
      provenance.json       versions, hardware, git revision, command, date
      metrics.csv           one row per epoch: losses, calibration, gammas
      checkpoints/last.ckpt model, loss (gammas and edges), optimiser, history
      checkpoints/best.ckpt model and loss of the epoch with the best ``monitor``
      tensorboard/          the same history for TensorBoard, or what another logger writes
      splits.npz            which rows of the source each part holds
      validation.parquet    Predictions of the validation part; scaling.parquet those of a second one, if any
      test.parquet          Predictions of the test part
      examples.json         the most confident mistakes of the test part, to be looked at
      summary.json          the results, before and after temperature scaling; with it the run is finished
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml

from adafocal._checks import require
from adafocal._files import write_text
from adafocal._ranks import over_ranks
from adafocal.calibration import evaluate
from adafocal.data import Split, load_splits
from adafocal.losses import make_loss
from adafocal.models import make_model
from adafocal.predictions import Predictions
from adafocal.scaling import fit_temperature
from adafocal.training.checkpoints import BEST, LAST, read_checkpoint
from adafocal.training.classifier import Classifier
from adafocal.training.config import CARRIED_OUT, TrainConfig, plain
from adafocal.training.examples import write_examples
from adafocal.training.provenance import provenance
from adafocal.training.trainer import make_trainer, quiet_lightning

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402
from lightning.pytorch.utilities import rank_zero_only  # noqa: E402


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
        ValueError: If a setting is out of range, the folder holds other things or a run of other settings, or its
            checkpoint is damaged or does not fit.
        OSError: If the folder or a checkpoint cannot be written, or another process of the run died; the last
            checkpoint is as it was.
    """
    folder = Path(folder)
    if first_process():
        prepare_folder(config, folder, overwrite=overwrite)
    started = (folder / "summary.json").exists() and (first_process() or not overwrite)
    if started:
        return read_summary(folder)
    classifier = build(config)
    last = folder / LAST
    resumed = last if last.exists() and (first_process() or not overwrite) else None
    if resumed is not None:
        read_checkpoint(resumed, classifier)
    trainer = make_trainer(config, folder, classifier, progress=progress)
    if first_process():
        classifier.splits.save_rows(folder / "splits.npz")
    if config.compile:
        classifier.model.compile()
    with quiet_lightning(), _deaths_told(folder):
        trainer.fit(classifier, ckpt_path=resumed, weights_only=True)
        chosen = folder / BEST if config.select == "best" else None
        parts = {
            name: predict(trainer, classifier, split, checkpoint=chosen)
            for name, split in classifier.splits.parts.items()
            if name != "train"
        }
    return _write_results(config, folder, classifier, parts)


def first_process() -> bool:
    """Whether this is the process that writes: the only one, or the first of a distributed run."""
    return _rank() == 0


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", None) or 0)


@contextmanager
def _deaths_told(folder: Path) -> Iterator[None]:
    """Say in one sentence that another process of a distributed run is gone."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, dist.DistError) or any(name in str(error) for name in ("gloo", "NCCL"))
        if not lost:
            raise
        raise ConnectionError(
            f"Another process of this run died, so this one (rank {_rank()}) stops; the same command goes "
            f"on from the last checkpoint, {str(folder / LAST)!r}."
        ) from error


def _write_results(
    config: TrainConfig, folder: Path, classifier: Classifier, parts: dict[str, Predictions]
) -> dict[str, Any]:
    """Fit the temperature and write predictions and summary, in the first process; gives the summary in all."""
    sizes = {name: len(split) for name, split in classifier.splits.parts.items()}
    temperature = fit_temperature(parts.get("scaling", parts["validation"]))
    scaled = {"test_scaled": temperature.apply(parts["test"])}
    summary = {
        "loss": config.loss,
        "seed": config.seed,
        "class_names": list(classifier.splits.class_names),
        "sizes": sizes,
        "temperature": temperature.temperature,
        **{name: summarise(predictions, n_bins=config.n_bins) for name, predictions in (parts | scaled).items()},
    }
    if first_process():
        for name, predictions in parts.items():
            predictions.save(folder / f"{name}.parquet")
        splits = classifier.splits
        write_examples(
            folder / "examples.json",
            splits.test,
            parts["test"],
            vocabulary=splits.vocabulary,
            tokenizer=config.data.tokenizer,
        )
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
        if _computed(yaml.safe_load(settings.read_text(encoding="utf-8"))) != _computed(plain(config)):
            raise ValueError(
                f"`run_dir` must be new, or hold a run of the same settings, got {str(folder)!r}: "
                "choose another folder or add --overwrite."
            )
        return
    if folder.exists() and any(entry.name != "log.txt" for entry in folder.iterdir()):
        raise ValueError(f"`run_dir` must be new or a run folder, got {str(folder)!r}, which holds other files.")
    write_text(folder / "provenance.json", json.dumps(provenance(), indent=2) + "\n")
    write_text(settings, yaml.safe_dump(plain(config), sort_keys=False))


def _computed(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the settings that say what a run computes, without those of how it is carried out."""
    return {name: value for name, value in settings.items() if name not in CARRIED_OUT}


def read_summary(folder: Path) -> dict[str, Any]:
    """Read the results of a finished run."""
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary


def predict(trainer: L.Trainer, classifier: Classifier, split: Split, *, checkpoint: Path | None = None) -> Predictions:
    """Run the model over a split, shared out over the processes, in the precision it was trained in.

    Args:
        trainer: The trainer.
        classifier: The model.
        split: The samples.
        checkpoint: Weights; None takes those of the model.

    Returns:
        Predictions in the order of the split, on the CPU, in every process.
    """
    batches = classifier.measuring_batches(split)
    found: list[Any] = trainer.predict(
        classifier, batches, return_predictions=True, ckpt_path=checkpoint, weights_only=True
    ) or []  # fmt: skip
    logits = torch.cat([logits.float() for logits in found])
    ranks = trainer.world_size
    if ranks > 1:
        gathered = over_ranks(logits.flatten().to(classifier.device)).view(-1, *logits.shape[1:])
        order = torch.cat([torch.arange(len(split))[rank::ranks] for rank in range(ranks)])
        logits = torch.empty_like(gathered).index_copy_(0, order.to(gathered.device), gathered)
    return Predictions(logits=logits.cpu(), labels=split.labels.cpu())


def summarise(predictions: Predictions, *, n_bins: int) -> dict[str, Any]:
    """Give every number of :func:`adafocal.calibration.evaluate` and the error; fractions and nats."""
    summary = evaluate(predictions, n_bins=n_bins)
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}
