# SPDX-License-Identifier: Apache-2.0
"""Weights count as samples repeated so often do, in everything that measures, and nothing takes them in silence.

The functions are found by their signature; one that takes samples and no weights must be named below.
"""

import inspect
import math
from functools import partial

import pytest
import torch
from torch import Tensor

from adafocal import MultilabelPredictions, Outcomes, Predictions, calibration, metrics, ood, scaling, selective
from adafocal.calibration import evaluate, merge_sums, stream_summary, stream_sums
from adafocal.calibration.catalogue import CATALOGUE
from adafocal.errors import AdafocalError
from adafocal.evaluation.measure import measure
from adafocal.report.evaluation_page import UNWEIGHTED, write_evaluation
from adafocal.scaling.catalogue import TWO_CLASSES
from adafocal.tables.scan import Names, scan

N, C = 240, 3
# They take the effective number of samples also of whole weights, and selective_summary has no interval of weights.
EFFECTIVE = {"calibration_test", "overconfidence_interval", "rms_calibration_interval"}
NOT_REPEATED = {"accuracy_low", "accuracy_high", "band_low", "band_high", "square_sum", "n", "low", "high"}
# Sums grow with the weights; of whole ones these know how many samples they stand for.
OF_THE_SIZE = {"bin_stats", "grid_stats", "reliability_data"}
# They take samples and give samples: there is nothing to weigh.
WITHOUT = {"assign_bins", "one_class_from_probs", "top_label_from_logits", "top_label_from_probs", "wilson_interval"}
WITHOUT |= {"top_label_from_features"}
WITHOUT |= {"case_calibration", "case_stats"}  # voxels of a case, which count alike, as cases do
FUNCTIONS = {
    name: function
    for part in (calibration, selective)
    for name in part.__all__
    if inspect.isfunction(function := getattr(part, name)) and "sample_weight" in inspect.signature(function).parameters
}
OPTIONS = {
    "bin_stats": [{"edges": torch.tensor([0.3, 0.6])}],
    "equal_mass_edges": [{"n_bins": 7}],
    "expected_calibration_error": [
        {"binning": binning, "norm": norm, "debias": debias}
        for binning in ("equal_width", "equal_mass")
        for norm, debias in (("l1", False), ("l2", False), ("max", False), ("l1", True), ("l2", True))
    ],
    "classwise_calibration_error": [{}, {"threshold": 0.3, "binning": "equal_mass"}, {"debias": True}],
    "multilabel_calibration_error": [{"average": average} for average in ("label", "pooled", "none")],
    "brier_decomposition": [{"n_bins": 5}, {"binning": "equal_width"}],
    "sweep_calibration_error": [{}, {"norm": "l2"}],
    "reliability_data": [{}, {"binning": "equal_mass"}],
    "aurc": [{"estimator": kind} for kind in ("harmonic", "ln", "sele")],
    "excess_aurc": [{"estimator": kind} for kind in ("harmonic", "ln", "sele")],
    "coverage_at_risk": [{"risk": 0.3}],
    "risk_at_coverage": [{"coverage": 0.5}, {"coverage": 0.123}, {"coverage": 1.0}],
}
CALLS = [(name, options) for name in FUNCTIONS for options in OPTIONS.get(name, [{}])]
every_call = pytest.mark.parametrize(("name", "options"), CALLS)


