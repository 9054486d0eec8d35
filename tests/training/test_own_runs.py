# SPDX-License-Identifier: Apache-2.0
"""Runs with losses, models and data of the user's own, and what is never imported."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from adafocal.cli import main
from adafocal.losses import make_loss
from adafocal.models import make_model
from adafocal.recipes import RECIPES
from adafocal.training.own import OwnLossCallback, check_trusted, own_callbacks
from adafocal.training.predict import load_classifier, predict_with
from adafocal.training.run import run
from own_loss import POLY

LOSSES = (
    POLY
    + """
from adafocal.losses import AdaFocalLoss
def plain(logits, labels, power: float = 1.0):
    return F.cross_entropy(logits, labels) ** power
def make(power: float = 1.0):
    return Poly(power)
class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
    def forward(self, logits, labels):
        return F.cross_entropy(logits * self.scale, labels)
class Adaptive(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("adapted", torch.zeros(()))
        self.epochs = []
    def set_epoch(self, epoch): self.epochs.append(epoch)
    def observe(self, logits, labels): self.seen += len(labels)
    def adapt(self): self.adapted += 1
    def forward(self, logits, labels): return F.cross_entropy(logits, labels)
class Derived(AdaFocalLoss): pass
class Late(nn.Module):
    calls = 0
    def forward(self, logits, labels):
        Late.calls += 1
        if Late.calls > 3:
            raise LookupError("too late")
        return F.cross_entropy(logits, labels)
def vector(logits, labels): return F.cross_entropy(logits, labels, reduction="none")
def number(logits, labels): return 1.0
def constant(logits, labels): return torch.ones(())
def alone(): return "no module"
class One(nn.Module):
    def forward(self, logits): return logits.sum()
"""
)
MODELS = """
import torch.nn as nn
def net(input_shape, n_classes: int, width: int = 8):
    n = input_shape[0] * input_shape[1] * input_shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(n, width), nn.ReLU(), nn.Linear(width, n_classes))
def wrong(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
def frozen(): return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))
def words(vocabulary): return nn.Linear(1, 1)
def alone(n_classes): return n_classes
class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(64, 10)
    def forward(self, x): return (self.inner(x.flatten(1)), x)
