# SPDX-License-Identifier: Apache-2.0
"""Work in processes of this machine."""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process, set_forkserver_preload
from threading import Thread
from typing import TypeAlias

from adafocal.workers.executor import ATTEMPTS, TICK, Item, Outcome, WorkerDiedError

Pipe: TypeAlias = "connection.Connection[object, tuple[Callable[[object], object], object]]"
# On Linux one process imports what workers need and is forked for each, before it has threads or a device of its own;
# a fork of this process would share its threads' locks.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
GRACE = 5.0  # seconds that a worker has to clean up when it is told to end


@dataclass(frozen=True)
class LocalExecutor:
    """Works in processes of this machine, each with its share of the cores.

    Attributes:
        workers: Number of processes.
        cores: Threads of each process; None shares the cores, at most OMP_NUM_THREADS each.
        n_devices: Accelerators to hand out, one per process in turn; 0 leaves them alone.
        imports: Modules that the work needs, imported once for all processes where that is possible.
    """

    workers: int
    cores: int | None = None
    n_devices: int = 0
    imports: tuple[str, ...] = ()

    def outcomes(self, function: Callable[[Item], object], items: Sequence[Item]) -> Iterator[Outcome | None]:
        """Call a function on every item; see :class:`Executor`."""
        waiting = deque((index, 1) for index in range(len(items)))
        n_workers = min(self.workers, len(items))
        threads = self.cores or _share_of_cores(n_workers)
        # A process that is told its device must be the first to look at devices, and import for itself.
        method = METHOD if self.imports and not self.n_devices else "spawn"
        set_forkserver_preload(list(self.imports))
        devices = [place % self.n_devices if self.n_devices else None for place in range(n_workers)]
        workers = [_Worker(threads, device, method) for device in devices]
        try:
            while waiting or any(worker.task for worker in workers):
                for worker in workers:
                    if waiting and worker.task is None:
                        worker.begin(waiting.popleft(), function, items)
                connection.wait([worker.pipe for worker in workers if worker.task], timeout=TICK)
                yield None
                for worker in workers:
                    if worker.task and worker.pipe.poll():
                        index, attempt = worker.task
                        outcome = worker.end()
                        if outcome is None and attempt < ATTEMPTS:
                            waiting.appendleft((index, attempt + 1))
                        else:
                            yield outcome or Outcome(index, error=WorkerDiedError())
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                worker.stop()


def _share_of_cores(n_workers: int) -> int:
    """Share out the threads of each worker: its share of the cores, and no more than OMP_NUM_THREADS."""
    share = max(1, (os.cpu_count() or 1) // max(1, n_workers))
    bound = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(bound)) if bound.isdecimal() and int(bound) > 0 else share


class _Worker:
    """A process, which begins anew when it dies, and the item it works on."""

    def __init__(self, threads: int, device: int | None, method: str) -> None:
        self.settings = (threads, device)
        self.method = method
        self.task: tuple[int, int] | None = None  # index and attempt
        self._start()

    def _start(self) -> None:
        context = get_context("forkserver") if self.method == "forkserver" else get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A process that is forked from one of earlier has the variables of then.
        self.process = context.Process(target=_serve, args=(theirs, *self.settings, dict(os.environ)))
        self.process.start()
        theirs.close()

    def begin(self, task: tuple[int, int], function: Callable[[Item], object], items: Sequence[Item]) -> None:
        self.task = task
        with suppress(BrokenPipeError):  # it died idle; reading says so
            self.pipe.send((function, items[task[0]]))

    def end(self) -> Outcome | None:
        """Receive the outcome; None if the process died."""
        assert self.task is not None
        index, self.task = self.task[0], None
        try:
            value, error = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.stop()
            self._start()
            return None
        return Outcome(index, value, error)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(GRACE)
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Pipe, threads: int, device: int | None, variables: dict[str, str]) -> None:
    """Work on what the pipe brings until it is closed."""
    os.environ.clear()
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    signal.signal(signal.SIGTERM, _exit)
    Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
    import torch

    torch.set_num_threads(threads)
    while True:
        try:
            function, item = pipe.recv()
        except EOFError:
            return
        try:
            reply: tuple[object, Exception | None] = (function(item), None)
        except Exception as error:
            reply = (None, error)
        try:
            pipe.send(reply)
        except (pickle.PicklingError, AttributeError, TypeError):
            pipe.send((None, RuntimeError(repr(reply[1] or reply[0]))))


def _exit(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would break into what runs at exit, and show a traceback
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    """End this process when its parent is gone, were it killed: nobody would take the result."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
