# SPDX-License-Identifier: Apache-2.0
"""Where the checks of values end: on the bound, just beyond it, and by which sentence."""

import re

import pytest
import torch

from adafocal import _values as values

EVENT, RANGE, SHARE = (
    values.checked_event,
    r"`confidence` must lie in \[0, 1\], got",
    r"`correct` must be booleans or lie in",
)

HALF = (torch.float16, torch.bfloat16)


def numbers(*held, dtype=torch.float32):
    return torch.tensor(held, dtype=dtype)


def refused(check, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        check()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_rounding_is_allowed_for_by_dtype(dtype):
    allowed = 1e-2 if dtype in HALF else 1e-3

    assert values.tolerance(dtype) == allowed
    inside, outside = (numbers(0.25, 1 + share * allowed, dtype=dtype) for share in (0.8, 2.5))
    confidence, _ = values.checked_event(inside, torch.ones(2))
    assert confidence.max() == 1
    assert confidence.dtype == (torch.float32 if dtype in HALF else dtype)
    refused(lambda: values.checked_event(outside, torch.ones(2)), r"`confidence` must lie in \[0, 1\], got 1\.")


def test_bounds_of_events_are_allowed_and_beyond_them_is_not():
    zero_one = numbers(0.0, 1.0)

    assert values.checked_event(zero_one, zero_one)[0] is zero_one
    refused(
        lambda: values.checked_event(numbers(-1e-6), zero_one[:1]), r"`confidence` must lie in \[0, 1\], got -1e-06"
    )
    refused(
        lambda: values.checked_event(zero_one, numbers(0.5, 1.001)), r"`correct` must be booleans or lie in \[0, 1\]"
    )
    refused(
        lambda: values.checked_event(zero_one, numbers(-0.001, 1)), r"`correct` must be booleans or lie in \[0, 1\]"
    )
    sentence = r"`correct` must be booleans or lie in \[0, 1\], got 2 at position 2\.$"
    refused(lambda: values.checked_event(numbers(0.5, 0.5, 0.5), numbers(0, 1, 2)), sentence)


def test_shares_are_allowed_unless_it_must_be_yes_or_no():
    half = numbers(1.0, 0.5, 0.0)

    assert values.checked_event(half, half)[1] is half
    sentence = r"`correct` must be yes or no, 1 or 0, got 0\.5 at position 1\.$"
    refused(lambda: values.checked_event(half, half, yes_or_no=True), sentence)
    for happened in (numbers(0, 1, 1), torch.tensor([True, False, True]), torch.tensor([0, 1, 1])):
        assert values.checked_event(half, happened, yes_or_no=True)[1] is happened
    assert values.checked_shares(half, half, names=("probs", "happened"))[1] is half


def test_nothing_is_an_event_only_where_that_is_allowed():
    nothing = torch.zeros(0)

    assert values.checked_event(nothing, nothing, empty=True)[0].shape == (0,)
    refused(
        lambda: values.checked_event(nothing, nothing), r"`confidence` must have shape \(N,\) with N >= 1, got \(0,\)"
    )
    refused(
        lambda: values.check_vector("x", torch.zeros(1, 1), empty=True), r"`x` must have shape \(N,\), got \(1, 1\)"
    )
    refused(
        lambda: values.check_vector("x", torch.zeros(1, 1)), r"`x` must have shape \(N,\) with N >= 1, got \(1, 1\)"
    )


@pytest.mark.parametrize("check", [values.check_edges, values.check_confidences])
def test_edges_and_confidences_span_0_to_1(check):
    name = check.__name__.split("_")[1].rstrip("s")
    check(numbers(0.0, 0.5, 0.5, 1.0005))
    check(torch.zeros(0))
    for odd in (-1e-6, 1.002, float("nan")):
        refused(lambda odd=odd: check(numbers(0.0, odd)), rf"`{name}s?` must lie in \[0, 1\], got .* at position 1")


def test_edges_do_not_fall_and_a_few_are_shown():
    falling = numbers(0.1, 0.5, 0.4, 0.6, 0.7)

    refused(lambda: values.check_edges(falling), r"`edges` must not fall, got \[0\.1, 0\.5, 0\.4, 0\.6, …\]: use")
    refused(lambda: values.check_edges(falling[:4]), r"`edges` must not fall, got \[0\.1, 0\.5, 0\.4, 0\.6\]: use")
    refused(lambda: values.check_edges(numbers(0.2, 0.1)), r"`edges` must not fall, got \[0\.2, 0\.1\]: use")
    refused(lambda: values.check_edges(torch.zeros(1, 1)), r"`edges` must have shape \(n_bins - 1,\), got \(1, 1\)")


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-3), (torch.bfloat16, 1e-2)])
def test_rows_sum_to_1_as_far_as_their_dtype_tells(dtype, off):
    for share in (0.8, -0.8):
        row = numbers(0.5, 0.5 + share * off, dtype=torch.float64)
        values.check_distributions("probs", row[None], axis=1, dtype=dtype)
    for share in (1.2, -1.2):
        row = numbers(0.5, 0.5 + share * off, dtype=torch.float64)
        with pytest.raises(ValueError, match=f"with a sum of 1 within {off:g}, got .* at position 0"):
            values.check_distributions("probs", row[None], axis=1, dtype=dtype)


