# SPDX-License-Identifier: Apache-2.0
"""Metrics of sigmoid models: each entry is an event, and what they give is what the pure functions do."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryCalibrationError as PeerCalibrationError

from adafocal import metrics
from adafocal.calibration import (
    binned_error,
    classwise_calibration_error,
    expected_calibration_error,
    grid_stats,
    joined_equal_mass,
    multilabel_calibration_error,
    smooth_calibration_error,
)
from adafocal.selective import augrc, aurc

L = 3
MEASURES = {  # what each is of the probabilities of one event, and how far the fine grid may be off
    "CalibrationError": (lambda p, y, w: expected_calibration_error(p, y, sample_weight=w), 1e-7),
    "SmoothCalibrationError": (lambda p, y, w: smooth_calibration_error(p, y, sample_weight=w), 1e-4),
    "AURC": (lambda p, y, w: aurc(p.maximum(1 - p), (p > 0.5) != y, sample_weight=w), 2e-4),
    "AUGRC": (lambda p, y, w: augrc(p.maximum(1 - p), (p > 0.5) != y, sample_weight=w), 2e-4),
    "BrierScore": (lambda p, y, w: mean((p - y.float()).square(), w), 1e-6),
    "NegativeLogLikelihood": (lambda p, y, w: mean(F.binary_cross_entropy(p, y.float(), reduction="none"), w), 1e-6),
}
every_measure = pytest.mark.parametrize("name", MEASURES)


def mean(scores, weight):
    return scores.double().mean() if weight is None else weight.double() @ scores.double() / weight.double().sum()


def data(n=600, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, L, generator=generator) + torch.tensor([0.0, -2.0, 1.0])
    return logits, (torch.rand(n, L, generator=generator) < (0.7 * logits).sigmoid()).long()


def expected(name, logits, labels, weight=None):
    measure, _ = MEASURES[name]
    weights = [None] * L if weight is None else weight.T
    columns = zip(logits.T.sigmoid(), labels.T.bool(), weights, strict=True)
    return torch.stack([measure(p.contiguous(), y.contiguous(), w) for p, y, w in columns])


def binary(name, **options):
    return getattr(metrics, f"Binary{name}")(**options)


def multilabel(name, **options):
    return getattr(metrics, f"Multilabel{name}")(n_labels=L, **options)


def updated(metric, values, labels, size=130):
    for batch, of_batch in zip(values.split(size), labels.split(size), strict=True):
        metric.update(batch, of_batch)
    return metric


def close(actual, wanted, tolerance):
    torch.testing.assert_close(actual, wanted.double(), rtol=0, atol=tolerance)


def test_every_metric_of_labels_is_held():
    found = {name.removeprefix(kind) for kind in ("Binary", "Multilabel") for name in metrics.__all__ if kind in name}
    assert found == set(MEASURES)


@every_measure
@pytest.mark.parametrize("inputs", ["logits", "probs"])
def test_batches_of_labels_give_the_values_of_the_functions(name, inputs):
    logits, labels = data()
    values = logits if inputs == "logits" else logits.sigmoid()
    each, tolerance = expected(name, logits, labels), MEASURES[name][1]
    close(updated(multilabel(name, inputs=inputs, average="none"), values, labels).compute(), each, tolerance)
    close(updated(multilabel(name, inputs=inputs), values, labels).compute(), each.mean(), tolerance)
    pooled = expected(name, logits.flatten()[:, None].expand(-1, L), labels.flatten()[:, None].expand(-1, L))[0]
    close(updated(multilabel(name, inputs=inputs, average="micro"), values, labels).compute(), pooled, tolerance)
    close(updated(binary(name, inputs=inputs), values, labels).compute(), pooled, tolerance)


@every_measure
def test_one_label_may_have_an_axis_of_its_own(name):
    logits, labels = data()
    plain = updated(binary(name), logits[:, 0], labels[:, 0]).compute()
    close(plain, expected(name, logits, labels)[0], MEASURES[name][1])
    assert torch.equal(updated(binary(name), logits[:, :1], labels[:, :1]).compute(), plain)
    assert torch.equal(updated(binary(name), logits[:, :1], labels[:, 0]).compute(), plain)
    assert torch.equal(updated(binary(name), logits[:, 0], labels[:, 0].bool()).compute(), plain)
    assert torch.equal(updated(binary(name), logits[:, 0], labels[:, 0].float()).compute(), plain)


@every_measure
def test_pixels_are_entries_of_their_label(name):
    logits, labels = data()
    of_rows = updated(multilabel(name, average="none"), logits, labels).compute()
    metric = multilabel(name, average="none")
    metric.update(logits.view(6, 10, 10, L).movedim(-1, 1), labels.view(6, 10, 10, L).movedim(-1, 1))
    close(metric.compute(), of_rows, 1e-8)


@every_measure
def test_ignored_entries_count_nothing_and_leave_the_other_labels_of_their_sample(name):
    logits, labels = data()
    hidden = torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    given, known = torch.where(hidden, torch.nan, logits), torch.where(hidden, 7, labels)
    metric = updated(multilabel(name, average="none", ignore_index=7), given, known)
    measure, tolerance = MEASURES[name]
    kept = [~hidden[:, label] for label in range(L)]
    each = [measure(logits[k, i].sigmoid(), labels[k, i].bool(), None) for i, k in enumerate(kept)]
    close(metric.compute(), torch.stack(each), tolerance)


@every_measure
def test_a_label_that_was_not_seen_is_left_out_of_the_mean(name):
    logits, labels = data()
    labels[:, 1] = -100
    each = updated(multilabel(name, average="none"), logits, labels).compute()
    assert each.isnan().tolist() == [False, True, False]
    close(updated(multilabel(name), logits, labels).compute(), each[[0, 2]].mean(), 1e-12)
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert bool(multilabel(name).compute().isnan())


@every_measure
@pytest.mark.parametrize("whole", [True, False])
def test_weights_of_entries_and_of_samples_count_as_in_the_functions(name, whole):
    logits, labels = data()
    generator = torch.Generator().manual_seed(2)
    weight = torch.randint(4, (600, L), generator=generator) if whole else torch.rand(600, L, generator=generator)
    metric = multilabel(name, average="none")
    metric.update(logits, labels, weight)
    close(metric.compute(), expected(name, logits, labels, weight), max(MEASURES[name][1], 1e-6))
    of_samples, of_entries = multilabel(name), multilabel(name)
    of_samples.update(logits, labels, weight[:, 0])
    of_entries.update(logits, labels, weight[:, :1].expand(-1, L))
    assert torch.equal(of_samples.compute(), of_entries.compute())


@every_measure
@pytest.mark.parametrize("average", ["macro", "micro", "none"])
def test_parts_of_labels_merge_and_the_state_does_not_grow(name, average):
    logits, labels = data()
    whole = updated(multilabel(name, average=average), logits, labels)
    first = updated(multilabel(name, average=average), logits[:200], labels[:200])
    first.merge_state(updated(multilabel(name, average=average), logits[200:], labels[200:]))
    close(first.compute(), whole.compute(), 1e-8)
    empty = multilabel(name, average=average)
    sizes = [[getattr(one, name).shape for name in one._defaults] for one in (empty, whole)]
    assert sizes[0] == sizes[1]


@every_measure
@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")
def test_checkpoints_and_half_precision_keep_the_sums_of_labels(name):
    logits, labels = data()
    metric = updated(multilabel(name), logits.half(), labels).half()
    metric.persistent(True)
    other = multilabel(name)
    other.load_state_dict(metric.state_dict())
    close(other.compute(), expected(name, logits.half().float(), labels).mean(), max(MEASURES[name][1], 2e-6))


def test_equal_mass_and_other_norms_are_those_of_the_grid():
    logits, labels = data()
    metric = updated(multilabel("CalibrationError", average="none", binning="equal_mass", n_bins=7), logits, labels)
    cells = [grid_stats(p, y.bool()) for p, y in zip(logits.sigmoid().T, labels.T, strict=True)]
    close(metric.compute(), torch.stack([binned_error(joined_equal_mass(of, 7)) for of in cells]), 1e-9)
    for norm in ("l2", "max"):
        metric = updated(multilabel("CalibrationError", norm=norm), logits, labels)
        close(metric.compute(), multilabel_calibration_error(logits.sigmoid(), labels, norm=norm), 1e-7)


@pytest.mark.parametrize(("norm", "peer"), [("l1", "l1"), ("l2", "l2"), ("max", "max")])
def test_the_binary_error_is_that_of_torchmetrics_where_no_probability_is_on_an_edge(norm, peer):
    # Theirs judges the event that the label is 1 by its probability, too; edges fall to the other side.
    logits, labels = data()
    ours = updated(binary("CalibrationError", norm=norm, n_bins=10), logits[:, 0], labels[:, 0]).compute()
    theirs = updated(PeerCalibrationError(n_bins=10, norm=peer), logits[:, 0].sigmoid(), labels[:, 0]).compute()
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)


def test_extreme_logits_have_finite_nats_and_a_masked_label_is_certain():
    metric = binary("NegativeLogLikelihood")
    metric.update(torch.tensor([1e4, -1e4, 1e4, -torch.inf]), torch.tensor([1, 0, 0, 0]))
    assert float(metric.compute()) == pytest.approx(1e4 / 4)


def test_metrics_of_labels_share_sums_of_one_meaning_alone():
    logits, labels = data()
    makers = {
        "ece": multilabel("CalibrationError"),
        "rms": multilabel("CalibrationError", norm="l2"),
        "each": multilabel("CalibrationError", average="none"),
        "micro": multilabel("CalibrationError", average="micro"),
        "binary": binary("CalibrationError"),
        "mass": multilabel("CalibrationError", binning="equal_mass"),
        "aurc": multilabel("AURC"),
        "augrc": multilabel("AUGRC"),
        "brier": multilabel("BrierScore"),
        "nll": multilabel("NegativeLogLikelihood"),
    }
    alone = {name: updated(copy.deepcopy(metric), logits, labels).compute() for name, metric in makers.items()}
    together = MetricCollection(makers)
    values = updated(together, logits, labels).compute()
    assert {"ece", "rms", "each"} in [set(group) for group in together.compute_groups.values()]
    assert len(together.compute_groups) == 8
    for name, value in alone.items():
        torch.testing.assert_close(values[name], value, rtol=0, atol=0)


def test_errors_of_each_class_are_those_of_which_the_classwise_error_is_the_mean():
    logits, _ = data()
    labels = torch.randint(L, (600,), generator=torch.Generator().manual_seed(3))
    probs = logits.softmax(dim=1)
    each = torch.stack([expected_calibration_error(probs[:, k].contiguous(), labels == k) for k in range(L)])
    close(classwise_calibration_error(probs, labels, average="none"), each, 1e-12)
    metric = updated(metrics.ClasswiseCalibrationError(n_classes=L, average="none"), logits, labels)
    close(metric.compute(), each, 1e-7)
    # A threshold that leaves nothing of a class leaves it no error, and the mean that of the others.
    errors = classwise_calibration_error(
        torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([0, 1]), threshold=0.5, average="none"
    )
    assert errors.isnan().tolist() == [False, True]


def test_unusable_entries_are_refused_in_one_sentence(rejects):
    logits, labels = data(10)
    metric = multilabel("BrierScore")
    with rejects(ValueError, "`logits` must have shape (N, 3) or (N, 3, d1, …), got (10, 2)."):
        metric.update(logits[:, :2], labels[:, :2])
    with rejects(ValueError, "`labels` must have the shape of `logits`, (10, 3), got (10,)."):
        metric.update(logits, labels[:, 0])
    with rejects(ValueError, "`labels` must be yes or no, 1 or 0, got 0.5 at position (2, 1)."):
        metric.update(logits, labels.float().index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(0.5)))
    with rejects(ValueError, "`labels` must be booleans or lie in [0, 1], got 2 at position (2, 1)."):
        metric.update(logits, labels.index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(2)))
    bad = logits.index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(torch.nan))
    with rejects(ValueError, "`logits` must be finite (-inf only for masked labels), got nan at position (2, 1)."):
        metric.update(bad, labels)
    with rejects(ValueError, "`probs` must lie in [0, 1], got 1.5 at position 1."):
        binary("BrierScore", inputs="probs").update(torch.tensor([0.5, 1.5]), torch.tensor([1, 0]))
    with rejects(ValueError, "`sample_weight` must have the shape of `labels`, (10, 3), got (9,)."):
        metric.update(logits, labels, torch.ones(9))
    with rejects(ValueError, "`average` must be one of 'macro', 'micro', 'none', got 'weighted'."):
        multilabel("AURC", average="weighted")
    with rejects(ValueError, "`n_labels` must be an integer >= 1, got 0."):
        metrics.MultilabelAURC(n_labels=0)
    with rejects(ValueError, "`average` must be one of 'macro', 'none', got 'micro': did you mean 'macro'?"):
        metrics.ClasswiseCalibrationError(n_classes=3, average="micro")
