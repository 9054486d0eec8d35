# SPDX-License-Identifier: Apache-2.0
"""Measure `adafocal evaluate` on one large Parquet file: time against pyarrow's own scan, and peak memory.

    python benchmarks/evaluate_stream.py [--rows 20000000] [--classes 10] [--rounds 3]

Writes the file to a temporary folder (80 bytes of probabilities and 8 of label per row). The scan is
`ParquetFile.iter_batches` over the same columns, with nothing done; the lean scan does without buffers of whole row
groups, as `evaluate` does. All run as processes of their own, turn by turn;
times are those within the process, after imports, and memory is the peak of the process less that of one that only
imports the same modules.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

IMPORTS = "import sys, time, pathlib; import pyarrow.parquet as pq; from adafocal.cli import evaluate; " + (
    "from adafocal.tables.scan import Names, scan; from adafocal.evaluation.measure import measure; "
)
SCAN = "start = time.perf_counter(); [0 for _ in pq.ParquetFile(sys.argv[1]{}).iter_batches(131072)]; "
SCANS = {"scan": SCAN.format(""), "lean scan": SCAN.format(", pre_buffer=False, buffer_size=1 << 20")}
MEASURE = "start = time.perf_counter(); measure(scan([pathlib.Path(sys.argv[1])], Names())); "
# The peak that Linux keeps per program; `getrusage` would count the memory of the parent, too.
PEAK = (
    "seconds = time.perf_counter() - start; status = open('/proc/self/status').read(); "
    "print(seconds, int(status.split('VmHWM:')[1].split()[0]) / 1024)"
)
BLOCK = 500_000


def write(path: Path, rows: int, n_classes: int) -> None:
    """Write calibrated predictions of random difficulty, block by block; one row group each."""
    generator = torch.Generator().manual_seed(0)
    kind = pa.list_(pa.float32(), n_classes)
    with pq.ParquetWriter(path, pa.schema([("probs", kind), ("label", pa.int64())])) as writer:
        for start in range(0, rows, BLOCK):
            n = min(BLOCK, rows - start)
            probs = (3 * torch.randn(n, n_classes, generator=generator)).softmax(dim=1)
            labels = torch.multinomial(probs, 1, generator=generator)[:, 0]
            column = pa.FixedSizeListArray.from_arrays(pa.array(probs.flatten().numpy()), n_classes)
            writer.write_table(pa.table({"probs": column, "label": labels.numpy()}, schema=writer.schema))


def run(code: str, path: Path) -> tuple[float, float]:
    """Run code in a process of its own; give its seconds and its peak memory in MiB."""
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, pyarrow {pa.__version__}, {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        write(path, options.rows, options.classes)
        print(f"{options.rows} rows x {options.classes} classes, {path.stat().st_size / 1e6:.0f} MB")
        _, imports = run(IMPORTS + "start = time.perf_counter(); " + PEAK, path)
        programs = SCANS | {"evaluate": MEASURE}
        run(IMPORTS + SCANS["scan"] + PEAK, path)  # the file is in the page cache from here on
        rounds = [
            {name: run(IMPORTS + code + PEAK, path) for name, code in programs.items()} for _ in range(options.rounds)
        ]
    for name in programs:
        seconds = ", ".join(f"{results[name][0]:.2f}" for results in rounds)
        peak = max(results[name][1] for results in rounds) - imports
        print(f"{name:<10} seconds {seconds}; peak memory +{peak:.0f} MiB")
    for name in SCANS:
        ratio = statistics.median(results[name][0] / results["evaluate"][0] for results in rounds)
        print(f"evaluate runs at {ratio:.2f} of the speed of the {name}, median (goal 0.5)")


if __name__ == "__main__":
    main()
