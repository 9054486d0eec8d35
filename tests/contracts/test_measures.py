# SPDX-License-Identifier: Apache-2.0
"""What holds for every measure of calibration: one battery over the numbers of a summary and over the estimators.

It runs over the catalogue: an entry says what is promised of its number. A new function of confidences and events that
is public needs an entry in ``ESTIMATORS``.
"""

import ast
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, reduce
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adafocal import Predictions, calibration
from adafocal.calibration import CalibrationSummary, StreamSums, evaluate, merge_sums, stream_summary, stream_sums
from adafocal.calibration.catalogue import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Promise:
    """What is promised of a number of a summary."""

    low: float = 0.0
    high: float = 1.0
    in_stream: str = "exact"
    of_shares: bool = True
    is_the_gap: bool = False


def promises() -> dict[str, Promise]:
    """Take the promises of all numbers and intervals from the catalogue."""
    found = {}
    for name, entry in CATALOGUE.items():
        found[name] = Promise(entry.low, entry.high, entry.in_stream, entry.of_shares, entry.is_the_gap)
        if entry.interval:  # it lies where its number lies, and always knows how many samples there are
            found[entry.interval] = Promise(entry.low, entry.high, entry.in_stream, of_shares=False)
    return found


SUMMARY = promises()
# What was promised once stays promised; a measure that is added needs no line here.
PROMISED = {
    "accuracy": Promise(),
    "accuracy_interval": Promise(of_shares=False),
    "nll": Promise(high=math.inf),
    "brier": Promise(high=2.0),
    "brier_calibration": Promise(high=2.0, in_stream="none"),
    "brier_refinement": Promise(in_stream="none"),
    "overconfidence": Promise(low=-1.0),
    "overconfidence_interval": Promise(low=-1.0, of_shares=False),
    "ece": Promise(is_the_gap=True),
    "ece_equal_mass": Promise(in_stream="cell", is_the_gap=True),
    "ece_debiased": Promise(in_stream="cell", of_shares=False, is_the_gap=True),
    "ece_sweep": Promise(in_stream="sweep", of_shares=False, is_the_gap=True),
    "mce": Promise(is_the_gap=True),
    "rms": Promise(in_stream="cell", is_the_gap=True),
    "rms_debiased": Promise(in_stream="cell", of_shares=False, is_the_gap=True),
    "rms_interval": Promise(in_stream="cell", of_shares=False),
    "p_calibrated": Promise(in_stream="drawn", of_shares=False),
    "ks": Promise(in_stream="cell", is_the_gap=True),
    "smooth_ece": Promise(in_stream="cell", is_the_gap=True),
    "classwise_ece": Promise(is_the_gap=True),
}
SIZES = ("verdict", "n", "n_effective", "n_clusters", "n_classes", "n_bins")
WITHIN = {"exact": 1e-9, "cell": 6e-3, "drawn": 0.03}


def _of(name: str, **options: object) -> Callable[[Tensor, Tensor], Tensor]:
    function = getattr(calibration, name)

    def measure(confidence: Tensor, correct: Tensor) -> Tensor:
        result = function(confidence, correct, **options)
        return torch.stack(result) if isinstance(result, tuple) else result

    return measure


# Functions of confidence and event that give a number or an interval, and the field of the summary that each fills.
ESTIMATORS = {
    "calibration_test": ("p_calibrated", _of("calibration_test")),
    "expected_calibration_error": ("ece", _of("expected_calibration_error")),
    "ks_calibration_error": ("ks", _of("ks_calibration_error")),
    "overconfidence": ("overconfidence", _of("overconfidence")),
    "overconfidence_interval": ("overconfidence_interval", _of("overconfidence_interval")),
    "rms_calibration_interval": ("rms_interval", _of("rms_calibration_interval")),
    "smooth_calibration_error": ("smooth_ece", _of("smooth_calibration_error")),
    "sweep_calibration_error": ("ece_sweep", _of("sweep_calibration_error")),
    "two_bin_calibration_error": ("atb", _of("two_bin_calibration_error")),
}
VARIANTS = {
    "ece_equal_mass": _of("expected_calibration_error", binning="equal_mass"),
    "ece_debiased": _of("expected_calibration_error", binning="equal_mass", debias=True),
    "mce": _of("expected_calibration_error", norm="max"),
    "rms": _of("expected_calibration_error", binning="equal_mass", norm="l2"),
    "rms_debiased": _of("expected_calibration_error", binning="equal_mass", norm="l2", debias=True),
}
# They give records or edges, which tests of their own look at.
OTHERS = {"bin_stats", "grid_stats", "reliability_data", "smooth_reliability", "sweep_edges"}


