# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from adafocal.calibration import bin_stats, binned_error, top_label_from_logits
from adafocal.losses import AdaFocalLoss

modes = pytest.mark.parametrize("streaming", [False, True], ids=["exact", "streaming"])


def volumes(n_volumes=4, side=40, foreground=0.05, overconfident=0.2, seed=0):
    """Give logits (N, 2, d, d, d) and labels: the model is calibrated but for its foreground predictions.

    It predicts foreground for a share of the voxels, with a confidence that is too high by ``overconfident``.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = (n_volumes, side, side, side)
    predicted = torch.rand(shape, generator=generator) < foreground
    confidence = torch.where(
        predicted,
        0.75 + 0.2 * torch.rand(shape, generator=generator),
        0.9 + 0.09 * torch.rand(shape, generator=generator),
    )
    correct = torch.rand(shape, generator=generator) < confidence - overconfident * predicted
    evidence = torch.where(predicted, 1.0, -1.0) * (confidence / (1 - confidence)).log()
    return torch.stack([-evidence / 2, evidence / 2], dim=1), (predicted == correct).long()


def adapted(logits, labels, **options):
    criterion = AdaFocalLoss(**options)
    criterion.observe(logits, labels)
    return criterion, criterion.adapt()


@modes
def test_background_hides_what_is_wrong_with_the_foreground(streaming):
    logits, labels = volumes()
    everything, _ = adapted(logits, labels, streaming=streaming)
    foreground, stats = adapted(logits, labels, streaming=streaming, ignore_predicted=0)

    # 19 in 20 voxels are background, and every bin is full of them: the median bin sees a tenth of the gap or less.
    assert float((everything.gamma - 1).abs().median()) < 0.02
    assert int(stats.count.sum()) == int((logits.argmax(1) == 1).sum())
    torch.testing.assert_close(stats.gap, torch.full((15,), 0.2, dtype=torch.float64), atol=0.06, rtol=0.0)
    assert (foreground.gamma > 1.14).all()


@modes
def test_leaving_the_background_out_by_its_label_would_blame_a_calibrated_model(streaming):
    logits, labels = volumes(overconfident=0.0)
    by_label, by_label_stats = adapted(logits, labels, streaming=streaming, ignore_index=0)
    by_prediction, stats = adapted(logits, labels, streaming=streaming, ignore_predicted=0)

    assert float(binned_error(by_label_stats)) > 0.4
    assert float(by_label.gamma.max()) > 2.0
    assert float(binned_error(stats)) < 0.03
    assert float((by_prediction.gamma - 1).abs().max()) < 0.06


@modes
@pytest.mark.parametrize("shape", [(2, 3, 50), (2, 3, 10, 9), (1, 3, 5, 6, 7)], ids=str)
def test_dense_batches_are_their_voxels(streaming, shape):
    logits, labels = 3 * torch.randn(shape), torch.randint(3, shape[:1] + shape[2:])
    labels[:, 1] = -1
    options = {"streaming": streaming, "ignore_index": -1, "ignore_predicted": 2, "n_bins": 5}
    dense, stats = adapted(logits, labels, **options)
    flat, flat_stats = adapted(logits.movedim(1, -1).reshape(-1, 3), labels.flatten(), **options)
    confidence, correct = top_label_from_logits(logits, labels, ignore_index=-1)
    counted = (labels != -1) & (logits.argmax(1) != 2)

    torch.testing.assert_close(dense.gamma, flat.gamma)
    assert torch.equal(stats.count, flat_stats.count)
    torch.testing.assert_close(stats.gap, bin_stats(confidence[counted], correct[counted], dense.edges).gap)
    losses = AdaFocalLoss(ignore_index=-1, reduction="none")(logits, labels)
    assert losses.shape == labels.shape
    assert (losses[:, 1] == 0).all()


@modes
def test_batches_add_up_to_the_whole(streaming):
    logits, labels = volumes(n_volumes=3, side=12)
    whole, _ = adapted(logits, labels, streaming=streaming, ignore_predicted=0)
    parts = AdaFocalLoss(streaming=streaming, ignore_predicted=0)
    for volume, truth in zip(logits.split(1), labels.split(1), strict=True):
        parts.observe(volume, truth)
    parts.adapt()

    assert torch.equal(whole.edges, parts.edges)
    torch.testing.assert_close(whole.gamma, parts.gamma)


@modes
def test_a_model_that_predicts_background_alone_changes_nothing(streaming):
    criterion, _ = adapted(*volumes(side=10), streaming=streaming, ignore_predicted=0)
    gamma, edges = criterion.gamma.clone(), criterion.edges.clone()
    criterion.observe(torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
    stats = criterion.adapt()

    assert stats.count.tolist() == [0] * 15
    assert torch.equal(criterion.gamma, gamma)
    assert torch.equal(criterion.edges, edges)


def test_a_value_that_is_not_finite_is_refused_whatever_is_predicted(rejects):
    criterion = AdaFocalLoss(ignore_predicted=0)
    with rejects(ValueError, "`logits` must be finite (-inf only for masked classes), got another value in sample 1."):
        criterion.observe(torch.tensor([[1.0, 0.0], [torch.nan, 0.0]]), torch.tensor([0, 1]))


def test_the_ignored_class_is_checked(rejects):
    with rejects(ValueError, "`ignore_predicted` must be an integer >= 0, got -1."):
        AdaFocalLoss(ignore_predicted=-1)
    assert "ignore_predicted=0" in repr(AdaFocalLoss(ignore_predicted=0))


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_streamed_metrics_of_volumes_equal_the_metric_of_their_voxels(binning):
    metrics = pytest.importorskip("adafocal.metrics", reason="needs the extra train")
    logits, labels = volumes(n_volumes=3, side=12)
    labels[:, :2] = -100
    dense, flat = (metrics.CalibrationError(binning=binning) for _ in range(2))
    for volume, truth in zip(logits.split(1), labels.split(1), strict=True):
        dense.update(volume, truth)
    counted = labels != -100
    flat.update(logits.movedim(1, -1)[counted], labels[counted])

    torch.testing.assert_close(dense.compute(), flat.compute())
    assert float(dense.compute()) > 0.005
