# SPDX-License-Identifier: Apache-2.0
"""Figures of the page: each an SVG with a title, a caption, and its numbers in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan
from statistics import fmean as mean

from adafocal._measure import p_text
from adafocal._text import short
from adafocal.calibration import BinStats, SmoothCurve, reliability_from_bins
from adafocal.measures import OF_RUNS
from adafocal.report import plots
from adafocal.report.svg import svg_figure
from adafocal.results.comparison import RankTable
from adafocal.results.contents import LossContents
from adafocal.results.outcome import Outcome
from adafocal.results.run import last_value

CLASS_COLUMNS = 5
LEGEND = 9  # points


@dataclass(frozen=True)
class Panel:
    """A figure of the page.

    Attributes:
        title: Its heading.
        svg: The drawing.
        caption: A sentence below it.
        alt: What it shows, in words and numbers, for those who do not see it.
        wide: Whether it takes the whole width.
    """

    title: str
    svg: str
    caption: str
    alt: str
    wide: bool = False


def reliability_panel(title: str, outcome: Outcome, *, ece: float, name: str, index: int, n_runs: int) -> Panel:
    """Show the reliability diagram of one loss, with the error that its table shows."""
    runs = f" of {n_runs} runs" if n_runs > 1 else ""
    caption = f"{outcome.n:,} predictions{runs}; {plots.reliability_summary(ece, n_runs)}."
    of = f" of {title}"
    stats, independent = outcome.stats, outcome.independent
    return diagram_panel(
        title, stats, outcome.curve, name=name, index=index, caption=caption, of=of, independent=independent
    )


def diagram_panel(
    title: str,
    stats: BinStats,
    curve: SmoothCurve | None,
    *,
    name: str,
    caption: str,
    index: int = 0,
    of: str = "",
    event: str = "accuracy",
    words: tuple[str, str] = ("confidence", "accuracy"),
    independent: bool = True,
    after: tuple[str, BinStats] | None = None,
) -> Panel:
    """Show a reliability diagram over the counts of its bins, and say its points in these words.

    Rows that are not independent, such as those of clusters, have no intervals of single bins.
    """
    with svg_figure(name, width=3.6, height=4.0, rows=[3.0, 1.0]) as drawing:
        plots.plot_reliability(
            drawing.axes, stats, curve, index, event=event, probability=words[0], independent=independent, after=after
        )
    data = reliability_from_bins(stats)
    points = zip(data.confidence.tolist(), data.accuracy.tolist(), data.count.tolist(), strict=True)
    said = "; ".join(f"{words[0]} {c:.2f}, {words[1]} {a:.2f}, {n:g} samples" for c, a, n in points)
    return Panel(title, drawing.svg, caption, f"Reliability diagram{of}: {said}.")


def class_panel(losses: Sequence[tuple[str, Outcome]], class_names: Sequence[str], *, name: str) -> Panel:
    """Show a small diagram of each class."""
    columns = min(CLASS_COLUMNS, len(class_names))
    rows = ceil(len(class_names) / columns)
    with svg_figure(name, width=2.0 * columns, height=1.75 * rows + 0.5, rows=[]) as drawing:
        plots.plot_classes(drawing.figure, plots.binned(losses), class_names, columns, size=10)
    errors = [
        f"{title}: "
        + ", ".join(f"{n} {e:.2f}" for n, e in zip(class_names, (100 * o.class_error).tolist(), strict=True))
        for title, o in losses
    ]
    alt = f"A small reliability diagram of each class. ECE of each class's probability in percent: {'; '.join(errors)}."
    return Panel("Each class for itself", drawing.svg, "", alt, wide=True)


def small_multiples(
    bins: Mapping[str, BinStats], *, name: str, title: str, of: str, caption: str, alt: str, independent: bool
) -> Panel:
    """Show a small diagram of each class or label, in the order of the mapping."""
    columns = min(CLASS_COLUMNS, len(bins))
    rows = ceil(len(bins) / columns)
    drawn = [("", plots.Binned(list(bins.values()), independent))]
    with svg_figure(name, width=2.0 * columns, height=1.75 * rows + 0.5, rows=[]) as drawing:
        plots.plot_classes(drawing.figure, drawn, list(bins), columns, size=10, of=of)
    return Panel(title, drawing.svg, caption, alt, wide=True)


def risk_coverage_panels(losses: Sequence[LossContents], *, name: str) -> list[Panel]:
    """Show which error is left when only the surest predictions are answered."""
    with svg_figure(name, width=3.6, height=2.9) as drawing:
        plots.plot_risk_coverage(drawing.axes[0], losses, size=LEGEND)
    areas = []
    for loss in losses:
        values = [run.outcome.aurc for run in loss.runs]
        areas.append(f"{loss.title} {100 * sum(values) / len(values):.2f}\u00a0%")
    caption = area_in_words(", ".join(areas)) + _over_seeds(losses)
    return [Panel("Risk and coverage", drawing.svg, caption, f"Risk-coverage curves. {caption}")]


def area_in_words(percent: str) -> str:
    """Say the area under a risk-coverage curve, or several by name."""
    return f"Area under the curve (AURC; lower is better): {percent}."


def curve_panels(losses: Sequence[LossContents], *, name: str) -> list[Panel]:
    """Show the history of training."""
    panels = []
    for column, title, scale, unit, from_zero in plots.curves_of(losses):
        with svg_figure(f"{name}-{column}", width=3.6, height=2.8) as drawing:
            plots.plot_curve(drawing.axes[0], losses, column, scale, unit, from_zero)
            plots.add_legend(drawing.axes[0], len(losses), LEGEND)
        ends = [
            f"{loss.title} ends at {scale * mean(last_value(run.history, column) for run in loss.runs):.3g}"
            for loss in losses
        ]
        panels.append(Panel(title, drawing.svg, _over_seeds(losses).strip(), f"{title}: {'; '.join(ends)}."))
    return panels


def gamma_panels(losses: Sequence[LossContents], *, name: str) -> list[Panel]:
    """Show the gammas of the first run of each loss that has some."""
    panels = []
    for index, (loss, run) in enumerate(plots.adaptive_runs(losses)):
        with svg_figure(f"{name}-{index}", width=3.6, height=2.8) as drawing:
            plots.plot_gammas(drawing.axes[0], run)
        title = f"{loss.title}: gamma per bin over epochs (seed {run.summary.seed})"
        caption = "Orange is inverse focal (γ < 0), which raises confidence; purple is focal, which lowers it."
        last = ", ".join(f"{gamma:.2f}" for gamma in plots.gammas_of(run)[-1][1:])
        alt = f"Gamma per bin over epochs; after the last epoch from the lowest to the highest bin: {last}."
        panels.append(Panel(title, drawing.svg, caption, alt))
    return panels


def rank_panels(ranks: Mapping[str, RankTable]) -> list[Panel]:
    """Show average ranks over experiments with the critical difference, for each metric that has some."""
    panels = []
    for metric, of_metric in ranks.items():
        with svg_figure(f"ranks-{metric}", width=4.5, height=0.9 + 0.15 * len(of_metric.losses)) as drawing:
            plots.plot_ranks(drawing.axes[0], of_metric)
        places = ", ".join(f"{short(entry.title)} {entry.rank:.2f}" for entry in of_metric.losses)
        p_value = "not defined" if isnan(of_metric.p_value) else p_text(of_metric.p_value)
        caption = f"{of_metric.n_experiments} experiments; p-value of the Friedman test: {p_value}."
        difference = f"Critical difference {of_metric.critical_difference:.2f}."
        alt = f"Average ranks, best first: {places}. {difference} {caption}"
        by = OF_RUNS[metric].on_page.replace(" %", "") if metric in OF_RUNS else short(metric)
        panels.append(Panel(f"Ranks by {by}", drawing.svg, caption, alt))
    return panels


def _over_seeds(losses: Sequence[LossContents]) -> str:
    several = any(len(loss.runs) > 1 for loss in losses)
    return " Mean over seeds; the band is the range." if several else ""
