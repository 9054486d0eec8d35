# SPDX-License-Identifier: Apache-2.0
"""Reads run and study folders into what the page shows."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from adafocal.calibration import BinStats, bin_stats, equal_width_edges, merge
from adafocal.losses.catalogue import LOSSES
from adafocal.predictions import Predictions


@dataclass(frozen=True)
class RunContents:
    """What one run folder holds.

    Attributes:
        folder: The run folder.
        settings: The resolved settings.
        provenance: Versions, hardware, revision, command, date.
        history: One mapping per epoch, column to number.
        summary: The results.
        stats: Equal-width bins of the test predictions.
    """

    folder: Path
    settings: dict[str, Any]
    provenance: dict[str, Any]
    history: list[dict[str, float]]
    summary: dict[str, Any]
    stats: BinStats

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return str(self.settings["loss"])

    @property
    def title(self) -> str:
        """The loss as tables name it."""
        return LOSSES[self.loss].title if self.loss in LOSSES else self.loss


@dataclass(frozen=True)
class Contents:
    """What a page shows: the runs of a study, or one run.

    Attributes:
        title: Heading of the page.
        runs: Finished runs.
        settings: Settings that all runs share.
        provenance: Versions, hardware, revision, command, date.
        comparison: What ``comparison.json`` holds; None for a single run.
    """

    title: str
    runs: list[RunContents]
    settings: dict[str, Any]
    provenance: dict[str, Any]
    comparison: dict[str, Any] | None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What ``comparison.json`` says of each loss of each experiment, in the order of the study."""
        return [
            entry
            for experiment in (self.comparison or {"experiments": []})["experiments"]
            for entry in experiment["losses"]
        ]

    @property
    def losses(self) -> dict[str, list[RunContents]]:
        """The runs of each loss of each experiment, in the order of the study."""
        if self.comparison is None:
            return {run.loss: [run] for run in self.runs}
        left = iter(self.runs)
        return {
            f"{experiment['name']}/{entry['loss']}": [next(left) for _ in entry["runs"]]
            for experiment in self.comparison["experiments"]
            for entry in experiment["losses"]
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
            raise ValueError(f"`folder` must hold a finished run, got {str(folder)!r}, whose run is not finished.")
        run = read_run(folder)
        title = f"{run.title} on {run.settings['data']['name']}"
        return Contents(title, [run], run.settings, run.provenance, comparison=None)
    raise ValueError(f"`folder` must be a run folder or a study folder, got {str(folder)!r}.")


def _read_study(folder: Path) -> Contents:
    comparison = _read_json(folder / "comparison.json")
    experiments = comparison["experiments"]
    return Contents(
        title=f"{len(experiments[0]['losses'])} losses on {', '.join(entry['title'] for entry in experiments)}",
        runs=[
            read_run(folder / run["folder"])
            for experiment in experiments
            for entry in experiment["losses"]
            for run in entry["runs"]
        ],
        settings={experiment["name"]: experiment["settings"] for experiment in experiments},
        provenance=_read_json(folder / "provenance.json"),
        comparison=comparison,
    )


def read_run(folder: Path) -> RunContents:
    """Read one finished run folder."""
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    test = Predictions.load(folder / "test.parquet")
    edges = equal_width_edges(settings["n_bins"], dtype=test.confidence.dtype)
    return RunContents(
        folder=folder,
        settings=settings,
        provenance=_read_json(folder / "provenance.json"),
        history=_read_history(folder / "metrics.csv"),
        summary=_read_json(folder / "summary.json"),
        stats=bin_stats(test.confidence, test.correct, edges),
    )


def pooled_stats(runs: list[RunContents]) -> BinStats:
    """Add the bins of several runs: merging is adding."""
    total = runs[0].stats
    for run in runs[1:]:
        total = merge(total, run.stats)
    return total


def _read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _read_history(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
