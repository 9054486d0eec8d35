# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for a run or a study."""

import json
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from adafocal._checks import require
from adafocal._files import write_text
from adafocal.calibration import binned_error, reliability_from_bins
from adafocal.report.contents import Contents, RunContents, pooled_stats, read_contents
from adafocal.report.figures import draw_counts, draw_curves, draw_gammas, draw_reliability
from adafocal.report.svg import SERIES, svg_figure


def write_page(folder: str | Path, output: str | Path | None = None) -> Path:
    """Write the page of a run or study folder, from its files alone.

    Args:
        folder: A finished run folder, or a study folder with at least one finished run.
        output: The HTML file; None writes ``report.html`` into the folder.

    Returns:
        The path of the page.

    Raises:
        ValueError: If the folder is neither, or nothing in it is finished.
        ModuleNotFoundError: Without matplotlib or jinja2, with the command that installs them.
    """
    contents = read_contents(folder)
    path = Path(output) if output is not None else Path(folder) / "report.html"
    write_text(path, render(contents))
    return path


def render(contents: Contents) -> str:
    """Give the page as a string; everything from files is escaped."""
    jinja2 = require("jinja2", extra="report")
    place = files("adafocal.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(place.joinpath("page.html").read_text(encoding="utf-8"))
    html: str = template.render(
        title=contents.title,
        style=place.joinpath("page.css").read_text(encoding="utf-8"),
        lead=_lead(contents),
        columns=[heading for _, heading, _, _ in COLUMNS],
        compared=[heading for _, heading, _, _ in COMPARED],
        rows=_result_rows(contents),
        differences=_difference_rows(contents),
        baseline=_baseline_title(contents),
        reliability=[_reliability_figure(runs, index) for index, runs in enumerate(contents.losses.values())],
        curves=[_curve_figure(contents, *column) for column in CURVES],
        gammas=[_gamma_figure(run) for run in _adaptive_runs(contents)],
        settings=yaml.safe_dump(contents.settings, sort_keys=False, allow_unicode=True),
        command=shlex.join(contents.provenance["command"]),
        provenance=json.dumps({k: v for k, v in contents.provenance.items() if k != "command"}, indent=2),
        several=contents.comparison is not None,
    )
    return html


COLUMNS = (
    ("error", "Error %", 100, 2),
    ("ece", "ECE %", 100, 2),
    ("ece_equal_mass", "ECE, equal mass %", 100, 2),
    ("nll", "NLL", 1, 3),
    ("overconfidence", "Conf. − acc. %", 100, 2),
    ("ece_scaled", "ECE % after T", 100, 2),
    ("temperature", "T", 1, 2),
)
COMPARED = COLUMNS[:4]
CURVES = (("val_ece", "Validation ECE over epochs", 100, "ECE %"), ("val_nll", "Validation NLL over epochs", 1, "NLL"))


def _lead(contents: Contents) -> str:
    first = contents.runs[0]
    sizes, seeds = first.summary["sizes"], sorted({run.summary["seed"] for run in contents.runs})
    return (
        f"{first.settings['model']} on {first.settings['data']['name']}: {sizes['train']} training, "
        f"{sizes['validation']} validation and {sizes['test']} test samples, {first.settings['epochs']} epochs, "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}. All numbers below are on the test part."
    )


def _result_rows(contents: Contents) -> list[dict[str, Any]]:
    if contents.comparison is None:
        summary = contents.runs[0].summary
        test = {**summary["test"], "ece_scaled": summary["test_scaled"]["ece"], "temperature": summary["temperature"]}
        cells = [_number(scale * test[metric], digits) for metric, _, scale, digits in COLUMNS]
        return [{"title": contents.runs[0].title, "cells": cells, "series": 0}]
    return [
        {
            "title": entry["title"],
            "cells": [_spread(entry["metrics"][metric], scale, digits) for metric, _, scale, digits in COLUMNS],
            "series": index,
        }
        for index, entry in enumerate(contents.entries)
    ]


def _spread(value: dict[str, float], scale: float, digits: int) -> str:
    if value["n"] == 1:
        return _number(scale * value["mean"], digits)
    return f"{_number(scale * value['mean'], digits)} ± {scale * value['std']:.{digits}f}"


