# SPDX-License-Identifier: Apache-2.0
import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F

from losses.shapes_with_holes import BETTI, ball, broken_ring, hollow_sphere, ring, two_blobs

pytest.importorskip("cripser", reason="needs the extra topology")
pytest.importorskip("ot", reason="needs the extra topology")

import adafocal.losses.topology
from adafocal.losses import FocalLoss, make_loss
from adafocal.losses.topology import TopologyAwareFocalLoss, topology_loss
from adafocal.topology.persistence import persistence_diagram

FULL = math.sqrt(0.5)  # what a feature of persistence 1 costs where it has no partner


def one_class(*masks):
    """Give masks as probabilities of one class, shape (N, 1, d1, …)."""
    return torch.stack([mask.float() for mask in masks]).unsqueeze(1)


def logits_of(probs):
    """Give logits of two classes from the probability of the second."""
    return torch.stack([(1 - probs).log(), probs.log()], dim=1)


def batch(shape=(2, 3, 5, 4), dtype=torch.float64):
    return torch.randn(shape, dtype=dtype), torch.randint(shape[1], shape[:1] + shape[2:])


def value_and_grad(criterion, logits, labels):
    logits = logits.detach().clone().requires_grad_()
    loss = criterion(logits, labels)
    return loss.detach(), torch.autograd.grad(loss.sum(), logits)[0]


