# SPDX-License-Identifier: Apache-2.0
"""The results of a study: one row per run in ``results.csv``, the comparison in ``comparison.json``."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from statistics import mean

from adafocal._files import write_rows, write_text
from adafocal._records import to_plain
from adafocal._text import listed
from adafocal.errors import AdafocalError, InvalidValueError
from adafocal.measures import COMPARED, IN_SHORT, OF_BEST, OF_RUNS
from adafocal.results.comparison import ComparedExperiment, ComparedLoss, ComparedRun, Comparison, FailedRun, RankTable
from adafocal.results.folder import COMPARISON, TABLE, StudyFolder
from adafocal.study.best_scaling import named_methods, scaled_run, scaled_title
from adafocal.study.finding import SAID, findings, over_shared_seeds
from adafocal.study.losses import SUFFIX, StudyLoss, told_apart
from adafocal.study.plan import Study
from adafocal.study.ranks import average_ranks
from adafocal.study.result import Result, after_best, read_result
from adafocal.study.statistics import paired_differences, spread


@dataclass(frozen=True)
class Said:
    """What a study says of an experiment: its title, and the settings that set it apart."""

    title: str
    varied: Mapping[str, object]


def write_results(study: Study, failures: Sequence[FailedRun] = (), *, folder: StudyFolder | None = None) -> Comparison:
    """Gather the finished runs of a study, compare them, and write ``results.csv`` and ``comparison.json``.

    Args:
        study: A study with at least one finished run.
        failures: Runs that failed.
        folder: Its folder, which keeps what is read of the runs.

    Returns:
        The comparison.

    Raises:
        ValueError: If no run is finished.
    """
    folder = folder or StudyFolder(study.folder)
    results = [
        _called(loss, study.entry(loss), read_result(run, experiment=experiment.name))
        for experiment in study.experiments
        for loss in study.losses
        for seed in study.seeds
        if (run := folder.run(study.run_folder(experiment.name, loss, seed))).finished
    ]
    if not results:
        raise InvalidValueError(
            f"`study_dir` must hold at least one finished run, got {str(study.folder)!r} with none."
        )
    after, notes = _after_scaling(study, results)
    results = [_known(one, after.get((one.experiment, one.loss, one.seed))) for one in results]
    experiments = {experiment.name: experiment for experiment in study.experiments}
    varied = dict.fromkeys(key for experiment in study.experiments for key in experiment.varied)
    rows = [
        {
            "experiment": result.experiment,
            "recipe": experiments[result.experiment].recipe,
            "data": result.run.settings.data.name,
            "model": result.run.settings.model,
            **{key: experiments[result.experiment].varied.get(key, "") for key in varied},
            "loss": result.loss,
            "seed": result.seed,
            **{name: "" if name in OF_BEST and isnan(value) else value for name, value in result.metrics.items()},
            "best_scaling": "" if result.method is None else result.method or "none",
        }
        for result in results
    ]
    said = {name: Said(entry.title, dict(entry.varied)) for name, entry in experiments.items()}
    comparison = compare(
        results,
        baseline=study.baseline,
        said=said,
        folder=study.folder,
        failures=failures,
        notes=[*_notes_on_seeds(study, results), *notes],
        scaled=list(after.values()),
    )
    write_comparison(study.folder, comparison, rows)
    return comparison


def _after_scaling(study: Study, results: Sequence[Result]) -> tuple[dict[tuple[str, str, int], Result], list[str]]:
    """Runs of one loss after their best scaling, by experiment, loss and seed; and why none is."""
    found: dict[tuple[str, str, int], Result] = {}
    notes = []
    for name in dict.fromkeys(one.experiment for one in results):
        there = [one for one in results if one.experiment == name]
        loss = next((loss for loss in (study.scaled, study.baseline) if any(one.loss == loss for one in there)), None)
        for one in there:
            if one.loss != loss:
                continue
            try:
                scaled = scaled_run(one.run, keeps=True)
            except AdafocalError as error:
                notes.append(f"{one.title} on {name}, seed {one.seed}, is not shown after its best scaling: {error}")
                continue
            if scaled is not None:
                key = (one.experiment, one.loss, one.seed)
                found[key] = replace(after_best(one, scaled), loss=one.loss + SUFFIX)
    methods: dict[str, list[str]] = {}
    for one in found.values():
        methods.setdefault(one.loss, []).append(one.method or "")
    titled = {key: replace(one, title=scaled_title(one.title, methods[one.loss])) for key, one in found.items()}
    return titled, notes


def _known(result: Result, after: Result | None) -> Result:
    """A run of an older version, with what was found of its best scaling since."""
    if after is None or result.method is not None:
        return result
    beside = {f"{name}_best_scaled": after.metrics[name] for name in IN_SHORT}
    return replace(result, metrics={**result.metrics, **beside}, method=after.method)


def _notes_on_seeds(study: Study, results: Sequence[Result]) -> list[str]:
    """Say which losses lack runs, because numbers over other seeds are not to be compared."""
    notes, done = [], {(one.experiment, one.loss): list[int]() for one in results}
    for one in results:
        done[one.experiment, one.loss].append(one.seed)
    for name in (experiment.name for experiment in study.experiments):
        others = [loss for loss in study.losses if (name, loss) in done]
        if (name, study.baseline) not in done:
            said = f": another may be chosen by --baseline, {', '.join(others)}" if others else ""
            notes.append(
                f"Nothing is compared on {name}, where the baseline {study.baseline} has no finished run{said}."
            )
        for loss in others:
            seeds = done[name, loss]
            if len(seeds) < len(study.seeds):
                notes.append(
                    f"{loss} on {name} has finished {len(seeds)} of {len(study.seeds)} seeds, {listed(seeds)}: its row "
                    "is over these, and it is compared over the seeds that both have."
                )
    return notes


def _called(name: str, entry: StudyLoss, result: Result) -> Result:
    """Call a run's loss as the study does."""
    return replace(result, loss=name, title=entry.title_with(result.run.settings.loss_args))


