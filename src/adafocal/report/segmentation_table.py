# SPDX-License-Identifier: Apache-2.0
"""Overlap, distance, topology and voxel calibration of segmentations as rows of a table."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from adafocal.report.tables import Cell, Row, Table

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


CAPTION = (
    "Mean over test cases and classes, ± standard deviation over seeds where there are several. Dice is overlap, "
    "higher is better. HD95 is the distance of the surfaces in voxels. Components, tunnels and cavities: by how "
    "many the predicted mask has too many or too few. Calibration of voxels is pooled over all cases, or the mean "
    "of the cases' own errors; predicted foreground leaves out voxels that are called background."
)


def segmentation_table(summaries: Mapping[str, Sequence[Mapping[str, Any]]], *, name: str) -> Table | None:
    """Give one row per loss, mean and standard deviation over its runs.

    Args:
        summaries: What ``summary.json`` holds of each run, under the title of the loss.
        name: Identifier of the table on the page.

    Returns:
        The table; None where no run labels voxels.
    """
    rows = []
    for index, (title, runs) in enumerate(summaries.items()):
        found = [run["segmentation"] for run in runs if "segmentation" in run]
        if found:
            cells = [
                _cell([part[place][name] for part in found], scale, digits)
                for _, (place, name), scale, digits in COLUMNS
            ]
            rows.append(Row(title, cells, index))
    return Table(name, "Segmentation", CAPTION, ["Loss", *HEADINGS], rows) if rows else None


def _cell(values: Sequence[float | None], scale: float, digits: int) -> Cell:
    known = [scale * value for value in values if value is not None]
    if not known:
        return Cell("–")
    spread = f" ± {stdev(known):.{digits}f}" if len(known) > 1 else ""
    return Cell(f"{mean(known):.{digits}f}{spread}", mean(known))
