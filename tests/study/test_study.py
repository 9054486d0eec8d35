# SPDX-License-Identifier: Apache-2.0
import csv
import io
import json
import os
import re
import signal
import threading
import time
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from adafocal.recipes import RECIPES
from adafocal.study.execute import IMPORTS, execute, local_executor
from adafocal.study.plan import Experiment, Study, grid_points
from adafocal.study.results import write_results
from adafocal.workers.local import LocalExecutor

SHORT = replace(RECIPES["digits"].config, epochs=2)


def study(folder, *, config=SHORT, **changes):
    settings = {"experiments": (Experiment("digits", config),), "losses": ("cross_entropy", "adafocal"), "seeds": (0,)}
    return Study(**{**settings, "baseline": "cross_entropy", "folder": folder, **changes})


def console():
    return Console(file=io.StringIO(), width=200)


def test_the_grid_is_experiments_times_losses_times_seeds_in_folders_with_stable_names(tmp_path):
    noisy = Experiment("digits", replace(SHORT, data=replace(SHORT.data, noise=0.3)), {"data.noise": 0.3})
    runs = study(tmp_path, seeds=(0, 3), experiments=(Experiment("digits", SHORT), noisy)).runs

    assert [str(run.folder.relative_to(tmp_path)) for run in runs] == [
        f"runs/{experiment}/{loss}-s{seed}"
        for seed in (0, 3)
        for experiment in ("digits", "digits--data.noise=0.3")
        for loss in ("cross_entropy", "adafocal")
    ]
    assert [(run.config.loss, run.config.seed, run.config.data.noise) for run in runs[:4]] == [
        ("cross_entropy", 0, 0.4), ("adafocal", 0, 0.4), ("cross_entropy", 0, 0.3), ("adafocal", 0, 0.3),
    ]  # fmt: skip


def test_names_of_experiments_are_safe_for_file_systems():
    names = [
        Experiment("digits", SHORT, {"data.path": "/data/my set"}).name,
        Experiment("digits", SHORT, {"optimizer.milestones": [10, 20]}).name,
        Experiment("digits", SHORT, {"data.train_size": None, "data.augment": True}).name,
        Experiment("digits", SHORT, {"data.path": 200 * "x"}).name,
        Experiment("digits", SHORT, {"data.path": 201 * "x"}).name,
    ]

    assert names[:3] == [
        "digits--data.path=%2Fdata%2Fmy%20set",
        "digits--optimizer.milestones=10,20",
        "digits--data.train_size=null--data.augment=true",
    ]
    assert names[3] != names[4]
    assert all(re.fullmatch(r"[\w.,=%-]{1,120}", name) for name in names)


def test_a_grid_gives_every_combination():
    points = grid_points({"data": {"noise": [0.1, 0.3]}, "epochs": [1, 2]})

    assert points == [{"data.noise": noise, "epochs": epochs} for noise in (0.1, 0.3) for epochs in (1, 2)]
    assert grid_points({}) == [{}]


@pytest.mark.parametrize("values", [0.1, [], [1, 1], [[2], [2]]])
def test_a_grid_of_no_values_is_refused(values, rejects):
    sentence = f"`grid.data.noise` must be a list of at least one value and none twice, got {values!r}."
    with rejects(ValueError, sentence):
        grid_points({"data.noise": values})


def test_settings_of_a_loss_go_to_that_loss_alone(tmp_path):
    config = replace(SHORT, loss="adafocal", loss_args={"rate": 2.0})
    runs = study(tmp_path, config=config).runs

    assert [run.config.loss_args for run in runs] == [{}, {"rate": 2.0}]


def test_a_grid_that_is_none_is_refused(rejects, tmp_path):
    with rejects(ValueError, "`seeds` must hold at least one value and none twice, got [0, 0]."):
        study(tmp_path, seeds=(0, 0))
    with rejects(ValueError, "`experiments` must hold at least one value and none twice, got ['digits', 'digits']."):
        study(tmp_path, experiments=(Experiment("digits", SHORT), Experiment("digits", SHORT)))
    with rejects(
        ValueError, "`baseline` must be one of 'cross_entropy', 'adafocal', got 'focal': did you mean 'adafocal'?"
    ):
        study(tmp_path, baseline="focal")
    with rejects(
        ValueError,
        "`devices` and `num_nodes` must be 1 in a study, whose runs share the machine, got 2 and 1: start such runs "
        "with `adafocal train`.",
    ):
        study(tmp_path, config=replace(SHORT, devices=2))


def test_a_folder_with_runs_of_other_settings_is_refused_and_more_of_anything_else_is_welcome(rejects, study_folder):
    config = replace(RECIPES["digits"].config, epochs=4)
    sentence = (
        f"`study_dir` must be new, or hold runs of the same settings, got {str(study_folder)!r}, whose "
        "digits/cross_entropy-s0 has others: choose another folder."
    )
    with rejects(ValueError, sentence):
        study(study_folder, config=config).check_folder()
    other = Experiment("digits", config, {"epochs": 4})
    same = Experiment("digits", replace(config, epochs=3))
    study(study_folder, experiments=(same, other), seeds=(0, 1, 2), losses=("cross_entropy", "brier")).check_folder()


