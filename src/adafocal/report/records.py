# SPDX-License-Identifier: Apache-2.0
"""What the page needs of JSON files beyond their shape: numbers that fit together."""

from math import isfinite
from pathlib import Path
from typing import Any

from adafocal._records import COMPARISON, DETECTIONS, NUMBER, UNSURE, misfit, read_record
from adafocal._text import shown
from adafocal.errors import InvalidValueError

SPREAD = {"mean": UNSURE, "std": UNSURE}
DIFFERENCE = {"mean": UNSURE, "low": UNSURE, "high": UNSURE, "verdict": str}
LOSSES = [{"metrics": {str: SPREAD}, "versus_baseline": {str: DIFFERENCE}}]
RANKS = {
    "n_experiments": int,
    "losses": [{"loss": str, "title": str, "rank": NUMBER}],
    "p_value": UNSURE,
    "critical_difference": NUMBER,
    "groups": [[str]],
}


def read_detection(path: Path) -> dict[str, Any]:
    """Read what ``adafocal ood --json`` wrote.

    Raises:
        ValueError: With the file, if it is damaged, or curves or histograms do not fit together.
    """
    record = read_record(path, DETECTIONS)
    for one in record["results"]:
        roc = one.get("roc") or {"false_positive_rate": [0], "true_positive_rate": [0]}
        bins = one.get("histogram") or {"edges": [0, 1], "id": [1], "ood": [1]}
        if len(roc["false_positive_rate"]) != len(roc["true_positive_rate"]):
            _refuse(path, "curves of two rates per point")
        if not len(bins["id"]) == len(bins["ood"]) == len(bins["edges"]) - 1 > 0:
            _refuse(path, "histograms of two shares per bin")
        if not all(isfinite(number) for part in (roc, bins) for numbers in part.values() for number in numbers):
            _refuse(path, "finite numbers")
    return record


def read_comparison(path: Path) -> dict[str, Any]:
    """Read the ``comparison.json`` of a study.

    Raises:
        ValueError: With the file, if it is damaged, compares nothing, or names of losses do not fit together.
    """
    record = read_record(path, COMPARISON)
    entries = [loss for experiment in record["experiments"] for loss in experiment["losses"]]
    ranks = {name: found for name, found in (record.get("ranks") or {}).items() if found is not None}
    wrong = misfit(entries, LOSSES, "losses") or misfit(ranks, {str: RANKS}, "ranks")
    if wrong is not None:
        raise InvalidValueError(f"{shown(str(path))} must be a file that adafocal wrote, got one {wrong}.")
    if not record["experiments"] or not all(experiment["losses"] for experiment in record["experiments"]):
        _refuse(path, "losses to compare")
    if not all(loss["runs"] for loss in entries):
        _refuse(path, "a run of each loss")
    for found in ranks.values():
        known = {entry["loss"] for entry in found["losses"]}
        if not all(group and known.issuperset(group) for group in found["groups"]):
            _refuse(path, "groups of losses that are ranked")
    return record


def _refuse(path: Path, what: str) -> None:
    raise InvalidValueError(f"{shown(str(path))} must hold {what}, got others.")
