# SPDX-License-Identifier: Apache-2.0
"""One spelling rule for the flags of all commands: ``-`` or ``_`` between words, never an abbreviation."""

import argparse
import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from adafocal.cli import COMMANDS, main
from adafocal.cli.parser import CommandParser, first_word, underscored
from adafocal.data import DataConfig


class Found(BaseException):
    """The parser of a command, on its way out."""


def parsers_of(command, monkeypatch):
    """Give the parsers that a command builds, its sub-commands' included."""
    built = []

    def keep(parser, *_):
        raise Found(parser)

    with monkeypatch.context() as patch:
        patch.setattr(CommandParser, "parse_args", keep)
        init = CommandParser.__init__
        patch.setattr(CommandParser, "__init__", lambda self, *given: (built.append(self), init(self, *given))[1])
        with pytest.raises(Found) as found:
            main([command])
    assert found.value.args[0] in built
    return built


def flags(parser):
    return [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_one_parser_and_declares_its_flags_with_underscores(command, monkeypatch):
    parsers = parsers_of(command, monkeypatch)

    assert len(parsers) == (3 if command == "scale" else 1)
    for parser in parsers:
        assert not parser.allow_abbrev
        assert not parser.exit_on_error
        assert [flag for flag in flags(parser) if "-" in flag[2:]] == []


def test_bins_have_one_name_in_every_command(monkeypatch):
    named = {
        (command, flag)
        for command in COMMANDS
        for parser in parsers_of(command, monkeypatch)
        for flag in flags(parser)
        if "bins" in flag
    }

    # --bins is what `evaluate` called it at first, and still means the same; `compare` takes what `evaluate` takes.
    assert named == {
        *((command, "--n_bins") for command in ("train", "study", "data", "evaluate", "compare", "scale")),
        ("evaluate", "--bins"),
        ("compare", "--bins"),
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_may_be_written_with_either_and_none_be_cut_short(command, monkeypatch):
    for parser in parsers_of(command, monkeypatch):
        known = set(flags(parser))
        for flag in known:
            either = "--" + flag[2:].replace("_", "-")
            assert underscored([either, f"{either}=a-b_c", "a-b"]) == [flag, f"{flag}=a-b_c", "a-b"]
            short = flag[:-1]
            if len(short) > 3 and short not in known and not any(short.startswith(f"{other}.") for other in known):
                with pytest.raises((argparse.ArgumentError, SystemExit)):
                    parser.parse_args([short, "1"])


def test_what_follows_two_dashes_is_no_flag():
    assert underscored(["--a-b", "--", "--c-d"]) == ["--a_b", "--", "--c-d"]
    assert underscored(["-a-b", "-1", "a-b", "---a-b"]) == ["-a-b", "-1", "a-b", "---a-b"]


def test_a_line_may_begin_with_a_word():
    assert first_word(["plan.yaml", "--epochs", "3"]) == "plan.yaml"
    assert first_word(["--epochs", "3"]) is None
    assert first_word([]) is None


@pytest.mark.parametrize("spelling", ["--run-dir", "--run_dir"])
def test_train_takes_either_spelling(spelling, tmp_path, capsys):
    run = tmp_path / "a-b_c"
    arguments = ["--epochs=1", "--optimizer.weight-decay", "0.001", "--loss-args.rate=0.5", "--progress", "false"]

    assert main(["train", *arguments, f"{spelling}={run}"]) == 0
    assert (run / "summary.json").exists()
    assert "weight_decay: 0.001" in (run / "config.yaml").read_text("utf-8")


@pytest.mark.parametrize("spelling", [("--n-bins", "7"), ("--n_bins=7",), ("--bins", "7")])
def test_evaluate_takes_every_name_of_the_bins(spelling, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("prob_0,prob_1,label\n0.9,0.1,0\n0.2,0.8,1\n0.4,0.6,0\n", "utf-8")

    assert main(["evaluate", str(tmp_path / "p.csv"), "--json", str(tmp_path / "out.json"), *spelling]) == 0
    assert main(["evaluate", str(tmp_path / "p.csv"), spelling[0].partition("=")[0], "0"]) == 2
    name = "bins" if spelling[0] == "--bins" else "n_bins"
    assert capsys.readouterr().err.strip() == f"adafocal evaluate: `{name}` must be an integer >= 1, got 0."


def test_both_names_of_the_bins_at_once_are_refused(tmp_path, capsys):
    assert main(["evaluate", "p.csv", "--bins", "3", "--n-bins", "4"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_debug_may_stand_anywhere_but_after_two_dashes(capsys):
    assert main(["--debug", "list", "nothing"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["list", "--debug", "nothing"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert main(["list", "--debu", "losses"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_recipe_of_the_line_or_of_its_file_sets_the_defaults_of_the_help(tmp_path, capsys):
    (tmp_path / "own.yaml").write_text("recipe: hippocampus-unet3d\n", "utf-8")
    for arguments in (["--recipe=hippocampus-unet3d"], ["--config", str(tmp_path / "own.yaml")]):
        for line in (["train", *arguments, "--help"], ["train", "--help", *arguments]):
            with pytest.raises(SystemExit):
                main(line)
            assert "default: unet3d" in capsys.readouterr().out


def test_a_studys_plan_comes_first_and_flags_after_it_win(tmp_path, capsys):
    (tmp_path / "plan.yaml").write_text("losses: [focal, brier]\nseeds: [0]\nepochs: 4\n", "utf-8")
    line = ["study", str(tmp_path / "plan.yaml"), "--dry-run", "--study-dir", str(tmp_path / "s"), "--epochs", "2"]

    assert main(line) == 0
    assert capsys.readouterr().out.startswith(
        f"2 losses x 1 seeds = 2 runs in {tmp_path / 's'}\n0 finished, 2 missing; 4 epochs to go.\n"
    )


IGNORED = {
    "optimizer.momentum": ["train", "--optimizer.name", "adam", "--optimizer.momentum", "0.9"],
    "optimizer.milestones": ["train", "--optimizer.schedule", "cosine", "--optimizer.milestones", "[3]"],
    "optimizer.lr_decay": ["study", "--optimizer.schedule", "cosine", "--optimizer.lr-decay=0.1"],
    "logger_args": ["train", "--logger", "none", "--logger_args.project", "mine"],
    "seed": ["study", "--seed", "3"],
    "loss": ["study", "--loss", "brier"],
    "recipe": ["study", "--recipe", "digits", "--recipes", "digits"],
    "epochs": ["study", "--compare", "one", "--epochs", "3"],
    "workers": ["study", "--compare", "one", "--workers", "2"],
}


ALONE = {
    "format": ["report", "run", "--format", "pdf"],
    "column": ["report", "run", "--column", "double"],
    "severity": ["predict", "run", "-o", "p.npz", "--severity", "3"],
    "root": ["predict", "run", "-o", "p.npz", "--root", "."],
    "k": ["ood", "--run", "run", "--against", "contrast-3", "--scores", "msp", "--k", "50"],
    "window": ["evaluate", "p.csv", "--window", "1w"],
    "time_unit": ["evaluate", "p.csv", "--time-unit", "s"],
    "tolerance": ["evaluate", "p.csv", "--tolerance", "0"],
    "fail_on_alarm": ["evaluate", "p.csv", "--fail-on-alarm"],
    "strict": ["evaluate", "p.csv", "--strict"],
    "ray_address": ["evaluate", "p.csv", "--ray-address", "auto"],
}


@pytest.mark.parametrize("name", ALONE)
def test_a_flag_without_what_it_belongs_to_is_refused_by_name(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(ALONE[name]) == 2
    said = capsys.readouterr().err
    assert f"`{name}` must " in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", IGNORED)
def test_a_flag_that_nothing_would_read_is_refused_by_name(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(IGNORED[name]) == 2
    command = IGNORED[name][0]
    assert capsys.readouterr().err.startswith(f"adafocal {command}: `{name}` must be left out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_recipe_says_that_nothing_reads_is_no_fault_of_the_line(tmp_path, capsys):
    """The recipe's milestones are meant for its own schedule."""
    cosine = ["--recipe", "cifar10-resnet50", "--optimizer.schedule", "cosine", "--data.path", str(tmp_path / "none")]
    assert main(["train", *cosine]) == 2
    assert "data.path" in capsys.readouterr().err


def test_a_file_of_all_settings_is_no_list_of_what_was_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["study", "--recipe", "20newsgroups-text_cnn", "--print_config"])
    (tmp_path / "plan.yaml").write_text(capsys.readouterr().out, "utf-8")

    assert main(["study", "plan.yaml", "--dry-run"]) == 0
    assert "9 runs in runs/study-20newsgroups-text_cnn" in capsys.readouterr().out


def test_settings_that_a_run_wrote_train_it_again_however_short_it_was(tmp_path, capsys, monkeypatch):
    """Its milestones, the recipe's, are past its end."""
    monkeypatch.chdir(tmp_path)
    line = ["train", "--recipe", "digits", "--epochs", "1", "--progress", "false", "--run_dir"]
    assert main([*line, "first"]) == 0
    capsys.readouterr()

    assert main(["train", "--config", "first/config.yaml", "--progress", "false", "--run_dir", "second"]) == 0
    assert "training ends before epoch 50, 75" in capsys.readouterr().out
    first, second = (Path(folder, "config.yaml").read_text("utf-8") for folder in ("first", "second"))
    assert first == second
    assert main([*line, "third", "--optimizer.milestones", "[1]"]) == 2
    assert "`optimizer.milestones` must lie below `epochs`, 1, got 1" in capsys.readouterr().err


def photos(folder, *, n=20):
    """Write grey squares, bright ones of class a and dark ones of class b."""
    for name, brightness in (("a", 200), ("b", 50)):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            Image.new("L", (8, 8), brightness + number).save(folder / name / f"{number}.png")
    return folder


def test_a_path_is_never_trained_past(tmp_path, capsys):
    assert main(["train", "--data.path", str(tmp_path / "none"), "--run_dir", str(tmp_path / "run")]) == 2
    assert "`data.path` must be a folder or file of data, got " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_of_ones_own_are_trained_on_neutrally_and_under_their_name(tmp_path, capsys):
    folder, output = photos(tmp_path / "holidays"), tmp_path / "run"
    line = ["train", "--data.path", str(folder), "--epochs", "1", "--run_dir", str(output), "--progress", "false"]
    assert main([*line, "--accelerator", "cpu"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("training         holidays, Small CNN, loss adafocal, seed 0\n")
    assert "recipe" not in said
    data = yaml.safe_load((output / "config.yaml").read_text("utf-8"))["data"]
    assert {name: value for name, value in data.items() if value != getattr(DataConfig(), name)} == {
        "name": "holidays", "path": str(folder),
    }  # fmt: skip
    summary = json.loads((output / "summary.json").read_text("utf-8"))
    assert summary["class_names"] == ["a", "b"]
    assert sum(summary["sizes"].values()) == 40
    page = (output / "report.html").read_text("utf-8")
    assert "Trained on holidays with neutral data settings." in page


@pytest.mark.parametrize(
    "flag", ["--data.length=9", "--data.vocabulary-size=20000", "--data.volume_size=[8,8,8]", "--data.root=."]
)
def test_a_setting_that_photos_do_not_read_is_refused(flag, tmp_path, capsys):
    folder = photos(tmp_path / "holidays", n=2)

    assert main(["train", "--data.path", str(folder), flag]) == 2
    name = flag.partition("=")[0].removeprefix("--").replace("-", "_")
    assert f"`{name}` must be left out " in capsys.readouterr().err


def test_a_study_of_photos_is_called_as_they_are(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "holidays", n=2)

    assert main(["study", "--data.path", "holidays", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "9 runs in runs/study-holidays" in said
    assert "training         holidays, Small CNN\n" in said
