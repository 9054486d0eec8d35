# SPDX-License-Identifier: Apache-2.0
"""Figures of a run or study as files that fit a two-column paper."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path

from adafocal._checks import check_choice, require
from adafocal._files import atomic_path, child
from adafocal.measures import MEASURES
from adafocal.report import plots
from adafocal.report.svg import STYLE, Figure, drawn
from adafocal.results.contents import Contents, Experiment, read_contents
from adafocal.results.outcome import SMALL_MULTIPLES

FORMATS = ("pdf", "svg", "png")
WIDTHS = {"single": 3.25, "double": 6.75}  # inches: one column of a two-column page, and both
PER_ROW = {"single": 2, "double": 4}
TEXTS = ("axes.labelsize", "axes.titlesize", "font.size", "legend.fontsize", "xtick.labelsize", "ytick.labelsize")
PAPER_STYLE = {
    **STYLE,
    **dict.fromkeys(TEXTS, 8),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor"), "white"),
    # TrueType: publishers refuse the default, Type 3.
    **dict.fromkeys(("pdf.fonttype", "ps.fonttype"), 42),
    "figure.dpi": 300,
    "legend.handlelength": 1.6,
    "svg.hashsalt": "adafocal",
}


@dataclass(frozen=True)
class PaperFigure:
    """A figure that can be written.

    Attributes:
        name: File name without suffix; names of losses and experiments in it may be any text.
        height: Height in inches.
        draw: Draws onto an empty matplotlib figure.
    """

    name: str
    height: float
    draw: Callable[[Figure], None]


def write_figures(
    folder: str | Path, output: str | Path, *, file_format: str = "pdf", column: str = "single"
) -> list[Path]:
    """Write the figures of a run or study folder for a two-column paper.

    Widths are 3.25 inches for one column and 6.75 for both, texts have 8 points, fonts are embedded as TrueType, and
    colours are those of the light page. The same folder gives the same bytes.

    Args:
        folder: A finished run folder, or a study folder with at least one finished run.
        output: The folder to write to.
        file_format: ``pdf``, ``svg`` or ``png`` (300 dots per inch).
        column: ``single`` or ``double``.

    Returns:
        The files: reliability diagrams of all losses, risk-coverage and training curves, gammas of each adaptive loss,
        classes (up to 20 of them), and average ranks where the study has some.

    Raises:
        ValueError: If the folder is neither, nothing in it is finished, or an option is unknown.
        ModuleNotFoundError: Without matplotlib, with the command that installs it.
    """
    check_choice("format", file_format, FORMATS)
    check_choice("column", column, tuple(WIDTHS))
    return [
        _write(figure, child(output, figure.name, suffix=f".{file_format}"), column)
        for figure in paper_figures(read_contents(folder), column)
    ]


def paper_figures(contents: Contents, column: str) -> list[PaperFigure]:
    """List the figures that the contents have, not yet drawn."""
    figures = []
    for experiment in contents.experiments:
        prefix = f"{experiment.name}-" if len(contents.experiments) > 1 else ""
        figures += _of_experiment(experiment, prefix, column)
    for metric, ranks in contents.comparison.rank_tables.items() if contents.comparison else ():
        height = 0.7 + 0.14 * len(ranks.losses)
        figures.append(PaperFigure(f"ranks-{metric}", height, _alone(plots.plot_ranks, ranks)))
    return figures


def _of_experiment(experiment: Experiment, prefix: str, column: str) -> list[PaperFigure]:
    losses, per_row = experiment.losses, PER_ROW[column]
    n_curves, n_classes = len(plots.curves_of(losses)), {run.outcome.n_classes for run in experiment.runs}
    figures = [
        PaperFigure(
            "reliability", 2.3 * ceil(len(losses) / per_row), partial(_reliability, of=experiment, per_row=per_row)
        ),
        PaperFigure("risk_coverage", 2.3, _alone(plots.plot_risk_coverage, losses)),
    ]
    if n_curves:
        height = (2.0 if column == "double" else 1.7 * n_curves) + 0.3
        figures.append(PaperFigure("training", height, partial(_training, of=experiment, column=column)))
    for loss, run in plots.adaptive_runs(losses):
        name = f"gammas-{run.loss}" if loss.title == run.title else f"gammas-{run.path.name}"
        figures.append(PaperFigure(name, 2.3, _alone(plots.plot_gammas, run)))
    if len(n_classes) == 1 and max(n_classes) <= SMALL_MULTIPLES:
        height = 1.25 * ceil(max(n_classes) / (per_row + 1)) + 0.5
        figures.append(PaperFigure("classes", height, partial(_classes, of=experiment, columns=per_row + 1)))
    return [replace(figure, name=prefix + figure.name) for figure in figures]


def _alone(plot: Callable[..., None], of: object) -> Callable[[Figure], None]:
    """Let one diagram fill the figure."""
    return lambda figure: plot(figure.subplots(), of)


def _reliability(figure: Figure, of: Experiment, per_row: int) -> None:
    losses = of.losses
    columns, rows = min(per_row, len(losses)), ceil(len(losses) / per_row)
    grid = figure.subplots(2 * rows, columns, sharex=True, squeeze=False, height_ratios=[3, 1] * rows)
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        axes = list(grid[2 * row : 2 * row + 2, column])
        if index >= len(losses):
            for ax in axes:
                ax.set_visible(False)
            continue
        outcome = losses[index].outcome
        plots.plot_reliability(axes, outcome.stats, outcome.curve, index, independent=outcome.independent)
        axes[0].set_title(
            f"{drawn(losses[index].title)}\n{plots.reliability_summary(losses[index].mean(MEASURES['ece']))}"
        )
        axes[0].set(yticks=[0, 0.5, 1], xticks=[0, 0.5, 1])
        axes[1].xaxis.set_tick_params(labelbottom=True)
        if column > 0:
            axes[0].set(ylabel="", yticklabels=[])
            axes[1].set_ylabel("")


def _training(figure: Figure, of: Experiment, column: str) -> None:
    curves = plots.curves_of(of.losses)
    shape = (1, len(curves)) if column == "double" else (len(curves), 1)
    axes = figure.subplots(*shape, squeeze=False).flatten()
    for ax, (name, _, scale, unit, from_zero) in zip(axes, curves, strict=True):
        plots.plot_curve(ax, of.losses, name, scale, f"validation {unit}" if name[:3] == "val" else unit, from_zero)
    if column == "single":
        for ax in axes[:-1]:
            ax.set_xlabel("")
    if len(of.losses) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2 if column == "single" else 5)


def _classes(figure: Figure, of: Experiment, columns: int) -> None:
    names = of.losses[0].runs[0].class_names
    outcomes = [(loss.title, loss.outcome) for loss in of.losses]
    columns = min(columns, len(names))
    plots.plot_classes(figure, plots.binned(outcomes), names, columns, size=8, longest=14, legend=columns - 1)


def _write(drawing: PaperFigure, path: Path, column: str) -> Path:
    matplotlib = require("matplotlib")
    figure_module = require("matplotlib.figure")
    with matplotlib.rc_context(PAPER_STYLE):
        figure = figure_module.Figure(figsize=(WIDTHS[column], drawing.height), layout="constrained")
        drawing.draw(figure)
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[path.suffix[1:]]
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=metadata)
    return path
