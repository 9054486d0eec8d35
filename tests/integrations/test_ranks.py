# SPDX-License-Identifier: Apache-2.0
"""Two gloo processes end where one does, and agree to the last bit; repeated validation samples do not count."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parent / "ranks.py"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def states(framework, folder, n_ranks):
    folder.mkdir()
    launch = ["-m", "torch.distributed.run", f"--nproc-per-node={n_ranks}", f"--master-port={free_port()}"]
    command = [sys.executable, *(launch if n_ranks > 1 else []), str(SCRIPT), framework, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(n_ranks)]


@pytest.mark.parametrize(
    "framework",
    [
        pytest.param("lightning", marks=pytest.mark.slow),
        "accelerate",
        pytest.param("transformers", marks=pytest.mark.slow),
    ],
)
def test_two_processes_equal_one(framework, tmp_path):
    [alone] = states(framework, tmp_path / "one", 1)
    first, second = states(framework, tmp_path / "two", 2)

    assert torch.equal(first["gamma"], second["gamma"])
    assert torch.equal(first["edges"], second["edges"])
    assert alone["gamma"].ne(1.0).all()
    assert len(alone["told"]) >= 3
    for part in ("gamma", "edges", "weights", "told"):
        torch.testing.assert_close(first[part], alone[part], rtol=0, atol=1e-6)
