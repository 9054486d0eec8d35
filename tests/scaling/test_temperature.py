# SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from adafocal import Predictions
from adafocal.calibration import expected_calibration_error
from adafocal.scaling import Temperature, fit_temperature, fit_vector


def drawn(temperature, *, n=2000, c=5, spread=3.0, seed=0, dtype=torch.float32):
    """Logits whose labels are drawn from softmax(logits / temperature)."""
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(n, c, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / temperature).softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits.to(dtype), labels=labels)


def nll(predictions, temperature=1.0):
    log_probs = (predictions.logits.double() / temperature).log_softmax(dim=1)
    return -log_probs.gather(1, predictions.labels[:, None]).mean().item()


def by_scipy(predictions):
    result = minimize_scalar(
        lambda x: nll(predictions, math.exp(x)), bounds=(-8, 12), method="bounded", options={"xatol": 1e-9}
    )
    return math.exp(result.x)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 10.0])
def test_the_fit_is_the_minimum_that_a_general_minimiser_finds(temperature):
    predictions = drawn(temperature)
    assert fit_temperature(predictions).temperature == pytest.approx(by_scipy(predictions), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_fit_recovers_the_temperature_that_the_labels_were_drawn_with(temperature):
    assert fit_temperature(drawn(temperature, n=20000)).temperature == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_scaled_logits_give_the_scaled_temperature(factor):
    predictions = drawn(2.0, dtype=torch.float64)
    scaled = Predictions(logits=factor * predictions.logits, labels=predictions.labels)
    expected = factor * fit_temperature(predictions).temperature
    assert fit_temperature(scaled).temperature == pytest.approx(expected, rel=1e-9)


def test_logits_a_thousand_times_too_large_are_mended_in_float32():
    predictions = drawn(1.0, n=20000)
    scaled = Predictions(logits=1000 * predictions.logits, labels=predictions.labels)
    fitted = fit_temperature(scaled)
    assert fitted.temperature == pytest.approx(1000, rel=0.05)
    assert not fitted.at_bound
    assert nll(fitted.apply(scaled)) == pytest.approx(nll(predictions), rel=0.01)


def test_constant_logits_give_temperature_one():
    labels = torch.tensor([0, 1, 2, 0])
    same = Predictions(logits=torch.tensor([[5.0], [-3.0], [0.0], [1e6]]).expand(4, 3), labels=labels)
    assert fit_temperature(same) == Temperature(1.0)


def test_one_class_of_labels_has_the_ordinary_optimum():
    predictions = drawn(2.0)
    held = predictions.labels == 0
    one_class = Predictions(logits=predictions.logits[held], labels=predictions.labels[held])
    fitted = fit_temperature(one_class)
    assert fitted.temperature == pytest.approx(by_scipy(one_class), rel=1e-6)
    assert not fitted.at_bound


def test_a_separable_set_gives_the_documented_lower_bound():
    predictions = Predictions(logits=torch.tensor([[2.0, 0.0], [0.0, 2.0]]), labels=torch.tensor([0, 1]))
    fitted = fit_temperature(predictions)
    assert fitted == Temperature(0.002, at_bound=True)
    assert torch.equal(torch.ones(2), fitted.apply(predictions).confidence)


def test_logits_that_are_worse_than_a_guess_give_the_documented_upper_bound():
    predictions = Predictions(logits=torch.tensor([[2.0, 0.0], [0.0, 2.0]]), labels=torch.tensor([1, 0]))
    assert fit_temperature(predictions) == Temperature(2000.0, at_bound=True)


@pytest.mark.parametrize("seed", range(6))
def test_pure_noise_ends_near_the_uniform_guess(seed):
    noise = drawn(1e12, n=4000, seed=seed)
    fitted = fit_temperature(noise)
    assert fitted.temperature > 30
    assert nll(fitted.apply(noise)) == pytest.approx(math.log(5), abs=2e-3)


def test_masked_classes_do_not_enter():
    predictions = drawn(2.0, c=3)
    for mask in (-math.inf, -1e9):
        padding = torch.full((predictions.n, 4), mask)
        padded = Predictions(logits=torch.cat([predictions.logits, padding], dim=1), labels=predictions.labels)
        assert fit_temperature(padded).temperature == pytest.approx(fit_temperature(predictions).temperature, rel=1e-9)


def test_a_masked_label_is_refused(rejects):
    logits = torch.tensor([[0.0, 1.0], [0.0, -math.inf]])
    with rejects(ValueError, "`labels` must not be a masked class (logit -inf), got 1 in row 1."):
        fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 1])))


def test_one_sample_is_refused(rejects):
    with rejects(ValueError, "`predictions` must hold at least 2 samples to fit temperature scaling, got 1."):
        fit_temperature(Predictions(logits=torch.tensor([[0.0, 1.0]]), labels=torch.tensor([0])))


def test_probabilities_give_the_temperature_of_their_logits():
    predictions = drawn(2.0, dtype=torch.float64)
    as_probs = Predictions(probs=predictions.probs, labels=predictions.labels)
    fitted = fit_temperature(predictions)
    assert fit_temperature(as_probs).temperature == pytest.approx(fitted.temperature, rel=1e-9)
    torch.testing.assert_close(fitted.apply(as_probs).probs, fitted.apply(predictions).probs)
    assert fitted.apply(as_probs).kind == "probs"


