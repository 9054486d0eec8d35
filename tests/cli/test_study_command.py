# SPDX-License-Identifier: Apache-2.0
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from adafocal.cli import main, options

PLAN = """
recipes: [digits, cifar10-resnet50-short]
losses: [cross_entropy, adafocal]
seeds: [0, 1, 2]
baseline: adafocal
epochs: 4
grid:
  data.noise: [0.1, 0.3]
"""


@pytest.fixture
def plan(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


def test_a_dry_run_shows_the_plan_of_a_file_and_writes_nothing(plan, tmp_path, capsys):
    folder = tmp_path / "study"
    assert main(["study", str(plan), "--seeds", "0", "1", "--study_dir", str(folder), "--dry-run"]) == 0
    out = capsys.readouterr().out

    assert f"4 experiments x 2 losses x 2 seeds = 16 runs in {folder}" in out
    assert "cifar10-resnet50-short--data.noise=0.3" in out
    assert "0 finished, 16 missing; 64 epochs to go." in out
    assert not folder.exists()


def test_a_grid_asks_its_file_for_recipe_and_loss_no_more_often_for_more_points(plan, tmp_path, monkeypatch):
    read, asked = options._settings_of_file, []
    monkeypatch.setattr(options, "_settings_of_file", lambda path: asked.append(path) or read(path))
    counts = []
    for values in ("[0.1]", "[0.1,0.2,0.3,0.4]"):
        asked.clear()
        grid = ["--grid.data.noise", values, "--study_dir", str(tmp_path / "study"), "--dry-run"]
        assert main(["study", str(plan), *grid]) == 0
        counts.append(len(asked))

    assert counts == [2, 2]


def test_a_dry_run_counts_what_is_finished(study_folder, capsys):
    before = sorted(study_folder.rglob("*"))
    arguments = ["--epochs", "3", "--seeds", "0", "1", "2", "--study_dir", str(study_folder), "--dry-run"]
    assert main(["study", *arguments]) == 0

    assert "6 finished, 3 missing; 9 epochs to go." in capsys.readouterr().out
    assert before == sorted(study_folder.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipes", "digits", "nope"], "`recipe` must be one of digits, "),
        (["--recipes", "digits", "digits"], "`experiments` must hold at least one value and none twice, got "),
        (["--seeds", "0", "0"], "`seeds` must hold at least one value and none twice, got [0, 0]."),
        (["--losses", "foca"], "`losses` must be one of "),
        (
            ["--grid.data.nois", "[0.1]"],
            "`grid` must name settings that `adafocal train --help` shows, got 'data.nois': did you mean 'data.noise'?",
        ),
        (["--grid.seed", "[0, 1]"], "`grid` must name settings that `adafocal train --help` shows, got 'seed'."),
        (
            ["--grid.data.noise", "0.1"],
            "`grid.data.noise` must be a list of at least one value and none twice, got ",  # 0.1, or '0.1' since 4.46
        ),
        (["--grid.data.noise", "[loud]"], "Parser key \"data.noise\": Expected a <class 'float'>. Got value: loud"),
        (["--grid.epochs", "[0]"], "`epochs` must be an integer >= 1, got 0."),
        (["--executor", "dask"], "`executor` must be one of 'local', 'ray', got 'dask'."),
        (["--ray_address", "auto"], "`ray_address` must be given with `--executor ray`, got 'auto' with local."),
        (["--workers", "0"], "`workers` must be an integer >= 1, got 0."),
        (
            ["--losses", "brier", "cross_entropy", "--loss_args.rate", "2"],
            "`loss_args` are those of --loss, which must be among the losses brier, cross_entropy, got 'adafocal'.",
        ),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_status_2(arguments, sentence, capsys, tmp_path, unchecked_shapes):
    assert main(["study", *arguments, "--study_dir", str(tmp_path / "study"), "--dry-run"]) == 2
    error = capsys.readouterr().err

    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_an_unknown_key_of_a_plan_is_named(plan, capsys):
    plan.write_text(PLAN + "epoch: 3\n")

    assert main(["study", str(plan), "--dry-run"]) == 2
    assert "'epoch'" in capsys.readouterr().err


def test_the_settings_of_a_loss_reach_it_where_it_is_the_only_one(tmp_path, capsys):
    arguments = ["--losses", "focal", "--grid.loss_args.gamma", "[1, 2]", "--seeds", "0", "--dry-run"]
    assert main(["study", *arguments, "--study_dir", str(tmp_path / "study")]) == 0

    assert "digits--loss_args.gamma=2" in capsys.readouterr().out


def comparison_of(folder):
    return json.loads((folder / "comparison.json").read_text())


def test_finished_studies_are_compared_over_their_common_seeds(study_folder, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(study_folder, other)
    shutil.rmtree(other / "runs/digits/adafocal-s1")
    held = comparison_of(other)
    held["experiments"][0]["losses"][2]["runs"].pop()
    (other / "comparison.json").write_text(json.dumps(held))
    output = tmp_path / "both"
    assert main(["study", "--compare", str(study_folder), str(other), "--study_dir", str(output)]) == 0
    [experiment] = comparison_of(output)["experiments"]
    losses = {entry["loss"]: entry for entry in experiment["losses"]}

    assert comparison_of(output)["baseline"] == "small/adafocal"
    assert list(losses) == [
        f"{folder}/{loss}" for folder in ("small", "other") for loss in ("cross_entropy", "flsd53", "adafocal")
    ]
    assert losses["other/adafocal"]["seeds"] == [0]
    assert losses["other/adafocal"]["versus_baseline"]["ece"]["mean"] == 0
    mine, theirs = (losses[f"{folder}/flsd53"]["versus_baseline"]["ece"] for folder in ("small", "other"))
    assert (
        mine["mean"]
        == theirs["mean"]
        == comparison_of(study_folder)["experiments"][0]["losses"][1]["versus_baseline"]["ece"]["mean"]
    )
    assert (output / experiment["losses"][0]["runs"][0]["folder"] / "summary.json").exists()
    assert {path.name for path in output.iterdir()} == {
        "comparison.json", "provenance.json", "report.html", "results.csv", "tables",
    }  # fmt: skip
    assert "AdaFocal (other)" in capsys.readouterr().out


def test_what_was_tested_on_other_samples_is_not_compared(study_folder, tmp_path, capsys):
    first, second = study_folder / "runs/digits/adafocal-s0", tmp_path / "elsewhere"
    shutil.copytree(study_folder / "runs/digits/flsd53-s0", second)
    with np.load(second / "splits.npz") as rows:
        np.savez(second / "splits.npz", **{**rows, "test": rows["test"][::-1]})

    assert main(["study", "--compare", str(first), str(second), "--study_dir", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.strip() == (
        "adafocal study: elsewhere/flsd53 on digits is not compared with adafocal-s0/adafocal: "
        "their test parts hold different samples at seed 0."
    )
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_compared_are_refused(study_folder, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    for folders, sentence in {
        (study_folder,): "`compare` must name at least two folders and none twice, got ",
        (study_folder, study_folder): "`compare` must name at least two folders and none twice, got ",
        (study_folder, empty): f"`compare` must name finished run or study folders, got {str(empty)!r}.",
    }.items():
        assert main(["study", "--compare", *map(str, folders), "--study_dir", str(tmp_path / "out")]) == 2
        assert sentence in capsys.readouterr().err
    arguments = ["--compare", str(study_folder), str(study_folder / "runs/digits/adafocal-s0")]
    assert main(["study", *arguments, "--study_dir", str(study_folder)]) == 2
    assert "`study_dir` must not be a study folder" in capsys.readouterr().err


def test_a_study_writes_tables_and_a_page(study_folder):
    names = sorted(path.name for path in (study_folder / "tables").iterdir())

    assert names == [f"{name}.{kind}" for name in ("ece", "error", "scaling") for kind in ("csv", "md", "tex")]
    assert Path(study_folder / "report.html").exists()
