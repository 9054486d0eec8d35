# SPDX-License-Identifier: Apache-2.0
"""Every example runs as it stands, says what it should, and fits on a page."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def run_two_processes(name):
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *launch, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def numbers(pattern, text):
    return [float(number) for number in re.findall(pattern, text)]


def test_each_has_at_most_60_lines():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}

    assert len(lengths) == sum(name.endswith(".py") for name in os.listdir(EXAMPLES))
    assert [name for name, length in lengths.items() if length > 60] == []


def test_plain_pytorch(capsys, monkeypatch, tmp_path):
    text = run("plain_pytorch", capsys, monkeypatch, tmp_path)
    errors = numbers(r"ECE ([\d.]+) %", text)

    assert len(errors) == 5
    assert errors[-1] < errors[0]
    assert "restored gammas are equal: True" in text


def test_predictions_only(capsys, monkeypatch, tmp_path):
    text = run("predictions_only", capsys, monkeypatch, tmp_path)
    before, after = numbers(r"ECE ([\d.]+)", text)

    assert before > 1.5 * after


def test_notebook(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cells = runpy.run_path(str(EXAMPLES / "notebook.py"), run_name="__main__")

    assert "after is better than before in NLL" in capsys.readouterr().out
    titles = [ax.get_title() for ax in cells["axes"].flatten()]
    assert titles == ["before", "after", "both", "answering the surest"]
    assert [len(ax.lines) for ax in cells["axes"].flatten()] == [3, 3, 3, 2]  # diagonal, curve and points; or lines
    assert cells["gammas"].images[0].get_array().shape == (10, 9)
    for name in ("notebook.png", "gammas.png"):
        picture = matplotlib.image.imread(tmp_path / name)[..., :3]
        inked = (picture < 0.9).any(axis=2)
        assert 0.01 < inked.mean() < 0.9  # neither empty nor a block
        quarters = [part for half in np.array_split(inked, 2) for part in np.array_split(half, 2, axis=1)]
        assert min(part.mean() for part in quarters) > 0.005
    matplotlib.pyplot.close("all")


def test_scikit_learn(capsys, monkeypatch, tmp_path):
    pytest.importorskip("skorch")
    text = run("scikit_learn", capsys, monkeypatch, tmp_path)
    [line] = [line for line in text.splitlines() if line.startswith("gammas")]

    assert numbers(r"accuracy ([\d.]+)", text)[0] > 0.9
    assert len(line.split()) == 16
    assert "1.00" not in line


def test_language_model(capsys, monkeypatch, tmp_path):
    text = run("language_model", capsys, monkeypatch, tmp_path)
    accuracies = numbers(r"accuracy ([\d.]+) %", text)

    assert len(accuracies) == 5
    assert 55 < accuracies[-1] <= 75  # no model can be right more often than the most likely successor comes


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*LeafSpec.*", "ignore:GPU available.*")
def test_lightning_module(capsys, monkeypatch, tmp_path):
    text = run("lightning_module", capsys, monkeypatch, tmp_path)
    values = dict(line.split() for line in text.splitlines() if line.startswith(("ece", "over", "gamma")))

    assert set(values) == {"ece_equal_mass", "overconfidence", "gamma_0", "gamma_14"}
    assert 0 < float(values["ece_equal_mass"]) < 0.4
    assert float(values["gamma_14"]) != 1.0


@pytest.mark.filterwarnings("ignore:.*pin_memory.*", "ignore:.*torch.jit.script.*", "ignore::FutureWarning")
def test_huggingface_trainer(capsys, monkeypatch, tmp_path):
    text = run("huggingface_trainer", capsys, monkeypatch, tmp_path)

    assert len(numbers(r"equal-mass ECE ([\d.]+) %", text)) == 4
    assert numbers(r"surest bin ([-\d.]+)", text)[-1] != 1.0


@pytest.mark.parametrize("name", ["torchrun_ddp", pytest.param("accelerate_loop", marks=pytest.mark.slow)])
def test_two_processes_count_every_sample_once_and_agree(name):
    text = run_two_processes(name)

    assert numbers(r"(\d+) samples", text) == [499, 499, 499]
    assert "gammas agree: True" in text
