# SPDX-License-Identifier: Apache-2.0
import copy
import math
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from adafocal.calibration import bin_stats, top_label_from_logits
from adafocal.losses import AdaFocalLoss, PerClassAdaFocalLoss, update_gammas


def validation(n=4000, n_classes=3, seed=0, shape=()):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, *shape, generator=generator)
    drawn = torch.multinomial((0.5 * logits.movedim(1, -1)).softmax(-1).flatten(0, -2), 1, generator=generator)
    return logits, drawn.view(n, *shape)


def adapted(criterion, *batches):
    for batch in batches:
        criterion.observe(*batch)
    return criterion, criterion.adapt()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("shrinkage", [0.0, 100.0])
def test_each_class_moves_by_its_own_gap_drawn_to_that_of_all(streaming, shrinkage):
    logits, labels = validation()
    criterion, stats = adapted(
        PerClassAdaFocalLoss(n_bins=5, shrinkage=shrinkage, streaming=streaming), (logits, labels)
    )
    confidence, correct = top_label_from_logits(logits, labels)
    predicted = logits.argmax(1)
    for number in range(3):
        of = predicted == number
        own = bin_stats(confidence[of], correct[of], criterion.edges)
        gap = (own.confidence_sum - own.correct_sum + shrinkage * stats.gap) / (own.count + shrinkage)
        torch.testing.assert_close(criterion.class_gamma[number], update_gammas(torch.ones(5), gap))
    plain, _ = adapted(AdaFocalLoss(n_bins=5, streaming=streaming), (logits, labels))
    assert torch.equal(criterion.gamma, plain.gamma)
    assert torch.equal(criterion.edges, plain.edges)
    assert not torch.equal(criterion.class_gamma[0], plain.gamma)


def test_so_strongly_shrunk_it_is_adafocal_for_every_kind_of_target():
    batch = validation()
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=5, shrinkage=1e12), batch)
    plain, _ = adapted(AdaFocalLoss(n_bins=5), batch)
    logits, labels = validation(50, seed=1)
    for target in (labels, F.one_hot(labels, 3).float(), torch.full_like(logits, 1 / 3)):
        torch.testing.assert_close(criterion(logits, target), plain(logits, target))
    torch.testing.assert_close(criterion(logits[0], labels[0]), plain(logits[0], labels[0]))
    ce = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(criterion.from_cross_entropy(ce, labels), plain.from_cross_entropy(ce, labels))


def given(criterion, per_class):
    """Let every bin of a class have the gamma given for it."""
    criterion.class_gamma.copy_(torch.tensor(per_class).unsqueeze(1).expand_as(criterion.class_gamma))
    return criterion


@pytest.mark.parametrize("base", ["focal", "dual"])
@pytest.mark.parametrize("n", [20, 5000])  # below and above what is taken in one step
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_sample_takes_the_gamma_of_its_labels_class_with_gradient(base, n, smoothing):
    gammas = [0.5, 3.0, -1.0]
    criterion, _ = adapted(
        PerClassAdaFocalLoss(n_bins=4, base=base, ignore_index=1, label_smoothing=smoothing), validation()
    )
    given(criterion, gammas)
    logits, labels = validation(n, seed=2)
    logits.requires_grad_()
    loss = criterion(logits, labels)
    (slope,) = torch.autograd.grad(loss, logits)
    # The same from three losses of one gamma each, every one over the targets of its class.
    target = F.one_hot(labels, 3).float() * (1 - smoothing) + smoothing / 3
    total = torch.zeros(())
    for number, gamma in enumerate(gammas):
        single = AdaFocalLoss(n_bins=1, base=base, gamma_init=gamma, reduction="none")
        per_class = single(logits, torch.full_like(labels, number))
        total = total + (per_class * target[:, number] * (labels != 1)).sum()
    expected = total / (labels != 1).sum()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(slope, torch.autograd.grad(expected, logits)[0])


def test_volumes_take_gammas_by_class():
    logits, labels = validation(2, shape=(4, 5))
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=3, reduction="none"), (logits, labels))
    given(criterion, [0.0, 2.0, 5.0])
    losses = criterion(logits, labels)
    ce = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(losses[labels == 0], ce[labels == 0])
    torch.testing.assert_close(losses[labels == 2], ((1 - (-ce).exp()) ** 5 * ce)[labels == 2])


def test_a_class_that_is_never_predicted_or_left_out_follows_all_others():
    logits, labels = validation()
    logits[:, 2] -= 100
    criterion, stats = adapted(PerClassAdaFocalLoss(n_bins=4, ignore_predicted=0), (logits, labels))
    assert stats.count.sum() == (logits.argmax(1) == 1).sum()
    for number in (0, 2):
        assert torch.equal(criterion.class_gamma[number], criterion.gamma)
    torch.testing.assert_close(criterion.class_gamma[1], criterion.gamma)  # all that is counted is of class 1


def test_parts_of_a_pass_add_up_and_state_travels():
    logits, labels = validation()
    whole, _ = adapted(PerClassAdaFocalLoss(n_bins=4), (logits, labels))
    parts, _ = adapted(PerClassAdaFocalLoss(n_bins=4), (logits[:100], labels[:100]), (logits[100:], labels[100:]))
    assert torch.equal(whole.class_gamma, parts.class_gamma)
    other = PerClassAdaFocalLoss(n_bins=4)
    other.load_state_dict(whole.state_dict())
    for same in (other, copy.deepcopy(whole), whole.half()):
        assert torch.equal(same.class_gamma, parts.class_gamma)
        assert same.class_gamma.dtype == torch.float32
    _, first = adapted(other, (logits, labels))
    assert first.count.sum() == 4000
    assert not torch.equal(other.class_gamma, parts.class_gamma)


