# SPDX-License-Identifier: Apache-2.0
"""Calibration per case and class: values computed by hand, and those of MONAI on the same inputs."""

import pytest
import torch

from adafocal._estimate import mean_over_cases
from adafocal.calibration import CaseStats, bin_stats, case_calibration, case_stats, equal_width_edges
from adafocal.calibration.classwise import one_class_from_probs
from adafocal.losses import l1_ace_penalty

# Two cases of four voxels, three classes. Case 0 has no voxel of class 2.
PROBS = torch.tensor(
    [
        [[0.8, 0.8, 0.1, 0.1], [0.2, 0.2, 0.7, 0.9], [0.0, 0.0, 0.2, 0.0]],
        [[0.4, 0.1, 0.1, 0.1], [0.6, 0.3, 0.0, 0.0], [0.0, 0.6, 0.9, 0.9]],
    ]
)
LABELS = torch.tensor([[0, 1, 1, 1], [1, 2, 2, -100]])


def test_errors_of_each_case_and_class_are_those_computed_by_hand():
    """With two bins (0, 0.5] and (0.5, 1]; the last voxel of the second case does not count."""
    stats = case_stats(PROBS, LABELS, [7, 3], inputs="probs", n_bins=2)

    assert stats.codes.tolist() == [3, 7]
    gaps = {  # of lower and upper bin, with their voxels
        (1, 0): ((0.1, 2), (0.8 - 0.5, 2)),
        (1, 1): ((0.2 - 0.5, 2), (0.8 - 1.0, 2)),
        (1, 2): ((0.05, 4),),  # it is not there: the mean probability
        (0, 0): ((0.2, 3),),
        (0, 1): ((0.15, 2), (0.6 - 1.0, 1)),
        (0, 2): ((0.0, 1), (0.75 - 1.0, 2)),
    }
    for (case, label), held in gaps.items():
        sizes = [abs(gap) for gap, _ in held]
        expected = {
            "ece": sum(abs(gap) * n for gap, n in held) / sum(n for _, n in held),
            "ace": sum(sizes) / len(sizes),
            "mce": max(sizes),
        }
        for name, value in expected.items():
            assert float(stats.errors(name)[case, label]) == pytest.approx(value, abs=1e-7), (case, label, name)


def test_each_case_and_each_class_counts_the_same():
    found = case_calibration(PROBS, LABELS, inputs="probs", n_bins=2)
    with_background = case_calibration(PROBS, LABELS, inputs="probs", n_bins=2, include_background=True)

    ace = torch.tensor([[0.2, 0.25, 0.05], [0.2, 0.275, 0.125]], dtype=torch.float64)
    assert found.ace.value == pytest.approx(float(ace[:, 1:].mean()), abs=1e-7)
    assert with_background.ace.value == pytest.approx(float(ace.mean()), abs=1e-7)
    assert list(found.classes) == [1, 2]
    assert found.classes[2]["ace"].value == pytest.approx(0.0875, abs=1e-7)
    assert with_background.classes[0]["mce"].value == pytest.approx(0.25, abs=1e-7)
    assert (found.n_cases, found.n_bins, found.ace.low) == (2, 2, None)
    assert found.to_dict()["classes"]["1"]["mce"]["value"] == pytest.approx(0.35, abs=1e-7)


def test_sums_of_parts_merge_by_case_in_any_order():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(90, 3, generator=generator), torch.randint(3, (90,), generator=generator)
    cases = torch.randint(4, (90,), generator=generator)  # interleaved
    labels[::7] = -100
    whole = case_stats(logits, labels, cases)
    parts = [case_stats(logits[i::3], labels[i::3], cases[i::3]) for i in range(3)]
    merged = CaseStats.empty(n_classes=3).merge(parts[2]).merge(parts[0]).merge(parts[1])
    volumes = [logits[cases == case].T[None] for case in range(4)]

    assert torch.equal(merged.codes, whole.codes)
    assert torch.equal(merged.bins.count, whole.bins.count)
    torch.testing.assert_close(merged.bins.confidence_sum, whole.bins.confidence_sum, rtol=0, atol=1e-12)
    assert merged.bins.count.sum() == 3 * int((labels != -100).sum())
    for case, volume in enumerate(volumes):
        alone = case_calibration(volume, labels[cases == case][None])
        assert alone.ece.value == pytest.approx(float(whole.errors("ece")[case, 1:].mean()), abs=1e-6)


def test_each_case_is_measured_as_the_event_of_one_class_is():
    generator = torch.Generator().manual_seed(1)
    probs = (2 * torch.randn(1, 3, 8, 9, generator=generator)).softmax(1)
    labels = torch.randint(3, (1, 8, 9), generator=generator)
    stats = case_stats(probs, labels, ["a"], inputs="probs", n_bins=7)
    rows = probs[0].flatten(1).T
    for label in range(3):
        alone = bin_stats(*one_class_from_probs(rows, labels.flatten(), positive_class=label), equal_width_edges(7))
        torch.testing.assert_close(stats.errors("ece")[0, label], alone.compute())
        torch.testing.assert_close(stats.errors("mce")[0, label], alone.compute(norm="max"))


def test_the_average_error_of_a_case_is_the_penalty_that_training_lowers():
    logits, labels = 3 * torch.randn(2, 4, 6, 7), torch.arange(84).view(2, 6, 7) % 4  # each class is in each image
    penalty = l1_ace_penalty(logits, labels, n_bins=12, include_background=False)
    errors = case_stats(logits, labels, [0, 1], n_bins=12).errors("ace")[:, 1:].mean(dim=1)

    torch.testing.assert_close(penalty.double(), errors, rtol=0, atol=1e-6)