def test_a_label_of_probability_zero_has_a_finite_temperature():
    probs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    fitted = fit_temperature(Predictions(probs=probs, labels=torch.tensor([0, 0, 1])))
    assert fitted.temperature == pytest.approx(-math.log(torch.finfo(torch.float32).tiny) / math.log(2), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), c=st.integers(2, 6), n=st.integers(2, 30), power=st.integers(-4, 4))
def test_nll_never_rises_and_predicted_classes_stay(seed, c, n, power):
    generator = torch.Generator().manual_seed(seed)
    logits = 10.0**power * torch.randn(n, c, generator=generator, dtype=torch.float64)
    predictions = Predictions(logits=logits, labels=torch.randint(c, (n,), generator=generator))
    fitted = fit_temperature(predictions)
    after = fitted.apply(predictions)
    assert 0 < fitted.temperature < math.inf
    assert nll(after) <= nll(predictions) * (1 + 1e-12) + 1e-12
    assert torch.equal(predictions.predicted, after.predicted)


@pytest.mark.parametrize("kind", ["logits", "probs"])
def test_predicted_classes_survive_rounding(kind):
    low = torch.linspace(0.1, 0.45, 200)
    values = torch.stack([low, torch.nextafter(low, torch.ones(200)), 1 - 2 * low], dim=1)
    values = values if kind == "logits" else torch.stack([values[:, 2] / 2, values[:, 2] / 2, 2 * low], dim=1)
    predictions = Predictions(**{kind: values}, labels=torch.zeros(200, dtype=torch.int64))
    for temperature in (1.0, 3.0, 7.0, 1e3, 1e6):
        assert torch.equal(predictions.predicted, Temperature(temperature).apply(predictions).predicted)


def test_float16_logits_are_fitted_and_applied_in_float32():
    predictions = drawn(2.0, dtype=torch.float16)
    after = fit_temperature(predictions).apply(predictions)
    assert after.logits.dtype == torch.float32
    assert torch.equal(predictions.predicted, after.predicted)


def test_chunks_do_not_change_the_result(monkeypatch):
    predictions = drawn(2.0)
    whole = fit_temperature(predictions).temperature
    monkeypatch.setattr("adafocal.scaling.root.CACHED", 64)
    assert fit_temperature(predictions).temperature == pytest.approx(whole, rel=1e-12)


def test_the_ece_criterion_takes_the_best_of_the_papers_grid():
    predictions = drawn(2.0)
    errors = {}
    for step in range(1, 101):
        scaled = Temperature(step / 10).apply(predictions)
        errors[step / 10] = expected_calibration_error(scaled.confidence, scaled.correct).item()
    fitted = fit_temperature(predictions, criterion="ece")
    assert fitted.temperature == min(errors, key=errors.get)
    assert fitted.temperature == pytest.approx(2.0, abs=0.5)


def test_equal_to_scikit_learn():
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this scikit-learn has no temperature scaling")
    predictions = drawn(2.0, dtype=torch.float64)
    peer = calibration._TemperatureScaling().fit(predictions.logits.numpy(), predictions.labels.numpy())
    assert fit_temperature(predictions).temperature == pytest.approx(1 / peer.beta_, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "peer"), [("metrics_n1000_c10", 3.2015410076234394), ("metrics_n777_c2", 1.182539323952802)]
)
def test_equal_to_probmetrics(reference, name, peer):
    # The temperatures that TemperatureScalingCalibrator of probmetrics 1.3.0 fits to these logits in float64.
    arrays = reference(name)
    predictions = Predictions(logits=arrays["logits"].astype(np.float64), labels=arrays["labels"])
    assert fit_temperature(predictions).temperature == pytest.approx(peer, rel=1e-7)


def test_features_and_labels_travel_along():
    features = torch.arange(6.0).reshape(2, 3)
    logits = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    after = Temperature(2.0).apply(Predictions(logits=logits, labels=torch.tensor([1, 0]), features=features))
    assert torch.equal(features, after.features)
    assert after.labels.tolist() == [1, 0]
    assert torch.equal(logits / 2, after.logits)


def test_a_saved_temperature_loads_as_the_same_number(tmp_path):
    fitted = Temperature(float(np.nextafter(1.3, 2)), at_bound=True)
    fitted.save(tmp_path / "new" / "T.json")
    assert Temperature.load(tmp_path / "new" / "T.json") == fitted
    assert json.loads((tmp_path / "new" / "T.json").read_text())["method"] == "temperature"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "`path` must be a file that a fitted scaling saved, got {path!r}."),
        ("[1]", "`path` must be a file that a fitted scaling saved, got {path!r}."),
        (
            '{"format": "adafocal-scaling-1", "method": "magic"}',
            "`path` must hold temperature scaling, got 'magic' in {path!r}.",
        ),
        (
            '{"format": "adafocal-scaling-1", "method": "temperature", "temperature": -1}',
            "`temperature` must be a finite number > 0, got -1.",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, rejects, content, sentence):
    path = tmp_path / "T.json"
    path.write_text(content)
    with rejects(ValueError, sentence.replace("{path!r}", repr(str(path)))):
        Temperature.load(path)


