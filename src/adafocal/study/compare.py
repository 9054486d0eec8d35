# SPDX-License-Identifier: Apache-2.0
"""Compares finished studies and runs with one another, where their data allow it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from adafocal._files import write_text
from adafocal._settings import or_meant
from adafocal.errors import InvalidValueError
from adafocal.results.comparison import Comparison
from adafocal.results.folder import COMPARISON, PLAN, PROVENANCE, StudyFolder, study_folder
from adafocal.study.best_scaling import scaled_run
from adafocal.study.losses import SUFFIX
from adafocal.study.plan import check_own
from adafocal.study.result import Result, after_best, read_result
from adafocal.study.results import Said, compare, write_comparison
from adafocal.training.provenance import provenance


@dataclass(frozen=True)
class _Compared:
    """One of the folders that are compared.

    Its baseline, what is said of its experiments, its finished runs, and those that it shows after their best scaling.
    """

    baseline: str
    said: Mapping[str, Said]
    results: Sequence[Result]
    scaled: Sequence[Result] = ()


def compare_folders(
    folders: Sequence[str | Path], output: str | os.PathLike[str], *, baseline: str | None = None
) -> Comparison:
    """Compare the losses of several study or run folders, paired over the seeds that they have in common.

    Experiments are matched by name; where each folder has only one, whatever their names. A loss of one folder is
    compared with the baseline only if both were tested on the same samples in the same order, measured alike.

    Args:
        folders: Finished run folders, study folders, or folders of earlier comparisons.
        output: Where ``comparison.json``, ``results.csv`` and ``provenance.json`` are written; a
            :class:`~adafocal.results.folder.StudyFolder` keeps what is read of the runs.
        baseline: A loss, as the first folder that has it calls it; None takes the first folder's baseline.

    Returns:
        The comparison; its notes say what is not comparable, and why.

    Raises:
        ValueError: If there are fewer than two folders, one is not finished, or nothing can be compared.
    """
    study = study_folder(output)
    places = [Path(folder) for folder in folders]
    if len({place.resolve() for place in places}) < max(2, len(places)):
        raise InvalidValueError(
            f"`compare` must name at least two folders and none twice, got {[str(p) for p in places]}."
        )
    if (study / PLAN).exists():
        raise InvalidValueError(
            f"`study_dir` must not be a study folder, got {str(study.path)!r}: choose another folder."
        )
    check_own(study.path, COMPARISON, Comparison, "hold a comparison")
    read = [_read(place, study) for place in places]
    labels = _labels(places)
    results = [_labelled(one, label) for label, part in zip(labels, read, strict=True) for one in part.results]
    scaled = [_labelled(one, label) for label, part in zip(labels, read, strict=True) for one in part.scaled]
    reference = _baseline(results, baseline or read[0].baseline)
    results, said = _matched(results, read)
    scaled, _ = _matched(scaled, read)
    kept, notes = _comparable(results, reference)
    there = {(one.experiment, one.loss + SUFFIX) for one in kept}
    scaled = [one for one in scaled if (one.experiment, one.loss) in there]
    comparison = compare(kept, baseline=reference, said=said, folder=study.path, notes=notes, scaled=scaled)
    rows = [{"experiment": one.experiment, "loss": one.loss, "seed": one.seed, **one.metrics} for one in kept]
    write_text(study / PROVENANCE, json.dumps(provenance(), indent=2) + "\n")
    write_comparison(study.path, comparison, rows)
    return comparison


def _labelled(result: Result, label: str) -> Result:
    return replace(result, loss=f"{label}/{result.loss}", title=f"{result.title} ({label})")


def _read(folder: Path, study: StudyFolder) -> _Compared:
    """Read a folder that is to be compared; its runs are those of the comparison's folder, read once for all."""
    run, other = study.run(folder), StudyFolder(folder)
    if run.finished:
        result = read_result(run, experiment="")
        place = folder.resolve().parent
        in_study = (place.parent.parent / PLAN).exists()
        name = place.name if in_study else f"{run.settings.data.name}, {run.settings.model}"
        return _Compared(result.loss, {name: Said(name, {})}, [replace(result, experiment=name)])
    if not (other / COMPARISON).exists():
        raise InvalidValueError(f"`compare` must name finished run or study folders, got {str(folder)!r}.")
    held = other.comparison
    results = [
        replace(
            read_result(study.run(other / run.folder), experiment=experiment.name), loss=entry.loss, title=entry.title
        )
        for experiment in held.experiments
        for entry in experiment.losses
        for run in entry.runs
    ]
    scaled = [
        replace(after_best(read_result(of, experiment=experiment.name), after), loss=entry.loss, title=entry.title)
        for experiment in held.experiments
        for entry in experiment.scaled
        for run in entry.runs
        if (after := scaled_run(of := study.run(other / run.folder), keeps=False)) is not None
    ]
    said = {entry.name: Said(entry.title, entry.varied) for entry in held.experiments}
    return _Compared(held.baseline, said, results, scaled)


