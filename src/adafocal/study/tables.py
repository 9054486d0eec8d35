# SPDX-License-Identifier: Apache-2.0
"""The papers' tables: a row per data set and network, a column per loss, means over seeds, the best in bold.

``tables/ece`` shows the calibration error before → after temperature scaling, with the temperature in parentheses,
``tables/error`` the test error, ``tables/scaling`` the likelihood as trained → after temperature → after the best
scaling; each as CSV (plain numbers), LaTeX (a tabular without packages) and Markdown.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import TypeAlias

from adafocal._files import child, write_text
from adafocal._text import printable
from adafocal.data import DATASETS
from adafocal.measures import COMPARED, OF_RUNS, UNDEFINED
from adafocal.models import MODELS
from adafocal.results.comparison import Comparison, Spread
from adafocal.study.latex import latex

Values: TypeAlias = Mapping[str, Spread]  # by metric
NOTHING = Spread(nan, nan)


@dataclass(frozen=True)
class Layout:
    """What the cells of a table show.

    Attributes:
        caption: What the table shows, in words.
        metrics: Metrics of a cell, in order; the best of those that are compared is bold, with its spread over seeds.
        joined: Puts the texts of the metrics together.
        which: Whether titles of losses say what their best scalings are.
    """

    caption: str
    metrics: tuple[str, ...]
    joined: Callable[..., str]
    which: bool = False


TABLES = {
    "ece": Layout(
        "Test ECE in percent, before → after temperature scaling (temperature)",
        ("ece", "ece_scaled", "temperature"),
        "{} → {} ({})".format,
    ),
    "error": Layout("Test error in percent", ("error",), "{}".format),
    "scaling": Layout(
        "Test NLL as trained → after temperature scaling → after the best scaling, fitted on validation data",
        ("nll", "nll_scaled", "nll_best_scaled"),
        "{} → {} → {}".format,
        which=True,
    ),
}


@dataclass(frozen=True)
class Table:
    """A table of the papers' layout.

    Attributes:
        layout: What its cells show.
        labels: Titles of the columns that name a row.
        losses: Titles of the columns of losses.
        rows: Labels of each row, and per loss its values by metric; None where there is no run.
    """

    layout: Layout
    labels: list[str]
    losses: list[str]
    rows: list[tuple[list[str], list[Values | None]]]

    @property
    def spread(self) -> bool:
        """Whether some numbers are means over several seeds."""
        return any(one.n > 1 for _, row in self.rows for values in row if values for one in values.values())

    @property
    def caption(self) -> str:
        """What the table shows, in words."""
        how = "mean ± standard deviation over seeds" if self.spread else "means over seeds"
        return f"{self.layout.caption}; {how}"

    def cells(self, row: Sequence[Values | None], *, bold: Callable[[str], str], spread: bool = True) -> list[str]:
        """Write out a row's losses, the best in bold; equal texts are equally good.

        Args:
            row: Values of each loss.
            bold: Makes a text bold.
            spread: Whether standard deviations over seeds are written, where there are several.
        """
        texts = {
            metric: [None if values is None else OF_RUNS[metric].text(values[metric].mean) for values in row]
            for metric in self.layout.metrics
        }
        for metric in filter(COMPARED.__contains__, self.layout.metrics):
            shown = texts[metric]
            held = [text for text in shown if text not in (None, UNDEFINED)]
            best = min(held, key=float) if len(held) > 1 else None
            texts[metric] = [
                None if text is None or values is None
                else (bold(text) if text == best else text) + (_deviation(metric, values[metric]) if spread else "")
                for text, values in zip(shown, row, strict=True)
            ]  # fmt: skip
        columns = zip(*texts.values(), strict=True)
        return ["" if parts[0] is None else self._joined([str(part) for part in parts]) for parts in columns]

    def _joined(self, parts: Sequence[str]) -> str:
        """One number alone where the others are not defined, as of predictions that are scaled already."""
        return parts[0] if all(part == UNDEFINED for part in parts[1:]) else self.layout.joined(*parts)


def _deviation(metric: str, value: Spread) -> str:
    return f" ± {OF_RUNS[metric].text(value.std)}" if value.n > 1 and not isnan(value.std) else ""


def make_table(comparison: Comparison, layout: Layout) -> Table:
    """Arrange a comparison in the papers' layout.

    Args:
        comparison: What was compared.
        layout: One of ``TABLES``.

    Returns:
        One row per experiment; where data set and network do not tell rows apart, a third column does.
    """
    experiments = comparison.experiments
    titles = {loss: _line(title) for loss, title in comparison.titles.items()}
    if layout.which:  # rows after a best scaling say the same once more
        titles = {loss: _line(f"{titles[loss]}{said}") for loss, said in _best_scalings(comparison).items()}
    labels = [
        [
            _line(DATASETS[e.dataset].title if e.dataset in DATASETS else e.dataset),
            _line(MODELS[e.model].title if e.model in MODELS else e.model),
        ]
        for e in experiments
    ]
    names = ["data", "network"]
    if len({tuple(label) for label in labels}) < len(labels):
        names.append("setting")
        settings = [", ".join(f"{name} {value}" for name, value in e.varied.items()) or e.name for e in experiments]
        labels = [[*label, _line(setting)] for label, setting in zip(labels, settings, strict=True)]
    rows: list[tuple[list[str], list[Values | None]]] = []
    for label, experiment in zip(labels, experiments, strict=True):
        known = {entry.loss: entry.metrics for entry in experiment.rows}
        held: list[Values | None] = [
            {name: known[loss].get(name, NOTHING) for name in layout.metrics} if loss in known else None
            for loss in titles
        ]
        rows.append((label, held))
    return Table(layout, names, list(titles.values()), rows)


def _best_scalings(comparison: Comparison) -> dict[str, str]:
    """What to add to the title of each loss: the best scalings of its runs on all experiments."""
    found: dict[str, dict[str, None]] = {}
    for experiment in comparison.experiments:
        for entry in experiment.losses:
            methods = entry.best_scaling.split(" or ") if entry.best_scaling else []
            found.setdefault(entry.loss, {}).update(dict.fromkeys(methods))
    return {loss: f" (best: {' or '.join(methods)})" if methods else "" for loss, methods in found.items()}


def write_tables(folder: Path, comparison: Comparison) -> None:
    """Write every table in every format into a folder."""
    for name, layout in TABLES.items():
        table = make_table(comparison, layout)
        for suffix, text in (("csv", as_csv(table)), ("tex", as_latex(table)), ("md", as_markdown(table))):
            write_text(child(folder, name, suffix=f".{suffix}"), text)


def as_csv(table: Table) -> str:
    """Plain numbers, in the units of the caption: a column per loss and metric, after them standard deviations."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    metrics = [(loss, metric) for loss in table.losses for metric in table.layout.metrics]
    names = [f"{loss}: {OF_RUNS[metric].heading}" for loss, metric in metrics]
    deviations = [f"{name}, standard deviation" for name in names] if table.spread else []
    writer.writerow([*table.labels, *names, *deviations])
    for labels, row in table.rows:
        held = [(metric, values[metric] if values else NOTHING) for values in row for metric in table.layout.metrics]
        numbers = [_number(metric, value.mean) for metric, value in held]
        numbers += [_number(metric, value.std) for metric, value in held] if table.spread else []
        writer.writerow([*labels, *numbers])
    return file.getvalue()


