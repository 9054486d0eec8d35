# SPDX-License-Identifier: Apache-2.0
"""Measure the reading of tables: text against pyarrow's own reader, and `adafocal evaluate` against another version.

    python benchmarks/table_speed.py [--rows 10000000] [--text-rows 2000000] [--rounds 3] [--before OTHER/src]

Writes tables of three probabilities and a label to a temporary folder. Every measurement is a process of its own, turn
by turn, on one thread of torch; times are those of the processor within it, after imports, and memory is the peak of
the process. pyarrow's reader is `open_csv` of the same columns with the same types and blocks, with nothing done.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

PEAK = (
    "; seconds = time.process_time() - start; status = open('/proc/self/status').read(); "
    "print(seconds, int(status.split('VmHWM:')[1].split()[0]) / 1024)"
)
OURS = "import sys, time, pyarrow.csv; from adafocal.tables.scan import Names, find_files, scan; "
READ = (
    OURS + "start = time.process_time(); n = sum(piece.n for piece in scan(find_files(sys.argv[1:]), Names()))" + PEAK
)
ARROW = (
    "import sys, time, pyarrow as pa, pyarrow.csv as csv; "
    "types = {f'prob_{k}': pa.float64() for k in range(3)} | {'label': pa.dictionary(pa.int32(), pa.string())}; "
    "start = time.process_time(); "
    "n = sum(b.num_rows for b in csv.open_csv(sys.argv[1], csv.ReadOptions(use_threads=False, block_size=1 << 20), "
    "convert_options=csv.ConvertOptions(column_types=types, include_columns=list(types))))" + PEAK
)
EVALUATE = (
    "import sys, time, io, contextlib; import pyarrow.parquet, torch; from adafocal.cli import evaluate; "
    "from adafocal.tables.scan import Names, find_files, scan; from adafocal.evaluation.measure import measure; "
    "start = time.process_time(); measure(scan(find_files(sys.argv[1:]), Names()))" + PEAK
)
BLOCK = 500_000


def probabilities(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Columns of a block of rows."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.6, 0.6, 0.6], rows).astype(np.float32)
    labels = (probs.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(max=2)
    return {f"prob_{k}": probs[:, k] for k in range(3)} | {"label": labels}


def write(path: Path, rows: int) -> None:
    """Write rows block by block."""
    writer = None
    for start in range(0, rows, BLOCK):
        table = pa.table(probabilities(min(BLOCK, rows - start), start))
        if writer is None:
            kind = pq.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
            writer = kind(str(path), table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def run(code: str, path: Path, source: Path | None = None) -> tuple[float, float]:
    """Run code in a process of its own; give its seconds and its peak memory in MiB."""
    where = {} if source is None else {"PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | where,
    )  # fmt: skip
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def told(name: str, rounds: list[tuple[float, float]]) -> float:
    """Print seconds and memory of each round; give the median of the seconds."""
    seconds, peaks = zip(*rounds, strict=True)
    print(f"{name:20} {', '.join(f'{s:.2f}' for s in seconds)} s   {', '.join(f'{p:.0f}' for p in peaks)} MiB")
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--text-rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path, default=None, help="the src folder of another version")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, pyarrow {pa.__version__}, {os.cpu_count()} CPUs, load {os.getloadavg()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        text, table = Path(folder, "p.csv"), Path(folder, "p.parquet")
        write(text, options.text_rows)
        pairs = [(run(ARROW, text), run(READ, text)) for _ in range(options.rounds)]
        print(f"{options.text_rows:,} rows of text, {text.stat().st_size / 1e6:.0f} MB")
        arrow, ours = (
            told(name, list(part)) for name, part in zip(("open_csv", "scan"), zip(*pairs, strict=True), strict=True)
        )
        print(f"scan takes {ours / arrow:.2f} of the processor time of open_csv, median (goal 2)")
        text.unlink()
        write(table, options.rows)
        print(f"{options.rows:,} rows of Parquet, {table.stat().st_size / 1e6:.0f} MB")
        sources = [None] if options.before is None else [options.before, None]
        rounds = [[run(EVALUATE, table, source) for source in sources] for _ in range(options.rounds)]
        names = ["evaluate"] if options.before is None else ["evaluate before", "evaluate"]
        times = [told(name, list(part)) for name, part in zip(names, zip(*rounds, strict=True), strict=True)]
        if len(times) == 2:
            print(f"evaluate takes {times[1] / times[0]:.2f} of the time of before, median (goal 1.1)")


if __name__ == "__main__":
    main()
