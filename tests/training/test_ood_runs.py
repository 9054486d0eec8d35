# SPDX-License-Identifier: Apache-2.0
"""Finished runs against other data and corruptions of their own, by function and by command."""

import json

import numpy as np
import pytest

from adafocal.cli import main
from adafocal.data import CORRUPTIONS, DataConfig
from adafocal.data.catalogue import DATASETS
from adafocal.ood import auroc, msp_score
from adafocal.predictions import Predictions
from adafocal.recipes.ood import OOD_PAIRS
from adafocal.training.config import TrainConfig
from adafocal.training.ood import compare_run, other_data
from adafocal.training.predict import predict_with
from adafocal.training.run import run


def images(n, n_classes, seed):
    """Colourful squares whose brightness tells the class."""
    generator = np.random.default_rng(seed)
    label = generator.integers(n_classes, size=n)
    image = generator.integers(0, 40, size=(n, 8, 8, 3)) + 60 * label[:, None, None, None]
    return {"image": image.clip(0, 255).astype(np.uint8), "label": label}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    for name, part, content in (
        ("cifar10", "train", images(160, 3, 0)),
        ("cifar10", "test", images(60, 3, 1)),
        ("letters", "test", images(40, 5, 2)),
    ):
        (place / name).mkdir(exist_ok=True)
        np.savez(place / name / f"{part}.npz", **content)
    for seed in (0, 1):
        data = DataConfig(name="cifar10", path=str(place / "cifar10"), validation_size=40, train_size=120)
        config = TrainConfig(
            loss="focal", data=data, model="mlp", model_args={"width": 8}, epochs=1, seed=seed, logger="none"
        )
        run(config, place / f"run{seed}", progress=False)
    return place


def test_a_run_is_compared_with_a_folder_and_with_its_own_corruptions(place):
    rows = compare_run(place / "run0", ["letters", "gaussian_noise-5"], root=place, k=5, n_resamples=10)
    folder = place / "run0"
    noisy = predict_with(folder, corruption="gaussian_noise", severity=5)
    expected = auroc(msp_score(Predictions.load(folder / "test.parquet")), msp_score(noisy))
    found = {(row.ood_name, row.score_name): row for row in rows}

    assert {name for name, _ in found} == {"letters", "gaussian_noise-5"}
    assert found["letters", "knn"].detection.n_ood == 40
    assert found["gaussian_noise-5", "msp"].detection.auroc.value == pytest.approx(float(expected))


def test_the_command_prints_each_run_and_the_spread_over_runs_and_keeps_the_numbers(place, capsys):
    runs = [str(place / "run0"), str(place / "run1")]
    options = ["--n_resamples", "10", "--k", "5", "--scores", "msp", "knn"]

    assert main(["ood", "--run", *runs, "--pair", "cifar10-gaussian_noise", *options]) == 0
    out = capsys.readouterr().out
    held = [json.loads((place / f"run{seed}/ood/cifar10-gaussian_noise.json").read_text()) for seed in (0, 1)]
    values = [100 * record["results"][0]["auroc"]["value"] for record in held]

    assert "AUROC %, mean ± standard deviation over runs" in out
    assert f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}" in out
    assert [entry["score"] for entry in held[0]["results"]] == ["msp", "knn"]


def test_wrong_pairs_runs_and_sets_end_in_one_sentence(place, capsys):
    def says(*arguments):
        status, error = main(["ood", *arguments]), capsys.readouterr().err
        assert status == 2
        return error.removeprefix("adafocal ood: ").rstrip("\n")

    folder = str(place / "run0")
    assert says("--id", "x") == "`--run`, or both of `--id` and `--ood`, must be given."
    assert says("--run", folder) == "`--run` needs one of `--pair` and `--against`."
    own = ": each run keeps its numbers in its folder `ood`."
    for option, end in (("json", own), ("html", own), ("id", "."), ("train", ".")):
        sentence = f"`--{option}` must not be given with `--run`, got 'x'{end}"
        assert says("--run", folder, "--pair", "mnist-letters", f"--{option}", "x") == sentence
    sentence = "`--root` must not be given with `--id` and `--ood`, got 'x'."
    assert says("--id", "x", "--ood", "y", "--root", "x") == sentence
    assert says("--run", folder, "--pair", "mnist-emnist_letters") == (
        "`pair` must be for the data of the run, cifar10, got one for mnist."
    )
    assert says("--run", folder, "--pair", "x") == (
        f"`pair` must be one of {', '.join(map(repr, OOD_PAIRS))}, got 'x'."
    )
    assert says("--run", folder, "--against", "moon") == (
        "`against` must name a corruption and its severity such as gaussian_noise-5, a data set of `adafocal list "
        "datasets`, a folder in `root` or a path, got 'moon'."
    )
    assert says("--run", folder, str(place / "nothing"), "--against", "moon") == (
        f"`run` must hold finished runs, got {str(place / 'nothing')!r}."  # before the first is worked on
    )


def test_a_name_is_a_corruption_a_folder_or_a_set_of_the_catalogue(place):
    assert other_data("jpeg-2", None) == (None, "jpeg", 2)
    assert other_data("letters", place)[0] == DataConfig(name="letters", path=str(place / "letters"))
    assert other_data(str(place / "letters"), None)[0].path == str(place / "letters")
    assert other_data("svhn", None)[0] == DataConfig(name="svhn")


def test_every_pair_names_data_sets_and_corruptions_that_there_are():
    for name, pair in OOD_PAIRS.items():
        assert pair.name == name
        assert pair.trained_on in DATASETS
        for other in pair.against:
            assert other in DATASETS or other == "emnist_letters" or other.rpartition("-")[0] in CORRUPTIONS
