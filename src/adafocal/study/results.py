# SPDX-License-Identifier: Apache-2.0
"""The results of a study: one row per run in ``results.csv``, the comparison in ``comparison.json``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from adafocal._files import write_rows, write_text
from adafocal.losses.catalogue import LOSSES
from adafocal.study.plan import study_runs
from adafocal.study.statistics import paired_differences, spread

METRICS = ("error", "ece", "ece_equal_mass", "nll", "overconfidence", "ece_scaled", "nll_scaled", "temperature")
COMPARED = ("error", "ece", "ece_equal_mass", "nll")  # lower is better


def write_results(folder: Path) -> dict[str, Any]:
    """Gather the finished runs of a study and compare them.

    Args:
        folder: A study folder with at least one finished run.

    Returns:
        What ``comparison.json`` holds: the baseline, and per loss its seeds, the spread of each metric on the test part
        and the paired difference to the baseline.

    Raises:
        ValueError: If no run is finished.
    """
    study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    places = study_runs(folder, study["losses"], study["seeds"])
    if not places:
        raise ValueError(f"`study_dir` must hold at least one finished run, got {str(folder)!r} with none.")
    tests = {
        key: test_metrics(json.loads((place / "summary.json").read_text("utf-8"))) for key, place in places.items()
    }
    rows = [{"recipe": study["recipe"], "loss": loss, "seed": seed, **test} for (loss, seed), test in tests.items()]
    write_rows(folder / "results.csv", rows)
    comparison = compare(tests, baseline=study["baseline"])
    write_text(folder / "comparison.json", json.dumps(comparison, indent=2) + "\n")
    return comparison


def test_metrics(summary: dict[str, Any]) -> dict[str, float]:
    """Pick the metrics of a run's test part: as trained, and after temperature scaling."""
    scaled = {f"{metric}_scaled": summary["test_scaled"][metric] for metric in ("ece", "nll")}
    values = {**summary["test"], **scaled, "temperature": summary["temperature"]}
    return {metric: values[metric] for metric in METRICS}


def compare(tests: dict[tuple[str, int], dict[str, float]], *, baseline: str) -> dict[str, Any]:
    """Give spread and paired differences per loss, from test metrics by (loss, seed)."""
    losses = list(dict.fromkeys(loss for loss, _ in tests))
    by_metric = {
        metric: {loss: {seed: test[metric] for (name, seed), test in tests.items() if name == loss} for loss in losses}
        for metric in METRICS
    }
    differences = {
        metric: paired_differences(by_metric[metric], baseline=baseline) if baseline in losses else {}
        for metric in COMPARED
    }
    return {
        "baseline": baseline,
        "losses": [
            {
                "loss": loss,
                "title": LOSSES[loss].title,
                "seeds": sorted(by_metric["error"][loss]),
                "metrics": {metric: asdict(spread(list(by_metric[metric][loss].values()))) for metric in METRICS},
                "versus_baseline": {
                    metric: asdict(differences[metric][loss]) for metric in COMPARED if loss in differences[metric]
                },
            }
            for loss in losses
        ],
    }
