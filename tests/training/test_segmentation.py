# SPDX-License-Identifier: Apache-2.0
import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from adafocal._estimate import mean_over_cases
from adafocal.calibration import case_calibration, case_stats, evaluate
from adafocal.data import DataConfig
from adafocal.measures import MEASURES
from adafocal.predictions import Predictions
from adafocal.recipes import get_recipe
from adafocal.report import write_page
from adafocal.results.folder import RunFolder
from adafocal.results.run import Sizes
from adafocal.training.cases import case_scores, mean_scores
from adafocal.training.config import plain
from adafocal.training.history import History
from adafocal.training.predict import predict_with
from adafocal.training.run import run
from adafocal.training.voxels import VoxelSample, VoxelSums, counted_rows

pytest.importorskip("monai")
pytest.importorskip("cripser")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The short recipe on ten volumes with a bright box each, whose halves are the two classes."""
    generator, arrays = np.random.default_rng(0), {}
    for number in range(10):
        image = generator.normal(60, 20, (14 + number % 3, 20, 12))
        label = np.zeros(image.shape, dtype=np.uint8)
        place = 3 + number % 4
        label[place : place + 6, 5:10, 3:9], label[place : place + 6, 10:15, 3:9] = 1, 2
        image[label == 1] += 60
        image[label == 2] += 120
        arrays |= {f"box_{number}_image": image.clip(0, 255).astype(np.uint8), f"box_{number}_label": label}
    path = tmp_path_factory.mktemp("volumes") / "boxes.npz"
    np.savez(path, names=[f"box_{number}" for number in range(10)], **arrays)
    data = DataConfig(name="volumes", path=str(path), validation_size=2, test_size=3)
    recipe = get_recipe("hippocampus-unet3d-short")
    return replace(recipe.config, data=data, epochs=2, model_args={"width": 4, "depth": 3})


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "boxes"
    return folder, run(config, folder, progress=False)


def cases_of(folder):
    with (folder / "cases.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_of_volumes_counts_cases_and_writes_a_table_of_them(finished):
    folder, summary = finished
    rows = cases_of(folder)
    with np.load(folder / "splits.npz") as parts:
        names = [f"box_{row}" for row in parts["test"]]

    assert summary.sizes == Sizes(train=5, validation=2, test=3)
    assert [row["case"] for row in rows] == names
    assert json.loads((folder / "summary.json").read_text()) == summary.everything
    assert set(summary.segmentation) == {
        "dice", "hausdorff95", "betti0_error", "betti1_error", "betti2_error", "voxels_pooled", "voxels_per_case",
        "class_ece", "class_ace", "class_mce", "class_ece_scaled", "class_ace_scaled", "class_mce_scaled", "intervals",
    }  # fmt: skip


def test_pooled_calibration_is_that_of_all_voxels_that_count(finished):
    folder, summary = finished
    test = Predictions.load(folder / "test.parquet")
    voxels = sum((14 + number % 3) * 20 * 12 for number in (int(row["case"][-1]) for row in cases_of(folder)))
    exact = evaluate(test)
    found = test.predicted > 0

    assert summary.test["n"] == test.n == voxels
    for name in ("accuracy", "nll", "ece", "brier", "classwise_ece", "overconfidence"):
        assert summary.test[name] == pytest.approx(getattr(exact, name), rel=1e-5, abs=1e-7), name
    pooled = summary.segmentation["voxels_pooled"]
    assert pooled["ece"] == summary.test["ece"]
    assert pooled["ece_scaled"] == summary.test_scaled["ece"]
    foreground = evaluate(Predictions(logits=test.logits[found], labels=test.labels[found]))
    assert pooled["ece_predicted_foreground"] == pytest.approx(foreground.ece, rel=1e-5)
    assert pooled["predicted_foreground"]["nll"] == pytest.approx(foreground.nll, rel=1e-5)


def test_intervals_and_verdicts_come_from_cases_and_not_from_voxels(finished):
    folder, summary = finished
    test = Predictions.load(folder / "test.parquet", cluster="case")
    found = test.predicted > 0
    pooled = summary.segmentation["voxels_pooled"]

    for said, rows in ((summary.test, test), (pooled["predicted_foreground"], test[found])):
        by_case = evaluate(rows)
        assert said["n_clusters"] == by_case.n_clusters == len(cases_of(folder))
        assert said["overconfidence_interval"] == pytest.approx(by_case.overconfidence_interval, rel=1e-4)
        assert said["verdict"]["kind"] == by_case.verdict.kind
        assert said["verdict"]["p"] == pytest.approx(by_case.verdict.p, rel=1e-3)
        assert said["p_calibrated"] is None
        assert said["rms_interval"] == [None, None]
    of_voxels = evaluate(Predictions(logits=test.logits, labels=test.labels))
    wide, narrow = (np.ptp(one) for one in (summary.test["accuracy_interval"], of_voxels.accuracy_interval))
    assert wide > 1.5 * narrow
    assert set(pq.read_table(folder / "test.parquet")["case"].to_pylist()) == {row["case"] for row in cases_of(folder)}


def test_calibration_per_case_is_the_mean_of_the_cases_own_errors(finished):
    folder, summary = finished
    test, rows, start, errors = Predictions.load(folder / "test.parquet"), cases_of(folder), 0, []
    for row in rows:
        end = start + (14 + int(row["case"][-1]) % 3) * 20 * 12
        errors.append(evaluate(Predictions(logits=test.logits[start:end], labels=test.labels[start:end])).ece)
        start = end

    assert [float(row["ece"]) for row in rows] == pytest.approx(errors, rel=1e-5)
    assert summary.segmentation["voxels_per_case"]["ece"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert summary.segmentation["voxels_per_case"]["ece"] != pytest.approx(summary.test["ece"], rel=1e-5)


def test_calibration_per_class_is_that_of_each_cases_own_voxels(finished, config):
    folder, summary = finished
    test, rows = Predictions.load(folder / "test.parquet"), cases_of(folder)
    sizes = torch.tensor([(14 + int(row["case"][-1]) % 3) * 20 * 12 for row in rows])
    cases = torch.arange(len(rows)).repeat_interleave(sizes)
    names = summary.class_names[1:]
    for end, logits in (("", test.logits), ("_scaled", test.logits / summary.temperature)):
        found = case_calibration(logits, test.labels, cases=cases, n_bins=config.n_bins)
        stats = case_stats(logits, test.labels, cases, n_bins=config.n_bins)
        for name in ("ece", "ace", "mce"):
            column, block = f"class_{name}{end}", summary.segmentation[f"class_{name}{end}"]
            errors = stats.errors(name)[:, 1:]
            for place, label in enumerate(names):
                held = [float(row[f"{column}_{label}"]) for row in rows]
                assert held == pytest.approx(errors[:, place].tolist(), abs=1e-5)
                assert block[label] == pytest.approx(found.classes[place + 1][name].value, abs=1e-5)
            assert [float(row[column]) for row in rows] == pytest.approx(errors.mean(dim=1).tolist(), abs=1e-5)
            overall = getattr(found, name)
            assert block["mean"] == pytest.approx(overall.value, abs=1e-5)
            assert summary.segmentation["intervals"][column] == pytest.approx([overall.low, overall.high], abs=1e-4)


def test_means_over_cases_have_intervals(finished):
    folder, summary = finished
    intervals = summary.segmentation["intervals"]
    for name, high in (("dice", 1.0), ("hausdorff95", math.inf), ("ece_scaled", 1.0)):
        found = mean_over_cases([float(row[name]) for row in cases_of(folder)], low=0.0, high=high)
        assert intervals[name] == pytest.approx([found.low, found.high], abs=1e-6)
        assert found.low < found.value < found.high


def test_a_run_of_a_version_without_calibration_per_class_is_read(finished, tmp_path):
    folder, summary = finished
    shutil.copytree(folder, tmp_path / "run")
    file = tmp_path / "run" / "summary.json"
    old = json.loads(file.read_text())
    old["segmentation"] = {
        name: value
        for name, value in old["segmentation"].items()
        if not name.startswith("class_") and name != "intervals"
    }
    file.write_text(json.dumps(old))
    read = RunFolder(tmp_path / "run").summary

    assert math.isnan(read.value(MEASURES["class_ace"]))
    assert read.value(MEASURES["dice"]) == summary.value(MEASURES["dice"])
    write_page(tmp_path / "run", tmp_path / "page.html")


def test_temperature_is_fitted_to_validation_voxels_and_lowers_their_nll(finished):
    folder, summary = finished
    validation = Predictions.load(folder / "validation.parquet")
    scaled = Predictions(logits=validation.logits / summary.temperature, labels=validation.labels)

    assert evaluate(scaled).nll <= summary.validation["nll"]
    assert summary.test_scaled["error"] == summary.test["error"]


def test_adafocal_adapts_to_voxels(finished):
    folder, _ = finished
    state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))

    assert state["loss.gamma"].ne(1.0).any()
    assert 0 < float(rows[-1]["val_nll"]) < 2


def test_an_interrupted_run_is_resumed_and_ends_as_the_unbroken_one(finished, config, tmp_path, monkeypatch):
    whole = History.on_train_epoch_end

    def stop_in_the_second_epoch(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise RuntimeError("the lights went out")
        whole(self, trainer, pl_module)

    with monkeypatch.context() as patched:
        patched.setattr(History, "on_train_epoch_end", stop_in_the_second_epoch)
        with pytest.raises(RuntimeError, match="the lights went out"):
            run(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run/summary.json").exists()

    assert run(config, tmp_path / "run", progress=False) == finished[1]


@pytest.mark.parametrize("loss", ["cross_entropy", "topology_aware_focal"])
def test_the_other_losses_of_the_recipe_train_by_the_same_loop(loss, config, tmp_path):
    config = replace(get_recipe("hippocampus-unet3d-short").with_loss(config, loss), epochs=1)
    summary = run(config, tmp_path / "run", progress=False)

    assert summary.loss == loss
    assert 0 <= summary.segmentation["dice"]["mean"] <= 1


def test_a_finished_run_predicts_voxels_with_features(finished):
    folder, _ = finished
    predictions = predict_with(folder, features=True)
    stored = Predictions.load(folder / "test.parquet")

    torch.testing.assert_close(predictions.logits, stored.logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(predictions.labels, stored.labels)
    assert predictions.features.shape == (stored.n, 4)


@pytest.mark.parametrize("loss", ["adafocal_per_class", "l1_ace"])
def test_gammas_of_each_class_are_kept_through_a_run_that_goes_on(loss, config, tmp_path):
    arguments = {"streaming": True, "ignore_predicted": 0}
    if loss == "l1_ace":
        arguments = {"base": "adafocal_per_class", "base_args": arguments}
    config = replace(config, loss=loss, loss_args=arguments, epochs=1)
    whole = run(config, tmp_path / "run", progress=False)
    (tmp_path / "run/summary.json").unlink()

    assert run(config, tmp_path / "run", progress=False).everything == whole.everything
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    (gamma,) = (value for name, value in state.items() if name.endswith("class_gamma"))
    assert gamma.shape == (3, 15)
    assert predict_with(tmp_path / "run").n == whole.test["n"]


def test_a_model_of_volumes_takes_no_images(finished, rejects, tmp_path):
    np.savez(tmp_path / "train.npz", image=np.zeros((4, 8, 8), dtype=np.uint8), label=np.arange(4))
    with rejects(ValueError, "The data must be volumes, as the model was trained on, got other data."):
        predict_with(finished[0], data=DataConfig(name="mine", path=str(tmp_path)))


def test_the_page_shows_scores_slices_surfaces_and_diagrams(finished, tmp_path):
    folder, summary = finished
    page = write_page(folder, tmp_path / "page.html").read_text(encoding="utf-8")

    assert len(page) < 2_000_000
    assert page.count('id="cases"') == 1
    for title in ("Best case, box_", "Worst case: surfaces", "Best case: persistence", ">Segmentation</h2>"):
        assert title in page
    opening = page[: page.index(">Results</h2>")]
    assert opening.count("All voxels, ") == opening.count("Predicted foreground, ") == 2
    for first in ("Lowest Dice: box_", 'id="cases-table"', "Worst case: errors and confidence"):
        assert first in opening
    assert opening.count('<th scope="row"><bdi>box_') == len(RunFolder(folder).cases) > 0
    assert re.search(rf"<td[^>]*>{summary.segmentation['dice']['mean']:.3f}\s*</td>", page)


def test_a_class_that_is_in_neither_mask_does_not_count():
    labels = torch.zeros(4, 4, 4, dtype=torch.long)
    labels[1:3, 1:3, 1:3] = 1
    labels[3] = -100
    predicted = torch.where(labels == 1, 1, 0)
    predicted[3] = 2  # where no voxel counts
    scores = case_scores(predicted, labels, ("background", "a", "b"))

    assert scores["dice"] == scores["dice_a"] == 1.0
    assert math.isnan(scores["dice_b"])
    assert math.isnan(scores["betti0_error_b"])
    assert mean_scores([scores], ("background", "a", "b"))["dice"] == {"mean": 1.0, "a": 1.0, "b": None}


def test_betti_errors_count_pieces_tunnels_and_cavities_that_are_too_many():
    labels = torch.zeros(9, 9, 9, dtype=torch.long)
    labels[1:4, 1:4, 1:4] = 1
    predicted = labels.clone()
    predicted[2, 2, 2], predicted[6:8, 6:8, 6:8] = 0, 1
    scores = case_scores(predicted, labels, ("background", "a"))

    assert [scores[f"betti{dim}_error"] for dim in range(3)] == [1.0, 0.0, 1.0]


def test_a_large_part_is_sampled_alike_from_all_cases():
    labels = torch.zeros(3, 10, 10, 10, dtype=torch.long)
    labels[1, 5:] = -100
    sample = VoxelSample(labels, seed=0, limit=250)
    chosen = [sample.choose(n) for n in (1000, 500, 1000)]

    assert [len(rows) for rows in chosen] == [100, 50, 100]
    assert all(bool(rows.diff().gt(0).all()) for rows in chosen)
    assert torch.equal(VoxelSample(labels, seed=0, limit=2500).choose(500), torch.arange(500))


def test_sums_do_not_depend_on_how_cases_are_cut(monkeypatch):
    logits, labels = torch.randn(2, 3, 4, 5, 6), torch.randint(3, (2, 4, 5, 6))
    labels[0, 0] = -100
    rows, flat = counted_rows(logits, labels)
    whole = VoxelSums.of_case(rows, flat, n_bins=15)
    monkeypatch.setattr("adafocal.training.voxels.ROWS", 50)
    cases = [counted_rows(case[None], case_labels) for case, case_labels in zip(logits, labels, strict=True)]
    parts = VoxelSums.merge(*(VoxelSums.of_case(*case, n_bins=15) for case in cases))

    assert len(rows) == 2 * 120 - 30
    expected, actual = whole.summary(), parts.summary()
    numbers = {name for name, value in expected.items() if isinstance(value, (int, float))}
    assert len(numbers) >= 15
    for name, value in expected.items():
        assert actual[name] == (pytest.approx(value, abs=1e-6) if name in numbers else value) or name == "verdict", name
    assert actual["verdict"]["gap"] == pytest.approx(expected["verdict"]["gap"], abs=1e-6)
    assert parts.of_foreground()["ece"] == pytest.approx(whole.of_foreground()["ece"], abs=1e-6)


def test_a_run_that_finds_no_foreground_says_so_with_none():
    voxels = VoxelSums.of_case(torch.tensor([[2.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1]), n_bins=15)

    assert voxels.of_foreground() is None


def test_the_settings_of_a_run_of_volumes_survive_their_file(finished, config):
    stored = yaml.safe_load((finished[0] / "config.yaml").read_text())

    assert stored["data"]["name"] == config.data.name
    assert stored["loss_args"] == {"streaming": True, "ignore_predicted": 0}


COUNTING = """
import os, sys
import adafocal.training.segmentation as segmentation
from adafocal.cli import main
scores = segmentation.case_scores
def counted(*given):
    with open(os.environ["COUNTS"] + os.environ.get("RANK", "0"), "a") as file:
        file.write("case\\n")
    return scores(*given)
