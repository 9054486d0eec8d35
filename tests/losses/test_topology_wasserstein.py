# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

pytest.importorskip("ot", reason="needs the extra topology")

from adafocal.topology.wasserstein import wasserstein_distance


def points(n, dtype=torch.float64):
    """Give births above deaths, in [0, 1]."""
    return torch.rand(n, 2, dtype=dtype).sort(dim=1, descending=True).values


def exact_distance(a, b, order):
    """Match every point with a point of the other diagram or with its own foot on the diagonal."""
    n, m = len(a), len(b)
    cost = np.full((n + m, n + m), 0.0)
    cost[:n, :m] = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy() ** order
    cost[:n, m:] = ((a[:, :1] - a[:, 1:]).abs() / math.sqrt(2)).numpy() ** order
    cost[n:, :m] = ((b[:, 0] - b[:, 1]).abs() / math.sqrt(2)).numpy() ** order
    return cost[linear_sum_assignment(cost)].sum() ** (1 / order)


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (3, 7), (12, 12), (40, 2)], ids=str)
def test_a_small_epsilon_gives_the_exact_distance(order, sizes):
    a, b = points(sizes[0]), points(sizes[1])
    found = wasserstein_distance(a, b, order=order, epsilon=1e-4, tolerance=1e-5, max_iterations=5000)

    assert float(found) == pytest.approx(exact_distance(a, b, order), rel=5e-3)


@pytest.mark.parametrize("sizes", [(5, 5), (30, 4), (60, 60)], ids=str)
@pytest.mark.parametrize("epsilon", [0.1, 0.01, 0.001])
def test_the_distance_is_never_below_the_exact_one_even_where_iterations_end_early(sizes, epsilon):
    a, b = points(sizes[0]), points(sizes[1])
    for max_iterations in (1, 3, 200):
        found = wasserstein_distance(a, b, epsilon=epsilon, max_iterations=max_iterations)
        assert float(found) >= exact_distance(a, b, 2.0) - 1e-9


def test_the_default_epsilon_is_close_where_the_truth_has_few_points():
    a, b = points(300), torch.tensor([[1.0, 0.0]]).double().repeat(3, 1)

    assert float(wasserstein_distance(a, b)) == pytest.approx(exact_distance(a, b, 2.0), rel=2e-3)


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_the_distance_is_that_of_gudhi(order):
    gudhi = pytest.importorskip("gudhi.wasserstein")
    a, b = points(8), points(5)
    # gudhi takes deaths to be above births.
    expected = gudhi.wasserstein_distance(a.flip(1).numpy(), b.flip(1).numpy(), order=order, internal_p=2.0)

    assert float(
        wasserstein_distance(a, b, order=order, epsilon=1e-4, tolerance=1e-5, max_iterations=5000)
    ) == pytest.approx(float(expected), rel=5e-3)


def test_a_diagram_without_points_is_the_diagonal():
    a = torch.tensor([[1.0, 0.0], [0.5, 0.1]], requires_grad=True)
    distance = wasserstein_distance(a, torch.zeros(0, 2))
    assert float(distance.detach()) == pytest.approx(math.sqrt((1.0 + 0.16) / 2))
    distance.backward()
    # Each point moves towards the diagonal at right angles.
    torch.testing.assert_close(a.grad[:, 0], -a.grad[:, 1])
    nothing = torch.zeros(0, 2, requires_grad=True)
    zero = wasserstein_distance(nothing, nothing)
    assert zero == 0.0
    zero.backward()
    assert nothing.grad.shape == (0, 2)


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5])
def test_equal_points_have_distance_and_gradient_zero(order):
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.3, 0.3]], requires_grad=True)
    distance = wasserstein_distance(a, a.detach()[[0, 1]], order=order)
    distance.backward()
    assert float(distance.detach()) == pytest.approx(0.0, abs=1e-6)
    assert a.grad.isfinite().all()
    torch.testing.assert_close(a.grad, torch.zeros_like(a))


def test_the_distance_is_symmetric_and_scales_with_the_values():
    a, b = points(6), points(4)
    distance = wasserstein_distance(a, b)

    torch.testing.assert_close(wasserstein_distance(b, a), distance, rtol=1e-3, atol=0.0)
    torch.testing.assert_close(wasserstein_distance(7 * a, 7 * b), 7 * distance)


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_gradients_agree_with_finite_differences(order):
    # Well apart, so that the plan, a constant to the gradient, does not move.
    a = torch.tensor([[0.9, 0.1], [0.6, 0.2], [0.5, 0.4], [0.3, 0.25]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[0.99, 0.01], [0.5, 0.15], [0.2, 0.1]], dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(
        lambda x, y: wasserstein_distance(x, y, order=order, epsilon=2e-4, tolerance=1e-5, max_iterations=2000), (a, b)
    )


def test_points_past_the_most_persistent_go_to_the_diagonal():
    a, b = points(200), torch.tensor([[1.0, 0.0]]).double()
    everything = wasserstein_distance(a, b, max_points=200)

    torch.testing.assert_close(wasserstein_distance(a, b, max_points=20), everything, rtol=1e-3, atol=0.0)
    beyond = (a[:, 0] - a[:, 1]).square().sort(descending=True).values[1:].sum() / 2
    top = a[(a[:, 0] - a[:, 1]).argmax()]
    expected = (beyond + (top - b[0]).square().sum()).sqrt()
    torch.testing.assert_close(wasserstein_distance(a, b, max_points=1), expected)


def test_ten_thousand_points_take_memory_bounded_by_the_cap():
    a, b = points(10_000), points(10_000)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        distance = wasserstein_distance(a, b, max_points=100, max_iterations=20)
    largest = max(event.cpu_memory_usage for event in profile.events())

    assert distance.isfinite()
    assert 0 < largest < 10_000 * 2 * 8 * 10  # pairs of all points would take 800 MB


def test_the_dtype_is_the_wider_of_both():
    a, b = points(3, torch.float32), points(2)

    assert wasserstein_distance(a, b).dtype == torch.float64
    assert wasserstein_distance(a, a).dtype == torch.float32


def test_bad_points_get_one_sentence(rejects):
    a = points(3)
    with rejects(ValueError, "`points_a` must have shape (n, 2), one (birth, death) per point, got (3,)."):
        wasserstein_distance(a[:, 0], a)
    with rejects(ValueError, "`points_b` must be finite: give `persistence_diagram` an `essential_death`."):
        wasserstein_distance(a, torch.tensor([[1.0, -torch.inf]]))
    with rejects(TypeError, "`points_b` must be a floating-point tensor, got dtype torch.int64."):
        wasserstein_distance(a, torch.zeros(2, 2, dtype=torch.int64))
    with rejects(ValueError, "`order` must be a finite number >= 1, got 0.5."):
        wasserstein_distance(a, a, order=0.5)
    with rejects(ValueError, "`epsilon` must be a finite number > 0, got 0.0."):
        wasserstein_distance(a, a, epsilon=0.0)
    with rejects(ValueError, "`tolerance` must be a finite number >= 0, got -1.0."):
        wasserstein_distance(a, a, tolerance=-1.0)
    with rejects(ValueError, "`max_points` must be an integer >= 1, got 0."):
        wasserstein_distance(a, a, max_points=0)
