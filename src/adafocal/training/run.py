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

A run that labels voxels writes a table of cases besides, see segmentation.py.
"""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import nn

from adafocal._files import write_text
from adafocal._lightning import L
from adafocal._locks import working_on
from adafocal._records import as_record
from adafocal.data import load_splits
from adafocal.errors import LostProcessError
from adafocal.losses import make_loss
from adafocal.models import make_model
from adafocal.results.folder import BEST, FOLDERS, LAST, ROWS, SUMMARY, RunFolder
from adafocal.results.run import Summary
from adafocal.training.checkpoints import read_checkpoint
from adafocal.training.classifier import Classifier
from adafocal.training.config import TrainConfig
from adafocal.training.folder import begin_folder, check_folder, first_process, is_left_over, process_rank
from adafocal.training.history import history_of
from adafocal.training.own import own_code_told, try_own
from adafocal.training.results import sample_results
from adafocal.training.segmentation import dense_results
from adafocal.training.trainer import make_trainer, quiet_lightning, restart_events
from adafocal.training.used import check_read


def run(config: TrainConfig, folder: str | Path, *, overwrite: bool = False, progress: bool = True) -> Summary:
    """Train one classifier and write its run folder; an unfinished run of the same settings is resumed.

    Args:
        config: Settings of the run.
        folder: The run folder.
        overwrite: Remove what an earlier run wrote into the folder, once this one is built, and start anew.
        progress: Show a progress bar.

    Returns:
        What ``summary.json`` holds; the whole of it is its ``everything``.

    Raises:
        ValueError: If a setting is out of range, the folder holds other things or a run of other settings, another
            process works on it, or its checkpoint is damaged or does not fit. The folder is then as it was.
        OSError: If the folder or a checkpoint cannot be written, or another process of the run died; the last
            checkpoint is as it was.
        RuntimeError: If own code that the settings name raises something; the sentence says where.
    """
    folder = Path(folder)
    if not overwrite and RunFolder(folder).finished and not is_left_over(folder):
        check_folder(config, folder, overwrite=False)
        return RunFolder(folder).summary
    with own_code_told(config), working_on(folder, "run_dir", inside=FOLDERS) if first_process() else nullcontext():
        return _run(config, folder, overwrite=overwrite, progress=progress)


def _run(config: TrainConfig, folder: Path, *, overwrite: bool, progress: bool) -> Summary:
    if first_process():
        check_folder(config, folder, overwrite=overwrite)
    # Where the first process is about to overwrite the folder, what it holds does not count.
    if not overwrite and RunFolder(folder).finished:
        return RunFolder(folder).summary
    if not RunFolder(folder).begun:  # what older versions began goes on
        check_read(config)
    classifier = build(config)
    resumed = folder / LAST if not overwrite and (folder / LAST).exists() else None
    held = {} if resumed is None else read_checkpoint(resumed, classifier, to_go_on=True)
    trainer = make_trainer(config, folder, classifier, progress=progress)
    if first_process():  # and not before all of this could be built
        begin_folder(config, folder, overwrite=overwrite)
        classifier.splits.save_rows(folder / ROWS)
        restart_events(trainer, folder, history_of(held))
    if config.compile:
        classifier.model.compile()
    with quiet_lightning(), _deaths_told(folder), _all_processes_stop(trainer):
        trainer.fit(classifier, ckpt_path=resumed, weights_only=True)
        chosen = folder / BEST if config.select == "best" else None
        write = dense_results if classifier.splits.dense else sample_results
        results = write(trainer, classifier, folder, checkpoint=chosen)
    said = results.pop("notes", [])
    notes = [*classifier.splits.notes, *(said if isinstance(said, list) else [])]
    found = {
        "loss": config.loss,
        "seed": config.seed,
        "class_names": list(classifier.splits.class_names),
        "sizes": {name: len(split) for name, split in classifier.splits.parts.items()},
        **({"notes": notes} if notes else {}),
        **results,
    }
    text = json.dumps(found, indent=2) + "\n"
    if first_process():
        write_text(folder / SUMMARY, text)
    return as_record(json.loads(text), Summary, "a run must have results, got some")


@contextmanager
def _all_processes_stop(trainer: Any) -> Iterator[None]:
    """Stop the processes that Lightning started too, and let an interrupt be one, which Lightning makes an exit."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except BaseException as error:
        if hasattr(trainer.strategy.launcher, "kill"):
            trainer.strategy.launcher.kill(signal.SIGTERM)
        if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)  # Lightning has switched it off
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _deaths_told(folder: Path) -> Iterator[None]:
    """Say in one sentence that another process of a distributed run is gone."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error) or "NCCL" in str(error)):
            raise
        raise LostProcessError(
            f"Another process of this run died, so this one (rank {process_rank()}) stops; the same command goes "
            f"on from the last checkpoint, {str(folder / LAST)!r}."
        ) from error


def build(config: TrainConfig, *, with_loss: bool = True) -> Classifier:
    """Load the data and build model and loss, seeded; own code that the settings name is imported, and tried."""
    L.seed_everything(config.seed, verbose=False)
    splits = load_splits(config.data, seed=config.seed)
    shape, n_classes, vocabulary = splits.train.inputs.shape[1:], splits.n_classes, splits.vocabulary
    model = make_model(config.model, config.model_args, input_shape=shape, n_classes=n_classes, vocabulary=vocabulary)
    loss = make_loss(config.loss, config.loss_args) if with_loss else nn.Identity()
    classifier = Classifier(config, model, loss, splits)
    try_own(classifier, with_loss=with_loss)
    return classifier