def test_logits_and_probabilities_of_all_dtypes_agree():
    logits, labels = 3 * torch.randn(2, 3, 40), torch.randint(3, (2, 40))
    expected = case_calibration(logits.double(), labels)
    for dtype, bound in ((torch.float32, 1e-6), (torch.float16, 0.02), (torch.bfloat16, 0.05)):
        assert case_calibration(logits.to(dtype), labels).ece.value == pytest.approx(expected.ece.value, abs=bound)
    from_probs = case_calibration(logits.double().softmax(1), labels, inputs="probs")
    assert from_probs.ace.value == pytest.approx(expected.ace.value, abs=1e-12)


def test_what_does_not_count_may_be_anything_and_an_empty_case_is_none():
    probs, labels = PROBS.clone(), LABELS.clone()
    probs[1, :, 3] = torch.nan
    assert case_calibration(probs, labels, inputs="probs", n_bins=2) == case_calibration(
        PROBS, LABELS, inputs="probs", n_bins=2
    )
    labels[0] = -100
    alone = case_calibration(probs, labels, inputs="probs", n_bins=2)
    assert alone.n_cases == 1
    assert alone.ace.value == pytest.approx((0.275 + 0.125) / 2, abs=1e-7)
    labels[1] = -100
    nothing = case_calibration(probs, labels, inputs="probs")
    assert nothing.n_cases == 0
    assert nothing.ece.value != nothing.ece.value


def test_wrong_input_gets_a_sentence(rejects):
    with rejects(ValueError, "`values` must have shape (N, C, d1, …), or (N, C) with `cases`, got (2, 3)."):
        case_calibration(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    with rejects(ValueError, "`cases` must have one value per row of `values`, 2, got (1,)."):
        case_stats(PROBS, LABELS, ["a"], inputs="probs")
    with rejects(TypeError, "`cases` must be given: sums of batches are joined by them."):
        case_stats(PROBS, LABELS, None)
    with rejects(ValueError, "`second.bins` must have the classes and bins of `first.bins`, (3, 20), got (2, 20)."):
        CaseStats.empty(n_classes=3).merge(CaseStats.empty(n_classes=2))


def test_the_interval_is_the_t_interval_moved_out_where_values_are_skewed():
    even = mean_over_cases([0.1, 0.2, 0.3])
    assert even.value == pytest.approx(0.2)
    assert (even.low, even.high) == pytest.approx(
        (0.2 - 0.2484, 0.2 + 0.2484), abs=0.011
    )  # t = 4.303 of 2, approximated

    values = [0.0, 0.0, 0.0, 0.0, 1.0]
    skewed, mirrored = mean_over_cases(values), mean_over_cases([1 - value for value in values])
    half = 2.776 * 0.4472 / 5**0.5
    moved = 2.236 * 0.4472 * (1 + 2 * 2.776**2) / 30
    assert (skewed.low, skewed.high) == pytest.approx((0.2 - half, 0.2 + half + moved), abs=0.02)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((skewed.low, skewed.high), abs=1e-12)
    assert mean_over_cases(values, low=0.0, high=1.0).low == 0.0
    assert mean_over_cases(values, low=0.0, high=1.0).high == 1.0


def test_cases_without_a_value_are_left_out_and_two_have_no_interval():
    nan = float("nan")
    assert mean_over_cases([0.1, nan, 0.3]) == mean_over_cases([0.1, 0.3])
    assert mean_over_cases([0.1, 0.3]).low is None
    assert mean_over_cases([nan]).value != mean_over_cases([nan]).value
    constant = mean_over_cases([0.5] * 4)
    assert (constant.low, constant.high) == (0.5, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(5, 4, 19, 8), (3, 3, 6, 15, 9), (4, 2, 30, 31)])
@pytest.mark.parametrize("n_bins", [1, 5, 15, 20, 37])
def test_numbers_are_those_of_monai(shape, n_bins):
    metrics = pytest.importorskip("monai.metrics")
    if not hasattr(metrics, "CalibrationErrorMetric"):
        pytest.skip("needs MONAI 1.6")
    generator = torch.Generator().manual_seed(n_bins)
    probs = (3 * torch.randn(shape, generator=generator)).softmax(1)
    labels = torch.randint(shape[1], (shape[0], *shape[2:]), generator=generator)
    labels[0] = 0  # a case without foreground
    hot = torch.nn.functional.one_hot(labels, shape[1]).movedim(-1, 1).float()
    errors = case_stats(probs, labels, list(range(shape[0])), inputs="probs", n_bins=n_bins)
    for background in (True, False):
        ours = case_calibration(probs, labels, inputs="probs", n_bins=n_bins, include_background=background)
        for theirs, name in (("expected", "ece"), ("average", "ace"), ("maximum", "mce")):
            metric = metrics.CalibrationErrorMetric(n_bins, background, theirs)
            metric(y_pred=probs, y=hot)
            first = 0 if background else 1
            per_class = torch.tensor([found[name].value for found in ours.classes.values()], dtype=torch.float64)
            for reduction, value in (
                ("none", errors.errors(name)[:, first:]),
                ("mean_batch", per_class),
                ("mean_channel", errors.errors(name)[:, first:].mean(dim=1)),
                ("mean", torch.tensor(getattr(ours, name).value, dtype=torch.float64)),
            ):
                expected = metric.aggregate(reduction).double().view(value.shape)
                torch.testing.assert_close(value, expected, rtol=0, atol=2e-6)
