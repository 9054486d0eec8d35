# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file for a run or a study."""

import json
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import yaml

from adafocal._files import write_text
from adafocal._text import capital, short, shown
from adafocal.data import DataConfig
from adafocal.measures import MEASURES
from adafocal.report import panels, tables
from adafocal.report.examples import worst_of
from adafocal.report.html import render_page
from adafocal.report.ood_page import detection_sections, study_sections
from adafocal.report.segmentation_figures import case_panels
from adafocal.report.segmentation_tables import case_table, worst_cases
from adafocal.results.comparison import Comparison
from adafocal.results.contents import Contents, Experiment, LossContents, read_contents
from adafocal.results.folder import PAGE, RunFolder
from adafocal.results.outcome import SMALL_MULTIPLES, Outcome

# By section of the page and name of the drawing: functions of an experiment's losses.
FIGURES: dict[str, dict[str, Callable[..., list[panels.Panel]]]] = {
    "risk": {"risk": panels.risk_coverage_panels},
    "training": {"curve": panels.curve_panels, "gammas": panels.gamma_panels},
}
# Drawings are what a page's size is made of: beyond so many losses in all, each gets no diagram of its own.
MAX_DIAGRAMS = 48
MAX_SMALL_MULTIPLES = 120  # lines in diagrams of single classes


def write_page(folder: str | os.PathLike[str], output: str | Path | None = None) -> Path:
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
    path = Path(output) if output is not None else Path(folder) / PAGE
    write_text(path, render(contents))
    return path


def render(contents: Contents) -> str:
    """Fill the template of a run or study; everything from files is escaped."""
    comparison, provenance = contents.comparison, contents.provenance
    n_losses = sum(len(experiment.losses) for experiment in contents.experiments)
    return render_page(
        "study.html",
        {
            "title": contents.title,
            "lead": _lead(contents),
            "experiments": [
                _experiment(experiment, place, n_losses, contents)
                for place, experiment in enumerate(contents.experiments)
            ],
            "ranks": panels.rank_panels(comparison.rank_tables) if comparison else [],
            "failures": comparison.failures if comparison else [],
            "finding": _finding(contents),
            **_opening(contents),
            "notes": comparison.notes if comparison else [],
            "settings": yaml.safe_dump(contents.settings, sort_keys=False, allow_unicode=True),
            "command": shlex.join(provenance.command),
            "provenance": json.dumps({k: v for k, v in provenance.everything.items() if k != "command"}, indent=2),
        },
    )


def _lead(contents: Contents) -> str:
    runs = [run for experiment in contents.experiments for run in experiment.runs]
    n_seeds = len({run.summary.seed for run in runs})
    seeds = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
    if len(contents.experiments) > 1:
        return f"{len(runs)} runs, {seeds}. All numbers below are on the test parts."
    first = runs[0]
    settings, sizes = first.settings, first.summary.sizes
    return (
        f"{short(settings.model)} on {short(settings.data.name)}: {sizes.train:,} training, {sizes.validation:,} "
        f"validation and {sizes.test:,} test samples, {settings.epochs} epochs, "
        f"{seeds}. All numbers below are on the test part."
    )


def _finding(contents: Contents) -> str:
    """Who is best: on the one experiment, or by average ranks over several."""
    comparison = contents.comparison
    if comparison is None:
        return ""
    if len(comparison.experiments) == 1:
        return comparison.experiments[0].finding
    table = comparison.rank_tables.get("ece")
    if table is None or len(table.losses) < 2:
        return ""
    first, second, *_ = table.losses
    alike = {name for group in table.groups if first.loss in group for name in group} - {first.loss}
    names = [short(entry.title) for entry in table.losses if entry.loss in alike]
    apart = f"not distinguishable from it: {', '.join(names)}" if names else "all others rank worse beyond chance"
    best, then = (f"{short(entry.title)} ({entry.rank:.2f})" for entry in (first, second))
    return f"Best average rank by test ECE over {table.n_experiments} experiments: {best}, then {then}; {apart}."


def _opening(contents: Contents) -> dict[str, object]:
    """What the page of a run opens with: its verdicts, and of a segmentation the worst cases."""
    if contents.comparison:
        return {"verdicts": [], "worst_cases": [], "case_table": None, "worst_case": []}
    run = contents.experiments[0].runs[0]
    return {
        "verdicts": _verdicts(run),
        "worst_cases": worst_cases(run.cases),
        "case_table": case_table(run.cases),
        "worst_case": case_panels(run, kinds=["worst"]),
    }


def _verdicts(run: RunFolder) -> list[tuple[str, str]]:
    """The verdicts of a run as trained and after temperature scaling, where its results hold some: head and text."""
    summary, said = run.summary, []
    for end, when, part in (
        ("", "as trained", summary.test),
        ("_scaled", "after temperature scaling", summary.test_scaled),
    ):
        parts: dict[str, object] = {"": part}
        if summary.segmentation is not None:
            pooled = summary.segmentation.get("voxels_pooled")
            foreground = pooled.get(f"predicted_foreground{end}") if isinstance(pooled, Mapping) else None
            parts = {"All voxels, ": part, "Predicted foreground, ": foreground}
        for of, held in parts.items():
            verdict = held.get("verdict") if isinstance(held, Mapping) else None
            if isinstance(verdict, Mapping):
                kind, _, text = str(verdict.get("text", "")).partition(": ")
                said.append((f"{capital(of + when)}: {kind.lower()}.", capital(text)))
    return said


