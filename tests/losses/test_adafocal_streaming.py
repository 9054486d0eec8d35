# SPDX-License-Identifier: Apache-2.0
import torch
import torch.distributed as dist
import torch.multiprocessing

from adafocal.calibration import bin_stats, equal_mass_edges, grid_stats, top_label_from_logits
from adafocal.losses import AdaFocalLoss, update_gammas


def batch(n=3000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(n, 5, generator=generator)
    return logits, torch.randint(5, (n,), generator=generator)


def observed_sizes(criterion):
    return sum(
        part.numel()
        for part in (
            criterion._observed.cells.count,
            criterion._observed.cells.confidence_sum,
            criterion._observed.cells.edges,
        )
    )


def test_the_update_is_exact_for_edges_within_one_cell_of_equal_mass():
    logits, labels = batch()
    criterion = AdaFocalLoss(streaming=True)
    for part, part_labels in zip(logits.split(700), labels.split(700), strict=True):
        criterion.observe(part, part_labels)
    stats = criterion.adapt()
    confidence, correct = top_label_from_logits(logits, labels)
    cells = grid_stats(confidence, correct).edges
    exact = equal_mass_edges(confidence, 15)
    assert torch.equal(torch.bucketize(exact, cells), torch.bucketize(criterion.edges, cells))
    direct = bin_stats(confidence, correct, criterion.edges)
    assert torch.equal(direct.count, stats.count)
    torch.testing.assert_close(stats.gap, direct.gap)
    torch.testing.assert_close(criterion.gamma, update_gammas(torch.ones(15), direct.gap))


def test_streaming_follows_the_exact_mode_over_epochs():
    exact, streaming = AdaFocalLoss(), AdaFocalLoss(streaming=True)
    for seed in range(5):
        for criterion in (exact, streaming):
            criterion.observe(*batch(20_000, seed))
            criterion.adapt()
    torch.testing.assert_close(streaming.edges, exact.edges, atol=0.004, rtol=0.0)
    torch.testing.assert_close(streaming.gamma, exact.gamma, atol=0.0, rtol=0.05)


def test_memory_does_not_grow_with_what_is_observed():
    criterion = AdaFocalLoss(streaming=True)
    criterion.observe(*batch(10))
    once = observed_sizes(criterion)
    criterion.observe(torch.randn(2, 5, 30, 40), torch.randint(5, (2, 30, 40)))
    assert observed_sizes(criterion) == once == 3 * 4352 - 1
    assert criterion._observed.samples == ()
    assert int(criterion.adapt().count.sum()) == 2410
    assert criterion._observed.cells is None


def test_adapt_without_samples_keeps_what_was_learned(rejects):
    criterion = AdaFocalLoss(streaming=True)
    with rejects(ValueError, "`adapt` needs at least one observed validation sample, got 0: call `observe` first."):
        criterion.adapt()
    criterion.observe(torch.zeros(2, 3), torch.full((2,), -100))
    with rejects(ValueError, "`adapt` needs at least one observed validation sample, got 0: call `observe` first."):
        criterion.adapt()
    assert torch.equal(criterion.gamma, torch.ones(15))


def test_a_bad_batch_leaves_the_sums_alone(rejects):
    criterion = AdaFocalLoss(streaming=True)
    criterion.observe(*batch(10))
    with rejects(ValueError, "`logits` must be finite (-inf only for masked classes), got another value in sample 1."):
        criterion.observe(torch.tensor([[0.0, 1.0], [torch.nan, 0.0]]), torch.tensor([0, 1]))
    assert int(criterion.adapt().count.sum()) == 10


def test_the_mode_is_shown_and_off_by_default():
    assert AdaFocalLoss().streaming is False
    assert "streaming=True" in repr(AdaFocalLoss(streaming=True))


CUTS = (0, 30, 101, 101)


def run_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=3)
    criterion = AdaFocalLoss(n_bins=7, streaming=True)
    logits, labels = batch(101)
    if CUTS[rank] < CUTS[rank + 1]:
        criterion.observe(logits[CUTS[rank] : CUTS[rank + 1]], labels[CUTS[rank] : CUTS[rank + 1]])
    count = criterion.adapt().count
    torch.save({"gamma": criterion.gamma, "edges": criterion.edges, "count": count}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_three_uneven_ranks_end_bit_identical_and_equal_to_one_process(tmp_path):
    torch.multiprocessing.spawn(run_rank, args=(str(tmp_path),), nprocs=3)
    alone = AdaFocalLoss(n_bins=7, streaming=True)
    alone.observe(*batch(101))
    alone.adapt()
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(3)]
    for state in states:
        assert torch.equal(states[0]["gamma"], state["gamma"])
        assert torch.equal(alone.edges, state["edges"])
        assert int(state["count"].sum()) == 101
        torch.testing.assert_close(state["gamma"], alone.gamma, rtol=1e-6, atol=0.0)


def test_confidences_of_0_and_1_are_observed_and_what_lies_outside_is_refused(rejects):
    criterion = AdaFocalLoss(n_bins=2)
    criterion.observe_top_label(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    for outside in (-1e-7, 1.0000001, float("nan")):
        value = float(torch.tensor(outside))
        with rejects(ValueError, f"`confidence` must be in [0, 1], got {value} in sample 1."):
            criterion.observe_top_label(torch.tensor([0.5, outside]), torch.tensor([False, True]))

    assert criterion.adapt().count.sum() == 2
