# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for out-of-distribution detection."""

from collections.abc import Sequence
from pathlib import Path

from adafocal._files import write_text
from adafocal.ood import ComparisonRow
from adafocal.ood.records import detection_record
from adafocal.report.html import render_page
from adafocal.report.ood_panels import detection_sections


def write_ood_page(
    rows: Sequence[ComparisonRow], path: str | Path, *, id_name: str, level: float, command: str
) -> None:
    """Write tables, ROC curves and score histograms.

    Args:
        rows: From :func:`adafocal.ood.compare_scores`.
        path: The HTML file.
        id_name: Name of the in-distribution set.
        level: Coverage of the intervals in ``rows``.
        command: What made it, shown at the end.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    values = {
        "title": f"Out-of-distribution detection: {id_name}",
        "lead": f"{rows[0].detection.n_id} in-distribution samples of {id_name}; the positive kind is the other.",
        "sections": detection_sections([detection_record(row) for row in rows], name="ood", level=level),
        "command": command,
    }
    write_text(path, render_page("ood.html", values))