def _experiment(experiment: Experiment, place: int, n_losses: int, contents: Contents) -> dict[str, object]:
    n_experiments = len(contents.experiments)
    mark = "" if n_experiments == 1 else f"-{place}"
    losses, outcomes = experiment.losses, [(loss.title, loss.outcome) for loss in experiment.losses]
    names, n_classes = losses[0].runs[0].class_names, {run.outcome.n_classes for run in experiment.runs}
    n_lines = sum(n_classes) * len(outcomes) * n_experiments
    small = len(n_classes) == 1 and max(n_classes) <= SMALL_MULTIPLES and n_lines <= MAX_SMALL_MULTIPLES
    return {
        "title": experiment.title,
        "finding": experiment.comparison.finding if experiment.comparison and n_experiments > 1 else "",
        "mark": mark,
        "data": _data(experiment.runs[0]),
        "reliability": _reliability(experiment, outcomes, mark) if n_losses <= MAX_DIAGRAMS else [],
        "classes": [panels.class_panel(outcomes, names, name=f"classes{mark}")] if small else [],
        "segmentation": tables.segmentation_table(
            {loss.title: [run.summary for run in loss.runs] for loss in losses}, name=f"segmentation{mark}"
        ),
        "cases": case_panels(
            losses[0].runs[0], kinds=(["worst", "best"] if contents.comparison else ["best"]), mark=mark
        ),
        **{
            section: [panel for name, draw in of_section.items() for panel in draw(losses, name=f"{name}{mark}")]
            for section, of_section in FIGURES.items()
        },
        "examples": worst_of(losses) if n_experiments == 1 else [],
        **(_of_study(contents.comparison, experiment, outcomes, mark) if contents.comparison else _of_run(losses[0])),
    }


def _data(run: RunFolder) -> str:
    """Say which settings of the data are not neutral."""
    held = run.settings.everything.get("data")
    if not isinstance(held, Mapping):
        return ""
    neutral = asdict(DataConfig())
    skipped = ("name", "root", "path")
    changed = [f"{k} {shown(v)}" for k, v in held.items() if k not in skipped and v != neutral.get(k)]
    settings = f"data settings {', '.join(changed)}; all others neutral" if changed else "neutral data settings"
    notes = "".join(f" {short(note, 300)}." for note in run.summary.notes)
    return f"Trained on {short(run.settings.data.name)} with {settings}.{notes}"


def _of_run(loss: LossContents) -> dict[str, object]:
    """Lay out what a run shows in its own way."""
    run = loss.runs[0]
    return {
        "results": tables.run_results(loss.title, run.summary),
        "differences": None,
        "class_table": tables.run_classes(run.outcome, run.class_names),
        "ood": [
            section
            for place, record in enumerate(run.detections.values())
            for section in detection_sections(record.results, name=f"ood-{place}", level=record.level)
        ],
    }


def _of_study(
    comparison: Comparison, experiment: Experiment, outcomes: list[tuple[str, Outcome]], mark: str
) -> dict[str, object]:
    """Lay out what an experiment of a study shows in its own way."""
    compared, losses = experiment.comparison, experiment.losses
    assert compared is not None
    runs = losses[0].runs
    alike = len({outcome.n_classes for _, outcome in outcomes}) == 1
    classes = (
        tables.study_classes(outcomes, runs[0].class_names, name=f"classes{mark}", n_runs=len(runs)) if alike else None
    )
    return {
        "results": tables.study_results(compared, f"results{mark}"),
        "differences": tables.differences(compared, f"differences{mark}", baseline=comparison.baseline),
        "class_table": classes,
        "ood": study_sections(losses, name=f"ood{mark}"),
    }


def _reliability(experiment: Experiment, outcomes: list[tuple[str, Outcome]], mark: str) -> list[panels.Panel]:
    shown = [
        panels.reliability_panel(
            title,
            outcome,
            ece=loss.mean(MEASURES["ece"]),
            name=f"reliability{mark}-{index}",
            index=index,
            n_runs=len(loss.runs),
        )
        for index, (loss, (title, outcome)) in enumerate(zip(experiment.losses, outcomes, strict=True))
    ]
    if experiment.comparison is None:
        run = experiment.losses[0].runs[0]
        title = f"{run.title} after temperature scaling, T = {run.summary.temperature:.2f}"
        ece = run.summary.value(MEASURES["ece_scaled"])
        scaled = panels.reliability_panel(
            title, run.scaled_outcome, ece=ece, name="reliability-scaled", index=1, n_runs=1
        )
        shown.append(scaled)
    return shown
