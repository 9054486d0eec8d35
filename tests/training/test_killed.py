# SPDX-License-Identifier: Apache-2.0
"""A command that is stopped at any of its file operations ends as an unbroken one when it is given again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "killing.py"
TRAIN = ["train", "--epochs", "1", "--run_dir", "{}/run", "--progress", "false"]
RUN = ["run", "{}/run"]
STUDY = ["study", "--epochs", "1", "--losses", "cross_entropy", "adafocal", "--seeds", "0", "--study_dir", "{}/study"]
TEST, VALIDATION = "{}/run/test.parquet", "{}/run/validation.parquet"
FIT = ["scale", "fit", VALIDATION, "-o", "{}/scaled/T.json"]
SQUARES = ["train", "--data.name", "cifar10", "--data.path", "{}/images.npz", "--epochs", "1", "--run_dir", "{}/run"]
SIZES = ["--data.validation_size", "40", "--data.train_size", "80", "--data.noise", "0"]
OOD = ["ood", "--run", "{}/run", "--against", "gaussian_noise-5", "--scores", "msp", "--n_resamples", "10"]
PAIR = ["ood", "--id", TEST, "--ood", VALIDATION, "--n_resamples", "10"]
QUICK = {"run": {"command": RUN, "every": 7}, "scale fit": {"before": [RUN], "command": FIT}}
# A run is stopped at each of its operations, what writes in the same way at some, an odd number apart.
LONG = {
    "run": {"command": RUN},
    "train": {"command": TRAIN, "every": 5},
    "train, the best epoch": {"command": [*TRAIN, "--select", "best", "--epochs", "2"], "every": 5},
    "train, overwriting": {"before": [TRAIN], "command": [*TRAIN, "--seed", "1", "--overwrite", "true"], "every": 7},
    "train, terminated": {"command": TRAIN, "signal": "TERM", "every": 7},
    "train, interrupted": {"command": TRAIN, "signal": "INT", "every": 7},
    "study": {"command": STUDY, "every": 7},
    "study, terminated": {"command": STUDY, "signal": "TERM", "every": 23},
    "study of studies": {
        "before": [STUDY, RUN],
        "command": ["study", "--compare", "{}/study", "{}/run", "--study_dir", "{}/both"],
        "every": 5,
    },
    "predict": {"before": [RUN], "command": ["predict", "{}/run", "-o", "{}/p.npz", "--features", "true"]},
    "evaluate": {"before": [RUN], "command": ["evaluate", TEST, "--json", "{}/e/e.json", "--html", "{}/e/e.html"]},
    "scale apply": {"before": [RUN, FIT], "command": ["scale", "apply", "{}/scaled/T.json", TEST, "-o", "{}/s.csv"]},
    "ood": {
        "before": [RUN],
        "command": [*PAIR, "--json", "{}/o.json", "--html", "{}/o.html"],
        "every": 3,
    },
    "ood of a run": {"before": [[*SQUARES, *SIZES]], "command": OOD, "every": 3},
    "report": {
        "before": [RUN],
        "command": ["report", "{}/run", "-o", "{}/r.html", "--figures", "{}/figures"],
        "every": 5,
    },
}  # fmt: skip


def stopped_everywhere(folder, *scenarios):
    command = [sys.executable, str(HARNESS), str(folder), *map(json.dumps, scenarios)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_and_a_scaling_killed_at_many_file_operations_end_as_unbroken_ones(tmp_path):
    run, scaling = stopped_everywhere(tmp_path, *QUICK.values())

    assert run["problems"] == scaling["problems"] == []
    assert run["operations"] > 70
    assert scaling["operations"] > 4


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_any_command_stopped_at_any_file_operation_ends_as_an_unbroken_one(name, tmp_path):
    [found] = stopped_everywhere(tmp_path, LONG[name])

    assert found["problems"] == []
    assert found["operations"] > 4
