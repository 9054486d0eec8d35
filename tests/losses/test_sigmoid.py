# SPDX-License-Identifier: Apache-2.0
"""One logit for each question: every loss is that of two classes with the logits (0, z)."""

import copy
import inspect
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adafocal.losses import (
    LOSSES,
    AdaFocalLoss,
    BrierLoss,
    BrierWeightedLoss,
    DualFocalLoss,
    FocalLoss,
    PerClassAdaFocalLoss,
    brier_loss,
    brier_weighted_loss,
    dual_focal_loss,
    focal_loss,
    inverse_focal_loss,
    make_loss,
)

DEFINED = [name for name, spec in LOSSES.items() if "sigmoid" in inspect.signature(spec.cls).parameters]
UNDEFINED = ["adafocal_per_class", "l1_ace", "logit_norm", "nacl", "topology_aware_focal"]
POINTWISE = [name for name in DEFINED if LOSSES[name].pointwise]
SOFT = [name for name in DEFINED if LOSSES[name].soft_labels]
SHAPES = [(7,), (7, 1), (7, 3), (5, 3, 2, 2)]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def entries(shape=(7, 3), dtype=torch.float64, scale=3.0):
    return (scale * torch.randn(shape, dtype=torch.float64)).to(dtype).requires_grad_(), torch.randint(0, 2, shape)


def slope(loss, logits):
    return torch.autograd.grad(loss.sum(), logits)[0]


def as_rows(logits, targets):
    """The two-logit softmax form, one row per entry."""
    both = torch.stack([torch.zeros_like(logits), logits], dim=-1).flatten(0, -2)
    if targets.is_floating_point():
        return both, torch.stack([1 - targets, targets], dim=-1).flatten(0, -2)
    return both, targets.flatten()


def test_it_is_taken_where_it_is_defined():
    assert {*UNDEFINED, *DEFINED, "cross_entropy", "label_smoothing"} == {*LOSSES}
    assert len(DEFINED) >= 13
    for name in UNDEFINED:
        with pytest.raises(ValueError, match=r"`sigmoid` must be False for this loss, .*, got True\."):
            LOSSES[name].cls(sigmoid=True)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", DEFINED)
def test_every_loss_is_that_of_two_classes(name, shape, reduction):
    logits, targets = entries(shape)
    criterion = make_loss(name, {"sigmoid": True, "reduction": reduction}).eval()
    loss = criterion(logits, targets)
    expected = make_loss(name, {"reduction": reduction}).eval()(*as_rows(logits, targets))

    assert loss.shape == (logits.shape if reduction == "none" else ())
    torch.testing.assert_close(loss, expected.view_as(loss))
    torch.testing.assert_close(slope(loss, logits), slope(expected, logits))
    for same in (targets.bool(), targets.int(), targets.double(), targets.float()):
        torch.testing.assert_close(criterion(logits, same), loss)


