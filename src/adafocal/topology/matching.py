# SPDX-License-Identifier: Apache-2.0
"""Which points of two persistence diagrams belong together: the cheapest matching, or a plan by Sinkhorn-Knopp."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adafocal._checks import require

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
ROUNDS = 30  # of nearest neighbours
APART = 1e-9  # of copies of a point among neighbours


class Pairs(NamedTuple):
    """Which point of the first diagram goes to which of the second, and how much of it; the rest to the diagonal."""

    first: Indices
    second: Indices
    amount: Floats

    def of(self, first: Indices, second: Indices) -> "Pairs":
        """Name places in whole diagrams by those in parts of them."""
        return Pairs(first[self.first], second[self.second], self.amount)

    def where(self, good: NDArray[np.bool_]) -> "Pairs":
        """Keep some pairs."""
        return Pairs(self.first[good], self.second[good], self.amount[good])


class Diagram(NamedTuple):
    """Points, shape (n, 2), and the cost of each on its way to the diagonal."""

    points: Floats
    alone: Floats

    def at(self, places: Indices) -> "Diagram":
        """Keep some points."""
        return Diagram(self.points[places], self.alone[places])


Solver = Callable[[Diagram, Diagram, float], Pairs]


def plans(a: Diagram, b: Diagram, order: float, solver: Solver, max_points: int, *, debiased: bool) -> list[Pairs]:
    """Match the points that count most by a solver, and those that are too many for it to their nearest neighbours.

    ``debiased`` adds what the solver makes of each diagram and itself. Equal diagrams are matched point by point.
    """
    if (same := _equal(a, b)) is not None:
        return [same]
    first, second, near = _divided(a, b, order, max_points, square=debiased)
    kept_a, kept_b = a.at(first), b.at(second)
    found = [_joined(solver(kept_a, kept_b, order).of(first, second), near)]
    if debiased:
        for whole, kept, places in ((a, kept_a, first), (b, kept_b, second)):
            others = np.delete(np.arange(len(whole.points)), places)
            found.append(_joined(solver(kept, kept, order).of(places, places), _pairs(others, others)))
    return found


def costs(a: Floats, b: Floats, order: float) -> Floats:
    """Lengths to the power ``order``, for points that broadcast along the last axis."""
    squared: Floats = np.square(a - b).sum(axis=-1)
    return squared if order == 2.0 else squared ** (order / 2)


def exact(a: Diagram, b: Diagram, order: float) -> Pairs:
    """Find the matching of least cost, where every point may go to the diagonal instead.

    A pair saves what its points would pay on their ways to the diagonal, less what it costs. The cheapest matching is
    the one that saves most among pairs that save, which an assignment of the smaller diagram's points finds.
    """
    saved = a.alone[:, None] + b.alone - costs(a.points[:, None], b.points, order)
    rows, columns = (np.flatnonzero((saved > 0).any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return _pairs(rows, rows)
    saved = saved[np.ix_(rows, columns)].clip(min=0.0)
    first, second = require("scipy.optimize", extra="topology").linear_sum_assignment(saved, maximize=True)
    return _pairs(first, second).where(saved[first, second] > 0).of(rows, columns)


def sinkhorn(*, epsilon: float, tolerance: float, max_iterations: int) -> Solver:
    """Make what finds a plan of entropic transport; what its iterations leave unmatched goes to the diagonal."""

    def solve(a: Diagram, b: Diagram, order: float) -> Pairs:
        together = costs(a.points[:, None], b.points, order)
        saves = together < a.alone[:, None] + b.alone
        rows, columns = np.flatnonzero(saves.any(axis=1)), np.flatnonzero(saves.any(axis=0))
        if rows.size == 0:
            return _pairs(rows, rows)
        n, m = len(rows), len(columns)
        cost = np.zeros((n + 1, m + 1))  # the last row and column are the diagonal, with room for everybody
        cost[:-1, :-1] = together[np.ix_(rows, columns)]
        cost[:-1, -1], cost[-1, :-1] = a.alone[rows], b.alone[columns]
        mass_a, mass_b = np.append(np.ones(n), m), np.append(np.ones(m), n)
        # Without a warning: a plan cut short is a plan, and what it leaves goes to the diagonal.
        limits = {"numItermax": max_iterations, "stopThr": tolerance * (n + m), "warn": False}
        plan = require("ot").bregman.sinkhorn_log(mass_a, mass_b, cost, epsilon * cost.max(), **limits)[:-1, :-1]
        # Rows before columns: what divides the columns makes the rows only smaller.
        plan = plan / plan.sum(axis=1, keepdims=True).clip(min=1.0)
        plan = plan / plan.sum(axis=0, keepdims=True).clip(min=1.0)
        first, second = plan.nonzero()
        return Pairs(first, second, plan[first, second]).of(rows, columns)

    return solve


def _pairs(first: Indices, second: Indices) -> Pairs:
    return Pairs(first, second, np.ones(len(first)))


def _joined(*pairs: Pairs) -> Pairs:
    return Pairs(*(np.concatenate(part) for part in zip(*pairs, strict=True)))


def _plane(points: Floats) -> NDArray[np.complex128]:
    """Points as numbers, which NumPy sorts by birth, then death."""
    return np.ascontiguousarray(points).view(np.complex128)[:, 0]


def _equal(a: Diagram, b: Diagram) -> Pairs | None:
    """Match equal diagrams point by point, whatever rounding may make of their distance."""
    first, second = (np.flatnonzero(diagram.alone > 0) for diagram in (a, b))
    if len(first) != len(second):
        return None
    first, second = (places[_plane(d.points[places]).argsort(kind="stable")] for d, places in ((a, first), (b, second)))
    return _pairs(first, second) if np.array_equal(a.points[first], b.points[second]) else None


def _divided(a: Diagram, b: Diagram, order: float, max_points: int, *, square: bool) -> tuple[Indices, Indices, Pairs]:
    """Choose the points for a solver, and pair others with their nearest neighbours.

    Points that are paired go to the solver together, so that what it finds is never worse than what they had. A solver
    of each diagram and itself, ``square``, takes no more of one for there being few of the other.
    """
    every_a, every_b = np.arange(len(a.points)), np.arange(len(b.points))
    if not square or max(len(every_a), len(every_b)) <= max_points:
        if (few := _all_that_matter(a, b, order, max_points**2)) is not None:
            return few, every_b, _pairs(few[:0], few[:0])
        if (few := _all_that_matter(b, a, order, max_points**2)) is not None:
            return every_a, few, _pairs(few[:0], few[:0])
    near = _nearest(a, b, order)
    in_a, in_b = _most_persistent(a, max_points // 2), _most_persistent(b, max_points // 2)
    together = in_a[near.first] | in_b[near.second]
    in_a[near.first[together]] = in_b[near.second[together]] = True
    return every_a[in_a], every_b[in_b], near.where(~together)


def _all_that_matter(a: Diagram, b: Diagram, order: float, most: int) -> Indices | None:
    """Choose the points of ``a`` that the cheapest matching can use, if they make at most so many pairs with all of b.

    Each of m points needs the m partners that save most with it: one of them is free. Equal points have the same ones.
    """
    n, m = len(a.points), len(b.points)
    if n * m <= most:
        return np.arange(n)
    kinds = b.at(np.unique(_plane(b.points), return_index=True)[1])
    if m > n or len(kinds.points) * n > most:
        return None
    saved = kinds.alone[:, None] + a.alone - costs(kinds.points[:, None], a.points, order)
    best: Indices = np.unique(saved.argpartition(n - m, axis=1)[:, -m:])
    return best if len(best) * m <= most else None


def _most_persistent(diagram: Diagram, most: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(diagram.points), bool)
    chosen[diagram.alone.argsort()[-max(most, 1) :]] = True
    return chosen


def _nearest(a: Diagram, b: Diagram, order: float) -> Pairs:
    """Match points that are nearest to each other, round by round, where that is cheaper than the diagonal."""
    tree, one, two = require("scipy.spatial", extra="topology").KDTree, _apart(a.points), _apart(b.points)
    first, second = np.flatnonzero(a.alone > 0), np.flatnonzero(b.alone > 0)
    found = [_pairs(first[:0], second[:0])]
    for _ in range(ROUNDS):
        if not (first.size and second.size):
            break
        to_b = tree(two[second]).query(one[first])[1]
        to_a = tree(one[first]).query(two[second])[1]
        mutual = np.flatnonzero(to_a[to_b] == np.arange(len(first)))
        found.append(_pairs(first[mutual], second[to_b[mutual]]))
        first, second = np.delete(first, mutual), np.delete(second, to_b[mutual])
    pairs = _joined(*found)
    cost = costs(a.points[pairs.first], b.points[pairs.second], order)
    return pairs.where(cost < a.alone[pairs.first] + b.alone[pairs.second])


def _apart(points: Floats) -> Floats:
    """Points with a third coordinate that tells equal ones apart: the first is nearest to the first, and so on."""
    at = _plane(points)
    order = at.argsort(kind="stable")
    places = np.arange(len(at))
    fresh = np.append(True, at[order][1:] != at[order][:-1])[: len(at)]
    copy = np.empty(len(at))
    copy[order] = places - np.maximum.accumulate(np.where(fresh, places, 0))
    return np.column_stack([points, APART * copy])
