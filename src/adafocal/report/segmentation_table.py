# SPDX-License-Identifier: Apache-2.0
"""Overlap, distance, topology and voxel calibration of segmentations as rows of a table."""

from collections.abc import Mapping, Sequence
from math import isnan
from statistics import mean, stdev

from adafocal.measures import OF_MASKS, Measure
from adafocal.report.tables import Cell, Row, Table
from adafocal.results.run import Summary

CAPTION = (
    "Mean over test cases and classes, ± standard deviation over seeds where there are several. Dice is overlap, "
    "higher is better. HD95 is the distance of the surfaces in voxels. Components, tunnels and cavities: by how "
    "many the predicted mask has too many or too few. Calibration of voxels is pooled over all cases, or the mean "
    "of the cases' own errors; predicted foreground leaves out voxels that are called background."
)


def segmentation_table(summaries: Mapping[str, Sequence[Summary]], *, name: str) -> Table | None:
    """Give one row per loss, mean and standard deviation over its runs.

    Args:
        summaries: The results of each run, under the title of the loss.
        name: Identifier of the table on the page.

    Returns:
        The table; None where no run labels voxels.
    """
    rows = []
    for index, (title, runs) in enumerate(summaries.items()):
        found = [run for run in runs if run.segmentation is not None]
        if found:
            cells = [_cell([run.value(measure) for run in found], measure) for measure in OF_MASKS.values()]
            rows.append(Row(title, cells, index))
    headings = ["Loss", *(measure.on_page for measure in OF_MASKS.values())]
    return Table(name, "Segmentation", CAPTION, headings, rows) if rows else None


def _cell(values: Sequence[float], measure: Measure) -> Cell:
    known = [measure.scale * value for value in values if not isnan(value)]
    if not known:
        return Cell("–")
    spread = f" ± {stdev(known):.{measure.digits}f}" if len(known) > 1 else ""
    return Cell(f"{mean(known):.{measure.digits}f}{spread}", mean(known))
