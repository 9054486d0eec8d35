# SPDX-License-Identifier: Apache-2.0
import csv
import importlib.metadata
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from adafocal.calibration import expected_calibration_error
from adafocal.predictions import Predictions
from adafocal.recipes import RECIPES
from adafocal.results.run import Sizes, Summary
from adafocal.scaling import fit_temperature
from adafocal.training.config import TrainConfig, from_plain, plain
from adafocal.training.run import run

SHORT = replace(RECIPES["digits"].config, epochs=3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "adafocal"
    return folder, run(SHORT, folder, progress=False)


def test_a_run_folder_holds_settings_provenance_history_predictions_checkpoint_and_summary(finished):
    folder, summary = finished

    assert {entry.name for entry in folder.iterdir()} == {
        "config.yaml", "provenance.json", "metrics.csv", "checkpoints", "summary.json", "splits.npz",
        "validation.parquet", "test.parquet", "examples.json", "tensorboard",
    }  # fmt: skip
    assert from_plain(yaml.safe_load((folder / "config.yaml").read_text())) == SHORT
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["versions"]["torch"] == importlib.metadata.version("torch")
    assert {"date", "command", "versions", "hardware", "git"} == provenance.keys()
    assert json.loads((folder / "summary.json").read_text()) == summary.everything


def test_the_history_has_one_row_per_epoch_with_the_gammas_of_the_checkpoint(finished):
    folder, _ = finished

    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]

    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(rows[-1][f"gamma_{i}"]) for i in range(15)] == state["loss.gamma"].tolist()
    assert [float(rows[-1][f"edge_{i}"]) for i in range(1, 15)] == state["loss.edges"].tolist()
    assert state["loss.gamma"].ne(1.0).any()


def test_results_are_a_record_that_can_be_read_by_key_for_one_version_with_a_warning(finished):
    _, summary = finished

    assert isinstance(summary, Summary)
    assert set(summary) == set(summary.everything)
    with pytest.warns(
        DeprecationWarning, match=r"read its attributes, or `\.everything\['test'\]`, not `\['test'\]`\.$"
    ):
        assert summary["test"] == summary.test
    with pytest.raises(KeyError):
        summary["nothing"]


def test_the_summary_agrees_with_the_predictions_it_was_made_from(finished):
    folder, summary = finished
    test = Predictions.load(folder / "test.parquet")

    assert summary.sizes == Sizes(train=300, validation=500, test=997)
    assert summary.test["n"] == test.n == 997
    assert summary.test["error"] == pytest.approx(1 - float(test.correct.double().mean()))
    assert summary.test["ece"] == pytest.approx(float(expected_calibration_error(test.confidence, test.correct)))
    nll = torch.nn.functional.cross_entropy(test.logits, test.labels)
    assert summary.test["nll"] == pytest.approx(float(nll), rel=1e-5)


def test_the_run_ends_with_temperature_scaling_fitted_on_validation_predictions(finished):
    folder, summary = finished
    fitted = fit_temperature(Predictions.load(folder / "validation.parquet"))
    scaled = fitted.apply(Predictions.load(folder / "test.parquet"))

    assert summary.temperature == fitted.temperature
    assert summary.test_scaled["error"] == summary.test["error"]
    assert summary.test_scaled["ece"] == pytest.approx(
        float(expected_calibration_error(scaled.confidence, scaled.correct))
    )


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(finished, tmp_path):
    _, summary = finished

    assert run(SHORT, tmp_path / "again", progress=False) == summary
    assert run(replace(SHORT, seed=1), tmp_path / "other", progress=False).test != summary.test


def test_a_finished_run_is_not_trained_again(finished):
    folder, summary = finished
    before = (folder / "checkpoints/last.ckpt").stat().st_mtime_ns

    assert run(SHORT, folder, progress=False) == summary
    assert (folder / "checkpoints/last.ckpt").stat().st_mtime_ns == before


def test_a_folder_of_other_settings_is_refused_and_overwritten_on_demand(finished, rejects, tmp_path):
    folder = tmp_path / "run"
    run(replace(SHORT, epochs=1), folder, progress=False)
    sentence = (
        f"`run_dir` must be new, or hold a run of the same settings, got {str(folder)!r}: "
        "choose another folder or add --overwrite."
    )
    with rejects(ValueError, sentence):
        run(replace(SHORT, epochs=2), folder, progress=False)
    run(replace(SHORT, epochs=2), folder, overwrite=True, progress=False)

    assert yaml.safe_load((folder / "config.yaml").read_text())["epochs"] == 2


def test_a_folder_with_other_files_is_refused(rejects, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")

    with rejects(ValueError, f"`run_dir` must be new or a run folder, got {str(tmp_path)!r}, which holds other files."):
        run(SHORT, tmp_path, overwrite=True, progress=False)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("loss", ["cross_entropy", "flsd53"])
def test_losses_without_state_train_by_the_same_loop(loss, tmp_path):
    summary = run(replace(SHORT, loss=loss), tmp_path / "run", progress=False)

    assert summary.loss == loss
    assert 0 < summary.test["error"] < 0.6
    assert "gamma_0" not in (tmp_path / "run/metrics.csv").read_text()


def test_half_precision_training_keeps_the_gammas_in_float32(tmp_path):
    run(replace(SHORT, precision="bf16-true", epochs=2), tmp_path / "run", progress=False)
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]

    assert state["model.head.weight"].dtype == torch.bfloat16
    assert state["loss.gamma"].dtype == torch.float32


def test_settings_survive_the_way_through_plain_values():
    assert from_plain(plain(SHORT)) == SHORT


def test_settings_out_of_range_are_refused_by_name(rejects):
    with rejects(ValueError, "`epochs` must be an integer >= 1, got 0."):
        TrainConfig(epochs=0)
    with rejects(ValueError, "`data.noise` must be a finite number >= 0, got -1."):
        replace(SHORT.data, noise=-1)


def command(folder: Path, loss: str) -> list[str]:
    options = ["--loss", *loss.split(), "--epochs", "40", "--run_dir", str(folder), "--progress", "false"]
    return [sys.executable, "-m", "adafocal.cli", "train", *options]


@pytest.mark.parametrize(
    "loss", ["adafocal --loss_args.pooled_rate predictive", pytest.param("selective_au", marks=pytest.mark.slow)]
)
def test_a_run_killed_at_a_random_step_and_resumed_ends_as_the_unbroken_run(loss, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    subprocess.run(command(unbroken, loss), env=environment, check=True, capture_output=True)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command(broken, loss), env=environment, **silent)
    deadline = time.monotonic() + 120
    while epochs_written(broken) < 10 and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(random.random() * 0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped_after = epochs_written(broken)
    assert 10 <= stopped_after < 40
    assert not (broken / "summary.json").exists()
    subprocess.run(command(broken, loss), env=environment, check=True, capture_output=True)

    expected, actual = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (unbroken, broken))
    for name, value in expected["state_dict"].items():
        assert torch.equal(value, actual["state_dict"][name]), name
    assert json.loads((unbroken / "summary.json").read_text()) == json.loads((broken / "summary.json").read_text())
    assert history_but_for_time(unbroken) == history_but_for_time(broken)


def history_but_for_time(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def epochs_written(folder: Path) -> int:
    try:
        return len((folder / "metrics.csv").read_text().splitlines()) - 1
    except FileNotFoundError:
        return 0
