# SPDX-License-Identifier: Apache-2.0
"""Reading tables, measuring a file, nearest neighbours and the fit of a temperature, each beside a program for it.

Every turn is a process of one thread of its own; imports and the making of data do not count.
"""

import atexit
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from row import Pairs, Row, alternating, in_processes, python_of_peers

ROWS_OF_TEXT, ROWS_OF_PARQUET, BLOCK, QUERIES, WIDTH, NEIGHBOUR = 1_000_000, 10_000_000, 500_000, 20_000, 512, 50
TIMED = "\nstart = time.process_time()\n{}\nprint(time.process_time() - start)"
SCAN = "import sys, time\nimport pyarrow.csv, pyarrow.parquet\nfrom adafocal.tables.scan import Names, find_files, scan"
READ = SCAN + TIMED.format("sum(piece.n for piece in scan(find_files(sys.argv[1:]), Names()))")
POLARS = (
    "import os, sys, time\nos.environ['POLARS_MAX_THREADS'] = '1'\nimport polars"
    + TIMED.format("polars.read_csv(sys.argv[1])")
    + "\n"
)
MEASURE = (
    SCAN
    + "\nfrom adafocal.evaluation.measure import measure"
    + TIMED.format("measure(scan(find_files(sys.argv[1:]), Names()))")
)
# The faster of two ways that were tried to say it.
ECE = (
    "select sum(abs(confidence - hits)) / sum(n) from (select count(*) n, sum(p) confidence, sum(hit) hits from ("
    "select list_max(probs::float[]) p, (list_position(probs::float[], list_max(probs::float[])) - 1 = label)::int hit "
    "from read_parquet($file)) group by least(ceil(p * 15), 15))"
)
DUCKDB = "import sys, time\nimport duckdb\nconnection = duckdb.connect(config={'threads': 1})" + TIMED.format(
    f"connection.execute('''{ECE}''', {{'file': sys.argv[1]}}).fetchall()"
)
FAISS = (
    "import sys, time\nimport faiss, numpy\nfaiss.omp_set_num_threads(1)\n"
    "held = numpy.load(sys.argv[1])\nbank, queries = (held[name] / numpy.linalg.norm(held[name], axis=1, keepdims=True)"
    " for name in ('bank', 'queries'))\nindex = faiss.IndexFlatL2(bank.shape[1])\nindex.add(bank)"
    + TIMED.format(f"index.search(queries, {NEIGHBOUR})")
)
KNN = (
    "import sys, time\nimport numpy, torch\ntorch.set_num_threads(1)\nfrom adafocal import Predictions\n"
    "from adafocal.ood import fit_nearest_neighbour\nheld = numpy.load(sys.argv[1])\n"
    "bank, queries = (Predictions(logits=torch.zeros(len(held[name]), 2), labels=torch.zeros(len(held[name])).long(), "
    f"features=torch.from_numpy(held[name])) for name in ('bank', 'queries'))\n"
    f"score = fit_nearest_neighbour(bank, k={NEIGHBOUR})" + TIMED.format("score.score(queries)")
)


