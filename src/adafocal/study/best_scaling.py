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
from adafocal.results.folder import SCALED, RunFolder
from adafocal.results.run import BestScaling
from adafocal.scaling.remedy import titled
from adafocal.study.losses import SUFFIX
from adafocal.training.measured import best_scaling


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
    held = run.best_scaling or find_best_scaling(run)
    if keeps and not (run / SCALED).exists():
        write_text(run / SCALED, json.dumps(to_plain(held), indent=2) + "\n")
    return held


def find_best_scaling(run: RunFolder) -> BestScaling:
    """Find what newer runs have in their results: see :func:`~adafocal.training.measured.best_scaling`."""
    part = run.part_for_scaling
    found = best_scaling(run.predictions(part), run.predictions("test"), part=part, n_bins=run.settings.n_bins)
    return as_record(json.loads(json.dumps(found)), BestScaling, "a scaling must have results, got some")


def named_methods(methods: Sequence[str]) -> str:
    """Name the methods of runs, the most frequent first.

    Example:
        >>> named_methods(["vector", "temperature", "vector"]), named_methods(["isotonic_top_label", ""])
        ('vector or temperature', 'isotonic top label or none helps')
    """
    return " or ".join(titled(method) if method else "none helps" for method, _ in Counter(methods).most_common())


def scaled_title(title: str, methods: Sequence[str]) -> str:
    """Name a loss after its best scaling, with the methods of its runs, the most frequent first.

    Example:
        >>> scaled_title("Cross-entropy", ["vector", "temperature", "vector"]), scaled_title("Brier", [""])
        ('Cross-entropy + best scaling (vector or temperature)', 'Brier + best scaling (none helps)')
    """
    return f"{title}{SUFFIX} ({named_methods(methods)})"
