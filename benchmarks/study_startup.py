# SPDX-License-Identifier: Apache-2.0
"""Compare a short study whose workers import the engine once with one whose workers import it each: medians of pairs.

python benchmarks/study_startup.py [--repeats 5] [--workers 2]

Seconds of processors are those of all processes, also of those that no parent waits for. Linux.
"""

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

CODE = "import adafocal.workers.local as local; local.METHOD = {method!r}; from adafocal.cli import main; main({line})"
SUBREAPER = 36  # of prctl: processes that lost their parent become ours, and their time too


def seconds(method: str, workers: int) -> tuple[float, float]:
    """Run the study; gives seconds on the wall and of processors."""
    with tempfile.TemporaryDirectory() as folder:
        line = ["study", "--losses", "cross_entropy", "--seeds", *map(str, range(workers)), "--epochs", "1"]
        line += ["--workers", str(workers), "--study_dir", f"{folder}/study"]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        code = CODE.format(method=method, line=line)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - start
        with suppress(ChildProcessError):
            while True:
                os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    pairs = [[seconds(method, options.workers) for method in ("spawn", "forkserver")] for _ in range(options.repeats)]
    for place, what in enumerate(("wall", "processors")):
        each, once = (statistics.median(pair[side][place] for pair in pairs) for side in (0, 1))
        print(f"{what:<12}{each:6.1f} s importing each, {once:6.1f} s importing once, ratio {once / each:.2f}")


if __name__ == "__main__":
    main()
