# SPDX-License-Identifier: Apache-2.0
"""A misspelt name is answered by the one that may be meant, wherever a name is chosen from a list."""

import numpy as np
import pytest

import adafocal
from adafocal._settings import check_choice, ended, nearest, or_meant
from adafocal.calibration import expected_calibration_error
from adafocal.cli import main
from adafocal.losses import make_loss
from adafocal.models import make_model


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("cros_entropy", "cross_entropy"),
        ("CrossEntropy", "cross_entropy"),
        ("ada-focal", "adafocal"),
        ("mcme", "mmce"),
        ("lr", "optimizer.lr"),
        ("noise", "data.noise"),
        ("zzz", None),
        ("", None),
        (3, None),
        (None, None),
    ],
)
def test_the_nearest_name_is_found(given, meant):
    known = ["cross_entropy", "adafocal", "mmce", "optimizer.lr", "data.noise", 7]

    assert nearest(given, known) == meant


def test_a_sentence_ends_on_the_question_or_on_a_full_stop(rejects):
    with rejects(ValueError, "`kind` must be one of 'nll', 'ece', got 'nl': did you mean 'nll'?"):
        check_choice("kind", "nl", ("nll", "ece"))
    with rejects(ValueError, "`kind` must be one of 'nll', 'ece', got 'brier'."):
        check_choice("kind", "brier", ("nll", "ece"))
    assert or_meant("x\x1b", ["focal"]) == "."


def test_the_place_of_a_fault_stands_before_the_question():
    assert ended("got 'nl': did you mean 'nll'?", " in row 3") == "got 'nl' in row 3: did you mean 'nll'?"
    assert ended("got 1.", " in row 3") == "got 1 in row 3."


PLACES = {
    "command": (["trian"], "train"),
    "sub-command": (["scale", "ftt"], "fit"),
    "catalogue": (["list", "loses"], "losses"),
    "flag": (["train", "--los", "focal"], "--loss"),
    "flag with its value": (["train", "--epoch=3"], "--epochs"),
    "flag by its last part": (["train", "--lr", "1"], "--optimizer.lr"),
    "flag of a sub-command": (["scale", "fit", "a", "--outptu", "x"], "--output"),
    "loss": (["train", "--loss", "foccal"], "focal"),
    "argument of a loss": (["train", "--loss", "focal", "--loss_args.gama", "2"], "gamma"),
    "model": (["train", "--model", "mpl"], "mlp"),
    "argument of a model": (["train", "--model_args.widht", "3"], "width"),
    "recipe": (["train", "--recipe", "digit"], "digits"),
    "data set": (["train", "--data.name", "newsgroups"], "20newsgroups"),
    "optimiser": (["train", "--optimizer.name", "sdg"], "sgd"),
    "monitor": (["train", "--monitor", "val_nl"], "val_nll"),
    "logger": (["train", "--logger", "tensorbord", "--run_dir", "new"], "tensorboard"),
    "setting in a file": (["train", "--config", "settings.yaml"], "optimizer.lr"),
    "losses of a study": (["study", "--losses", "focal", "cros_entropy", "--dry_run"], "cross_entropy"),
    "grid": (["study", "--grid.epoch", "[1]", "--dry_run"], "epochs"),
    "baseline": (["study", "--losses", "focal", "mmce", "--baseline", "focl", "--dry_run"], "focal"),
    "executor": (["study", "--executor", "locl", "--dry_run"], "local"),
    "pair": (["ood", "--run", "x", "--pair", "cifar10_svnh"], "cifar10-svhn"),
    "method": (["scale", "fit", "a.npz", "--method", "temprature", "-o", "a.json"], "temperature"),
    "criterion": (["scale", "fit", "a.csv", "--criterion", "nl", "-o", "a.json"], "nll"),
    "column": (["evaluate", "a.csv", "--label", "lable"], "label"),
    "column of groups": (["evaluate", "a.csv", "--by", "citi"], "city"),
    "measure": (["evaluate", "a.csv", "--fail_above", "ec=3"], "ece"),
    "class": (["evaluate", "b.csv", "--positive_class", "catt"], "cat"),
    "label": (["evaluate", "c.csv"], "cat"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_command_asks_for_the_name_that_may_be_meant(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.yaml").write_text("optimizer:\n  lrr: 3\n")
    rows = "0.2,0.8,1,x\n0.7,0.3,0,y\n0.6,0.4,0,y\n"
    (tmp_path / "a.csv").write_text("prob_0,prob_1,label,city\n" + rows)
    (tmp_path / "b.csv").write_text("prob_cat,prob_dog,label,city\n" + rows)
    (tmp_path / "c.csv").write_text("prob_cat,prob_dog,label\n0.2,0.8,dog\n0.6,0.4,catt\n")
    np.savez(tmp_path / "a.npz", probs=np.full((9, 2), 0.5), labels=np.arange(9) % 2)
    words, meant = PLACES[place]

    assert main(words) == 2
    assert capsys.readouterr().err.rstrip("\n").endswith(f": did you mean {meant!r}?")


def test_functions_ask_as_well(rejects):
    with rejects(ValueError, "`norm` must be one of 'l1', 'l2', 'max', got 'L-1': did you mean 'l1'?"):
        expected_calibration_error(np.array([0.5]), np.array([True]), norm="L-1")
    with pytest.raises(ValueError, match=r"did you mean 'adafocal'\?$"):
        make_loss("AdaFocal")
    with pytest.raises(ValueError, match=r"did you mean 'resnet50'\?$"):
        make_model("resnet_50", input_shape=(3, 8, 8), n_classes=2)


def test_python_itself_can_tell_which_name_of_the_package_is_meant():
    with pytest.raises(AttributeError) as caught:
        adafocal.FocalLos  # noqa: B018

    assert (caught.value.name, caught.value.obj) == ("FocalLos", adafocal)
