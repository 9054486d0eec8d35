# SPDX-License-Identifier: Apache-2.0
"""The scaling that suits the data: never worse than temperature, better where data say so, and said."""

import pytest
import torch

from adafocal import Outcomes, Predictions
from adafocal.cli import main
from adafocal.scaling import fit_temperature, load_scaling
from adafocal.scaling.best import choose_scaling


def drawn(n, *, c=4, seed=0, uneven=0.0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, c, generator=generator)
    factors = 1 + uneven * torch.linspace(-1, 1, c)
    labels = torch.multinomial((logits * factors).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(logits=1.6 * logits, labels=labels)


def nll(predictions):
    return -predictions.log_probs.gather(1, predictions.labels[:, None]).double().mean().item()


@pytest.mark.parametrize(("n", "c"), [(100, 2), (100, 4), (300, 4), (200, 10)])
def test_on_few_rows_it_is_never_worse_than_temperature_beyond_a_thousandth(n, c):
    test, worse = drawn(5000, c=c, seed=1000), []
    for seed in range(8):
        validation = drawn(n, c=c, seed=seed)
        plain = nll(fit_temperature(validation).apply(test))
        worse.append(nll(choose_scaling(validation).fitted.apply(test)) / plain - 1)
    assert sum(worse) / len(worse) < 1e-3


def test_it_is_temperature_where_rows_are_too_few_to_compare():
    chosen = choose_scaling(drawn(20))
    assert (chosen.method, chosen.remedy.trials) == ("temperature", ())


def test_it_is_temperature_also_where_nothing_beats_the_predictions_as_they_are():
    predictions = drawn(400)
    mended = fit_temperature(predictions).apply(predictions)
    assert choose_scaling(mended).method == "temperature"


def test_classes_of_unequal_confidence_get_one_that_sees_them():
    validation, test = drawn(3000, uneven=0.7), drawn(5000, uneven=0.7, seed=1)
    chosen = choose_scaling(validation)
    assert chosen.method in ("vector", "structured_vector")
    assert nll(chosen.fitted.apply(test)) < nll(fit_temperature(validation).apply(test)) - 0.01


def test_outcomes_are_chosen_for_as_well():
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.49 * torch.rand(3000, generator=generator)
    outcomes = Outcomes(confidence=confidence, correct=torch.rand(3000, generator=generator) < confidence - 0.25)
    assert choose_scaling(outcomes).method in ("platt", "beta", "quadratic", "histogram_top_label")


def test_the_command_says_what_it_saw(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn(600).save("p.parquet")
    assert main(["scale", "fit", "p.parquet", "--method", "auto", "-o", "s.json"]) == 0
    printed = capsys.readouterr().out

    assert "chosen temperature, the simplest of" in printed
    for word in ("as they are", "structured vector", "NLL", "not tried: ", "Platt (for two classes)"):
        assert word in printed
    assert type(load_scaling("s.json")).__name__ == "Temperature"


@pytest.mark.parametrize(("short", "method"), [("sms", "structured_matrix"), ("svs", "structured_vector")])
def test_the_fields_abbreviations_are_understood(tmp_path, monkeypatch, short, method):
    monkeypatch.chdir(tmp_path)
    drawn(200).save("p.parquet")
    assert main(["scale", "fit", "p.parquet", "--method", short, "-o", "s.json"]) == 0
    assert load_scaling("s.json").method == method


def test_options_of_one_method_do_not_go_with_auto(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn(100).save("p.parquet")
    assert main(["scale", "fit", "p.parquet", "--method", "auto", "--regularization", "1", "-o", "s.json"]) == 2
    assert "`regularization` must go with vector or" in capsys.readouterr().err
