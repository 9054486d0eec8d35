# SPDX-License-Identifier: Apache-2.0
"""Work on a Ray cluster, or on a local Ray: one task per item."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from adafocal._checks import require
from adafocal.errors import LostProcessError
from adafocal.workers.executor import ATTEMPTS, TICK, Item, Outcome, WorkerDiedError

# What a local Ray keeps in shared memory: results here are small.
OBJECT_STORE = 1 << 28


@dataclass(frozen=True)
class RayExecutor:
    """Works in tasks on Ray.

    All machines of a cluster must have adafocal installed and see the same files under the same paths.

    Attributes:
        workers: Tasks at a time; None as many as the cluster has room for.
        address: The cluster, as ``ray.init`` takes it (``auto``, ``ray://HOST:10001``); None starts Ray on this machine
            for the time of the work, or uses the one that the process is connected to.
        cores: Cores of each task.
        accelerated: Whether each task takes a GPU, where the cluster has any.
    """

    workers: int | None = None
    address: str | None = None
    cores: int = 1
    accelerated: bool = False

    def outcomes(self, function: Callable[[Item], object], items: Sequence[Item]) -> Iterator[Outcome | None]:
        """Call a function on every item; see :class:`~adafocal.workers.executor.Executor`."""
        ray = require("ray")
        waiting = deque(range(len(items)))
        running: dict[object, int] = {}
        with self._connected(ray):
            devices = 1 if self.accelerated and ray.cluster_resources().get("GPU", 0) >= 1 else 0
            task = ray.remote(num_cpus=self.cores, num_gpus=devices, max_retries=ATTEMPTS - 1)(_call)
            try:
                while waiting or running:
                    while waiting and (self.workers is None or len(running) < self.workers):
                        index = waiting.popleft()
                        running[task.remote(function, items[index], self.cores, os.getcwd(), sys.path)] = index
                    ready, _ = ray.wait(list(running), timeout=TICK)
                    yield None
                    for reference in ready:
                        yield _outcome(ray, reference, running.pop(reference))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)

    @contextmanager
    def _connected(self, ray: ModuleType) -> Iterator[None]:
        if ray.is_initialized():
            yield
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        if self.address is None:
            workers = self.workers or max(1, (os.cpu_count() or 1) // self.cores)
            ray.init(address="local", num_cpus=workers * self.cores, object_store_memory=OBJECT_STORE, **quiet)
        else:
            try:
                ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0].rstrip(".")
                raise LostProcessError(
                    f"`ray_address` must lead to a Ray cluster, got {self.address!r}: {reason}."
                ) from error
        try:
            yield
        finally:
            ray.shutdown()


def _outcome(ray: ModuleType, reference: object, index: int) -> Outcome:
    try:
        return Outcome(index, ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        return Outcome(index, error=error.cause)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError):
        return Outcome(index, error=WorkerDiedError())
    except ray.exceptions.RayError as error:
        return Outcome(index, error=RuntimeError(f"Ray: {' '.join(str(error).split())}"))


def _call(function: Callable[[Item], object], item: Item, cores: int, folder: str, places: Sequence[str]) -> object:
    import torch

    os.chdir(folder)  # so that relative paths mean what they mean to the caller
    sys.path += [place for place in places if place not in sys.path]  # and own code is found where it was
    torch.set_num_threads(cores)
    return function(item)
