# SPDX-License-Identifier: Apache-2.0
"""Recalibration beside probmetrics: negative log-likelihood of rows left out, and processor time to fit.

    pip install probmetrics numba
    OMP_NUM_THREADS=1 python benchmarks/recalibration.py                  # beside probmetrics, halves of each set
    OMP_NUM_THREADS=1 python benchmarks/recalibration.py --sizes          # what is left, by size, of drawn sets
    OMP_NUM_THREADS=1 python benchmarks/recalibration.py --sizes --data F # of the files of folder F
    OMP_NUM_THREADS=1 python benchmarks/recalibration.py --big            # 1,000 classes, 50,000 rows

Sets are drawn here, and are the files ``*.npz`` (``probs``, ``labels``) of a folder that --data names. The ratio of
likelihoods is ours over that of probmetrics. Times are medians in the same process, in turn, after one fit of each that
does not count. --sizes fits to rows drawn 20 times without replacement, and measures on rows that no fit saw.
"""

import argparse
import csv
import logging
import resource
import statistics
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from adafocal import Predictions
from adafocal.scaling import METHODS
from adafocal.scaling.best import choose_scaling

PEERS = {"temperature": "temp-scaling", "structured_vector": "svs", "structured_matrix": "sms", "isotonic": "isotonic"}
DRAWN = ((2, 100), (2, 5000), (5, 300), (10, 1000), (20, 5000), (50, 50_000), (200, 4000), (1000, 5000))
SIZES = (100, 300, 1000, 5000)
CURVES = ("temperature", "structured_vector", "structured_matrix", "isotonic", "auto")
MOST_WORK = 600_000_000  # rows times squared classes: of more the peer's matrix is not fitted


def drawn(c: int, n: int, seed: int = 0) -> Predictions:
    """Over-confident probabilities of classes that are so to different degrees, with offsets."""
    source = torch.Generator().manual_seed(seed)
    truth = torch.randint(c, (n,), generator=source)
    logits = 2 * torch.randn(n, c, generator=source)
    logits[torch.arange(n), truth] += 1.5 * float(np.log(c))
    factors, offsets = 0.8 + 0.4 * torch.rand(c, generator=source), 0.3 * torch.randn(c, generator=source)
    labels = torch.multinomial((logits * factors + offsets).softmax(1), 1, generator=source)[:, 0]
    return Predictions(probs=(1.5 * logits).softmax(1), labels=labels)


def files(folder: Path | None) -> Iterator[tuple[str, Predictions]]:
    """The sets of a folder, in an order of their own."""
    for path in sorted(folder.glob("*.npz")) if folder else []:
        held = np.load(path)
        order = torch.randperm(len(held["labels"]), generator=torch.Generator().manual_seed(0))
        record = Predictions(probs=held["probs"], labels=held["labels"].astype(np.int64))
        yield path.stem, record[order]


def nll(predictions: Predictions) -> float:
    """Mean negative log-likelihood, of probabilities of a millionth or more: isotonic maps give 0 to some labels."""
    at_label = predictions.probs.gather(1, predictions.labels[:, None]).double()
    return float(-at_label.clamp_min(1e-6).log().mean())


def timed(fit: Callable[[], object], repeats: int) -> tuple[object, float]:
    """What it gives, and the median processor time after one that does not count."""
    fitted, times = fit(), []
    for _ in range(repeats):
        start = time.process_time()
        fitted = fit()
        times.append(time.process_time() - start)
    return fitted, statistics.median(times)


def beside(name: str, fit: Predictions, test: Predictions, repeats: int) -> Iterator[list[object]]:
    """One row per method that both have."""
    from probmetrics.calibrators import get_calibrator

    x, y = fit.probs.double().numpy(), fit.labels.numpy()
    rows = test.probs.double().numpy()
    for method, peer in PEERS.items():
        if method == "structured_matrix" and fit.n * fit.n_classes**2 > MOST_WORK:
            continue
        ours, time_ours = timed(lambda method=method: METHODS[method](fit), repeats)
        theirs, time_theirs = timed(lambda peer=peer: get_calibrator(peer).fit(x, y), repeats)
        of_peer = Predictions(probs=theirs.predict_proba(rows), labels=test.labels)
        left, left_theirs = nll(ours.apply(test)), nll(of_peer)
        yield [name, fit.n, fit.n_classes, method, left, left_theirs, left / left_theirs, time_ours, time_theirs]


