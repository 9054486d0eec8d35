# SPDX-License-Identifier: Apache-2.0
"""What records show of themselves in a notebook: small tables, and frames of pandas or polars."""

import importlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from adafocal._text import cleaned, listed, short
from adafocal.errors import MissingPackageError

# No colours of our own: text and lines take those of the notebook, light or dark.
LINE = "border-bottom:1px solid rgba(128,128,128,.35)"
CELL = f"padding:.15em .6em;background:none;{LINE};white-space:nowrap"
LONGEST_CELL = 60


def table_html(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Lay out a small table; every text is escaped.

    Args:
        title: Sentence above it.
        headings: Headings of the columns; empty for none.
        rows: The first cell of each is its name.
        notes: Sentences below it.

    Example:
        >>> "a&lt;b" in table_html("", ["x"], [["a<b"]])
        True
    """
    parts = [f"<p style='margin:.2em 0;white-space:pre-line'>{_text(title, None)}</p>"] if title else []
    if headings:
        cells = "".join(_cell("th", text, place) for place, text in enumerate(headings))
        parts.append(f"<table style='border-collapse:collapse;font-variant-numeric:tabular-nums'><tr>{cells}</tr>")
        for row in rows:
            cells = "".join(_cell("th" if not place else "td", text, place) for place, text in enumerate(row))
            parts.append(f"<tr style='background:none'>{cells}</tr>")
        parts.append("</table>")
    parts += [f"<p style='margin:.2em 0;opacity:.75;font-size:90%'>{_text(note, None)}</p>" for note in notes]
    return f"<div style='overflow-x:auto'>{''.join(parts)}</div>"


def _cell(tag: str, text: str, place: int) -> str:
    return f"<{tag} style='{CELL};text-align:{'right' if place else 'left'}'>{_text(text, LONGEST_CELL)}</{tag}>"


def _text(text: str, longest: int | None) -> str:
    return escape(cleaned(text) if longest is None else short(text, longest))


def record_html(record: Any) -> str:
    """Say what a record of predictions or outcomes holds."""
    rows = [("rows", f"{record.n:,}")]
    if hasattr(record, "n_classes"):
        rows += [("classes", f"{record.n_classes:,}"), ("held", record.kind)]
        rows += [] if record.classes is None else [("names", listed(record.classes))]
    if record.weight is not None:
        rows.append(("sum of weights", f"{float(record.weight.double().sum()):,.6g}"))
    if record.cluster is not None:
        rows.append(("clusters", f"{len(set(record.cluster.tolist())):,}"))
    rows.append(("mean confidence", f"{100 * float(record.confidence.double().mean()):.2f} %"))
    known = getattr(record, "labelled", True)
    rows.append(("accuracy", f"{100 * float(record.correct.double().mean()):.2f} %" if known else "no labels"))
    return table_html("", (type(record).__name__, ""), rows)


def frame(columns: Mapping[str, Sequence[object]]) -> Any:
    """Make a frame of columns: of pandas where it is installed, else of polars.

    Raises:
        ModuleNotFoundError: If neither is, with what to install.
    """
    for name in ("pandas", "polars"):
        try:
            library = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            continue
        return library.DataFrame({key: list(values) for key, values in columns.items()})
    raise MissingPackageError("pandas or polars is not installed: run `pip install pandas`.", name="pandas")
