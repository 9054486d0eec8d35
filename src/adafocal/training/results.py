# SPDX-License-Identifier: Apache-2.0
"""What a finished run writes and reports: predictions of every part, temperature, examples, every number."""

from pathlib import Path

from adafocal._lightning import L
from adafocal.calibration import evaluate
from adafocal.predictions import Predictions
from adafocal.results.folder import EXAMPLES
from adafocal.scaling import fit_temperature
from adafocal.training.classifier import Classifier
from adafocal.training.examples import worst_examples, write_examples
from adafocal.training.folder import first_process
from adafocal.training.inference import predict_samples


def sample_results(
    trainer: L.Trainer, classifier: Classifier, folder: Path, *, checkpoint: Path | None
) -> dict[str, object]:
    """Write the predictions of all parts but training, and the worst examples; give temperature and summaries."""
    splits = classifier.splits
    parts = {
        name: predict_samples(classifier, split, trainer=trainer, checkpoint=checkpoint)
        for name, split in splits.parts.items()
        if name != "train"
    }
    if first_process():
        for name, predictions in parts.items():
            predictions.save(folder / f"{name}.parquet")
        tokenizer = classifier.config.data.tokenizer
        worst = worst_examples(
            splits.test,
            parts["test"],
            vocabulary=splits.vocabulary,
            tokenizer=tokenizer,
            features=splits.features,
        )
        write_examples(folder / EXAMPLES, parts["test"], worst)
    temperature = fit_temperature(parts.get("scaling", parts["validation"]))
    parts["test_scaled"] = temperature.apply(parts["test"])
    n_bins = classifier.config.n_bins
    return {
        "temperature": temperature.temperature,
        **{name: summarise(predictions, n_bins=n_bins) for name, predictions in parts.items()},
    }


def summarise(predictions: Predictions, *, n_bins: int) -> dict[str, object]:
    """Measure everything that :func:`adafocal.calibration.evaluate` does, and the error; fractions and nats."""
    summary = evaluate(predictions, n_bins=n_bins)
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}
