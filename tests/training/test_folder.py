# SPDX-License-Identifier: Apache-2.0
"""What a run may take over, overwrite and share: only its own, and never before the new run can be built."""

import fcntl
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from adafocal import cli
from adafocal._locks import LOCK, sweep, working_on
from adafocal.recipes import RECIPES
from adafocal.training.run import run

SHORT = replace(RECIPES["digits"].config, epochs=1, logger="none")
OTHER = replace(SHORT, seed=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    run(SHORT, folder, progress=False)
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A finished run, with what its owner has put beside it."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    for name in ("notes.txt", "checkpoints/kept.ckpt", "ood/thesis.json", "ours/summary.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train(folder, *options):
    return cli.main(["train", "--epochs", "1", "--run_dir", str(folder), "--progress", "false", *options])


def test_only_what_a_run_writes_is_overwritten(folder):
    record = {"level": 0.95, "results": []}
    (folder / "ood/against.json").write_text(json.dumps(record))
    run(OTHER, folder, overwrite=True, progress=False)

    assert json.loads((folder / "summary.json").read_text())["seed"] == 1
    for name in ("notes.txt", "checkpoints/kept.ckpt", "ood/thesis.json", "ours/summary.json"):
        assert (folder / name).read_text() == "{}", name
    assert not (folder / "ood/against.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "nope"],
        ["--loss_args.nope", "1"],
        ["--loss", "nope"],
        ["--data.path", "nope"],
        ["--data.path", "nope", "--data.name", "other"],
        ["--logger", "nope"],
        ["--strategy", "nope"],
        ["--accelerator", "nope"],
        ["--model_args.nope", "1"],
    ],
    ids=lambda options: options[0],
)
def test_a_run_that_cannot_be_built_costs_nothing_and_leaves_nothing(options, folder, tmp_path, capsys):
    before = held(folder)

    assert train(folder, "--overwrite", "true", *options) == 2
    assert held(folder) == before
    assert train(tmp_path / "deep/er/run", *options) == 2
    assert not (tmp_path / "deep").exists()
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "loss: [broken"),
        ("config.yaml", "name: somebody's project\n"),
        ("config.yaml", "loss: a\nmodel: b\nseed: 0\nepochs: 1\nn_bins: 15\ndata: {name: x}\noptimizer: {}\n"),
        ("provenance.json", "{"),
        ("provenance.json", "{}"),
        ("provenance.json", None),
    ],
)
def test_a_folder_that_is_not_provably_a_run_is_not_overwritten(name, text, folder, rejects):
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_text(text)
    before = held(folder)

    with pytest.raises(ValueError, match=r"^`run_dir` must hold a run of adafocal to be overwritten, got "):
        run(SHORT, folder, overwrite=True, progress=False)
    assert held(folder) == before


def test_links_are_not_followed_when_a_run_is_overwritten(folder, tmp_path, rejects):
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "link"
    shutil.copytree(folder / "checkpoints", elsewhere)
    shutil.move(folder / "summary.json", elsewhere / "summary.json")
    (folder / "summary.json").symlink_to(elsewhere / "summary.json")
    link.symlink_to(folder)
    before = held(elsewhere)
    sentence = "`run_dir` must be a folder and hold its own folders to be overwritten, got {!r}, a link to {!r}."
    with rejects(ValueError, sentence.format(str(link), str(folder))):
        run(OTHER, link, overwrite=True, progress=False)
    run(OTHER, folder, overwrite=True, progress=False)
    assert not (folder / "summary.json").is_symlink()
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").symlink_to(elsewhere)
    with rejects(ValueError, sentence.format(str(folder / "checkpoints"), str(elsewhere))):
        run(SHORT, folder, overwrite=True, progress=False)

    assert held(elsewhere) == before


def test_a_folder_that_another_process_works_on_is_refused_in_one_sentence(folder, capsys):
    (folder / "ood/thesis.json").unlink()  # a page would show it
    hold = (
        "import sys, pathlib; from adafocal._locks import working_on\n"
        "with working_on(pathlib.Path(sys.argv[1]), 'run_dir'): print(flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", hold, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdout.readline()
    try:
        assert train(folder, "--seed", "1", "--overwrite", "true") == 2
        sentence = capsys.readouterr().err
        assert sentence.startswith(
            "adafocal train: `run_dir` must be a folder that no other process works on, got "
            f"{str(folder)!r}, which is taken by process {other.pid} on "
        )
        assert sentence.count("\n") == 1
    finally:
        other.kill()
        other.communicate()

    assert (folder / LOCK).exists()
    assert train(folder, "--seed", "1", "--overwrite", "true") == 0
    assert not (folder / LOCK).exists()


def test_two_studies_of_one_folder_are_not_run_at_a_time(tmp_path, capsys):
    folder = tmp_path / "study"
    options = ["--epochs", "1", "--losses", "cross_entropy", "--seeds", "0", "--study_dir", str(folder)]
    with working_on(folder, "study_dir"):
        assert cli.main(["study", *options]) == 2
    assert "`study_dir` must be a folder that no other process works on" in capsys.readouterr().err
    assert not folder.exists()


def test_temporary_files_of_the_dead_are_removed_and_those_of_the_living_and_of_others_stay(tmp_path):
    names = [".adafocal-tmp-abcdefgh.json", ".adafocal-tmp-12345678", ".adafocal-tmp-mine.json", ".tmp"]
    for name in names:
        (tmp_path / name).touch()
    with (tmp_path / names[1]).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        sweep(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_a_finished_run_that_cannot_be_written_is_still_read(folder, monkeypatch):
    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("adafocal._locks.os.open", closed)

    assert run(SHORT, folder, progress=False).seed == 0
