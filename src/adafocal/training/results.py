# SPDX-License-Identifier: Apache-2.0
"""What a finished run writes and reports: predictions of every part, temperature, examples, numbers of all."""

from collections.abc import Mapping
from pathlib import Path

from adafocal._lightning import L
from adafocal.errors import AdafocalError
from adafocal.predictions import Predictions
from adafocal.results.folder import EXAMPLES
from adafocal.scaling import fit_temperature
from adafocal.training.classifier import Classifier
from adafocal.training.examples import worst_examples, write_examples
from adafocal.training.folder import first_process
from adafocal.training.inference import predict_samples
from adafocal.training.measured import best_scaling, summarise


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
        **_best(parts, n_bins),
    }


def _best(parts: Mapping[str, Predictions], n_bins: int) -> dict[str, object]:
    """The best scaling; where it fails a note in its place, since the run itself is finished."""
    part = "scaling" if "scaling" in parts else "validation"
    try:
        return {"best_scaling": best_scaling(parts[part], parts["test"], part=part, n_bins=n_bins)}
    except Exception as error:
        why = str(error) if isinstance(error, AdafocalError) else f"{type(error).__name__}: {error}"
        return {"notes": [" ".join(f"The best scaling is not known: {why}".split())]}
