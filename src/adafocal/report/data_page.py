# SPDX-License-Identifier: Apache-2.0
"""The HTML file of what would be trained on: where it lies, its parts and classes, and some of it to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adafocal._files import write_text
from adafocal._text import capital, short, told_apart
from adafocal.data.overview import Overview, Sample
from adafocal.report.html import is_base64, render_page
from adafocal.report.tables import MAX_CLASSES, Cell, Row, Table

LONGEST_TEXT = 300


@dataclass(frozen=True)
class _Shown:
    row: int
    label: str
    image: str
    text: str
    alt: str


def write_data_page(
    overview: Overview, samples: Sequence[Sample], path: str | Path, *, title: str, command: str
) -> None:
    """Write what :func:`adafocal.data.overview.overview_of` found, and samples, as one self-contained file.

    Args:
        overview: What would be trained on.
        samples: What is shown of it.
        path: The HTML file.
        title: Name of the data and of the network.
        command: What made it, shown at the end.

    Raises:
        ModuleNotFoundError: Without jinja2, with the command that installs it.
    """
    shown = [_shown(sample) for sample in samples]
    pictures = any(one.image for one in shown)
    values = {
        "title": f"Data: {short(title)}",
        "lead": "What would be trained on. Nothing has been trained.",
        "facts": {capital(name): text for name, text in overview.facts.items()},
        "notes": overview.notes,
        "classes": class_table(overview),
        "examples": [one for one in shown if one.image or one.text],
        "examples_caption": _caption(overview, pictures=pictures),
        "pictures": pictures,
        "command": command,
    }
    write_text(path, render_page("data.html", values))


def class_table(overview: Overview) -> Table:
    """Lay out how many samples of each class are in each part, and their share of the training part."""
    train = overview.counts["train"]
    names = told_apart(overview.classes)
    rows = []
    for place, name in list(enumerate(names))[:MAX_CLASSES]:
        counts = [held[place] for held in overview.counts.values()]
        share = 100 * train[place] / max(1, sum(train))
        rows.append(Row(name, [*(Cell(f"{count:,}", count) for count in counts), Cell(f"{share:.1f}", share)]))
    caption = f"{capital(overview.unit)} of each class in each part."
    if len(names) > MAX_CLASSES:
        caption += f" The first {MAX_CLASSES:,} of {len(names):,} classes."
    headings = ["Class", *map(capital, overview.counts), "Train %"]
    return Table("classes", f"{capital(overview.unit)} by class and part", caption, headings, rows)


def _caption(overview: Overview, *, pictures: bool) -> str:
    if overview.unit == "voxels":
        return "The middle of the first volumes of the training part."
    how = "before they are scaled" if pictures else "as the network reads them"
    return f"The first samples of each class in the training part, {how}."


def _shown(sample: Sample) -> _Shown:
    label = short(sample.label)
    return _Shown(
        sample.row,
        label,
        sample.image if is_base64(sample.image) else "",
        short(sample.text, LONGEST_TEXT),
        f"Training sample of row {sample.row}{f', a {label}' if label else ''}.",
    )
