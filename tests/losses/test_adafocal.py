# SPDX-License-Identifier: Apache-2.0
import copy
import io
import math
import pickle

import pytest
import torch

from adafocal.calibration import bin_stats, equal_mass_edges, top_label_from_logits
from adafocal.losses import AdaFocalLoss, focal_loss, update_gammas


def validation(n=200, n_classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n_classes, generator=generator)
    return logits, torch.randint(n_classes, (n,), generator=generator)


def learned(criterion):
    return criterion.gamma.clone(), criterion.edges.clone()


@pytest.mark.parametrize("name", ["default", "lambda3", "wide"])
def test_gammas_follow_the_authors_update_through_switches_and_clips(reference, name):
    arrays = reference(f"gamma_update_{name}")
    gamma = torch.full((int(arrays["num_bins"]),), float(arrays["gamma_initial"]), dtype=torch.float64)
    seen = []
    for gap in torch.from_numpy(arrays["gap"]):
        gamma = update_gammas(
            gamma,
            gap,
            rate=float(arrays["lambda"]),
            switch_point=float(arrays["switch_pt"]),
            gamma_min=float(arrays["gamma_min"]),
            gamma_max=float(arrays["gamma_max"]),
        )
        seen.append(gamma)
    torch.testing.assert_close(torch.stack(seen), torch.from_numpy(arrays["gamma"]), rtol=1e-5, atol=0)


def test_update_moves_switches_and_clips_by_hand():
    gamma = torch.tensor([1.0, -1.0, 0.25, -0.25, 19.0, -1.9, 1.0], dtype=torch.float64)
    gap = torch.tensor([0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.0], dtype=torch.float64)
    expected = [math.exp(0.5), -math.exp(-0.5), -0.2, 0.2, 20.0, -2.0, 1.0]
    torch.testing.assert_close(update_gammas(gamma, gap), torch.tensor(expected, dtype=torch.float64))


