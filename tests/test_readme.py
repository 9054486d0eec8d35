# SPDX-License-Identifier: Apache-2.0
"""The README's code runs as it stands."""

import re
from pathlib import Path

import torch

from adafocal.cli import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_plain_loop_trains_and_adapts():
    [code] = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    generator = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(16, 4, generator=generator), torch.randint(3, (16,), generator=generator)) for _ in range(3)
    ]
    model = torch.nn.Linear(4, 3)
    names = {
        "epochs": 2,
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "train_batches": batches,
        "validation_batches": batches,
    }
    exec(code, names)

    assert names["stats"].count.sum() == 48
    assert names["criterion"].gamma.ne(1.0).any()
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_every_command_that_the_readme_names_exists():
    blocks = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    named = set(re.findall(r"^adafocal (\w+)", "\n".join(blocks), flags=re.MULTILINE))

    assert named
    assert named <= set(COMMANDS)