def _number(value: float, digits: int, *, sign: str = "-") -> str:
    """Format with a true minus sign."""
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def _interval(low: float | None, high: float | None, scale: float, digits: int) -> str:
    if low is None or high is None:
        return "one seed: no interval"
    return f"[{_number(scale * low, digits, sign='+')}, {_number(scale * high, digits, sign='+')}]"


def _difference_rows(contents: Contents) -> list[dict[str, Any]]:
    if contents.comparison is None:
        return []
    return [
        {
            "title": entry["title"],
            "cells": [
                {
                    "text": _number(scale * value["mean"], digits, sign="+"),
                    "interval": _interval(value["low"], value["high"], scale, digits),
                    "verdict": value["verdict"],
                }
                for metric, _, scale, digits in COMPARED
                for value in [entry["versus_baseline"][metric]]
            ],
        }
        for entry in contents.entries
        if entry["versus_baseline"]
    ]


def _baseline_title(contents: Contents) -> str:
    return next((entry["title"] for entry in contents.entries if entry["versus_baseline"] == {}), "")


def _reliability_figure(runs: list[RunContents], index: int) -> dict[str, str]:
    stats = pooled_stats(runs)
    data, color = reliability_from_bins(stats), SERIES[index % len(SERIES)]
    with svg_figure(f"reliability-{index}", width=3.6, height=4.0, rows=[3.0, 1.0]) as drawing:
        draw_reliability(drawing.axes[0], data, color=color)
        draw_counts(drawing.axes[1], data, color=color)
    ece = 100 * float(binned_error(stats))
    table = zip(data.confidence.tolist(), data.accuracy.tolist(), data.count.tolist(), strict=True)
    return {
        "title": runs[0].title,
        "svg": drawing.svg,
        "caption": f"{int(stats.count.sum())} predictions, pooled over {len(runs)} "
        f"run{'s' if len(runs) > 1 else ''}; pooled ECE {ece:.2f} %.",
        "alt": f"Reliability diagram of {runs[0].title}: "
        + "; ".join(f"confidence {c:.2f}, accuracy {a:.2f}, {n} samples" for c, a, n in table),
    }


def _curve_figure(contents: Contents, column: str, title: str, scale: float, unit: str) -> dict[str, str]:
    ends = []
    with svg_figure(column, width=4.2, height=3.1) as drawing:
        for index, runs in enumerate(contents.losses.values()):
            values = [[scale * row[column] for row in run.history] for run in runs]
            epochs = [row["epoch"] + 1 for row in runs[0].history]
            draw_curves(drawing.axes[0], epochs, values, label=runs[0].title, color=SERIES[index % len(SERIES)])
            ends.append(f"{runs[0].title} ends at {sum(v[-1] for v in values) / len(values):.3g}")
        drawing.axes[0].set(xlabel="epoch", ylabel=unit, ylim=(0, None))
        drawing.axes[0].legend()
    caption = "Mean over seeds; the band is the range." if contents.comparison else ""
    return {"title": title, "svg": drawing.svg, "caption": caption, "alt": f"{title}: {'; '.join(ends)}."}


def _adaptive_runs(contents: Contents) -> list[RunContents]:
    """Give the first run of each loss that has gammas."""
    return [runs[0] for runs in contents.losses.values() if "gamma_0" in runs[0].history[0]]


def _gamma_figure(run: RunContents) -> dict[str, str]:
    names = [name for name in run.history[0] if name.startswith("gamma_")]
    gammas = [[row[name] for name in names] for row in run.history]
    with svg_figure(f"gammas-{run.folder.name}", width=4.2, height=3.1) as drawing:
        draw_gammas(drawing.axes[0], [row["epoch"] + 1 for row in run.history], gammas)
    last = ", ".join(f"{gamma:.2f}" for gamma in gammas[-1])
    return {
        "title": f"{run.title}: gamma per bin over epochs (seed {run.summary['seed']})",
        "svg": drawing.svg,
        "caption": "Orange is inverse focal (γ < 0), which raises confidence; purple is focal, which lowers it.",
        "alt": f"Gamma per bin over epochs; after the last epoch from the lowest to the highest bin: {last}.",
    }