def test_loss_with_the_authors_gammas_and_edges_equals_theirs(reference):
    arrays = reference("adafocal_fixed_gammas")
    criterion = AdaFocalLoss(reduction="sum")
    criterion.gamma.copy_(torch.from_numpy(arrays["gamma"]))
    criterion.edges.copy_(torch.from_numpy(arrays["edges"][1:-1]))
    logits = torch.from_numpy(arrays["logits"]).requires_grad_()
    loss = criterion(logits, torch.from_numpy(arrays["labels"]))
    loss.backward()
    torch.testing.assert_close(loss.double(), torch.as_tensor(arrays["loss_sum"]), rtol=1e-5, atol=0)
    torch.testing.assert_close(logits.grad, torch.from_numpy(arrays["loss_grad"]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mixed", "overconfident", "underconfident"])
def test_epochs_fed_with_the_authors_gaps_and_edges_equal_theirs(reference, name):
    arrays = {key: torch.from_numpy(value) for key, value in reference(f"adafocal_{name}").items()}
    criterion = AdaFocalLoss(reduction="sum")
    for epoch, gap in enumerate(arrays["gap"]):
        criterion.gamma.copy_(update_gammas(criterion.gamma, gap))
        criterion.edges.copy_(arrays["edges_upper"][epoch, :-1])
        torch.testing.assert_close(criterion.gamma.double(), arrays["gamma"][epoch], rtol=1e-5, atol=0)
        loss = criterion(arrays["train_logits"][epoch], arrays["train_labels"][epoch]).double()
        torch.testing.assert_close(loss, arrays["loss_sum"][epoch], rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", ["mixed", "overconfident", "underconfident"])
def test_epochs_from_validation_data_follow_the_authors_gammas_closely(reference, name):
    # Their bins leave the smallest confidence out and interpolate edges: about one sample per bin differs.
    arrays = {key: torch.from_numpy(value) for key, value in reference(f"adafocal_{name}").items()}
    gamma = torch.ones(15, dtype=torch.float64)
    for confidence, correct, theirs in zip(
        arrays["val_confidence"], arrays["val_correct"], arrays["gamma"], strict=True
    ):
        stats = bin_stats(confidence, correct, equal_mass_edges(confidence, 15))
        gamma = update_gammas(gamma, stats.gap)
        torch.testing.assert_close(gamma, theirs, rtol=0.05, atol=0)


def test_each_sample_takes_the_gamma_of_the_bin_of_its_p_true():
    criterion = AdaFocalLoss(n_bins=3, reduction="none")
    criterion.gamma.copy_(torch.tensor([-1.5, 0.5, 4.0]))
    criterion.edges.copy_(torch.tensor([0.3, 0.6]))
    p = torch.tensor([0.1, 0.45, 0.9])
    logits = torch.stack([p.log(), (1 - p).log()], dim=1)
    labels = torch.zeros(3, dtype=torch.int64)
    expected = focal_loss(logits, labels, gamma=torch.tensor([-1.5, 0.5, 4.0]))
    torch.testing.assert_close(criterion(logits, labels), expected)


def test_soft_targets_take_a_gamma_per_class():
    criterion = AdaFocalLoss(n_bins=2, reduction="none")
    criterion.gamma.copy_(torch.tensor([-1.0, 2.0]))
    p = torch.tensor([[0.8, 0.2]])
    target = torch.tensor([[0.6, 0.4]])
    expected = 0.6 * 0.2**2 * -math.log(0.8) + 0.4 * 1.2 * -math.log(0.2)
    torch.testing.assert_close(criterion(p.log(), target), torch.tensor([expected]))


def test_adapt_uses_the_validation_set_however_it_is_cut():
    logits, labels = validation()
    whole, pieces = AdaFocalLoss(n_bins=5), AdaFocalLoss(n_bins=5)
    whole.observe(logits, labels)
    for start in (0, 7, 150):
        stop = {0: 7, 7: 150, 150: 200}[start]
        pieces.observe(logits[start:stop], labels[start:stop])
    stats = whole.adapt()
    pieces.adapt()
    assert torch.equal(whole.gamma, pieces.gamma)
    assert torch.equal(whole.edges, pieces.edges)
    assert stats.count.tolist() == [40] * 5
    confidence, correct = top_label_from_logits(logits, labels)
    expected = bin_stats(confidence, correct, equal_mass_edges(confidence, 5))
    torch.testing.assert_close(stats.gap, expected.gap)
    torch.testing.assert_close(whole.gamma, update_gammas(torch.ones(5), expected.gap))
    assert torch.equal(whole.edges, expected.edges)


@pytest.mark.parametrize("shape", [(3,), (6, 3), (2, 3, 4), (2, 3, 2, 2)], ids=str)
def test_observe_takes_every_shape_that_the_loss_takes(shape):
    logits = torch.randn(shape)
    labels = torch.randint(3, () if len(shape) == 1 else shape[:1] + shape[2:])
    criterion, flat = AdaFocalLoss(n_bins=2), AdaFocalLoss(n_bins=2)
    criterion.observe(logits, labels)
    rows = logits[None] if len(shape) == 1 else logits.movedim(1, -1).reshape(-1, 3)
    flat.observe(rows, labels.reshape(-1))
    criterion.adapt()
    flat.adapt()
    assert torch.equal(criterion.gamma, flat.gamma)
    assert torch.equal(criterion.edges, flat.edges)


def test_ignored_samples_are_not_observed():
    logits, labels = validation()
    criterion, fewer = AdaFocalLoss(n_bins=4, ignore_index=-1), AdaFocalLoss(n_bins=4)
    masked = labels.clone()
    masked[::3] = -1
    criterion.observe(logits, masked)
    fewer.observe(logits[masked >= 0], labels[masked >= 0])
    criterion.adapt()
    fewer.adapt()
    assert torch.equal(criterion.gamma, fewer.gamma)


def test_adapt_forgets_what_was_observed():
    criterion = AdaFocalLoss()
    criterion.observe(*validation())
    criterion.adapt()
    gamma, edges = learned(criterion)
    with pytest.raises(ValueError, match="got 0"):
        criterion.adapt()
    assert torch.equal(gamma, criterion.gamma)
    assert torch.equal(edges, criterion.edges)


def test_reset_forgets_without_learning():
    criterion = AdaFocalLoss()
    criterion.observe(*validation())
    criterion.reset()
    with pytest.raises(ValueError, match="got 0"):
        criterion.adapt()
    assert torch.equal(torch.ones(15), criterion.gamma)


@pytest.mark.parametrize(
    ("logits", "labels", "error", "sentence"),
    [
        (
            torch.zeros(0, 3),
            torch.zeros(0, dtype=torch.int64),
            ValueError,
            "`logits` must hold at least one sample to observe, got 0.",
        ),
        (
            torch.tensor([[0.0, 1.0], [math.nan, 1.0]]),
            torch.tensor([0, 1]),
            ValueError,
            "`logits` must be finite (-inf only for masked classes), got another value in sample 1.",
        ),
        (
            torch.tensor([[math.inf, 1.0]]),
            torch.tensor([0]),
            ValueError,
            "`logits` must be finite (-inf only for masked classes), got another value in sample 0.",
        ),
        (
            torch.tensor([[-math.inf, -math.inf]]),
            torch.tensor([0]),
            ValueError,
            "`logits` must be finite (-inf only for masked classes), got another value in sample 0.",
        ),
        (
            torch.zeros(2, 3),
            torch.tensor([0, 3]),
            ValueError,
            "`labels` must be class indices in [0, 3) or -100 (ignored), got 3 at position 1.",
        ),
        (
            torch.zeros(2, 3),
            torch.tensor([-1, 0]),
            ValueError,
            "`labels` must be class indices in [0, 3) or -100 (ignored), got -1 at position 0.",
        ),
        (
            torch.zeros(2, 3),
            torch.tensor([0, 1, 2]),
            ValueError,
            "`labels` must have shape (2,) for `logits` of shape (2, 3), got (3,).",
        ),
        (
            torch.zeros(2, 3),
            torch.full((2, 3), 1 / 3),
            TypeError,
            "`labels` must be class indices to observe a batch, got class probabilities.",
        ),
        (
            torch.zeros(2, 3, dtype=torch.int64),
            torch.tensor([0, 1]),
            TypeError,
            "`logits` must be a floating-point tensor, got dtype torch.int64.",
        ),
    ],
)
def test_bad_validation_batch_is_refused_and_leaves_the_state_untouched(rejects, logits, labels, error, sentence):
    criterion, undisturbed = AdaFocalLoss(), AdaFocalLoss()
    for one in (criterion, undisturbed):
        one.observe(*validation())
    with rejects(error, sentence):
        criterion.observe(logits, labels)
    assert torch.equal(torch.ones(15), criterion.gamma)
    for one in (criterion, undisturbed):
        one.adapt()
    assert torch.equal(undisturbed.gamma, criterion.gamma)
    assert torch.equal(undisturbed.edges, criterion.edges)


def test_adapt_without_data_is_refused(rejects):
    criterion = AdaFocalLoss()
    with rejects(ValueError, "`adapt` needs at least one observed validation sample, got 0: call `observe` first."):
        criterion.adapt()
    assert torch.equal(torch.ones(15), criterion.gamma)


def test_masked_classes_may_be_observed():
    criterion = AdaFocalLoss(n_bins=1)
    criterion.observe(torch.tensor([[0.0, 0.0, -math.inf]]), torch.tensor([0]))
    torch.testing.assert_close(criterion.adapt().gap, torch.tensor([-0.5], dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"n_bins": 0}, ValueError, "`n_bins` must be an integer >= 1, got 0."),
        ({"n_bins": 2.0}, TypeError, "`n_bins` must be an integer >= 1, got 2.0."),
        ({"rate": -1.0}, ValueError, "`rate` must be a finite number >= 0, got -1.0."),
        ({"switch_point": -0.1}, ValueError, "`switch_point` must be a finite number >= 0, got -0.1."),
        ({"gamma_max": -3.0}, ValueError, "`gamma_max` must be a finite number >= -2, got -3.0."),
        ({"gamma_init": 30.0}, ValueError, "`gamma_init` must be a number >= -2 and <= 20, got 30.0."),
    ],
)
def test_bad_setting_is_refused(rejects, settings, error, sentence):
    with rejects(error, sentence):
        AdaFocalLoss(**settings)


def test_gammas_and_gaps_of_different_shape_are_refused(rejects):
    with rejects(ValueError, "`gap` must have the shape of `gamma`, (2,), got (3,)."):
        update_gammas(torch.ones(2), torch.zeros(3))


def test_what_is_learned_travels_with_the_state_dict():
    criterion = AdaFocalLoss(n_bins=5)
    criterion.observe(*validation())
    criterion.adapt()
    assert list(criterion.state_dict()) == ["gamma", "edges"]
    file = io.BytesIO()
    torch.save(criterion.state_dict(), file)
    file.seek(0)
    restored = AdaFocalLoss(n_bins=5)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for one in (criterion, restored):
        one.observe(*validation(seed=1))
        one.adapt()
    assert torch.equal(criterion.gamma, restored.gamma)
    assert torch.equal(criterion.edges, restored.edges)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_continues_where_the_original_was(copied):
    criterion = AdaFocalLoss(n_bins=5)
    criterion.observe(*validation())
    criterion.adapt()
    criterion.observe(*validation(seed=1))
    twin = copied(criterion)
    criterion.adapt()
    twin.adapt()
    assert torch.equal(criterion.gamma, twin.gamma)
    twin.gamma.zero_()
    assert criterion.gamma.abs().min() > 0


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double"])
def test_casting_the_module_leaves_what_is_learned_in_float32(cast):
    criterion = AdaFocalLoss()
    criterion.gamma.fill_(1.2345678)
    kept = learned(criterion)
    getattr(criterion, cast)()
    assert criterion.gamma.dtype == criterion.edges.dtype == torch.float32
    assert torch.equal(kept[0], criterion.gamma)
    assert torch.equal(kept[1], criterion.edges)


def test_moving_the_module_moves_what_is_learned():
    criterion = AdaFocalLoss().to("meta")
    assert criterion.gamma.device.type == criterion.edges.device.type == "meta"


def test_validation_in_half_precision_is_counted_in_float32():
    logits, labels = validation()
    criterion, wide = AdaFocalLoss(), AdaFocalLoss()
    criterion.observe(logits.half(), labels)
    wide.observe(logits.half().float(), labels)
    criterion.adapt()
    wide.adapt()
    assert torch.equal(wide.gamma, criterion.gamma)


def test_overconfident_bins_get_a_larger_gamma_and_underconfident_ones_a_smaller():
    criterion = AdaFocalLoss(n_bins=1)
    criterion.observe(torch.tensor([[9.0, 0.0]] * 4), torch.tensor([0, 0, 1, 1]))
    criterion.adapt()
    assert criterion.gamma.item() == pytest.approx(math.exp(0.5), rel=1e-3)
    criterion.observe(torch.tensor([[0.0, 0.01]] * 4), torch.tensor([1, 1, 1, 1]))
    criterion.adapt()
    assert criterion.gamma.item() == pytest.approx(1.0, rel=5e-3)
