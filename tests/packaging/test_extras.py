# SPDX-License-Identifier: Apache-2.0
"""Each command runs with its extra alone, and what is missing is named with the smallest extra that suffices."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from adafocal._settings import EXTRAS, require, to_install
from adafocal.cli import main
from adafocal.errors import MissingPackageError

ROOT = Path(__file__).parents[2]
# Under the name that is imported, where it is another.
MODULES = {"pillow": "PIL", "pyyaml": "yaml", "scikit-learn": "sklearn", "pot": "ot"}


def run_without(packages, *lines, cwd):
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "hidden.py", ",".join(packages), " ;; ".join(lines)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
    )
    return re.findall(r"^status (\d)", done.stdout, re.MULTILINE), done.stdout, done.stderr


def requirements(extra):
    text = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1]
    listed = re.search(rf"^{extra} = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)[1]
    names = re.findall(r'"([\w-]+)(?:\[\w+\])?>', listed)
    return {MODULES.get(name.lower(), name) for name in names}


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_table_of_extras_is_that_of_the_package(extra):
    assert set(EXTRAS[extra]) - {"fsspec"} == requirements(extra)  # torch brings fsspec


def test_the_extra_report_is_enough_to_evaluate_scale_and_compare(tmp_path):
    logits = 3 * np.random.default_rng(0).normal(size=(1200, 3))
    labels = np.random.default_rng(1).integers(3, size=1200)
    np.savez(tmp_path / "a.npz", probs=softmax(logits, axis=1), labels=labels)
    others = {name for names in EXTRAS.values() for name in names} - {*EXTRAS["report"], "PIL"}

    status, shown, said = run_without(
        others,
        "list recipes",
        "scale fit a.npz --method isotonic -o scaling.json",
        "scale apply scaling.json a.npz -o b.npz",
        "evaluate a.npz --html a.html",
        "compare a.npz b.npz --html c.html",
        cwd=tmp_path,
    )

    assert (status, said) == (["0"] * 5, "")
    assert "isotonic" in shown  # of the remedies
    assert (tmp_path / "c.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("package", "lines"),
    [
        ("rich", {"evaluate a.npz": "report", "train": "train", "study": "train"}),
        ("lightning", {"predict here -o there": "train", "train": "train", "study": "train"}),
        ("jinja2", {"evaluate a.npz --html page.html --no_remedy": "report"}),
    ],
)
def test_what_a_command_lacks_is_named_with_the_extra_of_the_command(package, lines, tmp_path):
    np.savez(tmp_path / "a.npz", probs=np.full((9, 2), 0.5), labels=np.arange(9) % 2)

    status, _, said = run_without([package], *lines, cwd=tmp_path)

    assert status == ["2"] * len(lines)
    wanted = [f"{package} is not installed: run `pip install 'adafocal[{extra}]'`." for extra in lines.values()]
    assert [line.partition(": ")[2] for line in said.splitlines()] == wanted


@pytest.mark.parametrize(
    ("package", "extra"),
    [("matplotlib", "report"), ("torchmetrics", "train"), ("transformers", "text"), ("ot", "topology"), ("ray", "ray")],
)
def test_a_function_names_the_smallest_extra(package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingPackageError) as caught:
        require(package)

    assert str(caught.value) == f"{package} is not installed: run `pip install 'adafocal[{extra}]'`."


def test_the_extra_of_a_command_holds_only_what_it_brings():
    assert "adafocal[train]" in to_install("pyarrow", "train")
    assert "adafocal[topology]" in to_install("cripser", "train")
    assert "adafocal[train]" in to_install("lightning", "report")


def test_a_package_that_is_not_ours_is_not_said_to_be(monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module named 'theirs'", name="theirs.part")

    monkeypatch.setattr("adafocal.cli.report.main", missing)

    assert main(["report", "x"]) == 2
    assert capsys.readouterr().err == (
        "adafocal report: theirs is not installed, and is in no extra of adafocal: install it yourself.\n"
    )