@cache
def folder() -> Path:
    """Folder of the files that are timed, which goes when the process ends."""
    made = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def drawn(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels that follow them."""
    rng = np.random.default_rng(seed)
    probs = rng.gamma(0.6, size=(n, n_classes)).astype(np.float32)
    probs /= probs.sum(axis=1, keepdims=True)
    return probs, (probs.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=n_classes - 1)


@cache
def text_file(*, words: bool) -> Path:
    """Ten probabilities and a label, a number or a word, as pyarrow writes them."""
    import pyarrow as pa
    from pyarrow import csv

    probs, labels = drawn(ROWS_OF_TEXT, 10, seed=0)
    names = [f"class{k}" if words else str(k) for k in range(10)]
    columns = {f"prob_{name}": probs[:, k] for k, name in enumerate(names)}
    path = folder() / f"{'words' if words else 'numbers'}.csv"
    csv.write_csv(pa.table(columns | {"label": np.array(names)[labels] if words else labels}), path)
    return path


@cache
def parquet_file() -> Path:
    """Three probabilities and a label, as `adafocal predict` writes them."""
    from adafocal.tables.read import write_table

    probs, labels = drawn(ROWS_OF_PARQUET, 3, seed=1)
    write_table({"probs": probs, "labels": labels}, path := folder() / "probs.parquet")
    return path


@cache
def features_file() -> Path:
    """Features of training data and of queries."""
    rng = np.random.default_rng(2)
    both = {name: rng.standard_normal((QUERIES, WIDTH), dtype=np.float32) for name in ("bank", "queries")}
    np.savez(path := folder() / "features.npz", **both)
    return path


def reading(repeats: int, *, words: bool) -> Pairs:
    """Scan a text table with all checks, beside a reader that takes it in."""
    peer, path = python_of_peers(), str(text_file(words=words))
    return in_processes([sys.executable, "-c", READ, path], [peer, "-c", POLARS, path], repeats)


def measuring(repeats: int) -> Pairs:
    """Measure everything that `adafocal evaluate` does, beside a query of the one number."""
    peer, path = python_of_peers(), str(parquet_file())
    return in_processes([sys.executable, "-c", MEASURE, path], [peer, "-c", DUCKDB, path], min(repeats, 3))


def neighbours(repeats: int) -> Pairs:
    """Score queries by their distance to the k-th neighbour, beside an index that searches for it."""
    peer, path = python_of_peers(), str(features_file())
    return in_processes([sys.executable, "-c", KNN, path], [peer, "-c", FAISS, path], min(repeats, 3))


def temperature(n: int, n_classes: int, *, dtype: torch.dtype) -> Row:
    """Row of the fit of a temperature, beside torch's L-BFGS on its logarithm."""

    def pairs(repeats: int) -> Pairs:
        from adafocal import Predictions
        from adafocal.scaling import fit_temperature

        generator = torch.Generator().manual_seed(3)
        logits = 4 * torch.randn(n, n_classes, generator=generator)
        labels = torch.multinomial((logits / 2).softmax(dim=1), 1, generator=generator)[:, 0]
        predictions = Predictions(logits=logits, labels=labels)
        found = fit_temperature(predictions).temperature, by_lbfgs(logits.to(dtype), labels)
        assert abs(found[0] / found[1] - 1) < 1e-5, found
        return alternating(lambda: fit_temperature(predictions), lambda: by_lbfgs(logits.to(dtype), labels), repeats)

    exact = (
        "six passes, the first five in float32, are half of it, and the peer takes 6 or 7; the rest finds the scale of "
        "the logits and what the fit notes of its data; the peer is up to 2e-6 off, ours 1e-9"
    )
    note = exact if dtype == torch.float32 and n_classes == 10 else ""
    return Row(f"fit_temperature, {n:,} x {n_classes}", f"LBFGS in {str(dtype)[6:]}, strong Wolfe", 1, pairs, note)


def by_lbfgs(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Temperature as people fit it by hand."""
    log_temperature = torch.zeros((), dtype=logits.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())


SIZES = ((50_000, 100), (10_000, 10))
READS = f"tables.scan, CSV of {ROWS_OF_TEXT:,} x 10, label "
ROWS = [
    Row(READS + "a number", "polars.read_csv", 3, lambda repeats: reading(repeats, words=False), package="polars"),
    Row(READS + "a word", "polars.read_csv", 3, lambda repeats: reading(repeats, words=True), package="polars"),
    Row(
        f"evaluate (all measures), Parquet of {ROWS_OF_PARQUET:,} x 3",
        "a DuckDB query of the ECE alone",
        2,
        measuring,
        package="duckdb",
    ),
    Row(
        f"NearestNeighbour.score, {QUERIES:,} x {WIDTH} and as many rows",
        "faiss IndexFlatL2.search",
        1.5,
        neighbours,
        "repeats scatter from 1.3 to 1.5; faiss gives float32, ours what float64 gives",
        "faiss-cpu",
    ),
    *(temperature(*size, dtype=dtype) for size in SIZES for dtype in (torch.float32, torch.float64)),
]
