# SPDX-License-Identifier: Apache-2.0
"""The numbers of predictions that runs and studies report, and what the best scaling makes of them; trains nothing."""

from adafocal.calibration import evaluate
from adafocal.predictions import Predictions
from adafocal.scaling import METHODS
from adafocal.scaling.remedy import find_remedy
from adafocal.scaling.sample import spread_rows

LARGEST_FIT = 20_000_000  # numbers that a scaling is fitted to; of more, rows spread over all


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