@pytest.mark.parametrize("name", SOFT)
def test_targets_between_0_and_1_are_distributions_over_two_classes(name):
    logits, _ = entries()
    targets = torch.rand(logits.shape, dtype=torch.float64)
    loss = make_loss(name, {"sigmoid": True}).eval()(logits, targets)
    expected = make_loss(name).eval()(*as_rows(logits, targets))

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(slope(loss, logits), slope(expected, logits))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("pos_weight", [None, 3.0, (0.0, 1.0, 7.0)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("scale", [3.0, 1e4])
def test_gamma_zero_is_binary_cross_entropy(dtype, reduction, pos_weight, soft, scale):
    logits, targets = entries((40, 3), dtype, scale)
    given = torch.rand(40, 3).double() if soft else targets
    weight = torch.tensor(pos_weight, dtype=torch.float64) if isinstance(pos_weight, tuple) else pos_weight
    loss = FocalLoss(gamma=0.0, sigmoid=True, reduction=reduction, pos_weight=weight)(logits, given)
    wide = logits.detach().double().requires_grad_()
    as_tensor = None if weight is None else torch.as_tensor(weight, dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(wide, given.double(), reduction=reduction, pos_weight=as_tensor)
    close = {
        torch.float16: (2e-3, 1e-3), torch.bfloat16: (1e-2, 1e-2), torch.float32: (1e-5, 1e-6),
        torch.float64: (1e-7, 1e-9),  # soft targets pass through float32 probabilities where they are given so
    }[dtype]  # fmt: skip

    assert loss.dtype == dtype
    if dtype != torch.float16 or expected.abs().max() < 6e4:
        torch.testing.assert_close(loss.double(), expected, rtol=close[0], atol=close[1])
        torch.testing.assert_close(slope(loss, logits).double(), slope(expected, wide), rtol=close[0], atol=close[1])


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_stay_finite(name, dtype):
    logits = torch.tensor([[-1e4, 1e4], [0.0, 30.0], [1e-6, -100.0]], dtype=dtype, requires_grad=True)
    for targets in (torch.zeros(3, 2), torch.ones(3, 2)):
        loss = make_loss(name, {"sigmoid": True})(logits, targets)
        assert loss.isfinite()
        assert slope(loss, logits).isfinite().all()


@pytest.mark.parametrize("name", DEFINED)
@pytest.mark.parametrize("kind", ["whole", "floating", "soft"])
def test_ignored_entries_have_no_loss_no_gradient_and_no_part_in_the_mean(name, kind):
    if kind == "soft" and name not in SOFT:
        pytest.skip("not defined for soft targets")
    logits, targets = entries()
    targets = {"whole": targets, "floating": targets.double(), "soft": torch.rand(7, 3).double()}[kind]
    ignored = torch.rand(7, 3) < 0.4
    marked = targets.masked_fill(ignored, -1)
    criterion = make_loss(name, {"sigmoid": True, "ignore_index": -1}).eval()
    loss = criterion(logits, marked)
    found = slope(loss, logits)
    alone = criterion(logits[~ignored], targets[~ignored])

    if LOSSES[name].pointwise:  # soft targets that are ignored still have a rank among the others
        torch.testing.assert_close(loss, alone)
        torch.testing.assert_close(found, slope(alone, logits))
    assert found[ignored].eq(0).all()
    each = copy.copy(criterion)
    each.reduction = "none"
    assert each(logits, marked)[ignored].eq(0).all()
    assert criterion(logits, torch.full_like(targets, -1)).isnan()  # as the mean of nothing is in torch


@pytest.mark.parametrize("name", POINTWISE)
def test_the_weight_of_positives_is_a_factor_per_label_and_not_in_the_mean(name):
    logits, targets = entries((7, 3, 2))
    weight = torch.tensor([0.5, 2.0, 10.0], dtype=torch.float64)
    criterion = make_loss(name, {"sigmoid": True, "pos_weight": weight})
    each = make_loss(name, {"sigmoid": True, "reduction": "none"})(logits, targets)
    expected = (each * torch.where(targets == 1, weight.view(3, 1), 1.0)).mean()

    torch.testing.assert_close(criterion(logits, targets), expected)
    torch.testing.assert_close(criterion(logits, targets.double()), expected)
    single = make_loss(name, {"sigmoid": True, "pos_weight": 2.0})(logits[:, 1], targets[:, 1])
    torch.testing.assert_close(single, (each[:, 1] * (1 + targets[:, 1])).mean())


@pytest.mark.parametrize(
    "criterion", [FocalLoss(sigmoid=True), DualFocalLoss(sigmoid=True), AdaFocalLoss(sigmoid=True)]
)
def test_the_weight_of_positives_weighs_their_part_of_a_soft_target(criterion):
    logits, _ = entries((7, 3))
    targets = torch.rand(7, 3).double().masked_fill(torch.rand(7, 3) < 0.2, -100)
    weighted = copy.copy(criterion)
    weighted._buffers = {**criterion._buffers, "pos_weight": torch.tensor([1.0, 3.0, 0.0])}
    no, yes = (focal(criterion, logits, torch.full_like(logits, value)) for value in (0, 1))
    each = (1 - targets) * no + targets * torch.tensor([1.0, 3.0, 0.0]) * yes
    counted = targets >= 0

    torch.testing.assert_close(weighted(logits, targets), each[counted].mean())


def focal(criterion, logits, targets):
    return criterion.unreduced(logits, targets)


@pytest.mark.parametrize("loss", [BrierLoss, BrierWeightedLoss])
def test_a_loss_that_is_not_linear_in_its_target_refuses_to_weigh_a_part_of_it(loss, rejects):
    sentence = (
        "`pos_weight` must be None for targets between 0 and 1, for which this loss has no part of positives, got 2.0."
    )
    with rejects(ValueError, sentence):
        loss(sigmoid=True, pos_weight=2.0)(torch.zeros(2), torch.tensor([0.5, 1.0]))


@pytest.mark.parametrize(
    ("function", "settings"),
    [
        (focal_loss, {"gamma": 2.0}), (focal_loss, {"gamma": torch.rand(7, 3).double()}),
        (inverse_focal_loss, {"gamma": 2.0}), (dual_focal_loss, {"gamma": 2.0}), (brier_loss, {}),
        (brier_weighted_loss, {"gamma": 2.0, "norm": 1.0}),
    ],
)  # fmt: skip
def test_functions_take_it_too(function, settings):
    logits, targets = entries()
    losses = function(logits, targets, sigmoid=True, **settings)
    rows = {name: value.flatten() if isinstance(value, torch.Tensor) else value for name, value in settings.items()}

    torch.testing.assert_close(losses, function(*as_rows(logits, targets), **rows).view(7, 3))
    weighted = function(logits, targets, sigmoid=True, pos_weight=3.0, **settings)
    torch.testing.assert_close(weighted, losses * (1 + 2 * targets))
    if function not in (brier_loss, brier_weighted_loss):
        soft = torch.rand(7, 3).double()
        no, yes = (function(logits, torch.full_like(targets, value), sigmoid=True, **settings) for value in (0, 1))
        weighted = function(logits, soft, sigmoid=True, pos_weight=3.0, **settings)
        torch.testing.assert_close(weighted, (1 - soft) * no + 3 * soft * yes)


def test_one_gamma_per_class_is_one_of_no_and_one_of_yes():
    logits, targets = entries()
    losses = FocalLoss(gamma=(4.0, 1.0), sigmoid=True, reduction="none")(logits, targets)
    each = [focal_loss(logits, targets, gamma=gamma, sigmoid=True) for gamma in (4.0, 1.0)]
    torch.testing.assert_close(losses, torch.where(targets == 1, each[1], each[0]))


@pytest.mark.parametrize("name", DEFINED)
def test_derivatives_are_right_and_can_be_differentiated(name):
    logits, targets = entries((4, 2), scale=1.0)
    criterion = make_loss(name, {"sigmoid": True}).eval()
    if not LOSSES[name].detached:
        assert torch.autograd.gradcheck(lambda z: criterion(z, targets), logits)
    (first,) = torch.autograd.grad(criterion(logits, targets), logits, create_graph=True)
    assert torch.autograd.grad(first.sum(), logits)[0].isfinite().all()


@pytest.mark.parametrize("name", ["focal", "dual_focal", "adafocal", "brier"])
def test_under_autocast_it_is_computed_in_float32(name):
    logits, targets = entries(dtype=torch.float32)
    criterion = make_loss(name, {"sigmoid": True})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = criterion(logits.bfloat16(), targets.float())
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, criterion(logits.bfloat16().float(), targets))


@pytest.mark.parametrize("name", ["focal", "adafocal", "adafocal per label"])
@pytest.mark.parametrize("soft", [False, True])
def test_it_compiles_into_one_graph(name, soft, unchecked_shapes):
    torch._dynamo.reset()
    logits, targets = entries(dtype=torch.float32)
    targets = torch.rand(7, 3) if soft else targets
    per_label = {"per_label": True} if name.endswith("label") else {}
    criterion = make_loss(name.split()[0], {"sigmoid": True, **per_label})
    if per_label:
        criterion.observe(logits, torch.randint(0, 2, (7, 3)))
        criterion.adapt()
    compiled = torch.compile(criterion, fullgraph=True, backend="aot_eager")
    loss = compiled(logits, targets)
    torch.testing.assert_close(loss, criterion(logits, targets))
    torch.testing.assert_close(slope(loss, logits), slope(criterion(logits, targets), logits))
    wrong = compiled(logits, torch.full((7, 3), 1.5))  # what cannot be read is no number
    assert wrong.isnan()


def test_nothing_observed_or_empty_is_as_in_torch():
    criterion, empty = FocalLoss(sigmoid=True), torch.zeros(0, 3, requires_grad=True)
    loss = criterion(empty, torch.zeros(0, 3))
    assert loss.isnan()
    assert slope(loss, empty).shape == (0, 3)
    assert FocalLoss(sigmoid=True, reduction="sum")(empty, torch.zeros(0, 3)) == 0


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: FocalLoss(pos_weight=2.0), "`pos_weight` must be None without `sigmoid`, got 2.0."),
        (
            lambda: FocalLoss(torch.ones(3), sigmoid=True),
            "`weight` must be None with `sigmoid`, where entries have no class: use `pos_weight`, one per label, got "
            "shape (3,).",
        ),
        (
            lambda: FocalLoss(sigmoid=True, ignore_index=0),
            "`ignore_index` must be neither 0 nor 1 with `sigmoid`, got 0.",
        ),
        (
            lambda: FocalLoss(sigmoid=True, pos_weight=torch.ones(2, 2)),
            "`pos_weight` must be a number, or have shape (L,), one per label, got (2, 2).",
        ),
        (
            lambda: FocalLoss(sigmoid=True, pos_weight=torch.tensor([1.0, -2.0])),
            "`pos_weight` must be finite and >= 0, got -2.",
        ),
        (
            lambda: FocalLoss(sigmoid=True, pos_weight=2.0, label_smoothing=0.1),
            "`label_smoothing` must be 0 with `pos_weight`, which weighs a part of the target: smooth the targets "
            "themselves, got 0.1.",
        ),
        (
            lambda: FocalLoss(sigmoid=True, pos_weight=torch.ones(2))(torch.zeros(4, 3), torch.zeros(4, 3)),
            "`pos_weight` must be a number or have shape (3,), got (2,).",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(4, 3), torch.zeros(4).long()),
            "`labels` must have the shape of `logits` with `sigmoid`, (4, 3), one target for each entry, got (4,): "
            "use `F.one_hot(labels, L)` where they are class indices.",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(4, 1), torch.zeros(4)),
            "`labels` must have the shape of `logits` with `sigmoid`, (4, 1), one target for each entry, got (4,): use "
            "`labels.view_as(logits)`.",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(()), torch.zeros(())),
            "`logits` must have shape (N,), (N, L) or (N, L, d1, …) with `sigmoid`, got a scalar.",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(2), torch.tensor([1, 2])),
            "`labels` must be 0 or 1, or -100 (ignored), with `sigmoid`, got 2 at position 1.",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(2), torch.tensor([1, -0.5])),
            "`labels` must be in [0, 1], or -100 (ignored), with `sigmoid`, got -0.5 at position 1.",
        ),
        (
            lambda: FocalLoss(sigmoid=True)(torch.zeros(2), torch.tensor([1, torch.nan])),
            "`labels` must be in [0, 1], or -100 (ignored), with `sigmoid`, got nan at position 1.",
        ),
        (
            lambda: AdaFocalLoss(sigmoid=True).observe(torch.zeros(2), torch.tensor([1, 0.5])),
            "`labels` must be 0 or 1, or -100 (ignored), with `sigmoid`, got 0.5 at position 1.",
        ),
        (lambda: AdaFocalLoss(per_label=True), "`per_label` must be False without `sigmoid`, got True."),
        (
            lambda: AdaFocalLoss(sigmoid=True, shrinkage=3.0),
            "`shrinkage` must be None without `per_label`, got 3.0.",
        ),
        (
            lambda: AdaFocalLoss(sigmoid=True, per_label=True).observe_top_label(torch.ones(1), torch.ones(1).bool()),
            "`observe` must be given the logits of a loss with gammas per label, got none.",
        ),
        (
            lambda: AdaFocalLoss(sigmoid=True).from_cross_entropy(torch.ones(1), torch.ones(1).long()),
            "`from_cross_entropy` needs `base` 'focal', `label_smoothing` 0 and `sigmoid` False, got 'focal', 0.0 and "
            "True.",
        ),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(make, sentence, rejects, unchecked_shapes):
    with rejects(ValueError, sentence):
        make()


