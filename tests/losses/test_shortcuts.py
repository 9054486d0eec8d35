# SPDX-License-Identifier: Apache-2.0
"""Each shorter way of a loss, by NumPy, a table or running sums, gives the numbers of the plain one."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from adafocal.calibration.edges import find_bins
from adafocal.losses import LOSSES, AdaFocalLoss, BrierLoss, FocalLoss, MMCELoss, make_loss, modulate
from adafocal.losses.aurc import _SoftRank
from adafocal.losses.confidence import TopProbability
from adafocal.losses.mmce import _all_pairs, _running_sums
from adafocal.losses.modulate import FEW, focal_formula
from adafocal.losses.selective_au import NODES, _direct, smoothed_share

FAMILY = ["focal", "inverse_focal", "flsd53", "flsc531", "adafocal"]
SLOPED = [name for name in LOSSES if getattr(LOSSES[name].cls, "has_slope", False)]


def of_many_gammas(name, **options):
    criterion = make_loss(name, options)
    if isinstance(criterion, AdaFocalLoss):
        criterion.gamma.copy_(torch.linspace(-1.5, 4.0, 15))
    return criterion


def with_gradient(function, logits):
    value = function(logits)
    return value.detach(), torch.autograd.grad(value, logits)[0]


def test_losses_of_single_samples_know_their_slope():
    assert {*FAMILY, "dft", "mmce", "ada_dual_focal", "brier", "bsce_gra", "dual_focal", "logit_norm", "mbls"} == {
        *SLOPED
    }


@pytest.mark.parametrize(("reduction", "ignored"), [("mean", -100), ("sum", -100), ("mean", 1), ("mean", None)])
@pytest.mark.parametrize(("shape", "in_cache"), [((40, 5), 1000), ((FEW + 1, 3), 3000), ((2, 3, 4, 5), 25)])
@pytest.mark.parametrize("name", sorted({*SLOPED} - {"mmce"}))
def test_a_reduced_loss_is_that_of_its_samples(name, shape, in_cache, reduction, ignored, monkeypatch):
    monkeypatch.setattr("adafocal.losses.reduced.IN_CACHE", in_cache // torch.get_num_threads())
    logits = (3 * torch.randn(shape, dtype=torch.float64)).round(decimals=1)
    logits = logits.index_fill(1, torch.tensor([2]), -torch.inf).requires_grad_()
    labels = torch.randint(2, shape[:1] + shape[2:])
    labels[0] = -100 if ignored == -100 else 0
    options = {} if ignored is None else {"ignore_index": ignored}
    single = of_many_gammas(name, reduction="none", **options)
    n = (labels != single.ignore_index).sum() if reduction == "mean" else 1

    reduced = of_many_gammas(name, reduction=reduction, **options)
    assert reduced.in_one_step(logits, labels)
    value, slope = with_gradient(lambda z: reduced(z, labels), logits)
    plain_value, plain_slope = with_gradient(lambda z: single(z, labels).sum() / n, logits)
    torch.testing.assert_close(value, plain_value, rtol=1e-13, atol=0.0)
    torch.testing.assert_close(slope, plain_slope, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("n", [FEW, FEW + 1])
@pytest.mark.parametrize("gamma", [2.0, -1.5, 0.0, 0.5])
def test_few_cross_entropies_and_many_are_modulated_alike(gamma, n):
    ce = torch.cat([torch.tensor([0.0, 1e-12, torch.inf]), 4 * torch.rand(n - 3)]).double().requires_grad_()
    value, slope = with_gradient(lambda x: modulate(x, gamma).nan_to_num(posinf=0.0).sum(), ce)
    plain_value, plain_slope = with_gradient(lambda x: focal_formula(x, gamma).nan_to_num(posinf=0.0).sum(), ce)

    torch.testing.assert_close(value, plain_value, rtol=1e-12, atol=0.0)
    assert slope[:3].isfinite().all()
    torch.testing.assert_close(slope[3:], plain_slope[3:], rtol=1e-12, atol=1e-15)


def test_a_reduced_loss_has_second_derivatives():
    logits, labels = torch.randn(6, 4, dtype=torch.float64, requires_grad=True), torch.randint(4, (6,))
    labels[0] = -100
    assert torch.autograd.gradgradcheck(lambda z: of_many_gammas("adafocal")(z, labels), logits)


def test_gammas_that_move_before_backward_do_not_change_it():
    logits, labels = torch.randn(6, 4, dtype=torch.float64, requires_grad=True), torch.randint(4, (6,))
    criterion = of_many_gammas("adafocal")
    _, expected = with_gradient(lambda z: criterion(z, labels), logits)
    loss = criterion(logits, labels)
    criterion.gamma.zero_()
    assert torch.equal(torch.autograd.grad(loss, logits, create_graph=True)[0].isfinite(), expected.isfinite())
    loss = of_many_gammas("adafocal")(logits, labels)
    torch.testing.assert_close(torch.autograd.grad(loss, logits, create_graph=True)[0].detach(), expected)


@pytest.mark.parametrize("base", [FocalLoss, AdaFocalLoss, BrierLoss])
def test_a_subclass_that_gives_its_own_losses_is_asked_for_them(base):
    class Doubled(base):
        def per_sample(self, logits, labels):
            return 2 * super().per_sample(logits, labels)

    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    torch.testing.assert_close(Doubled()(logits, labels), 2 * base()(logits, labels))


@pytest.mark.parametrize("name", ["adafocal", "brier", "mmce"])
def test_a_graph_that_is_kept_gives_its_derivative_again_whatever_became_of_the_first(name):
    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    loss = of_many_gammas(name)(logits, labels)
    (first,) = torch.autograd.grad(loss, logits, retain_graph=True)
    expected = first.clone()
    first.zero_()
    (second,) = torch.autograd.grad(3 * loss, logits, retain_graph=True)
    assert torch.equal(torch.autograd.grad(loss, logits)[0], expected)
    torch.testing.assert_close(second, 3 * expected)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_derivatives_of_many_scales_are_found_at_once():
    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    loss, scales = BrierLoss()(logits, labels), torch.tensor([1.0, -2.0])
    (one,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (both,) = torch.autograd.grad(loss, logits, scales, is_grads_batched=True)
    torch.testing.assert_close(both, scales.view(2, 1, 1) * one)


def test_a_subclass_that_reduces_by_itself_is_asked_for_it():
    class Largest(BrierLoss):
        def reduced(self, losses, labels):
            return losses.amax()

    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    torch.testing.assert_close(Largest()(logits, labels), BrierLoss(reduction="none")(logits, labels).amax())


def test_an_error_that_is_not_of_a_label_passes():
    class Faulty(BrierLoss):
        has_slope = True

        def with_slope(self, logits, place, factor):
            raise RuntimeError("of another kind")

    with pytest.raises(RuntimeError, match="of another kind"):
        Faulty()(torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,)))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [1, 40, 512, 513])
def test_a_penalised_loss_is_that_of_its_samples(n, weighted, reduction):
    logits, labels = torch.randn(n, 4, dtype=torch.float64, requires_grad=True), torch.randint(4, (n,))
    options = {"weighted": weighted, "width": 0.02}
    reduced, single = (MMCELoss(reduction=how, **options) for how in (reduction, "none"))
    assert reduced.in_one_step(logits, labels) == (n <= 512)

    value, slope = with_gradient(lambda z: reduced(z, labels), logits)
    scale = n if reduction == "mean" else 1
    plain_value, plain_slope = with_gradient(lambda z: single(z, labels).sum() / scale, logits)
    torch.testing.assert_close(value, plain_value, rtol=1e-12, atol=0.0)
    torch.testing.assert_close(slope, plain_slope, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("ignored", [-100, 1])
def test_a_penalised_loss_of_ignored_samples_is_that_of_the_others(ignored):
    logits, labels = torch.randn(6, 4, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, ignored, 2, 3, 0])
    criterion, others = MMCELoss(ignore_index=ignored), labels != ignored
    value, slope = with_gradient(lambda z: criterion(z, labels), logits)
    expected, expected_slope = with_gradient(lambda z: criterion(z[others], labels[others]), logits)
    assert torch.equal(value, expected)
    torch.testing.assert_close(slope, expected_slope)


def test_a_gamma_per_sample_is_that_of_its_sample(monkeypatch):
    class Own(FocalLoss):
        def modulation(self, logits, labels):
            return partial(modulate, gamma=torch.arange(len(labels), dtype=logits.dtype))

    monkeypatch.setattr("adafocal.losses.reduced.IN_CACHE", 8)
    logits, labels = torch.randn(6, 4, requires_grad=True), torch.randint(4, (6,))
    single = [FocalLoss(gamma=float(gamma))(logits[[gamma]], labels[[gamma]]) for gamma in range(6)]
    torch.testing.assert_close(Own()(logits, labels), torch.stack(single).mean())


@pytest.mark.parametrize("smoothing", [0.05, 0.02, 1.0])
def test_the_table_of_smoothed_steps_is_as_exact_as_float32(smoothing):
    share = torch.rand(64).double()
    share /= share.sum()
    places = torch.cat([torch.tensor([0.0, 1.0]), torch.rand(4 * int(NODES / smoothing))])
    total, slope = smoothed_share(places, share.float(), smoothing=smoothing)
    exact, exact_slope = _direct(places.double(), share.float().double(), smoothing)

    assert (total - exact).abs().max() < 2e-7
    assert (slope - exact_slope).abs().max() < 1e-6 * exact_slope.max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_values_find_the_bins_of_a_search(dtype):
    edges, values = torch.rand(14, dtype=dtype).sort().values, torch.rand(1 << 17, dtype=dtype)
    values[:16] = torch.cat([edges, torch.tensor([torch.nan, 1.0], dtype=dtype)])
    assert torch.equal(find_bins(values, edges), torch.bucketize(values, edges))


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_soft_ranks_by_running_sums_are_those_of_the_formula(share):
    values, counted = torch.randn(300, dtype=torch.float64).requires_grad_(), torch.rand(300) < share
    rank, weights = _SoftRank(0.05, counted), torch.rand(300) * counted
    found, expected = (with_gradient(lambda v, f=f: (f(v) * weights).sum(), values) for f in (rank, rank.formula))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("width", [0.4, 0.005])
def test_running_sums_give_what_all_pairs_do(width):
    x, b = torch.rand(300, dtype=torch.float64), torch.randn(300, dtype=torch.float64)
    for one, other in zip(_all_pairs(x.numpy(), b.numpy(), width), _running_sums(x, b, width), strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_penalty_of_pixels_is_that_of_their_rows(weighted):
    logits, labels = torch.randn(2, 3, 20, 21, dtype=torch.float64), torch.randint(3, (2, 20, 21))
    rows, flat = logits.movedim(1, -1).reshape(-1, 3), labels.flatten()
    criterion = MMCELoss(weighted=weighted)
    torch.testing.assert_close(criterion(logits, labels), criterion(rows, flat), rtol=1e-12, atol=0.0)


def test_the_top_probability_passes_its_gradient_to_the_lowest_class_that_has_it():
    logits = torch.tensor([[1.0, 3.0, 0.0], [2.0, 2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    known = F.softmax(logits, dim=1).amax(dim=1).detach()
    top = TopProbability(known, 1)
    found, expected = (
        with_gradient(lambda z, f=f: (f(z) * torch.tensor([1.0, 2.0])).sum(), logits) for f in (top, top.formula)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)
