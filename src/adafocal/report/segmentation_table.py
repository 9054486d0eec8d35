# SPDX-License-Identifier: Apache-2.0
"""Overlap, distance, topology and voxel calibration of segmentations as rows of a table."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

COLUMNS = (  # heading, place in the summary, scale, digits
    ("Dice", ("dice", "mean"), 1, 3),
    ("HD95", ("hausdorff95", "mean"), 1, 2),
    ("Components", ("betti0_error", "mean"), 1, 2),
    ("Tunnels", ("betti1_error", "mean"), 1, 2),
    ("Cavities", ("betti2_error", "mean"), 1, 2),
    ("ECE % pooled", ("voxels_pooled", "ece"), 100, 2),
    ("per case", ("voxels_per_case", "ece"), 100, 2),
    ("foreground", ("voxels_pooled", "ece_predicted_foreground"), 100, 2),
)
HEADINGS = tuple(heading for heading, *_ in COLUMNS)


def segmentation_rows(summaries: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Give one row per loss, mean and standard deviation over its runs.

    Args:
        summaries: What ``summary.json`` holds of each run, under the title of the loss.

    Returns:
        Rows with ``title`` and ``cells``, one per heading; none where no run labels voxels.
    """
    rows = []
    for title, runs in summaries.items():
        found = [run["segmentation"] for run in runs if "segmentation" in run]
        if found:
            cells = [
                _cell([part[place][name] for part in found], scale, digits)
                for _, (place, name), scale, digits in COLUMNS
            ]
            rows.append({"title": title, "cells": cells})
    return rows


def _cell(values: Sequence[float | None], scale: float, digits: int) -> str:
    known = [scale * value for value in values if value is not None]
    if not known:
        return "–"
    spread = f" ± {stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{mean(known):.{digits}f}{spread}"
