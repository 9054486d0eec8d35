# SPDX-License-Identifier: Apache-2.0
"""The results of a study: one row per run in ``results.csv``, the comparison in ``comparison.json``.

``comparison.json``, from which with the run folders alone the page is made; what is not defined is null::

    baseline      the loss that the others are compared with
    experiments   [{name, title, varied: {setting: value}, dataset, model, settings: those that all runs share,
                    losses: [
                    {loss, title, seeds, runs: [{seed, folder: relative}],
                     metrics: {metric: {mean, std, n, low, high}},
                     versus_baseline: {metric: {mean, low, high, p_value, verdict}}}]}]
    failures      [{experiment, loss, seed, reason}]
    ranks         {metric: {n_experiments, losses: [{loss, title, rank}] best first, p_value, critical_difference,
                    groups: [[loss, ...]] not told apart}}, or null for too few losses or experiments
    notes         sentences on what could not be compared
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan
from os.path import relpath
from pathlib import Path
from typing import Any

from adafocal._files import write_rows, write_text
from adafocal._records import read_settings, read_summary
from adafocal.errors import InvalidValueError
from adafocal.losses.catalogue import loss_title
from adafocal.study.metrics import COMPARED, METRICS, test_metrics
from adafocal.study.plan import Study
from adafocal.study.ranks import average_ranks
from adafocal.study.statistics import paired_differences, spread


@dataclass(frozen=True)
class Result:
    """A finished run, as it is compared.

    Attributes:
        experiment: Name of its experiment.
        loss: Name under which it is compared.
        title: The same in tables.
        seed: Its seed.
        folder: Its run folder.
        settings: Its settings.
        metrics: Test metrics by name.
    """

    experiment: str
    loss: str
    title: str
    seed: int
    folder: Path
    settings: dict[str, Any]
    metrics: dict[str, float]


def read_result(folder: Path, *, experiment: str) -> Result:
    """Read a finished run folder."""
    settings, summary = read_settings(folder), read_summary(folder)
    loss = settings["loss"]
    title = loss_title(loss, settings.get("loss_args"))
    return Result(experiment, loss, title, settings["seed"], folder, settings, test_metrics(summary))


def write_results(study: Study, failures: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Gather the finished runs of a study, compare them, and write ``results.csv`` and ``comparison.json``.

    Args:
        study: A study with at least one finished run.
        failures: Experiment, loss, seed and reason of each run that failed.

    Returns:
        What ``comparison.json`` holds.

    Raises:
        ValueError: If no run is finished.
    """
    results = [
        read_result(folder, experiment=experiment.name)
        for experiment in study.experiments
        for loss in study.losses
        for seed in study.seeds
        if ((folder := study.run_folder(experiment.name, loss, seed)) / "summary.json").exists()
    ]
    if not results:
        raise InvalidValueError(
            f"`study_dir` must hold at least one finished run, got {str(study.folder)!r} with none."
        )
    experiments = {experiment.name: experiment for experiment in study.experiments}
    varied = dict.fromkeys(key for experiment in study.experiments for key in experiment.varied)
    rows = [
        {
            "experiment": result.experiment,
            "recipe": experiments[result.experiment].recipe,
            **{key: experiments[result.experiment].varied.get(key, "") for key in varied},
            "loss": result.loss,
            "seed": result.seed,
            **result.metrics,
        }
        for result in results
    ]
    said = {name: {"title": entry.title, "varied": dict(entry.varied)} for name, entry in experiments.items()}
    comparison = compare(results, baseline=study.baseline, said=said, folder=study.folder)
    comparison["failures"] = [dict(failure) for failure in failures]
    write_comparison(study.folder, comparison, rows)
    return comparison


def write_comparison(folder: Path, comparison: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``comparison.json``, by which the folder is known, and ``results.csv``."""
    write_text(folder / "comparison.json", json.dumps(comparison, indent=2, allow_nan=False) + "\n")
    write_rows(folder / "results.csv", rows)


def compare(
    results: Sequence[Result], *, baseline: str, said: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """Give spread and paired differences per loss of each experiment.

    Args:
        results: Finished runs, in the order in which they are shown.
        baseline: The loss that the others are compared with.
        said: ``title`` and ``varied`` of each experiment by name.
        folder: Where the comparison will lie; run folders are given relative to it.

    Returns:
        What ``comparison.json`` holds.
    """
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        by_experiment.setdefault(result.experiment, []).append(result)
    experiments = [
        {
            "name": name,
            **said[name],
            "dataset": part[0].settings["data"]["name"],
            "model": part[0].settings["model"],
            "settings": _shared([result.settings for result in part]),
            "losses": _compare_losses(part, baseline, folder),
        }
        for name, part in by_experiment.items()
    ]
    ranks = {metric: found for metric in COMPARED if (found := _ranks(experiments, metric)) is not None}
    return {
        "baseline": baseline,
        "experiments": experiments,
        "failures": [],
        "ranks": ranks or None,
        "notes": [],
    }


def _ranks(experiments: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any] | None:
    """Rank the losses by their means over the seeds."""
    means = {
        experiment["name"]: {
            entry["loss"]: entry["metrics"][metric]["mean"]
            for entry in experiment["losses"]
            if entry["metrics"].get(metric, {}).get("mean") is not None
        }
        for experiment in experiments
    }
    ranks = average_ranks(means)
    if ranks is None:
        return None
    titles = {entry["loss"]: entry["title"] for experiment in experiments for entry in experiment["losses"]}
    losses = [{"loss": loss, "title": titles[loss], "rank": rank} for loss, rank in ranks.ranks.items()]
    return {"losses": losses, **{name: value for name, value in _plain(ranks).items() if name != "ranks"}}


def _compare_losses(results: Sequence[Result], baseline: str, folder: Path) -> list[dict[str, Any]]:
    by_loss: dict[str, list[Result]] = {}
    for result in results:
        by_loss.setdefault(result.loss, []).append(result)
    measured = [metric for metric in METRICS if all(metric in result.metrics for result in results)]
    differences = {metric: _differences(by_loss, metric, baseline) for metric in COMPARED if metric in measured}
    return [
        {
            "loss": loss,
            "title": runs[0].title,
            "seeds": [run.seed for run in runs],
            "runs": [{"seed": run.seed, "folder": Path(relpath(run.folder, folder)).as_posix()} for run in runs],
            "metrics": {metric: _plain(spread([run.metrics[metric] for run in runs])) for metric in measured},
            "versus_baseline": {metric: _plain(found[loss]) for metric, found in differences.items() if loss in found},
        }
        for loss, runs in by_loss.items()
    ]


def _differences(by_loss: Mapping[str, Sequence[Result]], metric: str, baseline: str) -> dict[str, Any]:
    if baseline not in by_loss:
        return {}
    values = {loss: {run.seed: run.metrics[metric] for run in runs} for loss, runs in by_loss.items()}
    return paired_differences(values, baseline=baseline)


def _plain(record: Any) -> dict[str, Any]:
    """Give a record's fields, with null for what is not defined, as JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and isnan(value) else value for name, value in asdict(record).items()
    }


def _shared(settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give the settings that are equal in all runs."""
    first, shared = settings[0], {}
    for name, value in first.items():
        others = [other.get(name) for other in settings]
        if isinstance(value, dict) and all(isinstance(other, dict) for other in others):
            shared[name] = _shared([{**other} for other in others if other is not None])
        elif all(other == value for other in others):
            shared[name] = value
    return shared
