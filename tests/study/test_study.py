# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from adafocal.recipes import RECIPES
from adafocal.study.execute import execute
from adafocal.study.plan import Study
from adafocal.study.results import write_results

SHORT = replace(RECIPES["digits"].config, epochs=2)


def study(folder, **changes):
    settings = {"recipe": "digits", "config": SHORT, "losses": ("cross_entropy", "adafocal"), "seeds": (0,)}
    return Study(**{**settings, "baseline": "cross_entropy", "folder": folder, **changes})


def console():
    return Console(file=io.StringIO(), width=200)


def test_the_grid_is_losses_times_seeds_in_folders_with_stable_names(tmp_path):
    runs = study(tmp_path, seeds=(0, 3)).runs

    assert [run.folder.name for run in runs] == ["cross_entropy-s0", "adafocal-s0", "cross_entropy-s3", "adafocal-s3"]
    assert {(run.config.loss, run.config.seed) for run in runs} == {
        ("cross_entropy", 0), ("adafocal", 0), ("cross_entropy", 3), ("adafocal", 3),
    }  # fmt: skip


def test_settings_of_a_loss_go_to_that_loss_alone(tmp_path):
    config = replace(SHORT, loss="adafocal", loss_args={"rate": 2.0})
    runs = study(tmp_path, config=config).runs

    assert [run.config.loss_args for run in runs] == [{}, {"rate": 2.0}]


def test_a_grid_that_is_none_is_refused(rejects, tmp_path):
    with rejects(ValueError, "`seeds` must hold at least one value and none twice, got [0, 0]."):
        study(tmp_path, seeds=(0, 0))
    with rejects(ValueError, "`baseline` must be one of 'cross_entropy', 'adafocal', got 'focal'."):
        study(tmp_path, baseline="focal")


def test_a_folder_of_another_study_is_refused(rejects, tmp_path):
    study(tmp_path / "study").write()
    sentence = (
        f"`study_dir` must be new, or hold a study of the same settings, got {str(tmp_path / 'study')!r}: "
        "choose another folder."
    )
    with rejects(ValueError, sentence):
        study(tmp_path / "study", config=replace(SHORT, epochs=3)).write()
    study(tmp_path / "study", seeds=(0, 1)).write()

    assert yaml.safe_load((tmp_path / "study/study.yaml").read_text())["seeds"] == [0, 1]


def test_a_study_folder_holds_results_per_run_and_a_comparison(study_folder):
    with (study_folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    comparison = json.loads((study_folder / "comparison.json").read_text())
    summary = json.loads((study_folder / "runs/flsd53-s1/summary.json").read_text())

    assert [(row["loss"], row["seed"]) for row in rows] == [
        (loss, seed) for loss in ("cross_entropy", "flsd53", "adafocal") for seed in ("0", "1")
    ]
    assert float(rows[3]["ece"]) == summary["test"]["ece"]
    assert comparison["baseline"] == "adafocal"
    flsd = comparison["losses"][1]
    assert flsd["metrics"]["ece"]["mean"] == pytest.approx((float(rows[2]["ece"]) + float(rows[3]["ece"])) / 2)
    paired = [float(rows[2 + seed]["ece"]) - float(rows[4 + seed]["ece"]) for seed in (0, 1)]
    assert flsd["versus_baseline"]["ece"]["mean"] == pytest.approx(sum(paired) / 2)
    assert comparison["losses"][2]["versus_baseline"] == {}


def test_finished_runs_are_not_run_again(study_folder):
    settings = yaml.safe_load((study_folder / "study.yaml").read_text())
    again = study(study_folder, losses=tuple(settings["losses"]), seeds=(0, 1))
    before = {run.folder: (run.folder / "summary.json").stat().st_mtime_ns for run in again.runs}
    out = console()

    assert execute(again.runs, console=out) == []
    assert "6 of 6 runs are finished already." in out.file.getvalue()
    assert before == {run.folder: (run.folder / "summary.json").stat().st_mtime_ns for run in again.runs}


def test_a_failed_run_is_told_with_its_reason_and_does_not_stop_the_others(tmp_path):
    config = replace(SHORT, loss="adafocal", loss_args={"rte": 2.0})
    broken = study(tmp_path / "study", config=config)
    broken.write()
    out = console()
    failures = execute(broken.runs, workers=1, console=out)

    assert [failure.run.config.loss for failure in failures] == ["adafocal"]
    assert "`loss_args` of adafocal must be among" in failures[0].reason
    assert "failed: ValueError" in out.file.getvalue()
    assert "Traceback" in (tmp_path / "study/runs/digits/adafocal-s0/log.txt").read_text()
    assert [entry["loss"] for entry in write_results(tmp_path / "study")["losses"]] == ["cross_entropy"]


def test_a_killed_worker_fails_its_run_and_the_others_go_on(tmp_path):
    runs = study(tmp_path / "study", config=replace(SHORT, epochs=2000)).runs[:1]
    runs += study(tmp_path / "study", losses=("cross_entropy", "flsd53")).runs[1:]
    killer = threading.Thread(target=kill_the_worker_of, args=(runs[0],))
    killer.start()
    failures = execute(runs, workers=1, console=console())
    killer.join()

    assert [failure.run for failure in failures] == [runs[0]]
    assert failures[0].reason == "its worker process died (killed, or out of memory)"
    assert runs[1].finished


def kill_the_worker_of(run):
    deadline = time.monotonic() + 60
    while not (run.folder / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    children = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and parent_of(int(entry)) == os.getpid()]
    for child in children:
        if b"spawn_main" in command_of(child):
            os.kill(child, signal.SIGKILL)


def parent_of(process):
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


def command_of(process):
    with open(f"/proc/{process}/cmdline", "rb") as file:
        return file.read()