def test_every_measure_has_its_entry():
    named = {
        name
        for name, function in vars(calibration).items()
        if name in calibration.__all__
        and inspect.isfunction(function)
        and list(inspect.signature(function).parameters)[:2] == ["confidence", "correct"]
    }

    generated = {field.name for field in fields(CalibrationSummary)} - set(SIZES)
    assert set(SUMMARY) == generated, "python scripts/generated.py"
    assert set(ESTIMATORS) == named - OTHERS
    assert (len(PROMISED), len(ESTIMATORS)) == (20, 9)


def test_every_file_that_declares_measures_has_its_line_in_the_catalogue():
    folder = Path(calibration.__file__).parent
    calls = [
        node
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "PredictionMeasure"
    ]
    declared = [keyword.value.value for call in calls for keyword in call.keywords if keyword.arg == "name"]

    assert sorted(declared) == sorted(CATALOGUE), "one line in calibration/catalogue.py"


@pytest.mark.parametrize("name", PROMISED)
def test_what_was_promised_stays_promised(name):
    assert SUMMARY[name] == PROMISED[name]


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_says_what_its_fields_are(name):
    entry = CATALOGUE[name]

    assert entry.about.endswith(".")
    assert bool(entry.interval) == (entry.ends is not None) == entry.about_ends.endswith(".")
    assert entry.in_stream in (*WITHIN, "sweep", "none")