@pytest.mark.parametrize("make", [make for make, _ in BETTI])
def test_the_right_mask_costs_nothing(make):
    assert float(topology_loss(one_class(make()), one_class(make()))) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("predicted", "true", "features"),
    [
        (ball, two_blobs, [1]),
        (broken_ring, ring, [1]),
        (hollow_sphere, ball, [1]),
        (hollow_sphere, ring, [1, 1]),
        (ball, lambda: torch.zeros(15, 15, 15), [1]),
        (lambda: torch.zeros(15, 15, 15), hollow_sphere, [1, 1]),
        (ball, lambda: torch.ones(15, 15, 15), []),
        (lambda: torch.zeros(15, 15, 15), lambda: torch.zeros(15, 15, 15), []),
    ],
)
def test_a_wrong_mask_costs_one_root_of_a_half_per_dimension_with_a_wrong_feature(predicted, true, features):
    loss = topology_loss(one_class(predicted()), one_class(true()))

    assert float(loss) == pytest.approx(FULL * len(features), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_probability_is_one_component_born_there(level):
    constant = torch.full((1, 1, 6, 6, 6), level, requires_grad=True)
    truth = torch.zeros(1, 1, 6, 6, 6)
    truth[..., 2:4, 2:4, 2:4] = 1.0
    loss = topology_loss(constant, truth)
    loss.sum().backward()

    # To the true component, or both to the diagonal, whichever is nearer.
    assert float(loss.detach()) == pytest.approx(min(1 - level, math.sqrt((1 + level**2) / 2)), abs=0.02)
    assert constant.grad.isfinite().all()


def test_classes_are_averaged_and_dimensions_added():
    blob, rings = one_class(two_blobs(), ring()), one_class(ball(), ball())
    parts = [topology_loss(blob, rings, dims=(dim,)) for dim in range(3)]
    torch.testing.assert_close(topology_loss(blob, rings), sum(parts))
    assert parts[0].tolist() == pytest.approx([FULL, 0.0], abs=1e-5)
    assert parts[1].tolist() == pytest.approx([0.0, FULL], abs=1e-5)
    together = topology_loss(blob.transpose(0, 1), rings.transpose(0, 1))
    assert together.tolist() == pytest.approx(
        [FULL], rel=1e-5
    )  # the mean of a class with a component too many and one with a hole


def test_the_loss_is_the_focal_loss_plus_the_weighted_topology_of_each_foreground_class():
    logits, labels = batch((2, 3, 6, 5, 4))
    probs, target = logits.softmax(1), F.one_hot(labels, 3).movedim(-1, 1).double()
    expected = FocalLoss(gamma=2.0)(logits, labels) + 0.3 * topology_loss(probs[:, 1:], target[:, 1:]).mean()

    torch.testing.assert_close(TopologyAwareFocalLoss(topology_weight=0.3)(logits, labels), expected)
    only = TopologyAwareFocalLoss(foreground=(2,)).topology(logits, labels)
    torch.testing.assert_close(only, topology_loss(probs[:, 2:], target[:, 2:]))


def test_weight_zero_is_the_focal_loss_and_needs_no_topology(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cripser", None)
    logits, labels = batch()
    torch.testing.assert_close(
        TopologyAwareFocalLoss(gamma=3.0, topology_weight=0.0)(logits, labels), FocalLoss(gamma=3.0)(logits, labels)
    )


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 2, 5, 4), (2, 3, 4, 3, 5)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_reductions_are_those_of_cross_entropy(shape, weighted):
    logits, labels = batch(shape)
    labels[:, 0] = -5
    weight = torch.rand(shape[1], dtype=torch.float64) if weighted else None
    options = {"weight": weight, "ignore_index": -5}
    none, mean, total = (
        TopologyAwareFocalLoss(reduction=reduction, **options)(logits, labels) for reduction in ("none", "mean", "sum")
    )
    ratio = F.cross_entropy(logits, labels, reduction="sum", **options) / F.cross_entropy(logits, labels, **options)

    assert none.shape == labels.shape
    assert none.dtype == logits.dtype
    torch.testing.assert_close(none.sum(), total)
    torch.testing.assert_close(mean * ratio, total)
    assert (none[labels == -5] == 0).all()


@pytest.mark.parametrize("shape", [(1, 2, 9), (1, 3, 3, 4), (1, 2, 3, 3, 3)], ids=str)
def test_gradients_agree_with_finite_differences(shape):
    # A confident model with distinct values: a step of the check neither swaps two voxels nor moves the plan.
    labels = torch.randint(shape[1], shape[:1] + shape[2:])
    noise = 0.8 * torch.rand(shape, dtype=torch.float64)
    logits = (3 * F.one_hot(labels, shape[1]).movedim(-1, 1) + noise).requires_grad_()
    criterion = TopologyAwareFocalLoss(topology_weight=1.0, workers=1)

    assert torch.autograd.gradcheck(lambda z: criterion(z, labels), logits)


def test_the_topology_term_alone_mends_a_broken_ring():
    truth = ring()
    probs = torch.where(broken_ring(), 0.9, 0.05)
    probs[truth & ~broken_ring()] = 0.3
    logits = logits_of(probs.unsqueeze(0)).requires_grad_()
    target, optimizer = one_class(truth), torch.optim.Adam([logits], lr=0.3)
    before = persistence_diagram(logits.softmax(1)[0, 1].detach(), essential_death=0.0).betti(0.5)
    for _ in range(15):
        optimizer.zero_grad()
        topology_loss(logits.softmax(1)[:, 1:], target, workers=1).sum().backward()
        optimizer.step()

    assert before == (1, 0, 0)
    assert persistence_diagram(logits.softmax(1)[0, 1].detach(), essential_death=0.0).betti(0.5) == (1, 1, 0)


def test_ignored_voxels_are_background_of_both_and_get_no_gradient():
    logits, labels = batch((1, 3, 6, 6))
    labels[:, 2:4] = -100
    criterion = TopologyAwareFocalLoss()
    loss, grad = value_and_grad(criterion, logits, labels)
    changed = logits.clone()
    changed[:, :, 2:4] = torch.randn(1, 3, 2, 6, dtype=torch.float64)

    torch.testing.assert_close(value_and_grad(criterion, changed, labels)[0], loss)
    assert (grad[:, :, 2:4] == 0).all()
    assert (grad[:, :, :2] != 0).all()


def test_a_batch_of_nothing_behaves_like_cross_entropy():
    ignored = torch.full((1, 4, 4), -100)
    logits = torch.randn(1, 2, 4, 4)
    assert TopologyAwareFocalLoss()(logits, ignored).isnan()
    assert TopologyAwareFocalLoss(reduction="sum")(logits, ignored) == 0
    empty = torch.zeros(0, 2, 4, 4, requires_grad=True)
    loss = TopologyAwareFocalLoss(reduction="sum")(empty, torch.zeros(0, 4, 4, dtype=torch.int64))
    loss.backward()
    assert loss == 0


def test_one_hot_labels_and_smoothing_are_soft_labels():
    logits, labels = batch()
    one_hot = F.one_hot(labels, 3).movedim(-1, 1).double()
    hard = value_and_grad(TopologyAwareFocalLoss(), logits, labels)
    torch.testing.assert_close(value_and_grad(TopologyAwareFocalLoss(), logits, one_hot), hard)
    smoothed = value_and_grad(TopologyAwareFocalLoss(label_smoothing=0.3), logits, labels)
    soft = value_and_grad(TopologyAwareFocalLoss(), logits, 0.7 * one_hot + 0.1)
    torch.testing.assert_close(smoothed, soft)
    weight = torch.full((3,), 2.0, dtype=torch.float64)
    none = TopologyAwareFocalLoss(reduction="none")(logits, one_hot)
    torch.testing.assert_close(TopologyAwareFocalLoss(weight=weight, reduction="none")(logits, one_hot), 2 * none)


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "autocast"])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_loss_and_gradient_are_finite_at_extreme_logits(kind, scale):
    logits = scale * batch((2, 3, 4, 4), torch.float32)[0]
    logits = logits.to(torch.bfloat16 if kind == "autocast" else getattr(torch, kind))
    logits[0, 2] = -math.inf
    labels = torch.randint(2, (2, 4, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast"):
        loss, grad = value_and_grad(TopologyAwareFocalLoss(), logits, labels)

    assert loss.isfinite()
    assert grad.isfinite().all()
    assert grad.dtype == logits.dtype
    assert loss.dtype == (torch.float32 if kind == "autocast" else logits.dtype)


def test_a_step_with_infinite_logits_gives_nan_and_does_not_stop_the_training():
    logits, labels = batch((2, 2, 4, 4))
    logits[0, 0, 1, 1] = math.inf
    topology = TopologyAwareFocalLoss().topology(logits, labels)

    assert topology.isnan().tolist() == [True, False]
    assert TopologyAwareFocalLoss()(logits, labels).isnan()


def test_float32_agrees_with_float64():
    logits, labels = batch((2, 3, 6, 6, 6))
    wide = value_and_grad(TopologyAwareFocalLoss(), logits, labels)
    narrow = value_and_grad(TopologyAwareFocalLoss(), logits.float(), labels)

    torch.testing.assert_close(narrow[0].double(), wide[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(narrow[1].double(), wide[1], rtol=1e-3, atol=1e-5)


def test_threads_and_the_order_of_volumes_change_nothing():
    logits, labels = batch((4, 3, 6, 6, 6))
    alone = value_and_grad(TopologyAwareFocalLoss(workers=1), logits, labels)
    together = value_and_grad(TopologyAwareFocalLoss(workers=3), logits, labels)
    order = torch.randperm(4)

    assert torch.equal(alone[0], together[0])
    assert torch.equal(alone[1], together[1])
    per_volume = TopologyAwareFocalLoss().topology(logits, labels)
    torch.testing.assert_close(TopologyAwareFocalLoss().topology(logits[order], labels[order]), per_volume[order])


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # the compiler's own, at any break of a graph
@pytest.mark.usefixtures("unchecked_shapes")
def test_a_compiler_breaks_the_graph_and_gives_the_same_numbers():
    logits, labels = batch(dtype=torch.float32)
    torch._dynamo.reset()
    criterion = TopologyAwareFocalLoss()
    compiled = torch.compile(copy.deepcopy(criterion), backend="aot_eager")

    torch.testing.assert_close(value_and_grad(compiled, logits, labels), value_and_grad(criterion, logits, labels))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_gives_the_same_loss_and_the_catalogue_builds_it(copied):
    logits, labels = batch()
    criterion = make_loss("topology_aware_focal", {"topology_weight": 0.5})

    assert isinstance(criterion, TopologyAwareFocalLoss)
    torch.testing.assert_close(copied(criterion)(logits, labels), criterion(logits, labels))
    assert "topology_weight=0.5" in repr(criterion)


def test_bad_input_gets_one_sentence(rejects):
    rule = "`logits` must have shape (N, C, d1), (N, C, d1, d2) or (N, C, d1, d2, d3) with at least one voxel, got"
    with rejects(ValueError, f"{rule} (4, 3)."):
        TopologyAwareFocalLoss()(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64))
    one = "torch.cat([torch.zeros_like(logits), logits], 1) with class indices 0 and 1, or `sigmoid=True` of a loss."
    shape = "`logits` must have at least 2 classes, got 1 (shape (2, 1, 4, 4)): for one value per sample use "
    with rejects(ValueError, shape + one):
        TopologyAwareFocalLoss()(torch.randn(2, 1, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64))
    with rejects(ValueError, "`foreground` must hold class indices in [0, 3), got (1, 3)."):
        TopologyAwareFocalLoss(foreground=(1, 3))(*batch())
    with rejects(ValueError, "`dims` must be among (0, 1) for 2 axes, got (2,)."):
        TopologyAwareFocalLoss(dims=(2,))(*batch())
    with rejects(ValueError, "`topology_weight` must be a finite number >= 0, got -1.0."):
        TopologyAwareFocalLoss(topology_weight=-1.0)
    with rejects(ValueError, "`construction` must be one of 'V', 'T', got 'v': did you mean 'V'?"):
        TopologyAwareFocalLoss(construction="v")
    with rejects(ValueError, "`workers` must be an integer >= 1, got 0."):
        TopologyAwareFocalLoss(workers=0)
    with rejects(ValueError, "`target` must have the shape of `probs`, (1, 1, 15, 15, 15), got (2, 1, 15, 15, 15)."):
        topology_loss(one_class(ball()), one_class(ball(), ball()))
    with rejects(TypeError, "`probs` must be a floating-point tensor, got dtype torch.bool."):
        topology_loss(ball()[None, None], one_class(ball()))


@pytest.mark.parametrize(("missing", "solver"), [("cripser", "exact"), ("ot", "sinkhorn")])
def test_a_missing_library_is_named_with_its_extra(missing, solver, monkeypatch, rejects):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with rejects(ModuleNotFoundError, f"{missing} is not installed: run `pip install 'adafocal[topology]'`."):
        adafocal.losses.topology.topology_loss(one_class(ball()), one_class(two_blobs()), solver=solver)


@pytest.mark.parametrize("solver", ["exact", "sinkhorn"])
def test_a_noisy_volume_is_at_distance_zero_from_itself_and_nearer_to_itself_than_to_the_truth(solver):
    truth = one_class(ball())
    noisy = (0.8 * truth + 0.1 + 0.3 * torch.randn_like(truth)).clamp(0, 1).requires_grad_()
    to_itself = topology_loss(noisy, noisy.detach(), solver=solver)
    to_itself.sum().backward()
    assert to_itself.tolist() == [0.0]
    assert (noisy.grad == 0).all()
    nearly = (noisy.detach() + 1e-5 * torch.randn_like(truth)).clamp(0, 1)
    to_truth = float(topology_loss(noisy.detach(), truth, solver=solver))
    assert float(topology_loss(noisy.detach(), nearly)) < 0.001 < 0.3 < to_truth


def test_a_void_volume_gives_no_gradient():
    logits = torch.randn(2, 2, 5, 5, requires_grad=True)
    loss = TopologyAwareFocalLoss(topology_weight=0.5)(logits, torch.full((2, 5, 5), -100))
    loss.backward()

    assert loss.isnan()
    assert (logits.grad == 0).all()
