# SPDX-License-Identifier: Apache-2.0
"""The best scaling after training, as a rival of every loss: what people would use instead of another loss.

It is chosen as ``adafocal evaluate`` recommends one, by cross-fitting on the rows that temperature is fitted to, fitted
to these, and applied to the test part, whose labels it never sees. What was found is kept in the run's folder.
"""

import json
from collections import Counter
from collections.abc import Sequence

from adafocal._files import write_text
from adafocal._records import as_record, to_plain
from adafocal.predictions import Predictions
from adafocal.results.folder import SCALED, RunFolder
from adafocal.results.run import BestScaling
from adafocal.scaling.catalogue import METHODS
from adafocal.scaling.remedy import find_remedy, titled
from adafocal.scaling.sample import spread_rows
from adafocal.training.results import summarise

LARGEST_FIT = 20_000_000  # numbers; of more, rows spread over all are fitted to
SUFFIX = " + best scaling"


def scaled_run(run: RunFolder, *, keeps: bool) -> BestScaling | None:
    """Read what the best scaling makes of a finished run, or find it.

    Args:
        run: The run.
        keeps: Whether what is found is kept in its folder.

    Returns:
        What is left after it; None for volumes, of whose predictions a sample is kept.

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
    return held


def find_best_scaling(run: RunFolder) -> BestScaling:
    """Choose a scaling on the rows that temperature is fitted to, and measure what it makes of the test part.

    Choosing takes at most ten million numbers or so of these rows, and fitting at most twenty million.
    """
    part = run.part_for_scaling
    predictions, test = run.predictions(part), run.summary.test
    chosen = find_remedy(predictions, n_bins=run.settings.n_bins).chosen
    if chosen is not None:
        fitted = METHODS[chosen.method](_some(predictions), **chosen.options)
        test = summarise(fitted.apply(run.predictions("test")), n_bins=run.settings.n_bins)
    found = {
        "method": "" if chosen is None else chosen.method,
        "part": part,
        "rows": predictions.n,
        "test": test,
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
    """As many rows as are fitted to."""
    return spread_rows(predictions, max(1, LARGEST_FIT // predictions.n_classes))
