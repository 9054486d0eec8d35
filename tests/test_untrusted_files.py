# SPDX-License-Identifier: Apache-2.0
"""What SECURITY.md promises: files of strangers are read as data, never run as code."""

import ast
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import adafocal
from adafocal import Predictions, cli
from adafocal.scaling import load_scaling

SOURCES = sorted(Path(adafocal.__file__).parent.rglob("*.py"))
TEMPLATES = sorted(Path(adafocal.__file__).parent.rglob("*.html"))
# How each function that could run a file's content must be called.
SAFELY = {("torch", "load"): ("weights_only", True), ("np", "load"): ("allow_pickle", False)}


class Bomb:
    """An object whose pickle touches a file when it is loaded."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return (Path.touch, (self.witness,))


def attempt(arguments):
    try:
        return cli.main([str(argument) for argument in arguments])
    except Exception:
        return 1


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert attempt(["train", "--epochs", 1, "--run_dir", folder, "--progress", "false"]) == 0
    return folder


@pytest.fixture
def witness(tmp_path):
    path = tmp_path / "witness"
    yield path
    assert not path.exists(), "the content of the file was run"


def test_the_bomb_goes_off_where_pickles_are_run(tmp_path):
    torch.save(Bomb(tmp_path / "witness"), tmp_path / "bomb.pt")
    torch.load(tmp_path / "bomb.pt", weights_only=False)

    assert (tmp_path / "witness").exists()


@pytest.mark.parametrize("resuming", [False, True], ids=["predict", "resume"])
def test_a_checkpoint_of_code_is_not_run(run_folder, tmp_path, witness, resuming):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    checkpoints = list(folder.rglob("*.ckpt"))
    for checkpoint in checkpoints:
        torch.save({"state_dict": Bomb(witness), "epoch": Bomb(witness)}, checkpoint)
    if resuming:
        (folder / "summary.json").unlink()

    assert checkpoints
    again = ["train", "--epochs", 1, "--run_dir", folder, "--progress", "false"]
    assert attempt(again if resuming else ["predict", folder, "-o", tmp_path / "out.parquet"]) != 0


def test_pickled_arrays_are_not_run(tmp_path, witness):
    np.savez(tmp_path / "bomb.npz", probs=np.array([[Bomb(witness)]], dtype=object), labels=np.array([0]))

    with pytest.raises(ValueError, match="must hold plain arrays"):
        Predictions.load(tmp_path / "bomb.npz")


@pytest.mark.parametrize("place", ["settings", "run folder"])
def test_settings_that_call_python_are_not_run(run_folder, tmp_path, witness, place):
    bomb = f"epochs: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{witness}']]\n"
    if place == "settings":
        (tmp_path / "bomb.yaml").write_text(bomb)
        assert attempt(["train", "--config", tmp_path / "bomb.yaml", "--run_dir", tmp_path / "run"]) == 2
    else:
        folder = tmp_path / "run"
        shutil.copytree(run_folder, folder)
        (folder / "config.yaml").write_text(bomb)
        assert attempt(["predict", folder, "-o", tmp_path / "out.parquet"]) != 0


def test_a_scaling_of_an_unknown_method_is_refused(tmp_path):
    (tmp_path / "s.json").write_text('{"format": "adafocal-scaling-1", "method": "os.system", "command": "true"}')

    with pytest.raises(ValueError, match=r"got 'os\.system'"):
        load_scaling(tmp_path / "s.json")


def dangers(text):
    """Give what in a source could run the content of a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, name = node.value.id, node.attr
            if owner in ("pickle", "marshal", "shelve", "joblib", "dill") and not name.endswith("Error"):
                yield f"{owner}.{name}"
            if owner == "yaml" and "load" in name and name != "safe_load":
                yield f"yaml.{name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            wanted = SAFELY.get(tuple(called.split(".")))
            if wanted and options.get(wanted[0]) != str(wanted[1]):
                yield f"{called} without {wanted[0]}={wanted[1]}"
            if called in ("eval", "exec", "compile", "__import__"):
                yield called
            if called.endswith(".Environment") and options.get("autoescape") != "True":
                yield f"{called} without autoescape"
            if options.get("trust_remote_code", "False") != "False":
                yield "trust_remote_code"
            if called.endswith(".fit") and "ckpt_path" in options and options.get("weights_only") != "True":
                yield f"{called} without weights_only"


def test_no_source_can_run_the_content_of_a_file():
    assert len(SOURCES) >= 130
    assert [f"{path.name}: {danger}" for path in SOURCES for danger in dangers(path.read_text("utf-8"))] == []


def test_templates_escape_all_but_our_own_styles_and_drawings():
    unescaped = [name for path in TEMPLATES for name in re.findall(r"([\w.]+)\s*\|\s*safe", path.read_text("utf-8"))]

    assert len(TEMPLATES) >= 3
    assert {name.rpartition(".")[2] for name in unescaped} <= {"style", "script", "svg"}


def test_the_search_for_dangers_finds_them():
    text = "torch.load(f)\nnp.load(f)\npickle.loads(b)\nyaml.full_load(s)\neval(s)\njinja2.Environment()\n"
    text += "t.fit(m, ckpt_path=p)\nA.from_pretrained(n, trust_remote_code=True)\n"

    assert len(list(dangers(text))) == 8
    assert list(dangers("torch.load(f, weights_only=True)\nnp.load(f, allow_pickle=False)\nmodel.eval()\n")) == []