"""
SHORT = replace(RECIPES["digits"].config, loss="cross_entropy", epochs=1, logger="none")


def test_a_class_a_function_and_a_maker_are_losses(own_module):
    name = own_module(LOSSES)
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    ce = float(torch.nn.functional.cross_entropy(logits, labels))
    p = torch.softmax(logits, 1)[0, 0]

    assert float(make_loss(f"{name}:Poly", {"epsilon": "2"})(logits, labels)) == pytest.approx(ce + 2 * (1 - float(p)))
    assert float(make_loss(f"{name}:make", {"power": 3})(logits, labels)) == pytest.approx(ce + 3 * (1 - float(p)))
    assert float(make_loss(f"{name}:plain", {"power": 2})(logits, labels)) == pytest.approx(ce**2)
    assert float(make_loss("torch.nn.functional:cross_entropy")(logits, labels)) == pytest.approx(ce)
    assert repr(make_loss(f"{name}:plain", {"power": 2})) == "FunctionLoss(plain, power=2.0)"


def test_a_maker_of_nothing_is_no_loss(own_module, rejects):
    name = own_module(LOSSES)
    said = (
        "`loss` must name a class of nn.Module, a function that returns one, or a function of logits and labels, got "
    )
    with rejects(TypeError, f"{said}{name}:alone, which gives str."):
        make_loss(f"{name}:alone")
    with rejects(ValueError, f"`loss_args` of {name}:plain must be among power, got 'pwr': did you mean 'power'?"):
        make_loss(f"{name}:plain", {"pwr": 1})


def test_a_model_is_given_what_it_asks_for_of_the_data(own_module, rejects):
    name, data = own_module(MODELS), {"input_shape": (1, 8, 8), "n_classes": 10}
    model = make_model(f"{name}:net", {"width": "4"}, **data)

    assert (model[1].in_features, model[1].out_features, model[3].out_features) == (64, 4, 10)
    with rejects(ValueError, f"`model_args` of {name}:net must be among width, got 'n_classes'."):
        make_model(f"{name}:net", {"n_classes": 3}, **data)
    with rejects(
        ValueError, f"`model` must suit the data, got {name}:words, which reads words, for data without them."
    ):
        make_model(f"{name}:words", **data)
    with rejects(
        TypeError,
        f"`model` must name a class of nn.Module or a function that returns one, got {name}:alone, which gives int.",
    ):
        make_model(f"{name}:alone", **data)


WRONG_KINDS = [
    (
        "loss",
        "vector",
        ValueError,
        "`loss` must give one number for a batch, got a tensor of shape (2,) from {}: take the mean",
    ),
    ("loss", "number", TypeError, "`loss` must give a tensor with one number, got float from {}."),
    ("loss", "constant", ValueError, "`loss` must have a gradient to the logits, got none from {}."),
    (
        "loss",
        "One",
        RuntimeError,
        "`loss` {} raised TypeError: One.forward() takes 2 positional arguments but 3 were given",
    ),
    (
        "model",
        "wrong",
        ValueError,
        "`model` must give logits of shape (N, C), here (2, 10) for 10 classes, got (2, 3) from {}.",
    ),
    ("model", "frozen", ValueError, "`model` must have parameters to train, got {} without any."),
    ("model", "Pair", TypeError, "`model` must give a tensor of logits, got tuple from {}."),
]


@pytest.mark.parametrize(("setting", "own", "error", "said"), WRONG_KINDS)
def test_own_code_of_the_wrong_kind_is_refused_before_there_is_a_folder(
    own_module, tmp_path, setting, own, error, said
):
    name = f"{own_module(LOSSES if setting == 'loss' else MODELS)}:{own}"
    with pytest.raises(error, match=re.escape(said.format(name))):
        run(replace(SHORT, **{setting: name}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run/config.yaml").exists()


def test_a_run_with_own_code_computes_what_the_same_code_of_ours_does(own_module, tmp_path):
    """The trial before a run takes no random numbers: the same loss by another name gives the same run."""
    ours = run(SHORT, tmp_path / "ours", progress=False)
    own_module("")
    theirs = run(replace(SHORT, loss="torch.nn:CrossEntropyLoss"), tmp_path / "theirs", progress=False)

    assert theirs.test == ours.test


def test_weights_of_a_loss_are_trained(own_module, tmp_path):
    run(replace(SHORT, loss=f"{own_module(LOSSES)}:Learned"), tmp_path / "run", progress=False)
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]

    assert float(state["loss.scale"]) != 1.0


def test_a_loss_that_observes_and_adapts_is_driven_whatever_it_is_derived_from(own_module, tmp_path):
    name = own_module(LOSSES)
    run(replace(SHORT, loss=f"{name}:Adaptive", epochs=2), tmp_path / "duck", progress=False)
    duck = torch.load(tmp_path / "duck/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    run(replace(SHORT, loss=f"{name}:Derived", epochs=2), tmp_path / "derived", progress=False)
    derived = torch.load(tmp_path / "derived/checkpoints/last.ckpt", weights_only=True)["state_dict"]

    assert (float(duck["loss.seen"]), float(duck["loss.adapted"])) == (1000, 2)
    assert float((derived["loss.gamma"] - 1).abs().max()) > 0
    assert "gamma_0" in (tmp_path / "derived/metrics.csv").read_text()
    assert (
        own_callbacks(make_loss("adafocal"))
        == own_callbacks(make_loss("flsc531"))
        == own_callbacks(make_loss("focal"))
        == []
    )
    assert isinstance(own_callbacks(make_loss(f"{name}:Adaptive"))[0], OwnLossCallback)


def test_what_own_code_raises_in_training_is_told_with_its_line_and_is_no_fault_of_ours(own_module, tmp_path, capsys):
    name = own_module(LOSSES)
    line = 1 + LOSSES.splitlines().index('            raise LookupError("too late")')
    assert main(["train", "--loss", f"{name}:Late", "--run_dir", "run", "--progress", "false", "--epochs", "1"]) == 2
    error = capsys.readouterr().err

    assert f"Your code raised LookupError: too late ({tmp_path / name}.py, line {line})" in error
    assert "a fault of adafocal" not in error


def stranger(folder: Path, witness: Path, what: str) -> None:
    """Let a run folder name code that would leave a trace."""
    (folder.parent / "evil.py").write_text(
        f"import pathlib\npathlib.Path({str(witness)!r}).touch()\ndef it(*_, **__): pass\n"
    )
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    if what == "data.name":
        settings["data"] |= {"name": "evil:it", "train_size": None, "validation_size": None, "noise": 0.0}
    else:
        settings[what] = "evil:it"
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "run"
    run(SHORT, folder, progress=False)
    return folder


@pytest.mark.parametrize("what", ["loss", "model", "data.name"])
def test_a_run_folder_that_is_read_imports_nothing(plain_run, own_module, tmp_path, what, capsys):
    own_module("")
    witness, other = tmp_path / "witness", tmp_path / "other"
    for folder in (tmp_path / "run", other):
        shutil.copytree(plain_run, folder)
    stranger(tmp_path / "run", witness, what)
    status = {
        "report": main(["report", "run"]),
        "evaluate": main(["evaluate", "run/test.parquet"]),
        "study": main(["study", "--compare", "run", "other", "--study_dir", "both"]),
        "predict": main(["predict", "run", "-o", "out.csv"]),
        "ood": main(["ood", "--run", "run", "--against", "gaussian_noise-3"]),
    }
    error = capsys.readouterr().err

    assert status["report"] == status["evaluate"] == 0
    assert not witness.exists(), "code that a run folder names was imported"
    if what == "loss":
        assert status["predict"] == 0
    else:
        flag = "--model evil:it" if what == "model" else "--data evil:it"
        assert status["predict"] == status["ood"] == 2
        assert (
            "`own` must name the code that this run was made with, evil:it, as nothing is imported that a run folder "
            f"alone names, got none: if you trust it, add `{flag}`."
        ) in error


def test_own_code_is_imported_again_where_it_is_named_again(own_module, tmp_path, capsys):
    name = own_module(LOSSES + MODELS)
    assert (
        main(
            [
                "train",
                "--loss",
                f"{name}:Poly",
                "--model",
                f"{name}:net",
                "--epochs",
                "1",
                "--run_dir",
                "run",
                "--progress",
                "false",
            ]
        )
        == 0
    )
    title = json.loads((tmp_path / "run/summary.json").read_text())["loss"]
    before = predict_with("run", own=[f"{name}:net"])

    assert title == f"{name}:Poly"
    assert main(["predict", "run", "-o", "out.parquet", "--model", f"{name}:net"]) == 0
    assert main(["predict", "run", "-o", "out.parquet", "--model", f"{name}:net", "--loss", f"{name}:Poly"]) == 0
    assert main(["predict", "run", "-o", "out.parquet", "--model", f"{name}:wrong"]) == 2
    assert f"`model` must be what the run recorded, {name}:net, got '{name}:wrong'." in capsys.readouterr().err
    assert type(load_classifier("run", own=[f"{name}:net", f"{name}:Poly"]).loss).__name__ == "Poly"
    assert len(before) == 997


def test_trust_is_asked_for_each_piece_of_code_that_predictions_need():
    config = replace(SHORT, loss="a:x", model="b:y", data=replace(SHORT.data, name="c:z"))
    check_trusted(config, ["b:y", "c:z"])
    check_trusted(SHORT, [])
    with pytest.raises(
        ValueError, match=r"made with, b:y, c:z, as nothing .* got a:x: .* add `--model b:y --data c:z`"
    ):
        check_trusted(config, ["a:x"])


def test_a_model_without_features_has_scores_of_its_outputs_alone(own_module, tmp_path, capsys):
    name = own_module(MODELS)
    assert (
        main(
            [
                "train",
                "--model",
                f"{name}:net",
                "--loss",
                "cross_entropy",
                "--epochs",
                "1",
                "--run_dir",
                "run",
                "--progress",
                "false",
            ]
        )
        == 0
    )
    assert main(["predict", "run", "-o", "out.parquet", "--model", f"{name}:net", "--features", "true"]) == 2
    assert "`features` need a model with a method `features`" in capsys.readouterr().err


def test_data_of_the_users_own_are_named_by_a_flag(own_module, tmp_path):
    name = own_module(
        "import numpy as np\ndef blobs(n: int = 60):\n    y = np.arange(n) % 3\n"
        "    return np.eye(3)[y], np.array(['α', 'b_c', 'd'])[y]\n"
    )
    assert (
        main(
            [
                "train",
                f"--data={name}:blobs",
                "--data.args.n",
                "90",
                "--epochs",
                "1",
                "--run_dir",
                "run",
                "--progress",
                "false",
            ]
        )
        == 0
    )
    summary = json.loads((tmp_path / "run/summary.json").read_text())

    assert summary["class_names"] == ["b_c", "d", "α"]
    assert sum(summary["sizes"].values()) == 90
    assert f"{name}:blobs" in (tmp_path / "run/report.html").read_text()
