# SPDX-License-Identifier: Apache-2.0
"""Metrics in a collection share one update if and only if their sums have one meaning."""

import itertools
import pickle

import pytest
import torch
from torchmetrics import MetricCollection
from torchmetrics.aggregation import SumMetric as ForeignSum

from adafocal.metrics import (
    BrierScore,
    CalibrationError,
    ClasswiseCalibrationError,
    NegativeLogLikelihood,
    Overconfidence,
)

C = 3


class Doubled(CalibrationError):  # noqa: N818
    """A subclass with a setting of its own."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor

    def update(self, values, labels):
        super().update(values * self.factor, labels)


class Foreign(ForeignSum):
    """Somebody else's metric with a state of a name that ours have."""

    def __init__(self):
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values, labels):
        self.total += values.double().sum()

    def compute(self):
        return self.total


MAKERS = {
    "ece": CalibrationError,
    "ece, probs": lambda: CalibrationError(inputs="probs"),
    "ece, ignoring 0": lambda: CalibrationError(ignore_index=0),
    "ece, ignoring -1": lambda: CalibrationError(ignore_index=-1),
    "ece, 1 bin": lambda: CalibrationError(n_bins=1),
    "rms": lambda: CalibrationError(norm="l2"),
    "equal mass": lambda: CalibrationError(binning="equal_mass"),
    "equal mass, 4 bins": lambda: CalibrationError(binning="equal_mass", n_bins=4),
    "equal mass, ignoring 0": lambda: CalibrationError(binning="equal_mass", ignore_index=0),
    "classwise": lambda: ClasswiseCalibrationError(n_classes=C),
    "classwise, 1 bin": lambda: ClasswiseCalibrationError(n_classes=C, n_bins=1),
    "classwise, ignoring 0": lambda: ClasswiseCalibrationError(n_classes=C, ignore_index=0),
    "overconfidence": Overconfidence,
    "overconfidence, ignoring 0": lambda: Overconfidence(ignore_index=0),
    "brier": BrierScore,
    "brier, ignoring 0": lambda: BrierScore(ignore_index=0),
    "nll": NegativeLogLikelihood,
    "nll, probs": lambda: NegativeLogLikelihood(inputs="probs"),
    "nll, ignoring 0": lambda: NegativeLogLikelihood(ignore_index=0),
    "subclass": lambda: Doubled(1.0),
    "subclass, other": lambda: Doubled(2.0),
    "foreign": Foreign,
}
SHARING = {frozenset({"ece", "rms"}), frozenset({"equal mass", "equal mass, 4 bins"})}
# Logits that are log-probabilities, and probabilities, are both taken as logits; as probabilities only the latter.
LOGITS = torch.tensor([[2.0, 0.5, -1.0], [0.1, 0.4, 0.0], [1.0, 1.5, 3.0], [0.0, 0.0, 0.5]]).softmax(dim=1)
LABELS = torch.tensor([0, 2, 1, 0])
FIRST = {
    "empty": (torch.zeros(0, C), torch.zeros(0, dtype=torch.int64)),
    "ignored": (torch.full((2, C), 1 / C), torch.tensor([-100, -100])),
    "constant": (torch.tensor([[0.5, 0.25, 0.25]]).repeat(4, 1), torch.tensor([1, 1, 2, 2])),
}


def batches(first):
    values, labels = FIRST[first]
    return [(values, labels), (LOGITS, LABELS)]


def alone(name, given):
    metric = MAKERS[name]()
    for batch in given:
        metric.update(*batch)
    return metric.compute()


@pytest.mark.parametrize("first", FIRST)
def test_every_pair_gives_in_a_collection_what_each_gives_alone(unchecked_shapes, first):
    given = batches(first)
    names = [name for name in MAKERS if first != "ignored" or "ignoring" not in name]  # -100 is out of range there
    expected = {name: alone(name, given) for name in names}
    for pair in itertools.permutations(names, 2):
        collection = MetricCollection({f"{k}": MAKERS[name]() for k, name in enumerate(pair)})
        for batch in given:
            collection.update(*batch)
        values = collection.compute()
        for k, name in enumerate(pair):
            torch.testing.assert_close(values[str(k)], expected[name], rtol=0, atol=0, equal_nan=True)
        shared = len(collection.compute_groups) == 1
        assert shared == (frozenset(pair) in SHARING), (pair, first)


