# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal import Predictions
from adafocal.cli import main
from adafocal.scaling import METHODS, Temperature, fit_temperature, load_scaling
from adafocal.scaling.catalogue import TWO_CLASSES


def drawn(n, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, 4, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits, labels=labels)


@pytest.fixture
def folder(tmp_path):
    drawn(300, seed=0).save(tmp_path / "val.parquet")
    drawn(200, seed=1).save(tmp_path / "test.npz")
    return tmp_path


def scale(folder, *arguments):
    return main(["scale", *(str(folder / a) if "." in a and a[0].isalpha() else a for a in arguments)])


def test_fit_and_apply_do_what_the_library_does(folder, capsys):
    assert scale(folder, "fit", "val.parquet", "-o", "T.json") == 0
    fitted = fit_temperature(Predictions.load(folder / "val.parquet"))
    assert Temperature.load(folder / "T.json") == fitted
    assert f"temperature {fitted.temperature:.6g}\n" in capsys.readouterr().out
    assert scale(folder, "apply", "T.json", "test.npz", "-o", "scaled.parquet") == 0
    expected = fitted.apply(Predictions.load(folder / "test.npz"))
    assert torch.equal(expected.logits, Predictions.load(folder / "scaled.parquet").logits)
    assert "before" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_through_files(folder, method):
    if method in TWO_CLASSES:
        for name in ("val.parquet", "test.npz"):
            held = Predictions.load(folder / name)
            Predictions(logits=held.logits[:, :2], labels=(held.labels == 1).long()).save(folder / name)
    assert scale(folder, "fit", "val.parquet", "--method", method, "--output", "s.json") == 0
    assert scale(folder, "apply", "s.json", "test.npz", "-o", "scaled.npz") == 0
    after = Predictions.load(folder / "scaled.npz")
    expected = load_scaling(folder / "s.json").apply(Predictions.load(folder / "test.npz"))
    assert torch.equal(expected.probs, after.probs)


def test_options_reach_the_method(folder):
    assert scale(folder, "fit", "val.parquet", "--criterion", "ece", "--n_bins", "10", "-o", "T.json") == 0
    expected = fit_temperature(Predictions.load(folder / "val.parquet"), criterion="ece", n_bins=10)
    assert Temperature.load(folder / "T.json") == expected


def test_a_temperature_at_the_bound_says_so(folder, capsys):
    Predictions(logits=torch.tensor([[2.0, 0.0], [0.0, 2.0]]), labels=torch.tensor([0, 1])).save(folder / "sure.csv")
    assert scale(folder, "fit", "sure.csv", "-o", "T.json") == 0
    assert "the bound of the search: this set has no finite optimum" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["fit", "val.parquet", "--method", "vector", "--criterion", "ece", "-o", "x.json"],
            "`criterion` must go with temperature, got method 'vector'.",
        ),
        (["fit", "val.parquet", "-o", "x.yaml"], "`path` must end in .json, got "),
        (["fit", "no.npz", "-o", "x.json"], "`path` must be an existing file, got "),
        (
            ["apply", "val.parquet", "test.npz", "-o", "x.npz"],
            "`path` must be a file that a fitted scaling saved, got ",
        ),
        (["fit", "val.parquet"], "output"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(folder, capsys, unchecked_shapes, arguments, sentence):
    assert scale(folder, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("adafocal scale: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_one_class_of_labels_is_refused_where_it_fits_nothing(folder, capsys, unchecked_shapes):
    Predictions(logits=torch.randn(20, 3), labels=torch.ones(20, dtype=torch.int64)).save(folder / "one.npz")
    assert scale(folder, "fit", "one.npz", "--method", "isotonic", "-o", "x.json") == 2
    expected = "adafocal scale: `labels` must name at least 2 classes to fit isotonic scaling, got only class 1.\n"
    assert capsys.readouterr().err == expected