segmentation.case_scores = counted
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("n_ranks", "n_test", "shares"), [(2, 3, [2, 1]), (2, 1, [1, 1])])
def test_two_processes_predict_a_share_each_and_give_what_one_does(config, tmp_path, n_ranks, n_test, shares):
    data = replace(config.data, test_size=n_test, augment=False)
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump(plain(replace(config, data=data, precision="64-true", epochs=1, batch_size=2)))
    )
    script = tmp_path / "counting.py"
    script.write_text(COUNTING)
    launch = ["-m", "torch.distributed.run", f"--nproc-per-node={n_ranks}", "--rdzv-backend=c10d"]
    summaries, samples = [], []
    for name, start, options in (
        ("alone", [], []),
        ("shared", [*launch, "--rdzv-endpoint=localhost:0"], ["--devices", str(n_ranks), "--strategy", "ddp"]),
    ):
        if name == "shared":  # the same weights: all that is left to do is to measure
            shutil.copytree(tmp_path / "alone", tmp_path / name)
            (tmp_path / name / "summary.json").unlink()
        given = ["--config", str(tmp_path / "own.yaml"), "--progress", "false", "--run_dir", str(tmp_path / name)]
        done = subprocess.run(
            [sys.executable, *start, str(script), "train", *given, *options],
            env={**os.environ, "OMP_NUM_THREADS": "1", "COUNTS": str(tmp_path / f"{name}-")},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        summaries.append(json.loads((tmp_path / name / "summary.json").read_text()))
        samples.append(Predictions.load(tmp_path / name / "test.parquet"))
        summaries[-1]["cases"] = cases_of(tmp_path / name)

    counts = [len((tmp_path / f"shared-{rank}").read_text().split()) for rank in range(n_ranks)]
    assert counts == shares
    assert torch.equal(samples[0].labels, samples[1].labels)
    torch.testing.assert_close(samples[0].logits, samples[1].logits, rtol=1e-4, atol=1e-6)
    assert [row["case"] for row in summaries[0]["cases"]] == [row["case"] for row in summaries[1]["cases"]]
    for part in ("test", "test_scaled", "validation"):
        assert summaries[1][part]["nll"] == pytest.approx(summaries[0][part]["nll"], rel=1e-5)
        assert summaries[1][part]["ece"] == pytest.approx(summaries[0][part]["ece"], abs=1e-5)
    assert summaries[1]["segmentation"]["dice"] == pytest.approx(summaries[0]["segmentation"]["dice"], abs=1e-6)


def test_an_adaptive_base_of_a_penalty_adapts_and_its_gammas_are_recorded(config, tmp_path):
    arguments = {"base": "adafocal", "base_args": {"streaming": True, "n_bins": 5}, "include_background": False}
    run(replace(config, loss="l1_ace", loss_args=arguments, epochs=1), tmp_path / "run", progress=False)
    with (tmp_path / "run/metrics.csv").open() as file:
        [row] = csv.DictReader(file)
    weights = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]

    gammas = [float(row[f"gamma_{place}"]) for place in range(5)]
    assert gammas == pytest.approx(weights["loss.base.gamma"].tolist())
    assert min(gammas) < 1.0 or max(gammas) > 1.0
