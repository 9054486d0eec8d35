# SPDX-License-Identifier: Apache-2.0
"""What a finished run writes and reports: predictions of every part, temperature, examples, every number."""

from pathlib import Path
from typing import Any

import torch

from adafocal._checks import require
from adafocal._ranks import over_ranks
from adafocal.calibration import evaluate
from adafocal.data import Split
from adafocal.predictions import Predictions
from adafocal.results.folder import EXAMPLES
from adafocal.scaling import fit_temperature
from adafocal.training.classifier import Classifier
from adafocal.training.examples import write_examples
from adafocal.training.folder import first_process

require("lightning.pytorch", extra="train")

import lightning.pytorch as L  # noqa: E402


def sample_results(
    trainer: L.Trainer, classifier: Classifier, folder: Path, *, checkpoint: Path | None
) -> dict[str, object]:
    """Write the predictions of all parts but training, and the worst examples; give temperature and summaries."""
    splits = classifier.splits
    parts = {
        name: predict(trainer, classifier, split, checkpoint=checkpoint)
        for name, split in splits.parts.items()
        if name != "train"
    }
    if first_process():
        for name, predictions in parts.items():
            predictions.save(folder / f"{name}.parquet")
        tokenizer = classifier.config.data.tokenizer
        write_examples(folder / EXAMPLES, splits.test, parts["test"], vocabulary=splits.vocabulary, tokenizer=tokenizer)
    temperature = fit_temperature(parts.get("scaling", parts["validation"]))
    parts["test_scaled"] = temperature.apply(parts["test"])
    n_bins = classifier.config.n_bins
    return {
        "temperature": temperature.temperature,
        **{name: summarise(predictions, n_bins=n_bins) for name, predictions in parts.items()},
    }


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


def summarise(predictions: Predictions, *, n_bins: int) -> dict[str, object]:
    """Give every number of :func:`adafocal.calibration.evaluate` and the error; fractions and nats."""
    summary = evaluate(predictions, n_bins=n_bins)
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}