def data(name: str, *, tied: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    probs = (2 * torch.randn(N, C, generator=generator, dtype=torch.float64)).softmax(1)
    probs = (8 * probs).round() / 8 if tied else probs
    probs = probs / probs.sum(1, keepdim=True)
    labels = torch.multinomial((probs + 0.1) / (probs + 0.1).sum(1, keepdim=True), 1, generator=generator)[:, 0]
    confidence, correct = probs.amax(1), probs.argmax(1) == labels
    by_name = {
        "confidence": confidence, "correct": correct, "losses": (~correct).double(), "probs": probs, "labels": labels,
        "log_probs": probs.clamp_min(1e-9).log(),
    }  # fmt: skip
    if name == "multilabel_calibration_error":
        by_name["labels"] = torch.nn.functional.one_hot(labels, C)
    if name == "equal_mass_edges":
        return [confidence]
    return [by_name[argument] for argument in list(inspect.signature(FUNCTIONS[name]).parameters)[:2]]


def weights(kind: str = "whole") -> Tensor:
    generator = torch.Generator().manual_seed(6)
    if kind == "whole":
        return torch.randint(0, 4, (N,), generator=generator)
    return 0.2 + torch.rand(N, generator=generator, dtype=torch.float64)


def numbers(result: object, *, plain: bool = False) -> list[Tensor]:
    """Give every number of a result that repetition must give, too; ``plain``: every one."""
    if isinstance(result, Tensor):
        return [result.double()]
    if isinstance(result, (float, int)):
        return [torch.tensor(float(result), dtype=torch.float64)]
    if isinstance(result, tuple):
        return [part for one in result for part in numbers(one, plain=plain)]
    if result is None:
        return []
    held = vars(result)
    return [part for key, one in held.items() if plain or key not in NOT_REPEATED for part in numbers(one, plain=plain)]


def same(first: object, second: object, *, atol: float = 1e-9, plain: bool = False) -> None:
    one, other = numbers(first, plain=plain), numbers(second, plain=plain)
    assert len(one) == len(other) > 0
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=atol, equal_nan=True)


def call(name: str, options: dict, values: list[Tensor], weight: object = None) -> object:
    return FUNCTIONS[name](*values, **options, sample_weight=weight)


def test_every_function_of_samples_takes_weights():
    of_samples = {
        name
        for part in (calibration, selective)
        for name in part.__all__
        if inspect.isfunction(function := getattr(part, name))
        and any(getattr(one.annotation, "array_type", one.annotation) is Tensor
                for one in inspect.signature(function).parameters.values())
    }  # fmt: skip

    assert of_samples - WITHOUT - FUNCTIONS.keys() == {"join_cells"}  # of sums, which have their weights
    assert len(FUNCTIONS) == 27
    assert len(CALLS) >= 45


@every_call
@pytest.mark.parametrize("tied", [False, True])
def test_whole_weights_are_repeated_samples(name, options, tied):
    weight = weights()
    values = data(name, tied=tied)
    repeated = [value.repeat_interleave(weight, dim=0) for value in values]
    assert set(weight.tolist()) >= {0, 1, 3}
    if name in EFFECTIVE:
        low, high = torch.stack(numbers(call(name, options, values, weight))).aminmax()
        assert 0 <= low + 1 <= high + 1 <= 2
        return
    same(call(name, options, values, weight), call(name, options, repeated))
    same(call(name, options, values, weight.double()), call(name, options, repeated))


@every_call
@pytest.mark.parametrize("kind", ["whole", "fractions"])
def test_the_order_of_weighted_samples_does_not_matter(name, options, kind):
    values, weight, order = data(name, tied=True), weights(kind), torch.randperm(N)
    shuffled = [value[order] for value in values]

    same(call(name, options, values, weight), call(name, options, shuffled, weight[order]), plain=True)


@every_call
@pytest.mark.parametrize("scale", [1e-6, 1 / 3, 1e6, "to sum to 1"])
def test_the_size_of_weights_that_are_not_whole_does_not_matter(name, options, scale):
    values, weight = data(name), weights("fractions")
    scaled = weight / weight.sum() if scale == "to sum to 1" else weight * scale
    first, second = call(name, options, values, weight), call(name, options, values, scaled)
    if name not in OF_THE_SIZE:
        same(first, second, plain=True)
    elif name == "reliability_data":
        for part in ("confidence", "accuracy", "accuracy_low", "accuracy_high"):
            same(getattr(first, part), getattr(second, part))
    else:
        same(first.gap, second.gap)
        same(first.effective, second.effective)


@every_call
@pytest.mark.parametrize("each", [1, 1.0, 0.7, 1e-6, 1 / N])
def test_equal_weights_are_none(name, options, each):
    values = data(name)
    first, second = call(name, options, values, torch.full((N,), each)), call(name, options, values)
    if name in OF_THE_SIZE:
        same(first.confidence, second.confidence, atol=1e-7)
        same(first.accuracy, second.accuracy, atol=1e-7)
    else:
        same(first, second, atol=1e-7)


