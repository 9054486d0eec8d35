# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for what ``adafocal evaluate`` measured."""

from collections.abc import Sequence
from importlib.resources import files as package_files
from pathlib import Path

from adafocal._checks import require
from adafocal._files import write_text
from adafocal.calibration import reliability_from_bins
from adafocal.report.evaluation import ALL, Measured
from adafocal.report.figures import draw_counts, draw_reliability
from adafocal.report.svg import SERIES, svg_figure
from adafocal.report.terminal import STREAM_NOTE, group_rows, headline, measure_rows


def write_evaluation(
    path: str | Path, measured: dict[str, Measured], *, event: str, files: Sequence[str | Path]
) -> None:
    """Write the page: measures with intervals, reliability diagram, groups. Text from data is escaped.

    Args:
        path: The HTML file.
        measured: As ``measure`` gives it.
        event: What is calibrated, in words.
        files: Where the predictions came from.

    Raises:
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    jinja2 = require("jinja2", extra="report")
    place = package_files("adafocal.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(place.joinpath("evaluation.html").read_text(encoding="utf-8"))
    whole = measured[ALL]
    groups = {name: part.summary for name, part in measured.items() if name != ALL}
    titles, rows = group_rows(groups)
    svg, alt = _diagram(whole)
    page = template.render(
        title="Calibration of " + (Path(files[0]).name if len(files) == 1 else f"{len(files)} files"),
        style=place.joinpath("page.css").read_text(encoding="utf-8"),
        lead=headline(whole, event),
        rows=measure_rows(whole),
        note="" if whole.exact else STREAM_NOTE,
        svg=svg,
        alt=alt,
        group_titles=titles,
        groups=rows,
        files="\n".join(map(str, files)),
    )
    write_text(path, page)


def _diagram(whole: Measured) -> tuple[str, str]:
    data = reliability_from_bins(whole.bins)
    with svg_figure("reliability", width=4.6, height=5.0, rows=[3.0, 1.0]) as drawing:
        draw_reliability(drawing.axes[0], data, color=SERIES[0])
        draw_counts(drawing.axes[1], data, color=SERIES[0])
    table = zip(data.confidence.tolist(), data.accuracy.tolist(), data.count.tolist(), strict=True)
    points = "; ".join(f"confidence {c:.2f}, accuracy {a:.2f}, {n} samples" for c, a, n in table)
    return drawing.svg, f"Reliability diagram: {points}"