def test_targets_that_are_no_numbers_are_refused(rejects, unchecked_shapes):
    sentence = "`labels` must be 0 or 1, or probabilities, with `sigmoid`, got dtype torch.complex64."
    with rejects(TypeError, sentence):
        FocalLoss(sigmoid=True)(torch.zeros(2), torch.zeros(2, dtype=torch.complex64))
    with rejects(TypeError, "`sigmoid` must be True or False, got 1."):
        FocalLoss(sigmoid=1)


def test_a_loss_that_was_pickled_before_there_was_a_sigmoid_still_works():
    criterion = FocalLoss(gamma=2.0)
    del criterion.__dict__["sigmoid"], criterion._buffers["pos_weight"]
    restored = pickle.loads(pickle.dumps(criterion))
    logits, labels = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(restored(logits, labels), FocalLoss(gamma=2.0)(logits, labels))
    assert "gamma=2.0" in repr(restored)


# AdaFocal


def validation(n=3000, n_labels=4, seed=0, sharpness=2.0):
    """Logits that are too sharp, but for the last label, which is too blunt; label 1 is rare."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, n_labels, generator=generator) + torch.tensor([0.0, -6.0, 0.0, 0.0])
    drawn = torch.bernoulli(logits.sigmoid(), generator=generator)
    factor = torch.tensor([sharpness] * (n_labels - 1) + [0.3])
    return logits * factor, drawn


def adapted(criterion, *batches):
    for batch in batches:
        criterion.observe(*batch)
    return criterion, criterion.adapt()


@pytest.mark.parametrize("options", [{}, {"pooled_rate": 10.0}, {"pooled_rate": "predictive"}, {"streaming": True}])
def test_adafocal_observes_entries_as_samples_of_two_classes(options):
    logits, targets = validation()
    targets[:5] = -100
    criterion, stats = adapted(AdaFocalLoss(sigmoid=True, n_bins=5, **options), (logits, targets))
    two, expected = adapted(AdaFocalLoss(n_bins=5, **options), as_rows(logits, targets.long()))

    assert stats.count.sum() == targets.numel() - 20
    torch.testing.assert_close(stats.gap, expected.gap)
    torch.testing.assert_close(criterion.gamma, two.gamma)
    torch.testing.assert_close(criterion.edges, two.edges)
    assert criterion.gamma.ne(1).all()
    for same in (targets.long(), targets.half()):
        again, _ = adapted(AdaFocalLoss(sigmoid=True, n_bins=5, **options), (logits, same))
        assert torch.equal(again.gamma, criterion.gamma)
    flat, _ = adapted(AdaFocalLoss(sigmoid=True, n_bins=5, **options), (logits.flatten(), targets.flatten()))
    assert torch.equal(flat.gamma, criterion.gamma)


def test_gammas_per_label_follow_the_labels_own_gaps_drawn_to_that_of_all():
    logits, targets = validation()
    criterion, stats = adapted(
        AdaFocalLoss(sigmoid=True, per_label=True, n_bins=5, shrinkage=40.0), (logits[:7], targets[:7]),
        (logits[7:], targets[7:]),
    )  # fmt: skip
    plain, _ = adapted(AdaFocalLoss(sigmoid=True, n_bins=5), (logits, targets))

    assert torch.equal(criterion.gamma, plain.gamma)
    assert criterion.label_gamma.shape == (4, 5)
    for label in range(4):
        z, y = logits[:, label], targets[:, label]
        confidence, correct = z.abs().sigmoid(), (z > 0) == (y == 1)
        rarer = min(y.sum(), (1 - y).sum())
        assert (rarer < 30) == (label == 1)
        place = torch.bucketize(confidence, criterion.edges)
        for number in range(5):
            own = place == number
            m = min(own.sum(), rarer)
            gap = (confidence[own].double().mean() - correct[own].double().mean()) if own.any() else 0.0
            gap = (m * gap + 40.0 * stats.gap[number]) / (m + 40.0)
            gamma = 1.0 * torch.exp(gap)
            torch.testing.assert_close(criterion.label_gamma[label, number].double(), gamma, rtol=1e-5, atol=1e-6)
    assert (criterion.label_gamma[3] <= criterion.label_gamma[0]).all()
    assert (criterion.label_gamma[3, :3] < criterion.gamma[:3]).all()
    # The rare label has 3,000 entries and few positives: it stays near all, where its entries alone would not be.
    without, _ = adapted(AdaFocalLoss(sigmoid=True, per_label=True, n_bins=5, shrinkage=0.0), (logits, targets))
    near, far = ((one.label_gamma[1] - one.gamma).abs().max() for one in (criterion, without))
    assert near < far


def test_an_entry_takes_the_gamma_of_its_label():
    logits, targets = entries((6, 3, 2), scale=1.0)
    criterion = AdaFocalLoss(sigmoid=True, per_label=True, n_bins=2)
    torch.testing.assert_close(  # before anything is observed, those of all
        criterion(logits, targets), FocalLoss(gamma=1.0, sigmoid=True)(logits, targets)
    )
    adapted(criterion, (logits, targets))
    gammas = torch.tensor([0.0, 2.0, -1.5])
    criterion.label_gamma.copy_(gammas.unsqueeze(1).expand(3, 2))
    for given in (targets, torch.rand(6, 3, 2).double()):
        each = criterion.unreduced(logits, given)
        for label, gamma in enumerate(gammas.tolist()):
            expected = focal_loss(logits[:, label], given[:, label], gamma=gamma, sigmoid=True)
            torch.testing.assert_close(each[:, label], expected)
        loss = criterion(logits, given)
        torch.testing.assert_close(slope(loss, logits), slope(each.mean(), logits))
    smooth = copy.copy(criterion)
    smooth.label_smoothing = 0.2
    torch.testing.assert_close(smooth(logits, targets), criterion(logits, targets * 0.8 + 0.1))


def test_a_single_label_is_one_row_and_another_number_of_labels_is_refused(rejects):
    logits, targets = validation()
    one, _ = adapted(AdaFocalLoss(sigmoid=True, per_label=True, n_bins=3, shrinkage=0.0), (logits[:, 0], targets[:, 0]))
    torch.testing.assert_close(one.label_gamma, one.gamma[None])
    many, _ = adapted(AdaFocalLoss(sigmoid=True, per_label=True), (logits, targets))
    for call in (many, many.observe):
        with rejects(ValueError, "`logits` must have the 4 labels that gammas are kept for, got 3."):
            call(logits[:, :3], targets[:, :3])


def test_a_label_without_positives_keeps_the_gap_of_all():
    logits, targets = validation()
    targets[:, 1] = 0
    criterion, _ = adapted(AdaFocalLoss(sigmoid=True, per_label=True, n_bins=3), (logits, targets))
    assert torch.equal(criterion.label_gamma[1], criterion.gamma)
    assert not torch.equal(criterion.label_gamma[0], criterion.gamma)


def test_gammas_per_label_travel():
    logits, targets = validation()
    criterion, _ = adapted(AdaFocalLoss(sigmoid=True, per_label=True, pos_weight=2.0), (logits, targets))
    other = AdaFocalLoss(sigmoid=True, per_label=True, pos_weight=1.0)
    other.load_state_dict(criterion.state_dict())
    for same in (other, copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion)), criterion.half()):
        torch.testing.assert_close(same.label_gamma, other.label_gamma, rtol=0, atol=0)
        torch.testing.assert_close(same(logits, targets), other(logits, targets), rtol=1e-3, atol=1e-3)
    assert {"gamma", "edges", "label_gamma"} == {*criterion.learned}
    assert "per_label=True" in repr(criterion)


def test_training_with_it_calibrates_a_head_of_one_logit():
    """The direction: an over-confident head gets larger gammas, and less confident."""
    torch.manual_seed(0)
    inputs = torch.randn(600, 20)
    targets = torch.bernoulli((inputs[:, :1] * 0.7).sigmoid())
    train, held = slice(100), slice(100, 600)

    def gap(criterion, adapts):
        torch.manual_seed(1)
        net = nn.Linear(20, 1)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(60):
            optimizer.zero_grad()
            criterion(net(inputs[train]), targets[train]).backward()
            optimizer.step()
            if adapts:
                criterion.observe(net(inputs[held]), targets[held])
                criterion.adapt()
        z = net(inputs[held]).detach()
        return float(z.abs().sigmoid().mean() - ((z > 0) == (targets[held] == 1)).float().mean())

    plain, ours = gap(nn.BCEWithLogitsLoss(), False), gap(AdaFocalLoss(sigmoid=True, n_bins=5), True)
    assert plain > 0.1
    assert abs(ours) < plain / 2


def test_per_class_says_what_to_use_instead():
    with pytest.raises(ValueError, match=r"use AdaFocalLoss\(sigmoid=True, per_label=True\)"):
        PerClassAdaFocalLoss(sigmoid=True)