def compare(folder: Path | None, repeats: int) -> Iterator[list[object]]:
    """Beside probmetrics: files in halves, drawn sets with a test part of their own."""
    for name, record in files(folder):
        half = record.n // 2
        yield from beside(name, record[:half], record[half:], repeats)
        yield from beside(name, record[:500], record[half:], repeats)
    for c, n in DRAWN:
        more = min(10_000, 5_000_000 // c)
        record = drawn(c, n + more)
        yield from beside(f"drawn {c}", record[:n], record[n:], repeats if n * c < 10**6 else 1)


def by_size(folder: Path | None, draws: int) -> Iterator[list[object]]:
    """The likelihood that each method leaves, over that of the predictions as they are."""
    drawn_sets = (lambda: ("drawn 10", drawn(10, 10_000)), lambda: ("drawn 2", drawn(2, 10_000)))
    for name, record in files(folder) if folder else (make() for make in drawn_sets):
        pool, test = record[: record.n // 2], record[record.n // 2 :]
        before = nll(test)
        for n in SIZES:
            for seed in range(1 if n == pool.n else draws):
                kept = pool[torch.randperm(pool.n, generator=torch.Generator().manual_seed(seed))[:n]]
                for method in CURVES:
                    fit = (lambda p: choose_scaling(p).fitted) if method == "auto" else METHODS[method]
                    yield [name, n, record.n_classes, seed, method, nll(fit(kept).apply(test)) / before]


def averaged(rows: Iterable[Sequence[object]]) -> Iterator[list[object]]:
    """Mean over draws of what is left, and of its ratio to temperature scaling of the same draw, with the largest."""
    held: dict[tuple[object, ...], dict[object, float]] = defaultdict(dict)
    for name, n, c, seed, method, ratio in rows:
        held[name, n, c, method][seed] = float(str(ratio))
    for (name, n, c, method), ratios in held.items():
        plain = held[name, n, c, "temperature"]
        beside = [ratio / plain[seed] for seed, ratio in ratios.items()]
        mean = statistics.fmean(ratios.values())
        yield [name, n, c, method, len(ratios), mean, statistics.fmean(beside), max(beside)]


def big(c: int, n: int) -> Iterator[list[object]]:
    """Every method at this size: seconds on the wall and of the processor, and the largest memory in use."""
    record = drawn(c, n)
    for method, fit in METHODS.items():
        if method in ("platt", "beta", "quadratic"):
            continue
        held = Predictions(logits=record.log_probs, labels=record.labels) if method == "matrix" else record
        start, busy = time.perf_counter(), time.process_time()
        fit(held)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield [method, n, c, time.perf_counter() - start, time.process_time() - busy, memory]


HEADINGS = {
    "beside": "set,n,classes,method,nll,nll_probmetrics,ratio,seconds,seconds_probmetrics",
    "sizes": "set,n,classes,method,draws,of_none,of_temperature,of_temperature_at_most",
    "big": "method,n,classes,wall_seconds,processor_seconds,peak_gib",
}


def main() -> None:
    """Print a row at a time, and write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=None, help="folder of npz files with probs and labels")
    parser.add_argument("--sizes", action="store_true", help="gain over none by validation size")
    parser.add_argument("--big", action="store_true", help="every method at --classes and --rows")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=None, help="CSV file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    what = "sizes" if options.sizes else "big" if options.big else "beside"
    rows = {
        "sizes": lambda: averaged(by_size(options.data, options.draws)),
        "big": lambda: big(options.classes, options.rows),
        "beside": lambda: compare(options.data, options.repeats),
    }[what]()
    kept = [HEADINGS[what].split(",")]
    print(*kept[0], sep="\t")
    for row in rows:
        kept.append([f"{value:.5g}" if isinstance(value, float) else str(value) for value in row])
        print(*kept[-1], sep="\t", flush=True)
    if options.output:
        with options.output.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(kept)


if __name__ == "__main__":
    main()
