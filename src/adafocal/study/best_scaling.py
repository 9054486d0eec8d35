# SPDX-License-Identifier: Apache-2.0
"""The best scaling after training, as a rival of every loss: what people would use instead of another loss.

It is chosen as ``adafocal evaluate`` recommends one, by cross-fitting on the rows that temperature is fitted to, fitted
to these, and applied to the test part, whose labels it never sees. What was found is kept in the run's folder.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import torch

from adafocal._files import write_text
from adafocal._records import as_record, to_plain
from adafocal.evaluation.remedy import find_remedy, titled
from adafocal.measures import OF_RUNS
from adafocal.predictions import Predictions
from adafocal.results.folder import SCALED, RunFolder
from adafocal.results.run import BestScaling
from adafocal.scaling.catalogue import METHODS
from adafocal.training.results import summarise

LARGEST_FIT = 20_000_000  # numbers; of more, rows spread over all are fitted to
SUFFIX = " + best scaling"
UNDEFINED = ("ece_scaled", "nll_scaled", "temperature")  # nothing is scaled twice


@dataclass(frozen=True)
class ScaledRun:
    """A run after its best scaling.

    Attributes:
        method: Name of the scaling; empty where none is better than none.
        metrics: Test metrics by name, as of a run.
    """

    method: str
    metrics: dict[str, float]


def scaled_run(run: RunFolder, *, keeps: bool) -> ScaledRun | None:
    """Read what the best scaling makes of a finished run, or find it.

    Args:
        run: The run.
        keeps: Whether what is found is kept in its folder.

    Returns:
        The run after it; None for volumes, of whose predictions a sample is kept.

    Raises:
        ValueError: If the predictions or what was kept are damaged.
    """
    if run.summary.segmentation is not None:
        return None
    held = run.best_scaling
    if held is None:
        held = find_best_scaling(run)
        if keeps:
            write_text(run / SCALED, json.dumps(to_plain(held), indent=2) + "\n")
    metrics = {name: nan if name in UNDEFINED else held.value(measure) for name, measure in OF_RUNS.items()}
    return ScaledRun(held.method, metrics)


def find_best_scaling(run: RunFolder) -> BestScaling:
    """Choose a scaling on the rows that temperature is fitted to, and measure what it makes of the test part.

    Choosing takes at most ten million numbers or so of these rows, and fitting at most twenty million.
    """
    part = run.part_for_scaling
    predictions, test = run.predictions(part), run.predictions("test")
    chosen = find_remedy(predictions, n_bins=run.settings.n_bins).chosen
    if chosen is not None:
        fitted = METHODS[chosen.method](_some(predictions), **chosen.options)
        test = fitted.apply(test)
    found = {
        "method": "" if chosen is None else chosen.method,
        "part": part,
        "rows": predictions.n,
        "test": summarise(test, n_bins=run.settings.n_bins),
    }
    return as_record(json.loads(json.dumps(found)), BestScaling, "a scaling must have results, got some")


def scaled_title(title: str, methods: Sequence[str]) -> str:
    """Name a loss after its best scaling, with the methods of its runs, the most frequent first.

    Example:
        >>> scaled_title("Cross-entropy", ["vector", "temperature", "vector"]), scaled_title("Brier", [""])
        ('Cross-entropy + best scaling (vector or temperature)', 'Brier + best scaling (none helps)')
    """
    names = [titled(method) if method else "none helps" for method, _ in Counter(methods).most_common()]
    return f"{title}{SUFFIX} ({' or '.join(names)})"


def _some(predictions: Predictions) -> Predictions:
    """At most so many rows, spread over all."""
    most = max(1, LARGEST_FIT // predictions.n_classes)
    if predictions.n <= most:
        return predictions
    return predictions[torch.linspace(0, predictions.n - 1, most).round().long()]
