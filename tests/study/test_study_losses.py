# SPDX-License-Identifier: Apache-2.0
"""Losses of a study: with arguments, of the user's own, under names of theirs; and those that fail."""

import csv
import json
import re

import pytest
import yaml

from adafocal.cli import main
from adafocal.study.finding import findings
from adafocal.study.losses import StudyLoss, check_apart, read_loss, told_apart
from own_loss import POLY

OWN = (
    POLY
    + """
class Broken(nn.Module):
    def __init__(self): raise ValueError("never built")
class NotANumber(nn.Module):
    def forward(self, logits, labels): return F.cross_entropy(logits, labels) * float("nan")
class Unlucky(nn.Module):
    def forward(self, logits, labels):
        if torch.initial_seed() == 1000004: raise RuntimeError("seed 1")
        return F.cross_entropy(logits, labels)
"""
)
SHORT = ["--seeds", "0", "1", "--epochs", "1", "--logger", "none", "--workers", "1", "--study_dir", "study"]


@pytest.mark.parametrize(
    ("value", "loss", "arguments", "name"),
    [
        ("focal", "focal", {}, "focal"),
        ("focal(gamma=1)", "focal", {"gamma": 1}, "focal(gamma=1)"),
        (" focal( gamma = 1.5 , label_smoothing=0.1 )", "focal", {"gamma": 1.5, "label_smoothing": 0.1},
         "focal(gamma=1.5, label_smoothing=0.1)"),
        ("a.b:C(kind=mean, sizes=[1, 2], on=true)", "a.b:C", {"kind": "mean", "sizes": [1, 2], "on": True},
         "a.b:C(kind=mean, sizes=[1, 2], on=true)"),
        ({"loss": "focal", "loss_args": {"gamma": 1}}, "focal", {"gamma": 1}, "focal(gamma=1)"),
        ({"loss": "focal", "loss_args": {"gamma": 1}, "name": "F 1"}, "focal", {"gamma": 1}, "F 1"),
    ],
)  # fmt: skip
def test_a_loss_is_read_with_its_arguments(value, loss, arguments, name):
    read = read_loss(value)

    assert (read.loss, read.loss_args, read.name) == (loss, arguments, name)
    assert isinstance(value, dict) or read_loss(read.name) == read


@pytest.mark.parametrize(
    "value",
    [
        "focal(1)", "focal()", "focal(gamma)", "focal(gamma=1, 2)", "focal(gamma=[)", {"loss": 1}, {"lss": "focal"},
        {"loss": "focal", "loss_args": 3},
    ],
)  # fmt: skip
def test_what_is_no_loss_is_refused(value):
    with pytest.raises(ValueError, match=r"^`losses` must (name arguments as in|hold names)"):
        read_loss(value)


def test_titles_tell_the_arguments_that_the_catalogue_does_not():
    assert StudyLoss("focal", {"gamma": 1}).title_with({"gamma": 1}) == "Focal (γ = 1)"
    assert StudyLoss("focal", {"gamma": 3}).title_with({"gamma": 3}) == "Focal (γ = 3)"
    assert StudyLoss("adafocal", {"rate": 0.5}).title_with({"rate": 0.5}) == "AdaFocal (rate = 0.5)"
    assert StudyLoss("a:B", {"x": 2}).title_with({"x": 2}) == "B (x = 2)"
    assert StudyLoss("focal", {"gamma": 1}, "mine").title_with({"gamma": 1}) == "mine"
    assert told_apart({"a:L": "L", "b:L": "L", "x": "X"}) == {"a:L": "L [a:L]", "b:L": "L [b:L]", "x": "X"}


