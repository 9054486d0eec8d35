# SPDX-License-Identifier: Apache-2.0
"""The Wasserstein distance between persistence diagrams."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from adafocal._checks import check_choice, check_floating, check_integer, check_number
from adafocal._shapes import BirthDeath, Scalar
from adafocal.errors import InvalidValueError
from adafocal.topology.matching import Diagram, Pairs, Solver, exact, plans, sinkhorn

SOLVERS = ("exact", "sinkhorn")
EPSILON, TOLERANCE, ITERATIONS = 0.01, 1e-3, 200  # of Sinkhorn-Knopp


def wasserstein_distance(
    points_a: BirthDeath,
    points_b: BirthDeath,
    *,
    order: float = 2.0,
    solver: str = "exact",
    epsilon: float | None = None,
    max_points: int = 500,
    tolerance: float | None = None,
    max_iterations: int | None = None,
) -> Scalar:
    """Measure how far two persistence diagrams of one dimension are apart.

    Points are matched one to one, or to the diagonal, where features of no persistence lie.

    Formula: ``(min over matchings of sum ||a - b||^order + sum over unmatched points of ||a - diagonal||^order)^(1 /
    order)``, with Euclidean lengths in the (birth, death) plane.

    The solver ``exact`` finds the matching as an assignment. It is exact for up to ``max_points`` squared pairs of
    points, and for any number of points against few, as a true mask has. Beyond, the ``max_points`` most persistent
    points of both are matched so, and the others to their nearest neighbours or the diagonal, whichever is cheaper: the
    result is then the cost of a matching that could be carried out, never below the exact distance, and 0 for equal
    diagrams of any size.

    The solver ``sinkhorn`` is the entropic transport that the paper names, without its bias: the cost of the plan, less
    half the costs of the plans of each diagram to itself, so that equal diagrams have distance 0. For random diagrams
    of 5 to 60 points it was 43 % below to 1 % above the exact distance at ``epsilon`` 0.01.

    The gradient holds the matching constant, as that of an exact distance does; it is 0 where the distance is 0.

    Args:
        points_a: Finite (birth, death) pairs, shape (n, 2); n may be 0.
        points_b: Finite (birth, death) pairs, shape (m, 2); m may be 0.
        order: Exponent p of the cost, >= 1.
        solver: ``exact`` or ``sinkhorn``.
        epsilon: Of ``sinkhorn``, entropic regularisation as a share of the largest cost, > 0, by default 0.01. Smaller
            is closer to the exact plan and takes more iterations.
        max_points: The most persistent points of each diagram that the solver matches where there are more pairs than
            its square. Bounds memory by its square.
        tolerance: Of ``sinkhorn``: iterations end where the plan misses at most this share of the points, >= 0, by
            default 0.001; what it misses goes to the diagonal.
        max_iterations: Of ``sinkhorn``: iterations at most, by default 200.

    Returns:
        A scalar >= 0 in the unit of the values; lower is more alike. In the wider dtype of both, on the device of
        ``points_a``.

    Raises:
        ModuleNotFoundError: If SciPy, or POT for ``sinkhorn``, is not installed.
        TypeError: If the points are not floating point.
        ValueError: If shapes or options are out of range, or a point is not finite.

    Example:
        >>> wasserstein_distance(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
        tensor(0.1414)
        >>> wasserstein_distance(torch.tensor([[1.0, 0.0]]), torch.zeros(0, 2))
        tensor(0.7071)

    Reference:
        Kerber, Morozov and Nigmetov, "Geometry helps to compare persistence diagrams", ACM Journal of Experimental
        Algorithmics 22, 2017, https://arxiv.org/abs/1606.03357, section 2 (the distance as an assignment). Cuturi,
        "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 2013,
        https://arxiv.org/abs/1306.0895. Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn
        divergences", AISTATS 2019, https://arxiv.org/abs/1810.08278, equation 3 (the bias). Lacombe, Cuturi and Oudot,
        "Large scale computation of means and clusters for persistence diagrams using optimal transport", NeurIPS 2018,
        https://arxiv.org/abs/1805.08331, section 3: one point that stands for the diagonal.
    """
    _check_points("points_a", points_a)
    _check_points("points_b", points_b)
    how = transport(order, solver, epsilon, max_points, tolerance, max_iterations)
    return how.distance(points_a, points_b, how.plans(points_a, points_b))


class Transport(NamedTuple):
    """How diagrams are compared: in two steps, of which the first, without gradients, may run in threads."""

    order: float
    solver: Solver
    max_points: int
    debiased: bool

    def plans(self, points_a: BirthDeath, points_b: BirthDeath) -> list[Pairs]:
        """Find which points belong together; after it, for ``debiased``, those of each diagram and itself."""
        a, b = (self._diagram(points) for points in (points_a, points_b))
        return plans(a, b, self.order, self.solver, self.max_points, debiased=self.debiased)

    def distance(self, points_a: BirthDeath, points_b: BirthDeath, found: Sequence[Pairs]) -> Scalar:
        """Measure the distance, with its gradient, by the plans that were found."""
        a, b = points_a.double(), points_b.double().to(points_a.device)
        total = self._cost(a, b, found[0])
        for points, own in zip((a, b), found[1:], strict=False):
            total = total - self._cost(points, points, own) / 2
        root = _positive_power(total.clamp_min(0.0), 1.0 / self.order)
        return root.to(torch.promote_types(points_a.dtype, points_b.dtype))

    def _diagram(self, points: BirthDeath) -> Diagram:
        places = points.detach().double().cpu()
        return Diagram(places.numpy(), _power(_to_diagonal(places), self.order).numpy())

    def _cost(self, a: Tensor, b: Tensor, pairs: Pairs) -> Tensor:
        first, second, amount = (torch.from_numpy(part).to(a.device) for part in pairs)
        together = _power((a.index_select(0, first) - b.index_select(0, second)).square().sum(-1), self.order)
        total = (amount * together).sum()
        for points, matched in ((a, first), (b, second)):
            alone = _power(_to_diagonal(points), self.order)
            total = total + (torch.ones_like(alone).index_add(0, matched, -amount).clamp_min(0.0) * alone).sum()
        return total


def transport(
    order: float,
    solver: str,
    epsilon: float | None,
    max_points: int,
    tolerance: float | None = None,
    max_iterations: int | None = None,
) -> Transport:
    """Check the options of a distance."""
    check_number("order", order, low=1.0)
    check_choice("solver", solver, SOLVERS)
    check_integer("max_points", max_points, minimum=1)
    given = {"epsilon": epsilon, "tolerance": tolerance, "max_iterations": max_iterations}
    share = check_number("epsilon", EPSILON if epsilon is None else epsilon, low=0.0, open_low=True)
    missed = check_number("tolerance", TOLERANCE if tolerance is None else tolerance, low=0.0)
    most = check_integer("max_iterations", ITERATIONS if max_iterations is None else max_iterations, minimum=1)
    if solver == "sinkhorn":
        solve = sinkhorn(epsilon=share, tolerance=missed, max_iterations=most)
        return Transport(order, solve, max_points, debiased=True)
    if unused := [f"`{name}`" for name, value in given.items() if value is not None]:
        sentence = f"{' and '.join(unused)} must be given with `solver='sinkhorn'` alone: the exact solver needs none."
        warnings.warn(sentence, DeprecationWarning, stacklevel=3)
    return Transport(order, exact, max_points, debiased=False)


def _check_points(name: str, points: BirthDeath) -> None:
    check_floating(name, points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InvalidValueError(
            f"`{name}` must have shape (n, 2), one (birth, death) per point, got {tuple(points.shape)}."
        )
    if not points.isfinite().all():
        raise InvalidValueError(f"`{name}` must be finite: give `persistence_diagram` an `essential_death`.")


def _to_diagonal(points: Tensor) -> Tensor:
    """Measure the squared distance of each point to the diagonal."""
    return (points[:, 0] - points[:, 1]).square() / 2


def _power(squared: Tensor, order: float) -> Tensor:
    return squared if order == 2.0 else _positive_power(squared, order / 2)


def _positive_power(values: Tensor, exponent: float) -> Tensor:
    """Raise to a power whose derivative at 0 is taken as 0."""
    positive = values > 0
    return torch.where(positive, torch.where(positive, values, 1.0).pow(exponent), 0.0)
