# SPDX-License-Identifier: Apache-2.0
"""Work on a local Ray with two workers."""

import io
import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

pytest.importorskip("ray")
import ray

from adafocal.evaluation.measure import measure
from adafocal.evaluation.tasks import in_tasks, make_tasks, measure_in_tasks, merge_tasks
from adafocal.recipes import RECIPES
from adafocal.study.execute import execute
from adafocal.study.plan import Experiment, Study
from adafocal.study.results import write_results
from adafocal.tables.scan import Names, find_files, scan
from adafocal.workers.executor import WorkerDiedError
from adafocal.workers.on_ray import RayExecutor

# Ray's own: sockets that it leaves open at its end, and what it will change some day.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
TWO = RayExecutor(workers=2)


def square(path_and_number):
    """Square a number; 13 is refused, and a number with a path dies until the path says it did so often enough."""
    path, number = path_and_number
    if number == 13:
        raise ValueError("`number` must be lucky, got 13.")
    if path is not None:
        attempt, fatal = len(path.read_text()), number
        path.write_text(path.read_text() + "x")
        if attempt < fatal:
            os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.fixture(scope="module", autouse=True)
def local_ray():
    """Start Ray once; executors use what the process is connected to."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests
    with TWO._connected(ray):
        yield


def test_values_errors_and_deaths_come_with_the_places_of_their_items(tmp_path):
    once, always = tmp_path / "once", tmp_path / "always"
    once.write_text("")
    always.write_text("")
    items = [(None, 3), (None, 13), (once, 1), (always, 9)]
    outcomes = {outcome.index: outcome for outcome in TWO.outcomes(square, items) if outcome}

    assert {index: outcome.value for index, outcome in outcomes.items()} == {0: 9, 1: None, 2: 1, 3: None}
    assert type(outcomes[1].error) is ValueError
    assert str(outcomes[1].error) == "`number` must be lucky, got 13."
    assert isinstance(outcomes[3].error, WorkerDiedError)
    assert (once.read_text(), always.read_text()) == ("xx", "xx")


def table(n, seed, kind="logits"):
    generator = np.random.default_rng(seed)
    logits = 2 * generator.standard_normal((n, 5)).astype(np.float32)
    labels = (logits + 3 * generator.standard_normal((n, 5))).argmax(axis=1)
    return pa.table({kind: list(logits), "label": labels, "site": np.array(["a", "b", "c"])[np.arange(n) % 3]})


def test_predictions_in_many_files_give_the_numbers_of_one_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("adafocal.evaluation.tasks.TASK_BYTES", 1)
    pq.write_table(table(5000, 0), tmp_path / "a.parquet", row_group_size=700)
    pq.write_table(table(0, 1), tmp_path / "b.parquet")
    pq.write_table(table(900, 2), tmp_path / "c.parquet")
    files, names = find_files([tmp_path]), Names(by="site")
    tasks = make_tasks(files, names, n_bins=15, positive_class=None)
    here = measure(scan(files, names), in_memory=1000)
    there = measure_in_tasks(tasks, in_tasks(TWO.outcomes, tasks))

    assert [task.first_row for task in tasks] == [0, 700, 1400, 2100, 2800, 3500, 4200, 4900, 0, 0]
    assert list(here) == list(there) == ["", "a", "b", "c"]
    for name, part in here.items():
        assert there[name].bins.count.tolist() == part.bins.count.tolist()
        assert there[name].summary.verdict.kind == part.summary.verdict.kind
        for key, value in part.summary.to_dict().items():
            if key == "verdict":
                continue
            assert there[name].summary.to_dict()[key] == (None if value is None else pytest.approx(value, rel=1e-12)), (
                key
            )


def test_bad_rows_are_named_as_on_one_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("adafocal.evaluation.tasks.TASK_BYTES", 1)
    good = table(1000, 0)
    labels = good["label"].to_numpy().copy()
    labels[[450, 900]] = 7
    bad = good.set_column(1, "label", pa.array(labels))
    pq.write_table(bad, tmp_path / "a.parquet", row_group_size=200)
    tasks = make_tasks(find_files([tmp_path / "a.parquet"]), Names(), n_bins=15, positive_class=None)
    sentence = f"`labels` must be class indices in [0, 5), got 7 in row 450 of {str(tmp_path / 'a.parquet')!r}."

    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        merge_tasks(tasks, in_tasks(TWO.outcomes, tasks))


def kill_the_process_of(run):
    """Kill the process that works on a run, once an epoch is done."""
    deadline = time.monotonic() + 120
    while not (run.folder / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(int(re.findall(r"process (\d+)", (run.folder / "log.txt").read_text())[-1]), signal.SIGKILL)


def test_a_study_survives_a_killed_worker_and_resumes_its_run(tmp_path):
    config = replace(RECIPES["digits"].config, epochs=40)
    study = Study(
        (Experiment("digits", config),), ("cross_entropy", "adafocal"), (0, 1), "adafocal", tmp_path / "study"
    )
    study.write()
    killer = threading.Thread(target=kill_the_process_of, args=(study.runs[0],))
    killer.start()
    failures = execute(study.runs, executor=TWO, console=Console(file=io.StringIO()))
    killer.join()

    assert failures == []
    assert (study.runs[0].folder / "log.txt").read_text().count("process") == 2
    assert [entry.seeds for entry in write_results(study).experiments[0].losses] == [(0, 1), (0, 1)]
    assert len(Path(study.runs[0].folder / "metrics.csv").read_text().splitlines()) == 41