def test_a_folder_with_other_files_is_refused(rejects, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with rejects(ValueError, f"`study_dir` must be new or a study folder, got {str(tmp_path)!r} with other files."):
        study(tmp_path).write()


def test_a_study_folder_holds_the_plan_results_per_run_and_a_comparison(study_folder):
    with (study_folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    comparison = json.loads((study_folder / "comparison.json").read_text())
    summary = json.loads((study_folder / "runs/digits/flsd53-s1/summary.json").read_text())
    plan = yaml.safe_load((study_folder / "study.yaml").read_text())

    assert list(plan) == ["losses", "seeds", "baseline", "experiments"]
    assert plan["experiments"]["digits"]["settings"]["epochs"] == 3
    assert [(row["experiment"], row["loss"], row["seed"]) for row in rows] == [
        ("digits", loss, seed) for loss in ("cross_entropy", "flsd53", "adafocal") for seed in ("0", "1")
    ]
    assert float(rows[3]["ece"]) == summary["test"]["ece"]
    assert comparison["baseline"] == "adafocal"
    assert (comparison["failures"], comparison["ranks"], comparison["notes"]) == ([], None, [])
    [experiment] = comparison["experiments"]
    assert {name: experiment[name] for name in ("name", "title", "varied", "dataset", "model")} == {
        "name": "digits", "title": "Noisy digits, MLP", "varied": {}, "dataset": "digits", "model": "mlp",
    }  # fmt: skip
    assert experiment["settings"]["epochs"] == 3
    assert not {"loss", "seed"} & set(experiment["settings"])
    flsd = experiment["losses"][1]
    assert flsd["runs"][1] == {"seed": 1, "folder": "runs/digits/flsd53-s1"}
    assert flsd["metrics"]["ece"]["mean"] == pytest.approx((float(rows[2]["ece"]) + float(rows[3]["ece"])) / 2)
    paired = [float(rows[2 + seed]["ece"]) - float(rows[4 + seed]["ece"]) for seed in (0, 1)]
    assert flsd["versus_baseline"]["ece"]["mean"] == pytest.approx(sum(paired) / 2)
    assert experiment["losses"][2]["versus_baseline"] == {}


def test_finished_runs_are_not_run_again(study_folder):
    plan = yaml.safe_load((study_folder / "study.yaml").read_text())
    config = replace(RECIPES["digits"].config, epochs=3)
    again = study(study_folder, config=config, losses=tuple(plan["losses"]), seeds=(0, 1))
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
    failures = execute(broken.runs, executor=LocalExecutor(1), console=out)
    comparison = write_results(broken, failures)

    assert [failure.loss for failure in failures] == ["adafocal"]
    assert "`loss_args` of adafocal must be among" in failures[0].reason
    assert "failed: `loss_args` of adafocal must be among" in out.file.getvalue()
    assert "time to go" in out.file.getvalue() or "to go)" in out.file.getvalue()
    assert "Traceback" in (tmp_path / "study/runs/digits/adafocal-s0/log.txt").read_text()
    assert [entry.loss for entry in comparison.experiments[0].losses] == ["cross_entropy"]
    assert [(f.experiment, f.loss, f.seed) for f in comparison.failures] == [("digits", "adafocal", 0)]


def test_a_killed_run_is_begun_again_at_its_last_checkpoint(tmp_path):
    [run] = study(tmp_path / "study", config=replace(SHORT, epochs=60), losses=("cross_entropy",)).runs
    killer = threading.Thread(target=kill_the_process_of, args=(run,))
    killer.start()
    failures = execute([run], executor=LocalExecutor(1), console=console())
    killer.join()

    assert failures == []
    assert (run.folder / "log.txt").read_text().count(" process ") == 2
    rows = csv.DictReader((run.folder / "metrics.csv").read_text().splitlines())
    assert [row["epoch"] for row in rows] == [str(i) for i in range(60)]


def kill_the_process_of(run):
    deadline = time.monotonic() + 120
    while not (run.folder / "checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(int(re.findall(r"process (\d+)", (run.folder / "log.txt").read_text())[-1]), signal.SIGKILL)


def test_workers_share_the_cores_and_the_accelerators(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    on_cpu = study(tmp_path).runs
    on_any = study(tmp_path, config=replace(SHORT, accelerator="auto")).runs

    assert IMPORTS[0] == "adafocal.training.run"
    assert local_executor(on_cpu) == LocalExecutor(16, None, 0, IMPORTS)
    assert local_executor(on_any) == LocalExecutor(4, None, 4, IMPORTS)
    assert local_executor(on_any, 8, 2) == LocalExecutor(8, 2, 4, IMPORTS)