def test_predictions_at_the_size_of_a_vocabulary_come_with_their_class():
    logits, labels = validation()
    confidence, correct = top_label_from_logits(logits, labels)
    criterion, whole = PerClassAdaFocalLoss(n_bins=4), adapted(PerClassAdaFocalLoss(n_bins=4), (logits, labels))[0]
    criterion.observe_top_label(confidence, correct, logits.argmax(1))
    criterion.adapt()
    torch.testing.assert_close(criterion.class_gamma, whole.class_gamma)
    with pytest.raises(ValueError, match="`predicted` must be given to a loss with gammas per class, got None"):
        criterion.observe_top_label(confidence, correct)
    with pytest.raises(TypeError, match=r"`predicted` must hold class indices, got dtype torch\.bool"):
        criterion.observe_top_label(confidence, correct, correct)
    with pytest.raises(TypeError, match=r"`predicted` must hold class indices, got dtype torch\.float32"):
        criterion.observe_top_label(confidence, correct, confidence)
    with pytest.raises(ValueError, match="`predicted` must hold class indices >= 0, got -1"):
        criterion.observe_top_label(confidence, correct, labels - 1)
    with pytest.raises(ValueError, match="`adapt` needs at least one observed"):
        criterion.adapt()  # nothing of these was kept


def test_a_class_without_gammas_takes_those_of_all_and_fewer_classes_are_refused():
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=4, reduction="none"), validation())
    logits, labels = validation(40, n_classes=5, seed=4)
    plain, _ = adapted(AdaFocalLoss(n_bins=4, reduction="none"), validation())
    beyond = labels >= 3
    torch.testing.assert_close(criterion(logits, labels)[beyond], plain(logits, labels)[beyond])
    assert not torch.equal(criterion(logits, labels)[~beyond], plain(logits, labels)[~beyond])
    criterion.observe(logits, labels)
    assert criterion.class_gamma.shape == (5, 4)
    for call in (criterion, criterion.observe):
        with pytest.raises(ValueError, match=r"`logits` must have at least the 5 classes that gammas .* got 3"):
            call(*validation(10))
    with pytest.raises(ValueError, match="`shrinkage` must be"):
        PerClassAdaFocalLoss(shrinkage=-1.0)


def test_kept_classes_change_no_loss_and_take_a_checkpoint():
    kept, trained = PerClassAdaFocalLoss(n_bins=4), adapted(PerClassAdaFocalLoss(n_bins=4), validation())[0]
    kept.keep_classes(3)
    batch = validation(50, seed=5)
    torch.testing.assert_close(kept(*batch), AdaFocalLoss(n_bins=4)(*batch))
    assert {name: value.shape for name, value in kept.state_dict().items()} == {
        name: value.shape for name, value in trained.state_dict().items()
    }
    with pytest.raises(ValueError, match="`n_classes` must be"):
        kept.keep_classes(-1)


def test_classes_are_added_one_by_one_from_those_of_all_and_never_taken_away():
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=4), validation())
    own = criterion.class_gamma
    for n_classes in (0, 3):
        criterion.keep_classes(n_classes)
        assert criterion.class_gamma is own
    criterion.keep_classes(4)
    assert torch.equal(criterion.class_gamma, torch.cat([own, criterion.gamma[None]]))


@pytest.mark.parametrize(
    ("shrinkage", "of_one"), [(0.0, -0.4), (1.0, (-0.4 + 0.2 / 3) / 2), (0.5, (-0.4 + 0.1 / 3) / 1.5)]
)
def test_a_bin_with_one_sample_of_a_class_or_none(shrinkage, of_one):
    criterion = PerClassAdaFocalLoss(n_bins=1, shrinkage=shrinkage)
    confidence, correct = torch.tensor([0.6, 0.6, 1.0]), torch.tensor([True, False, True])
    criterion.keep_classes(3)
    criterion.observe_top_label(confidence, correct, torch.tensor([0, 1, 1]))
    gap = criterion.adapt().gap  # (2.2 - 2) / 3
    gaps = torch.tensor([of_one, (0.6 + shrinkage * 0.2 / 3) / (2 + shrinkage), float(gap)])
    torch.testing.assert_close(criterion.class_gamma[:, 0], gaps.exp())


def test_other_numbers_of_bins_are_no_checkpoint_of_this_loss():
    trained = adapted(PerClassAdaFocalLoss(n_bins=5), validation())[0].state_dict()
    with pytest.raises(RuntimeError, match=r"size mismatch for class_gamma: .*\[3, 5\].*\[0, 4\]"):
        PerClassAdaFocalLoss(n_bins=4).load_state_dict(trained)
    with pytest.raises(RuntimeError, match="class_gamma"):
        PerClassAdaFocalLoss(n_bins=5).load_state_dict(trained | {"class_gamma": 1.0})


@pytest.mark.parametrize("batch", [3, 3000])
def test_gradients_survive_extreme_logits(batch):
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=4), validation())
    logits = torch.tensor([[1e4, -1e4, 0.0], [0.0, -math.inf, 1.0], [5.0, 5.0, 5.0]]).repeat(batch // 3, 1)
    logits.requires_grad_()
    criterion(logits, torch.tensor([0, 2, 1]).repeat(batch // 3)).backward()
    assert logits.grad.isfinite().all()


def test_it_has_second_derivatives():
    criterion, _ = adapted(PerClassAdaFocalLoss(n_bins=4), validation())
    logits, labels = validation(30, seed=3)
    assert torch.autograd.gradgradcheck(partial(criterion, labels=labels), logits.double().requires_grad_())
