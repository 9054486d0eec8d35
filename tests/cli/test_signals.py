# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGINT end a command with 143 and 130, a sentence, no process left, and a folder that goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
# The process sends itself the signal at a place, by what it calls there.
AT = """
import os, sys
from importlib import import_module
place, number, *arguments = sys.argv[1:]
module, owner, name = place.split(":")
at = getattr(import_module(module), owner) if owner else import_module(module)
original, calls = getattr(at, name), []
def hit(*args, **kwargs):
    calls.append(1)
    if len(calls) == 3 or not owner:
        os.kill(os.getpid(), int(number))
    return original(*args, **kwargs)
setattr(at, name, hit)
from adafocal.cli import main
sys.exit(main(arguments))
"""
MID_EPOCH = "adafocal.training.classifier:Classifier:training_step"
PREDICTING = "adafocal.training.classifier:Classifier:predict_step"
LOADING = "adafocal.training.run::load_splits"
RESULTS = "adafocal.training.measured::evaluate"


def command(folder, *options):
    return ["train", "--epochs", "3", "--run_dir", str(folder), "--progress", "false", *options]


def stopped(place, number, arguments, launcher=()):
    line = [sys.executable, *launcher, "-c", AT, place, str(int(number)), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300)


@pytest.mark.parametrize(
    ("place", "number"),
    [
        (MID_EPOCH, signal.SIGTERM),
        (RESULTS, signal.SIGINT),
        *(pytest.param(place, signal.SIGTERM, marks=pytest.mark.slow) for place in (LOADING, PREDICTING)),
    ],
)
def test_training_says_how_to_go_on(place, number, tmp_path):
    done = stopped(place, number, command(tmp_path / "run"))
    word = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[number]

    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.splitlines()[-1] == f"adafocal train: {word}; the same command goes on from the last checkpoint."
    assert "Traceback" not in done.stderr
    left = [path.name for path in tmp_path.rglob(".adafocal*")]
    assert left == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_other_commands_end_in_the_same_way(number, tmp_path):
    rows = "\n".join(["prob_0,prob_1,label", *["0.5,0.5,1"] * 50])
    (tmp_path / "p.csv").write_text(rows)
    done = stopped(
        "adafocal.evaluation.measure::measure", number, ["evaluate", tmp_path / "p.csv", "--json", tmp_path / "e.json"]
    )

    assert done.returncode == 128 + number
    assert done.stderr.endswith("; the same command begins anew.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def children(process):
    tasks = Path(f"/proc/{process}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def outliving(processes):
    """Give those of a process's children that are still there half a minute after it."""
    deadline = time.monotonic() + 30
    while (left := [one for one in processes if Path(f"/proc/{one}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_study_ends_its_workers_and_goes_on(number, tmp_path):
    folder = tmp_path / "study"
    options = ["--epochs", "200", "--losses", "cross_entropy", "adafocal", "--seeds", "0", "--workers", "2"]
    line = [sys.executable, "-m", "adafocal.cli", "study", *options, "--study_dir", str(folder)]
    process = subprocess.Popen(
        line, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while len(list(folder.rglob("last.ckpt"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = children(process.pid)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert said.endswith("; the same command goes on: finished runs stay, and cut ones resume.\n")
    assert len(workers) >= 2
    assert outliving(workers) == []
    assert len(list(folder.rglob("last.ckpt"))) == 2


@pytest.mark.slow
def test_every_process_of_a_distributed_run_ends_and_the_run_goes_on(tmp_path):
    folder = tmp_path / "run"
    options = ["--epochs", "300", "--devices", "2", "--strategy", "ddp", "--progress", "false"]
    line = [sys.executable, "-m", "adafocal.cli", "train", *options, "--run_dir", str(folder)]
    process = subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = children(process.pid)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 143
    assert "adafocal train: terminated; the same command goes on from the last checkpoint.\n" in said
    assert "Traceback" not in said
    assert outliving(processes) == []
    assert not list(tmp_path.rglob(".adafocal*"))