def test_equal_weights_leave_the_intervals_of_a_diagram():
    values = data("reliability_data")
    first = call("reliability_data", {}, values, torch.full((N,), 0.7, dtype=torch.float64))

    same(first.accuracy_low, call("reliability_data", {}, values).accuracy_low)
    same(first.accuracy_high, call("reliability_data", {}, values).accuracy_high)


@every_call
def test_samples_of_weight_0_are_not_there(name, options):
    values, weight = data(name), weights("fractions")
    weight[::3] = 0
    kept = [value[weight > 0] for value in values]

    same(call(name, options, values, weight), call(name, options, kept, weight[weight > 0]), plain=True)


def test_an_impossible_label_of_weight_0_costs_nothing():
    probs, labels = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([1, 0])
    weight = torch.tensor([0.0, 2.0])
    expected = pytest.approx(math.log(2), abs=1e-6)
    metric = metrics.NegativeLogLikelihood(inputs="probs")
    metric.update(probs, labels, weight)

    assert float(calibration.negative_log_likelihood(probs.log(), labels, sample_weight=weight)) == expected
    assert float(metric.compute()) == expected
    assert evaluate(Predictions(probs=probs, labels=labels, weight=weight)).nll == expected


BAD = {
    "negative": (torch.full((N,), -1.0), "be finite and >= 0, got -1 at position 0"),
    "NaN": (torch.full((N,), math.nan), "be finite and >= 0, got nan at position 0"),
    "infinite": (torch.full((N,), math.inf), "be finite and >= 0, got inf at position 0"),
    "all 0": (torch.zeros(N), "be above 0 for at least one sample"),
    "short": (torch.ones(N - 1), "have the shape of"),
    "of two axes": (torch.ones(N, 1), "have the shape of"),
    "booleans": (torch.ones(N, dtype=torch.bool), "hold numbers, got dtype torch.bool"),
    "complex": (torch.ones(N, dtype=torch.complex64), "hold numbers, got dtype torch.complex64"),
    "words": (["one"] * N, "be numbers, got dtype <U3"),
    "a number": (2.0, "be a tensor, got float"),
}


@every_call
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_weight_gets_a_sentence(name, options, kind, unchecked_shapes):
    weight, rule = BAD[kind]
    with pytest.raises(AdafocalError, match=r"^`sample_weight` must ") as refused:
        call(name, options, data(name), weight)
    assert rule in str(refused.value)


@pytest.mark.parametrize("name", sorted(EFFECTIVE))
def test_an_interval_of_weights_is_as_wide_as_that_of_their_effective_number(name):
    """Twenty thousand samples, weighted 1 and 3: as wide as of 16 thousand."""
    torch.manual_seed(1)
    confidence = 0.5 + 0.5 * torch.rand(20_000, dtype=torch.float64)
    correct, weight = torch.rand(20_000) < confidence - 0.05, torch.tensor([1.0, 3.0]).repeat(10_000)
    if name == "calibration_test":
        assert float(calibration.calibration_test(confidence, correct, sample_weight=weight)) == 0.001
        return
    function = FUNCTIONS[name]
    low, high = function(confidence, correct, sample_weight=weight)
    fewer = torch.randperm(20_000)[:16_000]
    other_low, other_high = function(confidence[fewer], correct[fewer])

    assert float(high - low) == pytest.approx(float(other_high - other_low), rel=0.1)
    assert float(low) < 0.05 < float(high)


def test_a_sample_that_outweighs_all_others_leaves_all_open():
    confidence, correct = torch.tensor([0.9, 0.6, 0.7]), torch.tensor([True, False, True])
    weight = torch.tensor([1e9, 1.0, 1.0], dtype=torch.float64)
    low, high = calibration.overconfidence_interval(confidence, correct, sample_weight=weight)

    assert (float(low), float(high)) == (-1.0, 1.0)


