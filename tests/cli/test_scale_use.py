# SPDX-License-Identifier: Apache-2.0
"""What ``adafocal scale`` says is out of fold, what its files say, and what it refuses."""

import csv
import json

import numpy as np
import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.calibration import evaluate
from adafocal.cli import main
from adafocal.scaling import fit_temperature
from adafocal.scaling.crossfit import cross_fit

NAMES = ("cat", "dog", "eel")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Tables of 600 rows at four sites whose true temperatures are 1 to 4."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    logits, site = 2.5 * rng.normal(size=(600, 3)), rng.integers(0, 4, 600)
    true = np.exp(logits / (1 + site)[:, None])
    labels = np.array([rng.choice(3, p=row / row.sum()) for row in true])
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)

    def write(name, **columns):
        with open(name, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))

    words = [NAMES[k] for k in labels]
    named = {f"prob_{name}": probs[:, k] for k, name in enumerate(NAMES)}
    where = ["" if row % 50 == 0 else f"s{k}" for row, k in enumerate(site)]
    write("named.csv", **named, label=words, site=where, doc=np.arange(600) // 4, w=rng.uniform(0, 2, 600))
    write("moved.csv", **{name: named[name] for name in ("prob_dog", "prob_cat", "prob_eel")}, label=words)
    write("numbers.csv", **{f"prob_{k}": probs[:, k] for k in range(3)}, label=labels, ort=["s0", "s9"] * 300)
    write("two.csv", prob_0=probs[:, 0], prob_1=1 - probs[:, 0], label=(labels != 0).astype(int))
    write("one.csv", p=probs[:, 0], label=words)
    write("out.csv", confidence=probs.max(1), correct=(probs.argmax(1) == labels).astype(int))
    write("few.csv", **{name: column[:8] for name, column in named.items()}, label=words[:8])
    return tmp_path


def scale(command):
    return main(["scale", *command.split()])


def cells(out, name):
    return [cell.strip() for cell in next(line for line in out.splitlines() if f"│ {name} " in line).split("│")[2:-1]]


@pytest.mark.parametrize(("table", "columns"), [("named", ""), ("named", " --weight w --cluster doc"), ("out", "")])
def test_printed_numbers_are_out_of_fold(folder, capsys, table, columns):
    assert scale(f"fit {table}.csv{columns} -o T.json") == 0
    out = capsys.readouterr().out
    kind = Outcomes if table == "out" else Predictions
    given = {"weight": "w", "cluster": "doc"} if columns else {}
    record = kind.load("named.csv" if table == "named" else "out.csv", **given)
    expected = evaluate(cross_fit(record, fit_temperature))

    assert "Temperature scaling out of fold (5 folds), 600 samples" in out
    assert cells(out, "after")[2] == f"{expected.nll:.4f}"
    assert cells(out, "before")[1] == f"{100 * evaluate(record).ece:.2f}"
    told = json.loads((folder / "T.json").read_text())["fitted_on"]
    assert told["out_of_fold"]["after"]["nll"] == pytest.approx(expected.nll, rel=1e-6)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("fit few.csv", "too few rows, 8, for 5 folds of at least 2"),
        ("fit few.csv --folds 5 --cluster label", "too few clusters, 3, for 5 folds of at least 2"),
        ("fit named.csv --folds 0", "as asked"),
        ("fit few.csv --by label", "too few rows, 8, for 5 folds of at least 2"),
    ],
)
def test_where_nothing_is_out_of_fold_it_says_so(folder, capsys, command, why):
    assert scale(f"{command} -o T.json") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"not measured out of fold: {why}\n")
    assert "on the data it was fitted to" in out
    assert json.loads((folder / "T.json").read_text())["fitted_on"]["out_of_fold"] is None


def test_the_file_says_what_it_was_fitted_on(folder, capsys):
    assert scale("fit named.csv --method vector --regularization 0.1 -o v.json") == 0
    assert "fitted on 600 rows of probs of 3 classes (cat, dog, eel)" in capsys.readouterr().out
    told = json.loads((folder / "v.json").read_text())["fitted_on"]
    expected = {
        "source": "named.csv", "rows": 600, "kind": "probs", "n_classes": 3, "classes": list(NAMES), "positive": None,
        "options": {"regularization": 0.1}, "keeps_predicted": False,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit named.csv", "predicted class and order of the classes are kept"),
        ("fit named.csv --method vector --regularization 0", "predicted class may change: it does in "),
        ("fit out.csv", "order of confidences is kept, but for ties"),
    ],
)
def test_it_says_whether_the_prediction_is_kept(folder, capsys, command, said):
    assert scale(f"{command} -o s.json") == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fit", "apply", "said"),
    [
        ("named.csv", "moved.csv", "in their order, cat, dog, eel, got dog, cat, eel in 'moved.csv'."),
        ("named.csv", "two.csv", "`predictions` must have 3 classes, got 2 in 'two.csv'."),
        ("named.csv", "out.csv", "`predictions` must hold predictions of classes as when the scaling was fitted, got "),
        ("out.csv", "two.csv", "`predictions` must hold outcomes (`confidence`, `correct`) as when the scaling was "),
        (
            "one.csv --probs p --positive_class cat",
            "one.csv --probs p --label label --positive_class dog",
            "`positive_class` must be the class that the scaling was fitted on, 'cat', got 'dog' in 'one.csv'.",
        ),
        ("numbers.csv --method vector", "out.csv", "got outcomes (`confidence`, `correct`) in 'out.csv'."),
        ("named.csv", "named.csv --by site", "`by` must go with a scaling that was fitted by group, got 'site': "),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_sentence(folder, capsys, unchecked_shapes, fit, apply, said):
    assert scale(f"fit {fit} -o s.json") == 0
    assert scale(f"apply s.json {apply} -o x.csv") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (folder / "x.csv").exists()


def test_classes_without_names_are_taken_in_order_and_that_is_said(folder, capsys):
    assert scale("fit named.csv -o s.json") == 0
    assert scale("apply s.json numbers.csv -o x.csv") == 0
    assert "classes have no names in this table: taken for cat, dog, eel in this order" in capsys.readouterr().out


def test_scalings_by_group_are_fitted_and_applied(folder, capsys):
    assert scale("fit named.csv --by site -o g.json") == 0
    out = capsys.readouterr().out
    assert float(cells(out, "after")[2]) < float(cells(out, "after, pooled")[2]) - 0.02
    assert "groups 4 of 4 have a scaling of their own" in out
    assert "rows without a group take the pooled scaling: 12\n" in out
    assert scale("apply g.json numbers.csv --by ort -o x.csv") == 0
    assert "groups without a scaling of their own take the pooled one: s9 (300 rows)" in capsys.readouterr().out
    held = json.loads((folder / "g.json").read_text())
    before, after = Predictions.load("numbers.csv"), Predictions.load("x.csv")
    for row, temperature in ((0, held["groups"]["s0"]["temperature"]), (1, held["pooled"]["temperature"])):
        expected = (before.probs[row].log() / temperature).softmax(0)
        torch.testing.assert_close(after.probs[row], expected, atol=1e-5, rtol=1e-4)
    assert scale("apply g.json numbers.csv -o x.csv") == 2
    assert "columns must include `site`" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["cat=0.2 dog=0.3 eel=0.5", "p.json", "p.csv"])
