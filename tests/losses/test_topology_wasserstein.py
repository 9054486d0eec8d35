# SPDX-License-Identifier: Apache-2.0
import math
import tracemalloc

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


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("sizes", [(1, 1), (7, 3), (3, 7), (12, 12), (40, 2), (90, 110)], ids=str)
def test_the_distance_is_the_cheapest_matching(order, sizes):
    a, b = points(sizes[0]), points(sizes[1])
    expected = exact_distance(a, b, order)

    assert float(wasserstein_distance(a, b, order=order)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("order", [1.0, 2.0, 3.0])
def test_a_small_epsilon_is_near_the_cheapest_matching(order):
    for n, m in ((1, 1), (7, 3), (3, 7), (12, 12)):
        a, b = points(n), points(m)
        entropic = wasserstein_distance(a, b, order=order, solver="sinkhorn", epsilon=1e-3, max_iterations=1000)
        assert float(entropic) == pytest.approx(exact_distance(a, b, order), rel=0.05)


def test_the_distance_is_that_of_gudhi_on_250_pairs():
    gudhi = pytest.importorskip("gudhi.wasserstein")
    sizes, orders = torch.randint(0, 60, (250, 2)), (1.0, 2.0, 3.0)
    for place, (n, m) in enumerate(sizes.tolist()):
        a, b, order = points(n), points(m), orders[place % 3]
        if place % 5 == 0:  # many at the same place
            a, b = (8 * a).round() / 8, (8 * b).round() / 8
        # gudhi takes deaths to be above births.
        expected = gudhi.wasserstein_distance(a.flip(1).numpy(), b.flip(1).numpy(), order=order, internal_p=2.0)
        assert float(wasserstein_distance(a, b, order=order)) == pytest.approx(float(expected), abs=1e-9)


@pytest.mark.parametrize("max_points", [10, 500])
@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
@pytest.mark.parametrize("grid", [0, 8], ids=["apart", "copies"])
def test_a_diagram_is_at_distance_zero_from_itself_and_near_one_moved_a_little(max_points, solver, grid):
    a = points(50)
    a = (grid * a).round() / grid if grid else a
    same = a[torch.randperm(50)].requires_grad_()
    distance = wasserstein_distance(same, a, solver=solver, max_points=max_points)
    distance.backward()
    assert distance == 0
    assert (same.grad == 0).all()
    extra = torch.cat([a, torch.tensor([[0.9, 0.1]])])
    one_more = wasserstein_distance(extra, a, max_points=max_points)
    assert 0.1 < float(one_more) <= 0.8 / math.sqrt(2) + 1e-9
    moved = wasserstein_distance(a + 1e-5 * torch.randn_like(a), a, max_points=max_points)
    assert float(moved) < 50 * 1e-5


def test_the_plan_without_bias_is_near_zero_for_nearly_equal_diagrams():
    a = points(50)
    moved = a + 1e-4 * torch.randn_like(a)
    assert float(wasserstein_distance(a, moved, solver="sinkhorn")) < 0.01  # 0.76 with the bias


def test_points_past_the_cap_cost_at_least_what_the_cheapest_matching_costs_and_at_most_their_way():
    a, b = points(120), points(80)
    exact = float(wasserstein_distance(a, b))
    to_diagonal = float(torch.cat([a, b]).diff(dim=1).square().sum().div(2).sqrt())
    for max_points in (1, 5, 20, 60):
        assert exact - 1e-9 <= float(wasserstein_distance(a, b, max_points=max_points)) < to_diagonal
    assert float(wasserstein_distance(a, b, max_points=98)) == pytest.approx(exact, rel=1e-12)  # 98^2 >= 120 * 80


def test_few_places_against_many_points_are_matched_exactly():
    a, b = points(3000), torch.tensor([[1.0, 0.0], [0.9, 0.3]]).double().repeat(15, 1)
    saved = ((a[:, 0] - a[:, 1]).square() / 2)[:, None] + (b[:, 0] - b[:, 1]).square() / 2
    saved = (saved - (a[:, None] - b).square().sum(2)).clamp_min(0).numpy()
    alone = sum(float(d.diff(dim=1).square().sum()) / 2 for d in (a, b))
    expected = math.sqrt(alone - saved[linear_sum_assignment(saved, maximize=True)].sum())

    assert float(wasserstein_distance(a, b, max_points=100)) == pytest.approx(expected, rel=1e-12)
    assert float(wasserstein_distance(b, a, max_points=100)) == pytest.approx(expected, rel=1e-12)


def test_options_of_sinkhorn_are_not_ignored_in_silence():
    a, b = points(3), points(2)
    with pytest.warns(DeprecationWarning, match=r"`epsilon` and `tolerance` must be given with `solver='sinkhorn'`"):
        wasserstein_distance(a, b, epsilon=0.1, tolerance=0.1)
    assert wasserstein_distance(a, b, solver="sinkhorn", epsilon=1.0) != wasserstein_distance(a, b, solver="sinkhorn")


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

    assert torch.autograd.gradcheck(lambda x, y: wasserstein_distance(x, y, order=order), (a, b))


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
@pytest.mark.parametrize("others", [1, 10_000])
def test_ten_thousand_points_take_memory_bounded_by_the_cap(solver, others):
    a, b = points(10_000), points(others)
    tracemalloc.start()
    distance = wasserstein_distance(a, b, solver=solver, max_points=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert distance.isfinite()
    assert 10_000 < peak < 10_000 * 2 * 8 * 20  # pairs of all points would take 800 MB


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
    with rejects(ValueError, "`solver` must be one of 'exact', 'sinkhorn', got 'auction'."):
        wasserstein_distance(a, a, solver="auction")
    with rejects(ValueError, "`max_points` must be an integer >= 1, got 0."):
        wasserstein_distance(a, a, max_points=0)
