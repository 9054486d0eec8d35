# SPDX-License-Identifier: Apache-2.0
"""Ranks that differ are told, all of them and alike; a group of ranks adapts without the others."""

import socket

import torch
import torch.distributed as dist
import torch.multiprocessing

from adafocal.losses import AdaFocalLoss

N_RANKS = 3
DIFFER = {
    "n_bins": lambda rank: {"n_bins": 5 + (rank == 1)},
    "rate": lambda rank: {"rate": 1.0 if rank else 0.5},
    "streaming": lambda rank: {"streaming": rank == 2},
    "gamma": lambda rank: {"n_bins": 2, "gamma_init": 1.0 + (rank == 2)},
}


def data(rank):
    generator = torch.Generator().manual_seed(rank)
    return 3 * torch.randn(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)


def refusal(criterion, group=None):
    before = criterion.gamma.clone()
    try:
        criterion.adapt(group)
    except (ValueError, TypeError) as error:
        return str(error) if torch.equal(before, criterion.gamma) else "it has moved"
    return "adapted"


def run_rank(rank, port, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=N_RANKS)
    found = {}
    for name, settings in DIFFER.items():
        criterion = AdaFocalLoss(**settings(rank))
        criterion.observe(*data(rank))
        found[name] = refusal(criterion)
    pair, alone = dist.new_group([1, 2]), AdaFocalLoss(n_bins=5)
    alone.observe(*data(rank))
    found["in group"] = refusal(alone, pair)
    found["no group"] = refusal(alone, 3)
    found["gamma of group"] = alone.gamma
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_ranks_that_differ_are_told_and_a_group_adapts_alone(tmp_path):
    torch.multiprocessing.spawn(run_rank, args=(free_port(), str(tmp_path)), nprocs=N_RANKS)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(N_RANKS)]

    same = "must be the same on every rank, got"
    for name, sentence in {
        "n_bins": f"`n_bins` {same} 5 on rank 0 and 6 on rank 1.",
        "rate": f"`rate` {same} 0.5 on rank 0 and 1.0 on rank 1.",
        "streaming": f"`streaming` {same} False on rank 0 and True on rank 2.",
        "gamma": f"`gamma` {same} [1.0, 1.0] on rank 0 and [2.0, 2.0] on rank 2.",
    }.items():
        assert [one[name] for one in found] == [sentence] * N_RANKS

    outside = "`process_group` must be a group that this process is in, got one of others."
    assert [one["in group"] for one in found] == [outside, "adapted", "adapted"]
    assert {one["no group"] for one in found} == {
        "`process_group` must be None or what torch.distributed.new_group gives, got 3."
    }
    together = AdaFocalLoss(n_bins=5)
    for rank in (1, 2):
        together.observe(*data(rank))
    together.adapt()
    assert torch.equal(found[1]["gamma of group"], together.gamma)
    assert torch.equal(found[2]["gamma of group"], together.gamma)
    assert torch.equal(found[0]["gamma of group"], torch.ones(5))
