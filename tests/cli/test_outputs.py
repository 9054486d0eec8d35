# SPDX-License-Identifier: Apache-2.0
"""Outputs that cannot be written, or that are read, are refused before anything is computed."""

import os
import shutil

import pytest

from adafocal import cli
from adafocal._files import atomic_path, check_output, write_text


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    rows = "\n".join(["prob_0,prob_1,label", *["0.6,0.4,0", "0.3,0.7,0", "0.2,0.8,1"] * 20])
    (folder / "p.csv").write_text(rows)
    (folder / "q.csv").write_text(rows)
    assert cli.main(["scale", "fit", str(folder / "p.csv"), "-o", str(folder / "T.json")]) == 0
    assert cli.main(["train", "--epochs", "1", "--run_dir", str(folder / "run"), "--progress", "false"]) == 0
    return folder


COMMANDS = {
    "evaluate --json": ["evaluate", "p.csv", "--json"],
    "evaluate --html": ["evaluate", "p.csv", "--html"],
    "scale fit": ["scale", "fit", "p.csv", "-o"],
    "scale apply": ["scale", "apply", "T.json", "p.csv", "-o"],
    "ood --json": ["ood", "--id", "p.csv", "--ood", "q.csv", "--json"],
    "ood --html": ["ood", "--id", "p.csv", "--ood", "q.csv", "--html"],
    "predict": ["predict", "run", "-o"],
    "report": ["report", "run", "-o"],
}
SUFFIXES = {"scale fit": ".json", "scale apply": ".csv", "predict": ".csv"}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["a folder", "in a file", "a device", "a name that is too long"])
def test_an_output_that_cannot_be_written_is_refused_at_once(name, kind, given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(given)
    suffix = SUFFIXES.get(name, "")
    (tmp_path / f"folder{suffix}").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / f"device{suffix}").symlink_to(os.devnull)
    output = {
        "a folder": tmp_path / f"folder{suffix}",
        "in a file": tmp_path / f"file/out{suffix}",
        "a device": tmp_path / f"device{suffix}",
        "a name that is too long": tmp_path / f"{'x' * 300}{suffix}",
    }[kind]
    monkeypatch.setattr("tempfile.mkstemp", None)  # nothing gets as far as that
    monkeypatch.setattr("adafocal.predictions.Predictions.__init__", None)

    assert cli.main([*COMMANDS[name], str(output)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "p.csv", "--json", "p.csv"],
        ["evaluate", "*.csv", "--html", "q.csv"],
        ["scale", "apply", "T.json", "p.csv", "-o", "p.csv"],
        ["scale", "apply", "T.json", "p.csv", "-o", "link.csv"],
        ["ood", "--id", "p.csv", "--ood", "q.csv", "--html", "./q.csv"],
        ["predict", "run", "-o", "run/test.parquet"],
        ["predict", "run", "-o", "run/../run/validation.parquet"],
        ["report", "run", "-o", "run/summary.json"],
        ["report", "run", "-o", "run/checkpoints/last.ckpt"],
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[-1:]),
)
def test_an_output_never_replaces_what_the_command_reads(arguments, given, tmp_path, monkeypatch, capsys):
    shutil.copytree(given, tmp_path / "given")
    monkeypatch.chdir(tmp_path / "given")
    os.symlink("p.csv", "link.csv")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    assert cli.main(arguments) == 2
    assert "must not be a file that it is made from" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_device_is_never_replaced(rejects):
    with rejects(ValueError, f"`path` must name a file, got {os.devnull!r}, which is a device."):
        write_text(os.devnull, "text")


def test_an_output_in_a_folder_that_is_not_there_yet_is_fine(tmp_path):
    check_output("output", tmp_path / "deep/er/out.json")
    with atomic_path(tmp_path / "deep/er/out.json") as temporary:
        temporary.write_text("{}")

    assert [path.name for path in (tmp_path / "deep/er").iterdir()] == ["out.json"]