def test_rows_that_do_not_count_may_be_anything():
    probs = numbers(0.5, 0.5, -3.0, 9.0, 1.5, -0.5).view(3, 2)

    values.check_distributions("probs", probs, axis=1, counted=torch.tensor([True, False, False]))
    values.check_distributions("probs", probs[:1].T, axis=0)
    values.check_distributions("probs", probs[:0], axis=1)
    sentence = r"`probs` must be class probabilities.* got \[1\.5, -0\.5\] at position 2\.$"
    refused(
        lambda: values.check_distributions("probs", probs, axis=1, counted=torch.tensor([True, False, True])), sentence
    )
    refused(lambda: values.check_distributions("probs", probs[2:], axis=1), sentence.replace("2", "0"))


@pytest.mark.parametrize(("labels", "got"), [([0, 3], "3"), ([-1, 0], "-1")])
def test_labels_are_class_indices_or_do_not_count(labels, got):
    logits, held = torch.zeros(2, 3), torch.tensor(labels)

    assert values.check_class_indices(logits, torch.tensor([0, 2]), name="logits") is None
    refused(lambda: values.check_class_indices(logits, held, name="logits"), rf"`labels` must .*got {got}\b")
    counted = values.check_class_indices(
        logits, held, name="logits", ignore_index=held[held.clamp(0, 2) != held].item()
    )
    assert counted.tolist() == [bool(0 <= label < 3) for label in labels]
    refused(lambda: values.check_class_indices(logits, held, name="logits", ignore_index=-7), "`labels` must")


def test_classes_are_the_second_axis_or_the_only_one():
    dense, one = torch.zeros(2, 5, 3), torch.zeros(5)

    assert values.check_class_indices(dense, torch.full((2, 3), 4), name="logits") is None
    assert values.check_class_indices(one, torch.tensor(4), name="logits") is None
    assert values.check_class_indices(dense[:0], torch.zeros(0, 3, dtype=torch.int64), name="logits") is None
    refused(lambda: values.check_class_indices(dense, torch.full((2, 3), 5), name="logits"), "`labels` must")


@pytest.mark.parametrize("ignore_index", [None, -100, 3])
def test_where_all_labels_count_nothing_is_said_of_them(ignore_index):
    labels = torch.tensor([0, 2])

    assert values.check_class_indices(torch.zeros(2, 3), labels, name="logits", ignore_index=ignore_index) is None


def test_labels_of_another_dtype_are_told_what_they_are():
    logits = torch.zeros(2, 3)

    for labels, said in (
        (torch.zeros(2, 3), "`labels` must be class indices, got class probabilities."),
        (torch.zeros(2), "`labels` must be integer class indices, got dtype torch.float32: use labels.long()."),
    ):
        with pytest.raises(TypeError, match=re.escape(said)):
            values.check_class_indices(logits, labels, name="logits")
    values.check_index_labels(torch.zeros(3, 3), torch.zeros(3, dtype=torch.int64), name="logits")


def test_dense_rows_are_shown_class_by_class():
    probs = torch.full((1, 2, 3), 0.5)
    probs[0, :, 2] = numbers(0.25, 0.5)

    refused(lambda: values.check_distributions("probs", probs, axis=1), r".*got \[0\.25, 0\.5\] at position \(0, 2\)")


def test_certain_rows_count_as_any():
    certain = numbers(1.0, 0.0).view(1, 2)

    values.check_distributions("probs", certain, axis=1, counted=torch.tensor([True]))
    values.check_distributions("probs", certain, axis=1)


@pytest.mark.parametrize("ignored", [0, 1])
def test_a_class_that_does_not_count_counts_nowhere(ignored):
    counted = values.check_class_indices(
        torch.zeros(3, 3), torch.tensor([0, 1, 2]), name="logits", ignore_index=ignored
    )

    assert counted.tolist() == [place != ignored for place in range(3)]


def test_logarithms_of_probabilities_sum_to_1():
    log_probs = torch.randn(4, 3).log_softmax(dim=1)

    values.check_log_distributions("log_probs", log_probs)
    log_probs[2] += 0.0008
    values.check_log_distributions("log_probs", log_probs)
    log_probs[2] += 0.001
    refused(
        lambda: values.check_log_distributions("log_probs", log_probs), r".* at position 2: use log_softmax for logits"
    )


def test_nan_and_infinity_are_told_apart():
    odd = numbers(0.0, float("inf"), float("nan"))

    values.check_softmax("logits", odd[:2])
    values.check_softmax("logits", odd, counted=torch.tensor([True, True, False]))
    sentence = r"`logits` must be finite \(-inf only for masked classes\), got another value at position 2"
    refused(lambda: values.check_softmax("logits", odd), sentence)
    refused(lambda: values.check_softmax("logits", odd, counted=torch.ones(3, dtype=torch.bool)), sentence)
