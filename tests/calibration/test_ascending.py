# SPDX-License-Identifier: Apache-2.0
"""What is sorted as whole numbers is in the order of the values, of every dtype, with what belongs to it."""

import pytest
import torch

from adafocal.calibration.ascending import ascending_events, ascending_places, run_ends, run_lengths, run_sums
from adafocal.calibration.cells import distinct_cells

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INF, TINY = float("inf"), 1e-45  # the smallest float32 above 0
RANGES = {
    "probabilities": [0.0, -0.0, TINY, 2.0**-24, 0.25, 0.5, 0.5, 1 - 2.0**-24, 1.0, 1.9],
    "signed": [-INF, -3e38, -1.0, -TINY, -0.0, 0.0, TINY, 1.0, 2.0, 3e38, INF],
    "negative": [-3.0, -2.0, -2.0, -1.0, -0.5],
}


def some(kind: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.tensor(RANGES[kind], dtype=torch.float64).to(dtype)
    values = values[torch.randint(len(values), (500,))]
    return values, torch.rand(500) < 0.5


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_sorted_with_their_events(kind, dtype):
    values, events = some(kind, dtype)
    ordered, happened = ascending_events(values, events)

    assert ordered.dtype == dtype
    assert torch.equal(ordered, values.sort().values)
    for value in values.unique():
        of_value = happened[ordered == value].sort().values
        assert torch.equal(of_value, events[values == value].sort().values)


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_are_sorted_with_their_places_and_equal_ones_stay_in_order(kind, dtype):
    values, _ = some(kind, dtype)
    ordered, places = ascending_places(values)
    expected = values.sort(stable=True)

    assert ordered.dtype == dtype
    assert torch.equal(ordered, expected.values)
    assert torch.equal(places, expected.indices)


def test_float64_that_float32_holds_is_sorted_as_other_float64():
    values = torch.cat([torch.randn(500), torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 1e-40, -1e-40])]).double()
    for given in (values, values + 1e-9):
        ordered, places = ascending_places(given)
        assert torch.equal(ordered, given.sort().values)
        assert torch.equal(places, given.sort(stable=True).indices)


def test_nothing_that_is_handed_in_is_changed():
    values, events = some("signed", torch.float32)
    before = values.clone(), events.clone()
    ascending_events(values, events)
    ascending_events(values.abs().clamp(max=1), events)
    ascending_places(values)
    assert torch.equal(values, before[0])
    assert torch.equal(events, before[1])


def test_runs_end_where_the_next_value_differs():
    values = torch.tensor([0.1, 0.1, 0.2, 0.3, 0.3, 0.3])
    ends = run_ends(values)

    assert ends.tolist() == [2, 3, 6]
    assert run_lengths(ends).tolist() == [2, 1, 3]
    assert run_sums(torch.tensor([True, False, True, True, True, False]), ends).tolist() == [1, 1, 2]
    assert run_sums(torch.tensor([1, 2, 3, 4, 5, 6]), ends).tolist() == [3, 3, 15]
    assert run_ends(torch.zeros(3)).tolist() == [3]


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_of_distinct_values_sum_what_lies_there(shares, weighted, dtype):
    confidence = torch.randint(40, (500,)).to(dtype) / 41
    correct = torch.rand(500) if shares else torch.rand(500) < 0.5
    weight = torch.randint(1, 4, (500,)) if weighted else None
    cells = distinct_cells(confidence, correct, weight)
    each = torch.ones(500, dtype=torch.float64) if weight is None else weight.double()

    assert torch.equal(cells.edges, confidence.unique())
    assert float(cells.count[-1]) == float(cells.confidence_sum[-1]) == float(cells.correct_sum[-1]) == 0
    for place, value in enumerate(confidence.unique()):
        there = confidence == value
        assert float(cells.count[place]) == float(each[there].sum())
        assert float(cells.confidence_sum[place]) == pytest.approx(float((each * confidence)[there].sum()), rel=1e-14)
        assert float(cells.correct_sum[place]) == pytest.approx(float((each * correct)[there].sum()), rel=1e-14)
    assert cells.count.dtype == (torch.float64 if weighted else torch.int64)


def test_gradients_reach_every_sample_of_a_cell():
    confidence = torch.tensor([0.5, 0.25, 0.5], requires_grad=True)
    distinct_cells(confidence, torch.tensor([True, False, False])).confidence_sum.sum().backward()
    assert confidence.grad.tolist() == [1, 1, 1]