@pytest.mark.parametrize("pair", [("nll", "brier"), ("ece", "ece, ignoring 0"), ("overconfidence", "ece, 1 bin")])
def test_an_empty_first_batch_joins_nothing_that_means_something_else(pair):
    given = batches("empty")
    collection = MetricCollection({name: MAKERS[name]() for name in pair})
    for batch in given:
        collection.update(*batch)
    assert [list(group) for group in collection.compute_groups.values()] == [[name] for name in sorted(pair)]


def test_metrics_of_the_same_sums_are_updated_once(monkeypatch):
    calls = []
    update = CalibrationError.update
    monkeypatch.setattr(
        CalibrationError, "update", lambda self, *batch: (calls.append(self.norm), update(self, *batch))
    )
    collection = MetricCollection({norm: CalibrationError(norm=norm) for norm in ("l1", "l2", "max")})
    for _ in range(5):
        collection.update(LOGITS, LABELS)

    # The first batch goes to each, to find the groups.
    assert calls == ["l1", "l2", "max", "l1", "l1", "l1", "l1"]


def test_all_metrics_at_once_share_only_where_they_may():
    collection = MetricCollection({name: make() for name, make in MAKERS.items()})
    collection.update(*FIRST["empty"])
    groups = {frozenset(group) for group in collection.compute_groups.values() if len(group) > 1}

    assert groups == SHARING


@pytest.mark.parametrize("name", MAKERS)
def test_clones_copies_and_resets_go_on_as_the_metric_does(name):
    metric = MAKERS[name]()
    metric.update(LOGITS, LABELS)
    copies = [metric.clone(), pickle.loads(pickle.dumps(metric))]
    metric.update(LOGITS.flip(0), LABELS)
    for copy in copies:
        copy.update(LOGITS.flip(0), LABELS)
        assert torch.equal(copy.compute(), metric.compute())
        copy.reset()
        copy.update(LOGITS, LABELS)
        assert torch.equal(copy.compute(), alone(name, [(LOGITS, LABELS)]))


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")  # loading is no update
@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"foreign"}))
def test_saved_sums_are_named_as_before_and_hold_nothing_else(name):
    metric = MAKERS[name]()
    metric.update(LOGITS, LABELS)
    assert metric.state_dict() == {}
    metric.persistent(True)
    state = metric.state_dict()
    assert set(state) in ({"count", "confidence_sum", "correct_sum"}, {"count", "total"})
    other = MAKERS[name]()
    other.persistent(True)
    other.load_state_dict({name: value.half() for name, value in state.items()})
    assert {key: value.dtype for key, value in other.state_dict().items()} == {k: v.dtype for k, v in state.items()}
    other.load_state_dict(state)
    assert torch.equal(other.compute(), metric.compute())


def test_sums_of_equal_settings_are_merged_and_others_refused(rejects):
    first, second = CalibrationError(norm="l1"), CalibrationError(norm="max")
    first.update(LOGITS[:2], LABELS[:2])
    second.update(LOGITS[2:], LABELS[2:])
    first.merge_state(second)
    assert torch.equal(first.compute(), alone("ece", [(LOGITS, LABELS)]))

    by_name = {name: getattr(second, name) for name in ("count", "confidence_sum", "correct_sum")}
    first.merge_state(by_name)
    assert int(first.count.sum()) == 6

    subclass = Doubled(1.0)
    subclass.update(LOGITS, LABELS)
    other = Doubled(1.0)
    other.update(LOGITS, LABELS)
    subclass.merge_state(other)
    assert int(subclass.count.sum()) == 8

    sentence = "`incoming_state` must be sums of the settings {}, got {}."
    settings = [("equal_width", n_bins, "logits", ignored) for n_bins, ignored in ((15, -100), (15, 0))]
    with rejects(ValueError, sentence.format(*settings)):
        first.merge_state(CalibrationError(ignore_index=0))
