# SPDX-License-Identifier: Apache-2.0
import json
import math
import pickle

import pytest
import yaml

from adafocal import errors
from adafocal.cli import COMMANDS, catalogues, main
from adafocal.cli.train import _in_words as in_words
from adafocal.data import DATASETS
from adafocal.errors import InvalidTypeError
from adafocal.losses import LOSSES
from adafocal.models import MODELS
from adafocal.recipes import RECIPES


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out

    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])

    assert done.value.code == 0
    assert f"adafocal {command}" in capsys.readouterr().out


def test_an_unknown_command_is_named(capsys):
    assert main(["trian"]) == 2
    assert (
        f"`COMMAND` must be one of {', '.join(COMMANDS)}, got 'trian': did you mean 'train'?" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("catalogue", "names"), [("losses", LOSSES), ("models", MODELS), ("datasets", DATASETS), ("recipes", RECIPES)]
)
def test_list_prints_every_entry(catalogue, names, capsys):
    assert main(["list", catalogue]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line for line in lines if line and not line.startswith(" ")] == list(names)


def printed_config(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main(["train", *arguments, "--print_config"])
    assert done.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_print_config_shows_the_resolved_settings(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\nloss: focal\nloss_args:\n  gamma: 1.5\noptimizer:\n  lr: 0.2\n")
    config = printed_config(capsys, "--config", str(file), "--optimizer.lr", "0.3", "--data.noise", "0.1")

    assert config["epochs"] == 7
    assert config["loss"] == "focal"
    assert config["loss_args"] == {"gamma": 1.5}
    assert config["optimizer"]["lr"] == 0.3
    assert config["data"]["noise"] == 0.1
    assert config["optimizer"]["milestones"] == [50, 75]


def test_the_printed_config_is_a_config(capsys, tmp_path):
    config = printed_config(capsys, "--seed", "3", "--loss_args.rate", "0.5")
    file = tmp_path / "again.yaml"
    file.write_text(yaml.safe_dump(config))

    assert printed_config(capsys, "--config", str(file)) == config
    assert config["loss_args"] == {"rate": 0.5}


def test_scores_have_their_names_in_tables_and_a_sign_where_zero_is_best():
    cases = {"dice": 0.8504, "hausdorff95": 1.4142, "betti2_error": math.nan}

    assert in_words(cases) == "Dice   0.8504   HD95    1.414"
    assert in_words({"overconfidence": 0.0004}) == "confidence - accuracy  +0.04 %"
    assert in_words({"overconfidence": -0.0004}) == "confidence - accuracy  -0.04 %"


def test_train_writes_a_run_folder_and_its_page(capsys, tmp_path):
    run = tmp_path / "run"
    assert main(["train", "--epochs", "2", "--loss_args.rate", "2", "--run_dir", str(run), "--progress", "false"]) == 0
    out = capsys.readouterr().out

    test = json.loads((run / "summary.json").read_text())["test"]
    said = f"error {100 * test['error']:>6.2f} %   ECE {100 * test['ece']:>6.2f} %   NLL {test['nll']:>8.4f}"
    assert f"{'test':<16} {said}   confidence - accuracy" in out
    assert str(run / "report.html") in out
    assert (run / "report.html").exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["loss_args"] == {"rate": 2}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "`epochs` must be an integer >= 1, got 0."),
        (["--loss", "foca"], "`loss` must be one of "),
        (["--loss_args.rte", "1"], "`loss_args` of adafocal must be among "),
        (["--model", "resnet"], "`model` must be one of mlp"),
        (["--recipe", "imagenet"], "`recipe` must be one of digits"),
        (["--data.train_size", "1790"], "`train_size` + `validation_size` must leave a test part of the 1797 samples"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--epoch", "5"], "epoch"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_status_2(arguments, sentence, capsys, tmp_path, unchecked_shapes):
    assert main(["train", *arguments, "--run_dir", str(tmp_path / "run"), "--progress", "false"]) == 2
    error = capsys.readouterr().err

    assert sentence in error
    assert error.startswith("adafocal train: ")
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def failing(error):
    def fail(arguments):
        raise error

    return fail


@pytest.mark.parametrize("error", [TypeError("int is no str"), ValueError("bad"), KeyError("x"), OSError("odd")])
def test_a_fault_of_ours_is_called_so_and_shows_its_traceback_on_demand(error, capsys, monkeypatch):
    monkeypatch.setattr(catalogues, "main", failing(error))

    assert main(["list", "losses"]) == 1
    short = capsys.readouterr().err
    assert main(["list", "losses", "--debug"]) == 1
    long = capsys.readouterr().err

    assert short.startswith("adafocal list: a fault of adafocal, not of what you gave (")
    assert type(error).__name__ in short
    assert len(short.splitlines()) == 1
    assert "Traceback" in long
    assert long.endswith(short)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidTypeError("`x` must be a number, got 'a'."), "`x` must be a number, got 'a'."),
        (PermissionError(13, "Permission denied", "a/b"), "Permission denied: 'a/b'."),
        (MemoryError(), "the memory of this process did not suffice: give it more, or less to work on."),
        (ModuleNotFoundError("No module named 'rich'", name="rich"), "rich is not installed: run `pip install "),
    ],
)
def test_what_a_user_can_mend_is_a_sentence_and_status_2(error, sentence, capsys, monkeypatch):
    monkeypatch.setattr(catalogues, "main", failing(error))

    assert main(["list", "losses"]) == 2
    assert capsys.readouterr().err.startswith(f"adafocal list: {sentence}")


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_survive_the_way_between_processes(name):
    error = getattr(errors, name)("`x` must be a number, got 'a'.")
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert isinstance(again, errors.AdafocalError)
