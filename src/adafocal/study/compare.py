# SPDX-License-Identifier: Apache-2.0
"""Compares finished studies and runs with one another, where their data allow it."""

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from adafocal._files import write_text
from adafocal._records import COMPARISON, read_record
from adafocal.errors import InvalidValueError
from adafocal.predictions import Predictions
from adafocal.study.plan import check_own
from adafocal.study.results import Result, compare, read_result, write_comparison
from adafocal.training.provenance import provenance

Said: TypeAlias = dict[str, dict[str, Any]]  # title and varied settings of each experiment


def compare_folders(
    folders: Sequence[str | Path], output: str | Path, *, baseline: str | None = None
) -> dict[str, Any]:
    """Compare the losses of several study or run folders, paired over the seeds that they have in common.

    Experiments are matched by name; where each folder has only one, whatever their names. A loss of one folder is
    compared with the baseline only if both were tested on the same samples in the same order, measured alike.

    Args:
        folders: Finished run folders, study folders, or folders of earlier comparisons.
        output: Where ``comparison.json``, ``results.csv`` and ``provenance.json`` are written.
        baseline: A loss, as the first folder that has it calls it; None takes the first folder's baseline.

    Returns:
        What ``comparison.json`` holds; its notes say what is not comparable, and why.

    Raises:
        ValueError: If there are fewer than two folders, one is not finished, or nothing can be compared.
    """
    output = Path(output)
    places = _distinct([Path(folder) for folder in folders])
    if (output / "study.yaml").exists():
        raise InvalidValueError(f"`study_dir` must not be a study folder, got {str(output)!r}: choose another folder.")
    check_own(output, "comparison.json", COMPARISON, "hold a comparison")
    read = [_read(place) for place in places]
    own_baseline, said = read[0][0], {name: value for _, part, _ in read[::-1] for name, value in part.items()}
    labels = _labels(places)
    results = [
        replace(result, loss=f"{label}/{result.loss}", title=f"{result.title} ({label})")
        for label, (_, _, part) in zip(labels, read, strict=True)
        for result in part
    ]
    reference = _baseline(results, baseline or own_baseline)
    results, said = _matched(results, said, read)
    kept, notes = _comparable(results, reference)
    comparison = compare(kept, baseline=reference, said=said, folder=output)
    comparison["notes"] = notes
    rows = [
        {"experiment": result.experiment, "loss": result.loss, "seed": result.seed, **result.metrics} for result in kept
    ]
    write_text(output / "provenance.json", json.dumps(provenance(), indent=2) + "\n")
    write_comparison(output, comparison, rows)
    return comparison


def _distinct(places: list[Path]) -> list[Path]:
    if len({place.resolve() for place in places}) < max(2, len(places)):
        raise InvalidValueError(
            f"`compare` must name at least two folders and none twice, got {[str(p) for p in places]}."
        )
    return places


def _read(folder: Path) -> tuple[str, Said, list[Result]]:
    """Give the baseline, what is said of each experiment, and the finished runs of a folder."""
    if (folder / "summary.json").exists():
        result = read_result(folder, experiment="")
        name = _experiment_of(folder) or f"{result.settings['data']['name']}, {result.settings['model']}"
        return result.loss, {name: {"title": name, "varied": {}}}, [replace(result, experiment=name)]
    path = folder / "comparison.json"
    if not path.exists():
        raise InvalidValueError(f"`compare` must name finished run or study folders, got {str(folder)!r}.")
    held = read_record(path, COMPARISON)
    results = [
        replace(
            read_result(folder / run["folder"], experiment=experiment["name"]), loss=entry["loss"], title=entry["title"]
        )
        for experiment in held["experiments"]
        for entry in experiment["losses"]
        for run in entry["runs"]
    ]
    said = {entry["name"]: {key: entry[key] for key in ("title", "varied")} for entry in held["experiments"]}
    return held["baseline"], said, results


def _experiment_of(run: Path) -> str | None:
    """Give the experiment of a run that lies in a study folder."""
    place = run.resolve().parent
    return place.name if (place.parent.parent / "study.yaml").exists() else None


def _labels(places: Sequence[Path]) -> list[str]:
    """Give the last parts of paths, as many as tell them apart."""
    parts = [place.resolve().parts for place in places]
    n = next(n for n in range(1, max(map(len, parts)) + 1) if len({part[-n:] for part in parts}) == len(parts))
    return ["/".join(part[-n:]) for part in parts]


def _baseline(results: Sequence[Result], name: str) -> str:
    found = next((result.loss for result in results if result.loss == name or result.loss.endswith(f"/{name}")), None)
    if found is None:
        names = ", ".join(dict.fromkeys(result.loss for result in results))
        raise InvalidValueError(f"`baseline` must be one of {names}, got {name!r}.")
    return found


def _matched(
    results: list[Result], said: Said, read: Sequence[tuple[str, Said, list[Result]]]
) -> tuple[list[Result], Said]:
    """Put the only experiments of all folders under one name."""
    if any(len(part) > 1 for _, part, _ in read):
        return results, said
    name, value = next(iter(read[0][1].items()))
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
    pairs = {
        "data sets": [run.settings["data"]["name"] for run in (result, reference)],
        "noises": [run.settings["data"].get("noise", 0.0) for run in (result, reference)],
        "numbers of bins": [run.settings["n_bins"] for run in (result, reference)],
    }
    unequal = [
        f"their {title} differ, {first} and {second}" for title, (first, second) in pairs.items() if first != second
    ]
    return unequal[0] if unequal else None


def _other_samples(result: Result, reference: Result) -> str | None:
    """Say why two runs were not tested on the same samples; None if they were."""
    labels = [Predictions.load(r.folder / "test.parquet").labels for r in (result, reference)]
    if len(labels[0]) != len(labels[1]):
        return f"their test parts differ, {len(labels[0])} and {len(labels[1])} samples at seed {result.seed}"
    rows = [_test_rows(r.folder) for r in (result, reference)]
    if not bool((labels[0] == labels[1]).all()) or not np.array_equal(*rows):
        return f"their test parts hold different samples at seed {result.seed}"
    return None


def _test_rows(folder: Path) -> Any:
    path = folder / "splits.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as rows:
            return rows["test"] if "test" in rows else np.empty(0)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidValueError(f"{str(path)!r} must be a whole npz file of a run, got one with {error}.") from error
