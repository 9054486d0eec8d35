# SPDX-License-Identifier: Apache-2.0
"""No file of a run is read twice for one page or one comparison: the reads are counted."""

from collections import Counter

import numpy as np
import pytest

from adafocal.report import write_figures, write_page
from adafocal.results import folder as folders
from adafocal.results.folder import RunFolder, StudyFolder
from adafocal.study.compare import compare_folders
from report.folders import write_run, write_study


@pytest.fixture
def reads(monkeypatch):
    """Count what is read, by path."""
    counted = Counter()

    def counting(read):
        def reading(path, *arguments, **options):
            counted[str(path)] += 1
            return read(path, *arguments, **options)

        return reading

    for name in ("load_predictions", "read_record", "read_columns"):
        monkeypatch.setattr(folders, name, counting(getattr(folders, name)))
    return counted


def of_kind(reads, name):
    return [n for path, n in reads.items() if path.endswith(name)]


def test_the_page_of_a_run_reads_each_file_once(tmp_path, reads):
    run = write_run(tmp_path / "run", ood=("noise",))
    write_page(run)

    assert of_kind(reads, "test.parquet") == [1]
    assert {path.rpartition("/")[2]: n for path, n in reads.items()} == dict.fromkeys(
        ("config.yaml", "summary.json", "provenance.json", "metrics.csv", "test.parquet"), 1
    )


@pytest.fixture
def studies(tmp_path):
    """Two studies of 15 runs each, tested on the same rows."""
    places = []
    for name in ("first", "second"):
        place = write_study(tmp_path / name, losses=("cross_entropy", "focal", "adafocal"), seeds=range(5), n=60)
        for run in place.glob("runs/*/*"):
            np.savez(run / "splits.npz", test=np.arange(60))
        places.append(place)
    return places


def test_a_comparison_of_two_studies_of_15_runs_reads_30_predictions_and_its_page_none_more(studies, tmp_path, reads):
    both = StudyFolder(tmp_path / "both")
    reads.clear()
    comparison = compare_folders(studies, both)
    assert sum(of_kind(reads, "test.parquet")) == 30
    write_page(both)

    assert sum(len(entry.runs) for entry in comparison.experiments[0].losses) == 30
    for name in ("test.parquet", "config.yaml", "summary.json", "metrics.csv"):
        assert of_kind(reads, name) == 30 * [1], name


def test_figures_of_a_study_read_each_run_once(studies, tmp_path, reads):
    reads.clear()
    write_figures(studies[0], tmp_path / "figures", file_format="svg")

    assert of_kind(reads, "test.parquet") == 15 * [1]
    assert of_kind(reads, "summary.json") == 15 * [1]


def test_nothing_is_read_before_it_is_asked_for(tmp_path, reads):
    run = RunFolder(write_run(tmp_path / "run"))

    assert (run.finished, run.begun, run.epochs_done) == (True, True, 5)
    assert reads == {}
    assert run.summary is run.summary
    assert list(reads.values()) == [1]


def test_probabilities_of_a_record_are_computed_once(tmp_path):
    run = RunFolder(write_run(tmp_path / "run"))
    predictions = run.predictions()

    assert predictions.probs is predictions.probs
    assert predictions.confidence is predictions.confidence
