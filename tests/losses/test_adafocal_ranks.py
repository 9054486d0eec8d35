# SPDX-License-Identifier: Apache-2.0
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from adafocal.losses import AdaFocalLoss

N_EPOCHS = 3


def epoch_data(epoch):
    generator = torch.Generator().manual_seed(epoch)
    return 3 * torch.randn(101, 4, generator=generator), torch.randint(4, (101,), generator=generator)


def events(labels):
    """Several yes-or-no questions, of which the last is rarely true."""
    return torch.stack([labels > 0, labels > 1, labels == 0, labels < 0], dim=1)


def run_rank(rank, n_ranks, port, cuts, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=n_ranks)
    criterion, predictive = AdaFocalLoss(n_bins=7), AdaFocalLoss(n_bins=7, pooled_rate="predictive")
    entries = AdaFocalLoss(n_bins=7, sigmoid=True, per_label=True, shrinkage=5.0)
    for epoch in range(N_EPOCHS):
        logits, labels = epoch_data(epoch)
        mine = slice(cuts[rank], cuts[rank + 1])
        for one in (criterion, predictive):
            if mine.start < mine.stop:
                one.observe(logits[mine], labels[mine])
            one.adapt()
        if mine.start < mine.stop:
            entries.observe(logits[mine], events(labels[mine]))
        entries.adapt()
    refused = ""
    try:
        criterion.adapt()
    except ValueError as error:
        refused = str(error)
    found = {**criterion.learned, "refused": refused, "predictive": predictive.learned, "entries": entries.learned}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()  # with torch 2.6 the first rank may wait for ever for others that have gone
    dist.destroy_process_group()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param((0, 70, 101), id="2 uneven ranks"),
        pytest.param((0, 0, 101), id="2 ranks, the first without data", marks=pytest.mark.slow),
        pytest.param((0, 30, 101, 101), id="3 ranks, the last without data"),
    ],
)
def test_ranks_end_bit_identical_to_each_other_and_equal_to_one_process(cuts, tmp_path):
    n_ranks = len(cuts) - 1
    torch.multiprocessing.spawn(run_rank, args=(n_ranks, free_port(), cuts, str(tmp_path)), nprocs=n_ranks)
    alone, predictive = AdaFocalLoss(n_bins=7), AdaFocalLoss(n_bins=7, pooled_rate="predictive")
    entries = AdaFocalLoss(n_bins=7, sigmoid=True, per_label=True, shrinkage=5.0)
    for epoch in range(N_EPOCHS):
        logits, labels = epoch_data(epoch)
        for one, targets in ((alone, labels), (predictive, labels), (entries, events(labels))):
            one.observe(logits, targets)
            one.adapt()
    for rank in range(n_ranks):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert torch.equal(alone.gamma, state["gamma"])
        assert torch.equal(alone.edges, state["edges"])
        for name, one in (("predictive", predictive), ("entries", entries)):
            assert one.learned.keys() == state[name].keys()
            assert all(torch.equal(values, state[name][which]) for which, values in one.learned.items())
        assert state["refused"] == "`adapt` needs at least one observed validation sample, got 0: call `observe` first."
