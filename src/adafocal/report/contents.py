# SPDX-License-Identifier: Apache-2.0
"""Reads run and study folders into what the page shows."""

from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

from adafocal._records import (
    EXAMPLES,
    read_history,
    read_provenance,
    read_record,
    read_settings,
    read_summary,
)
from adafocal.calibration import BinStats
from adafocal.errors import InvalidValueError
from adafocal.losses.catalogue import loss_title
from adafocal.predictions import load_predictions
from adafocal.report.html import short
from adafocal.report.outcome import Outcome, outcome_of, pooled
from adafocal.report.records import read_comparison, read_detection
from adafocal.scaling import Temperature


@dataclass(frozen=True)
class RunContents:
    """What one run folder holds.

    Attributes:
        folder: The run folder.
        settings: The resolved settings.
        provenance: Versions, hardware, revision, command, date.
        history: One mapping per epoch, column to number.
        summary: The results.
        outcome: What is shown of the test predictions.
        examples: What ``examples.json`` holds; empty where there is none.
        ood: What the files ``ood/*.json`` hold, by file name.
    """

    folder: Path
    settings: dict[str, Any]
    provenance: dict[str, Any]
    history: list[dict[str, float]]
    summary: dict[str, Any]
    outcome: Outcome
    examples: dict[str, Any] = field(default_factory=dict)
    ood: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return str(self.settings["loss"])

    @property
    def title(self) -> str:
        """The loss as tables name it."""
        return short(loss_title(self.loss, self.settings.get("loss_args")))

    @property
    def stats(self) -> BinStats:
        """Equal-width bins of the test predictions."""
        return self.outcome.stats

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, each on one line and not too long."""
        return [short(name) for name in self.summary["class_names"]]

    def scaled_outcome(self) -> Outcome:
        """Give what is shown of the test predictions after temperature scaling."""
        scaled = Temperature(self.summary["temperature"]).apply(load_predictions(self.folder / "test.parquet"))
        return outcome_of(scaled, n_bins=self.settings["n_bins"])

    def column(self, name: str) -> list[float]:
        """Give a column of the history, NaN where it has no number."""
        return [row.get(name, nan) for row in self.history]


@dataclass(frozen=True)
class LossContents:
    """The runs of one loss in one experiment.

    Attributes:
        title: The loss as tables name it.
        runs: Its finished runs, one per seed.
    """

    title: str
    runs: list[RunContents]

    @property
    def outcome(self) -> Outcome:
        """The test predictions of all runs."""
        return pooled([run.outcome for run in self.runs])


@dataclass(frozen=True)
class Experiment:
    """Losses on one data set and model.

    Attributes:
        name: Its name in folders.
        title: Its name for readers.
        losses: The losses, in the order of the study.
        comparison: What ``comparison.json`` says of it; None for a single run.
    """

    name: str
    title: str
    losses: list[LossContents]
    comparison: dict[str, Any] | None


@dataclass(frozen=True)
class Contents:
    """What a page shows: the experiments of a study, or one run.

    Attributes:
        title: Heading of the page.
        experiments: At least one.
        settings: Settings that all runs share.
        provenance: Versions, hardware, revision, command, date.
        comparison: What ``comparison.json`` holds; None for a single run.
    """

    title: str
    experiments: list[Experiment]
    settings: dict[str, Any]
    provenance: dict[str, Any]
    comparison: dict[str, Any] | None

    @property
    def losses(self) -> dict[str, list[RunContents]]:
        """The runs of each loss of each experiment, in the order of the study."""
        return {
            f"{experiment.name}/{loss.title}": loss.runs
            for experiment in self.experiments
            for loss in experiment.losses
        }


def read_contents(folder: str | Path) -> Contents:
    """Read a finished run folder, or a study folder with at least one finished run.

    Raises:
        ValueError: If the folder is neither, or nothing in it is finished.
    """
    folder = Path(folder)
    if (folder / "comparison.json").exists():
        return _read_study(folder)
    if (folder / "config.yaml").exists():
        if not (folder / "summary.json").exists():
            raise InvalidValueError(
                f"`folder` must hold a finished run, got {str(folder)!r}, whose run is not finished."
            )
        run = read_run(folder)
        title = f"{run.title} on {short(run.settings['data']['name'])}"
        experiment = Experiment(folder.name, title, [LossContents(run.title, [run])], comparison=None)
        return Contents(title, [experiment], run.settings, run.provenance, comparison=None)
    raise InvalidValueError(f"`folder` must be a run folder or a study folder, got {str(folder)!r}.")


def _read_study(folder: Path) -> Contents:
    comparison = read_comparison(folder / "comparison.json")
    experiments = [
        Experiment(
            name=entry["name"],
            title=short(entry["title"]),
            losses=[
                LossContents(short(loss["title"]), [read_run(folder / run["folder"]) for run in loss["runs"]])
                for loss in entry["losses"]
            ],
            comparison=entry,
        )
        for entry in comparison["experiments"]
    ]
    n_losses = len(dict.fromkeys(loss.title for experiment in experiments for loss in experiment.losses))
    places = experiments[0].title if len(experiments) == 1 else f"{len(experiments)} experiments"
    return Contents(
        title=f"{n_losses} loss{'es' if n_losses > 1 else ''} on {places}",
        experiments=experiments,
        settings={entry["name"]: entry["settings"] for entry in comparison["experiments"]},
        provenance=read_provenance(folder),
        comparison=comparison,
    )


def read_run(folder: Path) -> RunContents:
    """Read one finished run folder."""
    settings, summary = read_settings(folder), read_summary(folder)
    outcome = outcome_of(load_predictions(folder / "test.parquet"), n_bins=settings["n_bins"])
    if outcome.n_classes != len(summary["class_names"]):
        raise InvalidValueError(
            f"{str(folder)!r} must hold the files of one run, got {outcome.n_classes} classes in test.parquet and "
            f"{len(summary['class_names'])} in summary.json."
        )
    examples = folder / "examples.json"
    return RunContents(
        folder=folder,
        settings=settings,
        provenance=read_provenance(folder),
        history=read_history(folder),
        summary=summary,
        outcome=outcome,
        examples=read_record(examples, EXAMPLES) if examples.exists() else {},
        ood={file.stem: read_detection(file) for file in sorted((folder / "ood").glob("*.json"))},
    )


def pooled_stats(runs: list[RunContents]) -> BinStats:
    """Add the bins of several runs: merging is adding."""
    return pooled([run.outcome for run in runs]).stats
