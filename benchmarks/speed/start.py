# SPDX-License-Identifier: Apache-2.0
"""What is paid before anything is computed: imports."""

import resource
import subprocess
import sys

from row import Pairs, Row


def started(statement: str) -> float:
    """Processor seconds of a process that runs a statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imports(statement: str) -> Row:
    def pairs(repeats: int) -> Pairs:
        started("import torch")
        return [(started(f"import torch; {statement}"), started("import torch")) for _ in range(max(repeats, 5))]

    return Row(statement, "import torch", 1.05, pairs)


ROWS = [imports("import adafocal"), imports("import adafocal.losses")]
