# SPDX-License-Identifier: Apache-2.0
"""What a finished run writes and reports: predictions of every part, temperature, examples, every number."""

from collections.abc import Mapping
from pathlib import Path

from adafocal._lightning import L
from adafocal.calibration import evaluate
from adafocal.errors import AdafocalError
from adafocal.predictions import Predictions
from adafocal.results.folder import EXAMPLES
from adafocal.scaling import METHODS, fit_temperature
from adafocal.scaling.remedy import find_remedy
from adafocal.scaling.sample import spread_rows
from adafocal.training.classifier import Classifier
from adafocal.training.examples import worst_examples, write_examples
from adafocal.training.folder import first_process
from adafocal.training.inference import predict_samples

LARGEST_FIT = 20_000_000  # numbers that a scaling is fitted to; of more, rows spread over all


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


def best_scaling(validation: Predictions, test: Predictions, *, part: str, n_bins: int) -> dict[str, object]:
    """Choose a scaling on validation predictions, fit it to them, and measure what it makes of the test part.

    It is chosen as ``adafocal evaluate`` recommends one, by cross-fitting; test labels are only measured with. Choosing
    takes at most two million numbers of these rows, and fitting at most twenty million.

    Args:
        validation: What scalings are fitted to.
        test: What they are measured on.
        part: Name of the part that ``validation`` is.
        n_bins: Number of bins of the calibration errors.

    Returns:
        What :class:`~adafocal.results.run.BestScaling` holds; an empty ``method`` where none is better than none.
    """
    chosen = find_remedy(validation, n_bins=n_bins).chosen
    if chosen is not None:
        test = METHODS[chosen.method](_some(validation), **chosen.options).apply(test)
    method = "" if chosen is None else chosen.method
    return {"method": method, "part": part, "rows": validation.n, "test": summarise(test, n_bins=n_bins)}


def _some(predictions: Predictions) -> Predictions:
    """As many rows as are fitted to."""
    return spread_rows(predictions, max(1, LARGEST_FIT // predictions.n_classes))


def summarise(predictions: Predictions, *, n_bins: int) -> dict[str, object]:
    """Measure everything that :func:`adafocal.calibration.evaluate` does, and the error; fractions and nats."""
    summary = evaluate(predictions, n_bins=n_bins)
    return {"error": 1.0 - summary.accuracy, **summary.to_dict()}