def test_a_file_with_missing_parameters_is_refused(tmp_path):
    path = tmp_path / "T.json"
    path.write_text('{"format": "adafocal-scaling-1", "method": "temperature"}')
    with pytest.raises(ValueError, match="must hold the parameters of temperature scaling"):
        Temperature.load(path)


def test_a_missing_file_is_named(tmp_path, rejects):
    with rejects(FileNotFoundError, f"`path` must be an existing file, got {str(tmp_path / 'no.json')!r}."):
        Temperature.load(tmp_path / "no.json")


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_is_positive_and_finite(rejects, bad):
    with rejects(ValueError, f"`temperature` must be a finite number > 0, got {bad}."):
        Temperature(bad)


def test_an_unknown_criterion_is_named(rejects):
    with rejects(ValueError, "`criterion` must be one of 'nll', 'ece', got 'brier'."):
        fit_temperature(drawn(1.0, n=4), criterion="brier")


def test_the_largest_temperature_of_the_grid_is_ten():
    logits = torch.tensor([[100.0, 0.0]] * 10, dtype=torch.float64)
    predictions = Predictions(logits=logits, labels=torch.arange(10) % 2)

    assert fit_temperature(predictions, criterion="ece").temperature == 10.0


def test_the_smallest_temperature_of_the_grid_is_a_tenth():
    logits = torch.tensor([[0.05, 0.0]] * 10, dtype=torch.float64)
    predictions = Predictions(logits=logits, labels=torch.zeros(10).long())

    assert fit_temperature(predictions, criterion="ece").temperature == 0.1


@pytest.mark.parametrize("margin", [1e-4, 0.1, 1.0, 5000.0])
def test_the_search_reaches_a_thousand_times_the_median_margin_and_always_1(margin):
    logits = torch.tensor(
        [[margin, 0.0, -9 * margin, -9 * margin]] * 5 + [[margin / 2, 0.0, 0.0, 0.0]] * 2, dtype=torch.float64
    )
    wrong, right = torch.full((7,), 2), torch.zeros(7).long()

    largest, smallest = (fit_temperature(Predictions(logits=logits, labels=labels)) for labels in (wrong, right))
    assert (largest.at_bound, smallest.at_bound) == (True, True)
    assert largest.temperature == pytest.approx(max(1e3 * margin, 1.0))
    assert smallest.temperature == pytest.approx(min(margin / 1e3, 1.0))


def test_rows_without_a_margin_or_a_rival_do_not_set_the_scale():
    logits = torch.tensor([[2.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [3.0, -math.inf]], dtype=torch.float64)
    fitted = fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 0, 1, 0, 0])))

    assert fitted.temperature == pytest.approx(2e-3)
    assert fitted.at_bound


def test_one_class_among_the_labels_is_told_also_where_only_the_first_differs():
    logits = torch.randn(4, 2)

    assert fit_vector(Predictions(logits=logits, labels=torch.tensor([1, 0, 0, 0])), regularization=1.0) is not None


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_grid_minimises_the_plain_error_and_not_the_debiased_one(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(8, 3, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / 2).softmax(1), 1, generator=generator)[:, 0]
    predictions = Predictions(logits=logits, labels=labels)
    errors = {}
    for step in range(1, 101):
        probs = (logits * (10 / step)).softmax(1)
        errors[step / 10] = expected_calibration_error(probs.amax(1), probs.argmax(1) == labels, n_bins=10).item()
    chosen = fit_temperature(predictions, criterion="ece", n_bins=10).temperature

    assert errors[chosen] == pytest.approx(min(errors.values()), abs=1e-12)


def test_where_all_rows_are_tied_at_the_top_the_distance_below_sets_the_scale():
    logits = torch.tensor([[1.0, 1.0, 0.0]] * 4, dtype=torch.float64)
    fitted = fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 1, 0, 1])))

    assert (fitted.temperature, fitted.at_bound) == (pytest.approx(1e-3), True)


def test_one_bin_is_enough_for_the_grid():
    logits = torch.tensor([[2.0, 0.0]] * 4, dtype=torch.float64)
    fitted = fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 0, 0, 1])), criterion="ece", n_bins=1)

    # Accuracy 3/4 is the sigmoid of 2 / T at T = 1.8205: the grid has 1.8.
    assert fitted.temperature == pytest.approx(1.8)


def test_a_label_far_below_the_largest_logit_counts_with_its_whole_distance():
    logits = torch.tensor([[5000.0, 0.0], [5000.0, 0.0], [5000.0, 0.0], [0.0, 5000.0]], dtype=torch.float64)
    fitted = fit_temperature(Predictions(logits=logits, labels=torch.tensor([0, 0, 1, 1])))

    # Accuracy 3/4 is the sigmoid of 5000 / T.
    assert fitted.temperature == pytest.approx(5000 / math.log(3), rel=1e-9)
