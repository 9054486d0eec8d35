# SPDX-License-Identifier: Apache-2.0
"""AdaFocal with DistributedDataParallel: every rank observes its own part, `adapt` merges.

torchrun --nproc-per-node 2 examples/torchrun_ddp.py
"""

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, Subset, TensorDataset, random_split

from adafocal import AdaFocalLoss
from adafocal.calibration import binned_error


def main() -> None:
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, n_ranks = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", rank % torch.cuda.device_count()) if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    inputs, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(inputs, dtype=torch.float32) / 16, torch.tensor(labels))
    train, validation = random_split(data, [1298, 499])
    # A DistributedSampler repeats samples to even out the ranks; for measuring, every one must count once.
    mine = Subset(validation, range(rank, len(validation), n_ranks))
    sampler = DistributedSampler(train)

    network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
    model, criterion = DistributedDataParallel(network), AdaFocalLoss().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        for batch, targets in DataLoader(train, batch_size=32, sampler=sampler):
            optimizer.zero_grad()
            criterion(model(batch.to(device)), targets.to(device)).backward()
            optimizer.step()
        with torch.no_grad():
            for batch, targets in DataLoader(mine, batch_size=64):
                # Not through DDP, which waits for the others: ranks may have different numbers of batches.
                criterion.observe(network(batch.to(device)), targets.to(device))
        stats = criterion.adapt()  # on every rank; all end with the same gammas
        if rank == 0:
            print(f"epoch {epoch}: {int(stats.count.sum())} samples, equal-mass ECE {100 * binned_error(stats):.1f} %")
    gammas = [torch.empty_like(criterion.gamma) for _ in range(n_ranks)]
    dist.all_gather(gammas, criterion.gamma)
    if rank == 0:
        print("gammas agree:", all(torch.equal(other, criterion.gamma) for other in gammas))
    del model  # it holds the process group, and torch may hang if it is freed last
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
