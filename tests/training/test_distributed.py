# SPDX-License-Identifier: Apache-2.0
"""Runs over several processes, which meet through gloo."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from adafocal.predictions import Predictions

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# 501 and 333 samples divide by neither 2 nor 3; in double precision rounding does not grow into other predictions.
SETTINGS = ["--epochs", "3", "--data.validation_size", "501", "--data.train_size", "333", "--precision", "64-true"]
SETTINGS += ["--progress", "false", "--logger", "none"]


def train(folder, *options, launcher=()):
    command = [sys.executable, *launcher, "-m", "adafocal.cli", "train", *SETTINGS, "--run_dir", str(folder), *options]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    finish(train(folder))
    return folder


def history(folder):
    with (folder / "metrics.csv").open() as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


def same_run(folder, alone):
    """Every gamma, edge and metric of every epoch, and every prediction, to 1e-6."""
    rows = history(folder)
    assert len(rows) == 3
    for row, expected in zip(rows, history(alone), strict=True):
        assert row == pytest.approx(expected, abs=1e-6, rel=1e-6)
    for part in ("validation", "test"):
        torch.testing.assert_close(
            Predictions.load(folder / f"{part}.parquet").logits,
            Predictions.load(alone / f"{part}.parquet").logits,
            atol=1e-5,
            rtol=1e-5,
        )
    sizes = json.loads((folder / "summary.json").read_text())["sizes"]
    assert sizes == {"train": 333, "validation": 501, "test": 963}


@pytest.mark.parametrize("n_ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_run_over_processes_equals_the_run_alone(n_ranks, alone, tmp_path):
    output = finish(train(tmp_path / "run", "--devices", str(n_ranks), "--strategy", "ddp"))

    same_run(tmp_path / "run", alone)
    assert output.count("run folder") == 1


@pytest.mark.slow
def test_a_run_under_torchrun_equals_the_run_alone(alone, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

    finish(train(tmp_path / "run", "--devices", "2", "--strategy", "ddp", launcher=launcher))

    same_run(tmp_path / "run", alone)


@pytest.mark.slow
def test_summed_losses_step_as_far_over_processes_as_alone(tmp_path):
    options = ["--loss_args.reduction", "sum", "--optimizer.lr", "0.001"]
    finish(train(tmp_path / "one", *options))
    finish(train(tmp_path / "two", *options, "--devices", "2", "--strategy", "ddp"))

    same_run(tmp_path / "two", tmp_path / "one")


def epochs_written(folder):
    try:
        return len((folder / "metrics.csv").read_text().splitlines()) - 1
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_a_process_that_dies_ends_the_run_in_a_sentence_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    folder = tmp_path / "run"
    options = ["--epochs", "400", "--devices", "2", "--strategy", "ddp"]
    process = train(folder, *options)
    deadline = time.monotonic() + 240
    while epochs_written(folder) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
    output, _ = process.communicate(timeout=240)

    assert process.returncode != 0
    assert "Another process of this run died, so this one (rank 0) stops" in output
    assert "Traceback" not in output
    saved = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["epoch"]
    assert saved >= 3
    finish(train(folder, "--epochs", "400"))  # alone: how a run is carried out may change
    assert epochs_written(folder) == 400