def predictions(kind: str = "logits") -> Predictions:
    generator = torch.Generator().manual_seed(7)
    logits = 2 * torch.randn(N, C, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((0.6 * logits).softmax(1), 1, generator=generator)[:, 0]
    values = {"logits": logits} if kind == "logits" else {"probs": logits.softmax(1)}
    return Predictions(**values, labels=labels)


def weighted(record: Predictions, weight: Tensor) -> Predictions:
    return Predictions(**{record.kind: record._values}, labels=record.labels, weight=weight)


def repeated(record: Predictions, weight: Tensor) -> Predictions:
    return record[torch.arange(record.n).repeat_interleave(weight)]


EXACT = [name for name in CATALOGUE if name != "p_calibrated"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("positive_class", [None, 1])
def test_a_weighted_record_is_measured_as_repeated_rows(stream, positive_class):
    record, weight = predictions(), weights()

    def measured(one: Predictions) -> object:
        if not stream:
            return evaluate(one, positive_class=positive_class)
        parts = [stream_sums(one[rows], positive_class=positive_class) for rows in torch.arange(one.n).split(100)]
        return stream_summary(merge_sums(merge_sums(parts[0], parts[1]), parts[2]) if len(parts) == 3 else
                              stream_sums(one, positive_class=positive_class))  # fmt: skip

    of_weights, of_rows = measured(weighted(record, weight)), measured(repeated(record, weight))
    for name in EXACT:
        if not (stream and CATALOGUE[name].in_stream == "sweep"):
            assert getattr(of_weights, name) == pytest.approx(getattr(of_rows, name), abs=1e-9, nan_ok=True), name
    assert (of_weights.n, of_rows.n) == (int((weight > 0).sum()), int(weight.sum()))
    assert of_weights.n_effective == pytest.approx(float(weight.sum() ** 2 / weight.square().sum()))


def test_weighted_outcomes_are_measured_as_repeated_rows():
    record, weight = predictions(), weights()
    rows = torch.arange(N).repeat_interleave(weight)
    of_weights = evaluate(Outcomes(confidence=record.confidence, correct=record.correct, weight=weight))
    of_rows = evaluate(Outcomes(confidence=record.confidence[rows], correct=record.correct[rows]))
    for name in EXACT:
        assert getattr(of_weights, name) == pytest.approx(getattr(of_rows, name), abs=1e-9, nan_ok=True), name


METRICS = {
    "ece": (metrics.CalibrationError, {}),
    "rms": (metrics.CalibrationError, {"norm": "l2"}),
    "mce": (metrics.CalibrationError, {"norm": "max"}),
    "ece_equal_mass": (metrics.CalibrationError, {"binning": "equal_mass"}),
    "classwise_ece": (metrics.ClasswiseCalibrationError, {"n_classes": C}),
    "overconfidence": (metrics.Overconfidence, {}),
    "brier": (metrics.BrierScore, {}),
    "nll": (metrics.NegativeLogLikelihood, {}),
}
every_metric = pytest.mark.parametrize("name", METRICS)


def test_the_metrics_are_all_of_them():
    # Of cases as `case_stats`; of labels in tests/metrics/test_label_metrics.py.
    without = {name for name in metrics.__all__ if name.startswith(("Case", "Binary", "Multilabel"))}
    assert {kind.__name__ for kind, _ in METRICS.values()} == set(metrics.__all__) - without
    assert len(metrics.__all__) == 18


@every_metric
@pytest.mark.parametrize("inputs", ["logits", "probs"])
@pytest.mark.parametrize("kind", ["whole", "fractions"])
def test_a_metric_of_weights_is_the_function_of_them(name, inputs, kind):
    make, options = METRICS[name]
    record, weight = predictions(inputs), weights(kind)
    whole, first, second = (make(inputs=inputs, **options) for _ in range(3))
    whole.update(record._values, record.labels, weight)
    # Parts, one of them without weights, merge into the whole.
    each = torch.cat([weight[:100], torch.ones_like(weight[100:])])
    first.update(record._values[:100], record.labels[:100], sample_weight=each[:100])
    second.update(record._values[100:], record.labels[100:])
    first.merge_state(second)

    tolerance = {"rel": 0.05} if name == "ece_equal_mass" else {"abs": 1e-7}  # of the fine grid
    field = "rms" if name == "rms" else name
    expected = evaluate(weighted(record, weight))
    if name == "rms":  # equal width here
        expected = calibration.expected_calibration_error(
            record.confidence, record.correct, norm="l2", sample_weight=weight
        )
        assert float(whole.compute()) == pytest.approx(float(expected), abs=1e-7)
        return
    assert float(whole.compute()) == pytest.approx(getattr(expected, field), **tolerance)
    assert float(first.compute()) == pytest.approx(getattr(evaluate(weighted(record, each)), field), **tolerance)


@every_metric
def test_ignored_labels_and_pixels_have_weights_too(name):
    make, options = METRICS[name]
    record, weight = predictions(), weights()
    labels = record.labels.clone()
    labels[::5] = -100
    pixels, plain = make(**options), make(**options)
    pixels.update(record.logits.T.reshape(1, C, 12, 20), labels.view(1, 12, 20), weight.view(1, 12, 20))
    kept = (labels != -100) & (weight > 0)
    rows = kept.nonzero()[:, 0].repeat_interleave(weight[kept])
    plain.update(record.logits[rows], labels[rows])

    torch.testing.assert_close(pixels.compute(), plain.compute(), rtol=0, atol=1e-9)


@every_metric
def test_states_of_a_metric_without_weights_load(name):
    make, options = METRICS[name]
    record = predictions()
    old, new = make(**options), make(**options)
    old.update(record.logits, record.labels)
    old.persistent(True)
    states = {key: value for key, value in old.state_dict().items() if key != "weight_sum"}
    assert states["count"].dtype == torch.int64
    new.load_state_dict(states)
    new.update(record.logits, record.labels, torch.zeros(N))

    assert torch.equal(new.compute(), old.compute())
    new.merge_state({key: value for key, value in old.metric_state.items() if key != "weight_sum"})
    torch.testing.assert_close(new.compute(), old.compute(), rtol=0, atol=1e-12)


def test_a_metric_refuses_what_is_no_weight(rejects):
    record, metric = predictions(), metrics.BrierScore()
    with rejects(ValueError, "`sample_weight` must be finite and >= 0, got -1 at position 0."):
        metric.update(record.logits, record.labels, torch.full((N,), -1.0))
    with rejects(ValueError, "`sample_weight` must have the shape of `labels`, (240,), got (3,)."):
        metric.update(record.logits, record.labels, torch.ones(3))


def by_group(record, **options):
    """Fit one scaling to a single group, whose rows are all there are."""
    return scaling.fit_by_group(record, ["a"] * record.n, **options).of("a")


def by_label(record, **options):
    """Fit one scaling to the only label that there is."""
    odds = record.logits[:, 1:] - record.logits[:, :1]
    held = MultilabelPredictions(logits=odds, labels=record.labels[:, None], weight=record.weight)
    return scaling.fit_per_label(held, **options).labels[0]


FITS = {
    "temperature": (scaling.fit_temperature, {}),
    "temperature by ece": (scaling.fit_temperature, {"criterion": "ece"}),
    "vector": (scaling.fit_vector, {"regularization": 0.01}),
    "matrix": (scaling.fit_matrix, {"regularization": 0.01}),
    "dirichlet": (scaling.fit_dirichlet, {"regularization": 0.01}),
    "structured vector": (scaling.fit_structured_vector, {"regularization": 0.02}),
    "structured matrix": (scaling.fit_structured_matrix, {"regularization": 0.02}),
    "focal temperature": (scaling.fit_focal_temperature, {}),
    "platt": (scaling.fit_platt, {"smoothing": False}),
    "beta": (scaling.fit_beta, {}),
    "quadratic": (scaling.fit_quadratic, {}),
    "by group": (by_group, {}),
    "per label": (by_label, {"fit": partial(scaling.fit_platt, smoothing=False)}),
    "isotonic": (scaling.fit_isotonic, {}),
    "isotonic top label": (scaling.fit_isotonic, {"event": "top_label"}),
    "histogram": (scaling.fit_histogram, {"n_bins": 5}),
    "histogram of equal width": (scaling.fit_histogram, {"binning": "equal_width", "event": "top_label"}),
}


def fitted_to(name: str) -> Predictions:
    """Predictions of as many classes as the scaling takes."""
    record = predictions()
    if name not in (*TWO_CLASSES, "per label"):
        return record
    return Predictions(logits=record.logits[:, :2], labels=(record.labels == 1).long())


def test_the_fits_are_all_of_them():
    of = {by_group: scaling.fit_by_group, by_label: scaling.fit_per_label}
    tried = {of.get(fit, fit) for fit, _ in FITS.values()}
    assert tried == {getattr(scaling, name) for name in scaling.__all__ if "fit" in name}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_scaling_of_weighted_predictions_is_that_of_repeated_ones(name, scale):
    fit, options = FITS[name]
    record, weight = fitted_to(name), weights()
    of_weights = fit(weighted(record, weight.double() * scale), **options).apply(record)
    of_rows = fit(repeated(record, weight), **options).apply(record)

    torch.testing.assert_close(of_weights.probs, of_rows.probs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FITS)
def test_a_scaling_of_equally_weighted_predictions_is_that_without_weights(name):
    fit, options = FITS[name]
    record = fitted_to(name)
    free = {key: value for key, value in options.items() if key != "regularization"}  # cross-validated, too
    of_weights = fit(weighted(record, torch.full((N,), 0.3)), **free).apply(record)

    torch.testing.assert_close(of_weights.probs, fit(record, **free).apply(record).probs, rtol=0, atol=1e-6)


def test_a_bound_of_the_temperature_is_that_of_repeated_rows():
    logits = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 7.0]])
    record, weight = Predictions(logits=logits, labels=torch.tensor([0, 0, 1])), torch.tensor([1, 5, 2])
    of_weights, of_rows = (
        scaling.fit_temperature(weighted(record, weight)),
        scaling.fit_temperature(repeated(record, weight)),
    )

    assert of_weights.at_bound
    assert of_weights == of_rows