def _number(metric: str, value: float) -> str:
    return "" if isnan(value) else repr(OF_RUNS[metric].scale * value)


def as_latex(table: Table) -> str:
    """A ``tabular`` that needs no package."""
    columns = "l" * len(table.labels) + "r" * len(table.losses)
    lines = [
        f"% {table.caption.replace('→', '->').replace('±', '+-')}.",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
    ]
    rows = [[*map(latex, [*table.labels, *table.losses])]]
    for labels, row in table.rows:
        cells = table.cells(row, bold=r"\textbf{{{}}}".format)
        rows.append([*map(latex, labels), *(cell.replace("→", r"$\to$").replace("±", r"$\pm$") for cell in cells)])
    head, *body = [" & ".join(cells) + r" \\" for cells in rows]
    return "\n".join([*lines, head, r"\hline", *body, r"\hline", r"\end{tabular}"]) + "\n"


def as_markdown(table: Table) -> str:
    """A table of GitHub's Markdown."""
    head = [*map(markdown, [*table.labels, *table.losses])]
    rule = ["---"] * len(table.labels) + ["---:"] * len(table.losses)
    rows = [[*map(markdown, labels), *table.cells(row, bold="**{}**".format)] for labels, row in table.rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
    return f"{table.caption}.\n\n" + "\n".join(lines) + "\n"


def markdown(text: str) -> str:
    """Escape what has a meaning within a cell."""
    return "".join(f"\\{character}" if character in r"\|*_`<>[]" else character for character in text)


def _line(text: str) -> str:
    """Put a name on one line: the end of a line is the end of a row in two of the formats."""
    return printable(" ".join(text.split()))