def test_known_shares_of_the_classes_are_corrected_for(folder, capsys, given):
    (folder / "p.json").write_text('{"cat": 0.2, "dog": 0.3, "eel": 0.5}')
    (folder / "p.csv").write_text("class,share\neel,0.5\ncat,0.2\ndog,0.3\n")
    assert scale("fit named.csv -o s.json") == 0
    assert scale("apply s.json named.csv -o plain.csv") == 0
    assert scale(f"apply s.json named.csv --prior {given} -o x.csv") == 0
    assert (
        "class shares, as given: cat 0.308 to 0.200, dog 0.356 to 0.300, eel 0.336 to 0.500; "
        in capsys.readouterr().out
    )
    shares = json.loads((folder / "s.json").read_text())["fitted_on"]["shares"]
    wanted = Predictions.load("plain.csv").probs * torch.tensor([0.2, 0.3, 0.5]) / torch.tensor(shares)
    torch.testing.assert_close(
        Predictions.load("x.csv").probs, wanted / wanted.sum(1, keepdim=True), atol=1e-5, rtol=1e-4
    )


def test_shares_are_estimated_without_labels(folder, capsys):
    assert scale("fit named.csv -o s.json") == 0
    assert scale("fit one.csv --probs p --positive_class cat -o b.json") == 0
    held = Predictions.load("named.csv")
    some = held[(held.labels != 2) | (torch.arange(600) % 4 == 0)]
    Predictions(probs=some.probs, classes=held.classes).save(folder / "some.parquet")
    capsys.readouterr()
    assert scale("apply s.json some.parquet --prior estimate -o x.parquet") == 0
    shares = [float(part.split()[-1]) for part in capsys.readouterr().out.split(";")[0].split(", ")[1:]]
    right = some.labels.bincount() / some.n
    assert shares == pytest.approx(right.tolist(), abs=0.07)
    assert scale("apply b.json one.csv --probs p --positive_class cat --prior cat=0.1 -o x.csv") == 0
    assert "class shares, as given: not cat 0.662 to 0.900, cat 0.338 to 0.100; " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cat=0.2", "`prior` must give each class a share, got none for dog, eel."),
        ("ct=0.2", "`prior` must name the classes cat, dog, eel, got 'ct': did you mean 'cat'?"),
        ("cat=0.2 dog=0.3 eel=0.6", "`prior` must sum to 1, got 1.1."),
        ("cat=-1 dog=1 eel=1", "`prior` must give shares from 0 to 1, got '-1' for 'cat'."),
        ("cat=much dog=1 eel=1", "`prior` must give shares from 0 to 1, got 'much' for 'cat'."),
        ("cat=0.2 cat=0.3 eel=0.5", "`prior` must give each class one share, got two for 'cat'."),
        ("no.csv", "`prior` must be an existing file, got 'no.csv'."),
        ("0.3", "`prior` must be `estimate`, `uniform`, CLASS=SHARE ..., or a .json or .csv file, got '0.3'."),
    ],
)
def test_shares_that_fit_nothing_are_refused(folder, capsys, unchecked_shapes, given, said):
    assert scale("fit named.csv -o s.json") == 0
    assert scale(f"apply s.json named.csv --prior {given} -o x.csv") == 2
    assert capsys.readouterr().err == f"adafocal scale: {said}\n"


def test_outcomes_and_older_files_have_no_class_shares(folder, capsys, unchecked_shapes):
    assert scale("fit out.csv -o o.json") == 0
    assert scale("apply o.json out.csv --prior uniform -o x.csv") == 2
    assert "`prior` must go with predictions of classes, got a scaling of outcomes: " in capsys.readouterr().err
    old = {"format": "adafocal-scaling-1", "method": "temperature", "temperature": 2.0, "at_bound": False}
    (folder / "old.json").write_text(json.dumps(old))
    assert scale("apply old.json named.csv -o y.csv") == 0
    assert scale("apply old.json named.csv --prior uniform -o x.csv") == 2
    assert "got an older one, or one of ragged choices: fit it anew" in capsys.readouterr().err
