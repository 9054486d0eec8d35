# SPDX-License-Identifier: Apache-2.0
"""One row of the table of speeds: ours over a peer, in pairs of turns, and how processor time is taken."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Pairs = list[tuple[float, float]]  # processor seconds of ours and of the peer, turn by turn


@dataclass(frozen=True)
class Row:
    """What is timed, over which peer, the ratio to reach, and the reason where it is not.

    ``pairs`` is given a number of repeats and gives at least 3 pairs. A row of growth gives seconds of the larger and
    of the smaller data of one function instead. ``package`` is what the environment of the peers holds of a peer, whose
    version is told.
    """

    what: str
    peer: str
    goal: float
    pairs: Callable[[int], Pairs]
    note: str = ""
    package: str = ""


def alternating(ours: Callable[[], object], peer: Callable[[], object], repeats: int, *, least: float = 0.05) -> Pairs:
    """Time two calls in turns, each called until it took ``least`` seconds; the order changes from turn to turn."""
    calls = [max(1, int(least / max(seconds(call), 1e-7))) for call in (ours, peer)]
    pairs = []
    for turn in range(max(repeats, 3)):
        order = (0, 1) if turn % 2 else (1, 0)
        taken = {side: seconds((ours, peer)[side], calls[side]) for side in order}
        pairs.append((taken[0], taken[1]))
    return pairs


def seconds(call: Callable[[], object], calls: int = 1) -> float:
    """Processor seconds of one call, the mean of several."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def in_processes(ours: Sequence[str], peer: Sequence[str], repeats: int) -> Pairs:
    """Time two commands in turns, each printing the processor seconds that count as its last word."""
    turns = [(0, 1) if turn % 2 else (1, 0) for turn in range(max(repeats, 3))]
    pairs = []
    for order in turns:
        taken = {side: printed((ours, peer)[side]) for side in order}
        pairs.append((taken[0], taken[1]))
    return pairs


def printed(command: Sequence[str]) -> float:
    """Run a command; give the number that it prints last."""
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def python_of_peers() -> str:
    """The Python of the environment that holds the peers."""
    if not (found := os.environ.get("ADAFOCAL_PEERS")):
        raise ImportError("it needs --peers, the Python of an environment with benchmarks/speed/requirements.txt")
    return found


def version_of_peer(package: str) -> str:
    """Name and version of a package among the peers."""
    told = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python_of_peers(), "-c", told], check=True, stdout=subprocess.PIPE, text=True)
    return f"{package} {done.stdout.strip()}"