def made(n: int = 300, n_classes: int = 4, *, tied: bool = False) -> Predictions:
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(n, n_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((0.6 * logits).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(logits=logits.round() if tied else logits, labels=labels)


def taken(predictions: Predictions, order: Tensor) -> Predictions:
    return Predictions(logits=predictions.logits[order], labels=predictions.labels[order])


def values(summary: CalibrationSummary, name: str) -> Tensor:
    return torch.tensor(getattr(summary, name), dtype=torch.float64)


def same(first: CalibrationSummary, second: CalibrationSummary, names: list[str], atol: float = 1e-9) -> None:
    for name in names:
        assert torch.allclose(values(first, name), values(second, name), rtol=0, atol=atol, equal_nan=True), name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("positive_class", [None, 2])
def test_the_order_of_samples_does_not_matter(tied, positive_class):
    predictions = made(tied=tied)
    shuffled = taken(predictions, torch.randperm(300))
    whole, other = (evaluate(part, positive_class=positive_class) for part in (predictions, shuffled))

    same(whole, other, list(SUMMARY))
    streams = (stream_summary(stream_sums(part, positive_class=positive_class)) for part in (predictions, shuffled))
    same(*streams, list(SUMMARY))


def test_the_numbering_of_classes_does_not_matter():
    predictions, order = made(), torch.tensor([2, 0, 3, 1])
    renamed = Predictions(logits=predictions.logits[:, order], labels=order.argsort()[predictions.labels])

    same(evaluate(predictions), evaluate(renamed), list(SUMMARY))


@pytest.mark.parametrize("tied", [False, True])
def test_samples_that_all_count_threefold_change_no_plug_in_value(tied):
    predictions = made(tied=tied)
    threefold = taken(predictions, torch.arange(300).repeat(3))

    same(evaluate(predictions), evaluate(threefold), [name for name, m in SUMMARY.items() if m.of_shares])


@pytest.mark.parametrize("sizes", [(300,), (1, 299), (100, 100, 100), (7,) * 42 + (6,)])
def test_parts_of_a_stream_merge_into_the_whole_in_any_order(sizes):
    predictions = made()
    parts = [stream_sums(taken(predictions, order)) for order in torch.arange(300).split(sizes)]
    whole = stream_summary(stream_sums(predictions))
    for order in (parts, parts[::-1], [StreamSums.empty(n_classes=4, dtype=torch.float64), *parts]):
        same(stream_summary(reduce(merge_sums, order)), whole, list(SUMMARY))


@cache
def both_ways(tied: bool) -> tuple[CalibrationSummary, CalibrationSummary]:
    predictions = made(3000, tied=tied)
    return stream_summary(stream_sums(predictions)), evaluate(predictions)


@pytest.mark.parametrize("name", SUMMARY)
@pytest.mark.parametrize("tied", [False, True])
def test_a_stream_gives_what_is_promised_of_it(name, tied):
    of_stream, exact = (values(summary, name) for summary in both_ways(tied))
    promise = SUMMARY[name].in_stream
    if promise == "none":
        assert of_stream.isnan()
        assert exact.isfinite()
    elif promise == "sweep":  # one cell may hold what ends it: all that is promised is an error of its own bins
        assert 0 <= of_stream <= 1
    else:
        torch.testing.assert_close(of_stream, exact, rtol=0, atol=WITHIN[promise])


def certain(right: bool, n: int = 40) -> Predictions:
    probs = torch.tensor([[1.0, 0.0, 0.0]] * n, dtype=torch.float64)
    return Predictions(probs=probs, labels=torch.full((n,), 0 if right else 1))


EXTREMES = {
    "one sample": made(1),
    "two samples": made(2),
    "two classes": made(50, 2),
    "ties": made(60, tied=True),
    "certain and right": certain(True),
    "certain and wrong": certain(False),
    "one wrong": Predictions(probs=certain(True).probs, labels=torch.tensor([0] * 39 + [1])),
    "no idea": Predictions(probs=torch.full((30, 3), 1 / 3), labels=torch.arange(30) % 3),
    "more classes than samples": made(5, 40),
}


@cache
def of_extreme(data: str, stream: bool) -> CalibrationSummary:
    return stream_summary(stream_sums(EXTREMES[data])) if stream else evaluate(EXTREMES[data])


@pytest.mark.parametrize("data", EXTREMES)
@pytest.mark.parametrize("name", SUMMARY)
@pytest.mark.parametrize("stream", [False, True])
def test_a_number_stays_within_its_bounds(name, data, stream):
    measure, number = SUMMARY[name], values(of_extreme(data, stream), name)
    if stream and measure.in_stream == "none":
        assert number.isnan()
    else:
        assert ((number >= measure.low - 1e-12) & (number <= measure.high + 1e-12)).all()
        assert number.ndim == 0 or number[0] <= number[1]


@pytest.mark.parametrize("confidence", [0.7, 1.0])
@pytest.mark.parametrize("right", [True, False])
def test_of_one_confidence_and_one_outcome_every_error_is_their_distance(confidence, right):
    probs = torch.tensor([[confidence, 1 - confidence]] * 200, dtype=torch.float64)
    predictions = Predictions(probs=probs, labels=torch.full((200,), 0 if right else 1))
    gap = abs(confidence - right)

    for summary in (evaluate(predictions), stream_summary(stream_sums(predictions))):
        for name in (name for name, measure in SUMMARY.items() if measure.is_the_gap):
            assert getattr(summary, name) == pytest.approx(gap, abs=1e-7), name


@pytest.mark.parametrize("name", [*ESTIMATORS, *VARIANTS])
@pytest.mark.parametrize("tied", [False, True])
def test_an_estimator_alone_gives_the_number_of_the_summary(name, tied):
    predictions = made(tied=tied)
    field, measure = ESTIMATORS.get(name, (name, VARIANTS.get(name)))
    alone = measure(predictions.confidence, predictions.correct).double()

    torch.testing.assert_close(alone, values(evaluate(predictions), field), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [*ESTIMATORS, *VARIANTS])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_confidences_are_measured_in_float64(name, dtype):
    measure = (ESTIMATORS.get(name) or (name, VARIANTS[name]))[1]
    confidence, correct = torch.rand(200).to(dtype), torch.rand(200) < 0.6
    narrow, wide = measure(confidence, correct), measure(confidence.double(), correct)

    assert narrow.dtype == torch.float64
    torch.testing.assert_close(narrow, wide, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SUMMARY)
def test_a_number_is_described_where_it_is_named(name):
    assert f"\n        {name}: " in CalibrationSummary.__doc__
    assert any(f"`{name}`" in page.read_text() for page in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_says_what_it_gives_and_where_it_comes_from(name):
    text = getattr(calibration, name).__doc__
    for section in ("Args:", "Returns:", "Raises:", "Example:", "Reference:"):
        assert section in text