def write_comparison(folder: Path, comparison: Comparison, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``comparison.json``, by which the folder is known, and ``results.csv``."""
    write_text(folder / COMPARISON, json.dumps(to_plain(comparison), indent=2, allow_nan=False) + "\n")
    write_rows(folder / TABLE, rows)


def compare(
    results: Sequence[Result],
    *,
    baseline: str,
    said: Mapping[str, Said],
    folder: Path,
    failures: Sequence[FailedRun] = (),
    notes: Sequence[str] = (),
    scaled: Sequence[Result] = (),
) -> Comparison:
    """Compare the losses of each experiment: spread over seeds, paired differences, ranks across experiments.

    Args:
        results: Finished runs, in the order in which they are shown.
        baseline: The loss that the others are compared with.
        said: Title and varied settings of each experiment by name.
        folder: Where the comparison will lie; run folders are given relative to it.
        failures: Runs that failed.
        notes: What could not be compared.
        scaled: Runs after their best scaling, as further losses.
    """
    by_experiment: dict[str, list[Result]] = {}
    titles = {result.loss: result.title for result in results}
    apart = {loss: title for loss, title in told_apart(titles).items() if title != titles[loss]}
    results = [replace(one, title=apart.get(one.loss, one.title)) for one in results]
    for result in (*results, *scaled):
        by_experiment.setdefault(result.experiment, []).append(result)
    extra = {one.loss for one in scaled}
    idle = extra - {one.loss for one in scaled if one.method}  # where none helps, the row repeats that of the loss
    rows = {name: _compare_losses(part, baseline, folder) for name, part in by_experiment.items()}
    experiments = tuple(
        ComparedExperiment(
            name=name,
            title=said[name].title,
            varied=said[name].varied,
            dataset=part[0].run.settings.data.name,
            model=part[0].run.settings.model,
            settings=_shared([result.run.settings.everything for result in part]),
            finding=_finding([one for one in part if one.loss not in idle]),
            losses=tuple(one for one in rows[name] if one.loss not in extra),
            scaled=tuple(one for one in rows[name] if one.loss in extra),
        )
        for name, part in by_experiment.items()
    )
    ranks = {metric: found for metric in COMPARED if (found := _ranks(by_experiment, metric)) is not None}
    return Comparison(baseline, experiments, tuple(failures), ranks or None, tuple(notes))


def _finding(results: Sequence[Result]) -> str:
    """Say who is best on an experiment."""
    values = {name: _by_seed(results, name) for name in SAID}
    return findings(values, {one.loss: one.title for one in results})


def _by_seed(results: Sequence[Result], metric: str) -> dict[str, dict[int, float]]:
    """A metric by loss and seed."""
    values: dict[str, dict[int, float]] = {}
    for one in results:
        # Nothing is scaled twice, and of older runs and volumes no best scaling is known.
        if not ((one.scaled or metric in OF_BEST) and isnan(one.metrics[metric])):
            values.setdefault(one.loss, {})[one.seed] = one.metrics[metric]
    return values


def _ranks(by_experiment: Mapping[str, Sequence[Result]], metric: str) -> RankTable | None:
    """Rank the losses by their means over the seeds that all of them share."""
    means = {
        name: {loss: mean(held.values()) for loss, held in over_shared_seeds(_by_seed(part, metric)).items()}
        for name, part in by_experiment.items()
    }
    titles = {one.loss: one.title for part in by_experiment.values() for one in part}
    return average_ranks(means, titles=titles)


def _compare_losses(results: Sequence[Result], baseline: str, folder: Path) -> tuple[ComparedLoss, ...]:
    by_loss: dict[str, list[Result]] = {}
    for result in results:
        by_loss.setdefault(result.loss, []).append(result)
    values = {metric: _by_seed(results, metric) for metric in COMPARED}
    differences = {
        metric: paired_differences(held, baseline=baseline) for metric, held in values.items() if baseline in held
    }
    return tuple(
        ComparedLoss(
            loss=loss,
            title=runs[0].title,
            seeds=tuple(run.seed for run in runs),
            runs=tuple(
                ComparedRun(result.seed, Path(os.path.relpath(result.run, folder)).as_posix()) for result in runs
            ),
            metrics={metric: spread([run.metrics[metric] for run in runs]) for metric in OF_RUNS},
            versus_baseline={metric: found[loss] for metric, found in differences.items() if loss in found},
            best_scaling=named_methods([run.method for run in runs if run.method is not None and not run.scaled]),
        )
        for loss, runs in by_loss.items()
    )


def _shared(settings: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Keep the settings that are equal in all runs."""
    shared: dict[str, object] = {}
    for name, value in settings[0].items():
        others = [other.get(name) for other in settings]
        parts = [other for other in others if isinstance(other, Mapping)]
        if isinstance(value, Mapping) and len(parts) == len(others):
            shared[name] = _shared(parts)
        elif all(other == value for other in others):
            shared[name] = value
    return shared