def test_one_loss_under_two_names_is_refused(rejects):
    check_apart([read_loss("focal"), read_loss("focal(gamma=1)")])
    with rejects(
        ValueError, "`losses` must hold none twice, got 'focal(gamma=1)' and 'focal(gamma=1.0)', which are the same."
    ):
        check_apart([read_loss("focal(gamma=1)"), read_loss("focal(gamma=1.0)")])


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (["focal(gama=1)"], "pos_weight, got 'gama': did you mean 'gamma'?"),
        (["foca"], "`losses` must be one of 'cross_entropy', "),
        (["{name}:Ply"], "got 'Ply': did you mean 'Poly'?"),
        (["{name}:Poly(eps=1)"], "`loss_args` of {name}:Poly must be among epsilon, got 'eps'"),
        (["{name}:Poly(epsilon=big)"], "`loss_args.epsilon` of {name}:Poly must be float, got 'big'."),
        (["focal", "focal"], "`losses` must hold at least one value and none twice, got ['focal', 'focal']."),
    ],
)  # fmt: skip
def test_a_mistake_in_a_loss_shows_before_anything_runs(own_module, capsys, tmp_path, losses, said):
    name = own_module(OWN)
    assert main(["study", "--losses", *(loss.format(name=name) for loss in losses), *SHORT]) == 2
    assert said.format(name=name) in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_own_losses_and_variants_are_compared_under_safe_names(own_module, tmp_path, capsys):
    name = own_module(OWN)
    plan = {
        "losses": [
            f"{name}:Poly",
            f"{name}:Poly(epsilon=2)",
            "focal(gamma=1)",
            {"loss": "focal", "name": "Focal & α_3"},
        ],
        "baseline": f"{name}:Poly( epsilon = 2 )",
    }
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan, allow_unicode=True), encoding="utf-8")
    assert main(["study", "plan.yaml", *SHORT]) == 0
    comparison = json.loads((tmp_path / "study/comparison.json").read_text())
    rows = list(csv.DictReader((tmp_path / "study/results.csv").read_text(encoding="utf-8").splitlines()))
    folders = [place.name for place in (tmp_path / "study/runs/digits").iterdir()]
    losses = comparison["experiments"][0]["losses"]

    assert comparison["baseline"] == f"{name}:Poly(epsilon=2)"
    assert [one["title"] for one in losses[:4]] == ["Poly", "Poly (epsilon = 2)", "Focal (γ = 1)", "Focal & α_3"]
    assert {row["loss"] for row in rows[:8]} == {
        f"{name}:Poly",
        f"{name}:Poly(epsilon=2)",
        "focal(gamma=1)",
        "Focal & α_3",
    }
    assert {(row["data"], row["model"]) for row in rows} == {("digits", "mlp")}
    assert all(re.fullmatch(r"[\w.=@&-]+-s[01]", folder) for folder in folders), folders
    assert losses[0]["metrics"]["nll"]["mean"] != losses[1]["metrics"]["nll"]["mean"]
    assert r"Focal \& $\alpha$\_3" in (tmp_path / "study/tables/ece.tex").read_text()
    assert yaml.safe_load((tmp_path / "study/study.yaml").read_text())["named"] == {
        "Focal & α_3": {"loss": "focal", "loss_args": {}}
    }
    assert main(["study", "plan.yaml", *SHORT, "--dry_run"]) == 0
    assert "8 finished, 0 missing" in capsys.readouterr().out


def test_a_study_with_losses_that_fail_reports_what_there_is(own_module, tmp_path, capsys):
    name = own_module(OWN)
    losses = [f"{name}:Broken", f"{name}:NotANumber", f"{name}:Unlucky", "cross_entropy"]
    assert main(["study", "--losses", *losses, *SHORT]) == 1
    out = capsys.readouterr().out
    comparison = json.loads((tmp_path / "study/comparison.json").read_text())
    [experiment] = comparison["experiments"]
    kept = {one["loss"]: one["seeds"] for one in experiment["losses"] if "scaled" not in one or not one["scaled"]}

    assert kept == {f"{name}:Unlucky": [0], "cross_entropy": [0, 1]}
    assert {(one["loss"], one["seed"]) for one in comparison["failures"]} == {
        (f"{name}:Broken", 0), (f"{name}:Broken", 1), (f"{name}:NotANumber", 0), (f"{name}:NotANumber", 1),
        (f"{name}:Unlucky", 1),
    }  # fmt: skip
    assert all(one["versus_baseline"] == {} for one in experiment["losses"])
    assert f"where the baseline {name}:Broken has no finished run: another may be chosen by --baseline" in out
    assert f"{name}:Unlucky on digits has finished 1 of 2 seeds, 0: its row is over these" in out
    assert len(re.findall(r"^failed: study/runs/digits/\S+: .+$", out, re.M)) == 5
    assert "it diverged" in out
    assert "raised ValueError: never built" in out
    assert (tmp_path / "study/tables/ece.tex").exists()
    assert "has no finished run" in (tmp_path / "study/report.html").read_text()
    assert main(["study", "--losses", *losses, *SHORT, "--baseline", "cross_entropy"]) == 1


def test_the_best_is_told_over_the_seeds_that_all_losses_share():
    """The lucky seed of a loss that failed on the others does not make it the best."""
    values = {"ece": {"lucky": {0: 0.05}, "good": {0: 0.04, 1: 0.10, 2: 0.12}, "none": {}}}
    said = findings(values, {"lucky": "Lucky", "good": "Good", "none": "None"})

    assert said == "Lowest test ECE: Good with 4.00 %, then Lucky with 5.00 %; one seed cannot tell losses apart."
    assert findings({"ece": {"a": {0: 0.1}, "b": {1: 0.2}}}, {"a": "A", "b": "B"}) == ""