@pytest.mark.parametrize("name", FITS)
def test_what_is_scaled_keeps_its_weights_and_classes(name):
    fit, options = FITS[name]
    record = fitted_to(name)
    classes = ["a", "b", "c"][: record.n_classes]
    named = Predictions(logits=record.logits, labels=record.labels, weight=weights(), classes=classes)
    scaled = fit(named, **options).apply(named)

    assert torch.equal(scaled.weight, named.weight)
    assert scaled.classes == tuple(classes)


def test_detection_says_that_it_takes_no_weights(rejects):
    record, sentence = (
        predictions(),
        "must have no weights, as detection counts each row once, got some: repeat rows instead.",
    )
    heavy = weighted(record, weights())
    with rejects(ValueError, f"`in_distribution` {sentence}"):
        ood.compare_scores(heavy, {"other": record}, scores=["msp"])
    with rejects(ValueError, f"`out_of_distribution['other']` {sentence}"):
        ood.compare_scores(record, {"other": heavy}, scores=["msp"])
    trained = Predictions(logits=record.logits, labels=record.labels, features=record.logits, weight=weights())
    for fit in (ood.fit_mahalanobis, ood.fit_nearest_neighbour, ood.fit_vim):
        with rejects(ValueError, f"`train` {sentence}"):
            fit(trained)


def test_a_page_of_weighted_rows_says_what_it_does_not_show(tmp_path):
    record = predictions()
    pages = {}
    for name, one in (("plain", record), ("weighted", weighted(record, weights()))):
        one.save(tmp_path / f"{name}.npz")
        names = Names(weight="weight" if name == "weighted" else None)
        measured = measure(scan([tmp_path / f"{name}.npz"], names))
        write_evaluation(tmp_path / f"{name}.html", measured, files=[f"{name}.npz"])
        pages[name] = (tmp_path / f"{name}.html").read_text("utf-8")

    for section in ('id="section-risk"', 'id="section-classes"'):
        assert section in pages["plain"]
        assert section not in pages["weighted"]
    assert UNWEIGHTED in pages["weighted"]
    assert UNWEIGHTED not in pages["plain"]
