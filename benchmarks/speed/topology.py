# SPDX-License-Identifier: Apache-2.0
"""The topology-aware focal loss over cripser alone, on the same two volumes; benchmarks/topology.py has more sizes."""

import runpy
from pathlib import Path

from row import Pairs, Row, alternating

PATH = Path(__file__).parents[1] / "topology.py"


def step(kind: str) -> Row:
    def pairs(repeats: int) -> Pairs:
        import cripser

        from adafocal.losses.topology import TopologyAwareFocalLoss

        logits, labels = runpy.run_path(str(PATH))["make_batch"](64, 1, kind)
        arrays = [(-logits.detach().softmax(1)[0, 1].double()).numpy(), (-labels[0].double()).numpy()]
        criterion = TopologyAwareFocalLoss(workers=1)
        return alternating(
            lambda: criterion(logits, labels).backward(),
            lambda: [cripser.compute_ph(array, maxdim=2) for array in arrays],
            min(repeats, 5),
        )

    return Row(f"topology-aware focal, 64³, {kind} prediction", "cripser", 1.3, pairs)


ROWS = [step("smooth"), step("noisy")]