def _labels(places: Sequence[Path]) -> list[str]:
    """Shorten paths to their last parts, as many as tell them apart."""
    parts = [place.resolve().parts for place in places]
    n = next(n for n in range(1, max(map(len, parts)) + 1) if len({part[-n:] for part in parts}) == len(parts))
    return ["/".join(part[-n:]) for part in parts]


def _baseline(results: Sequence[Result], name: str) -> str:
    found = next((result.loss for result in results if result.loss == name or result.loss.endswith(f"/{name}")), None)
    if found is None:
        losses = list(dict.fromkeys(result.loss for result in results))
        raise InvalidValueError(f"`baseline` must be one of {', '.join(losses)}, got {name!r}{or_meant(name, losses)}")
    return found


def _matched(results: list[Result], read: Sequence[_Compared]) -> tuple[list[Result], Mapping[str, Said]]:
    """Put the only experiments of all folders under one name."""
    if any(len(part.said) > 1 for part in read):
        return results, {name: value for part in read[::-1] for name, value in part.said.items()}
    name, value = next(iter(read[0].said.items()))
    return [replace(result, experiment=name) for result in results], {name: value}


def _comparable(results: Sequence[Result], baseline: str) -> tuple[list[Result], list[str]]:
    """Drop what cannot be compared with the baseline; gives the rest, and a sentence for each loss that is dropped."""
    references = {(r.experiment, r.seed): r for r in results if r.loss == baseline}
    any_seed = {experiment: r for (experiment, _), r in reversed(references.items())}
    notes: dict[tuple[str, str], str] = {}
    for result in results:
        key, reference = (result.experiment, result.loss), references.get((result.experiment, result.seed))
        if result.experiment not in any_seed:
            reason: str | None = f"{baseline} has no run on it"
        elif reference is None:
            # Another seed may split anew, so that only what does not depend on it must agree.
            reason = _other_task(result, any_seed[result.experiment])
        else:
            reason = _other_task(result, reference) or _other_samples(result, reference)
        if reason and key not in notes:
            notes[key] = f"{result.loss} on {result.experiment} is not compared with {baseline}: {reason}."
    kept = [result for result in results if (result.experiment, result.loss) not in notes]
    if len({result.loss.rpartition("/")[0] for result in kept}) < 2:  # of one folder alone
        raise InvalidValueError(" ".join(notes.values()))
    return kept, list(notes.values())


def _other_task(result: Result, reference: Result) -> str | None:
    """Say why two runs were not given the same task, measured alike; None if they were."""
    first, second = result.run.settings, reference.run.settings
    pairs = {
        "data sets": (first.data.name, second.data.name),
        "arguments of the data": (first.data.args, second.data.args),
        "noises": (first.data.noise, second.data.noise),
        "numbers of bins": (first.n_bins, second.n_bins),
    }
    unequal = [f"their {title} differ, {one} and {other}" for title, (one, other) in pairs.items() if one != other]
    return unequal[0] if unequal else None


def _other_samples(result: Result, reference: Result) -> str | None:
    """Say why two runs were not tested on the same samples; None if they were."""
    runs = (result.run, reference.run)
    labels = [run.outcome.labels for run in runs]
    if len(labels[0]) != len(labels[1]):
        return f"their test parts differ, {len(labels[0])} and {len(labels[1])} samples at seed {result.seed}"
    if not bool((labels[0] == labels[1]).all()) or not np.array_equal(runs[0].test_rows, runs[1].test_rows):
        return f"their test parts hold different samples at seed {result.seed}"
    return None
