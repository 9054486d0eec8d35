# SPDX-License-Identifier: Apache-2.0
"""Logs of Inspect 0.3.285, made by ``scripts/inspect_logs.py``: accuracies are those that Inspect computes."""

import json
import math
import shutil
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest

from adafocal import Outcomes
from adafocal.calibration import evaluate
from adafocal.cli import main

LOGS = Path(__file__).parent / "logs"
PRINTED = json.loads((LOGS / "printed_inspect.json").read_text())
TOKENS = json.loads((LOGS / "tokens.json").read_text())["samples"]


def refused(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def measured(tmp_path, *arguments):
    out = tmp_path / "out.json"
    assert main(["evaluate", *map(str, arguments), "--no_remedy", "--json", str(out)]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize("file", ["tokens.eval", "tokens.json"])
def test_accuracy_is_that_of_inspect_and_confidence_that_of_the_tokens(file):
    read = Outcomes.load(LOGS / file)
    assert PRINTED[file]["choice"] == evaluate(read).accuracy
    assert read.n == PRINTED[file]["completed"]
    for rule, length in (("sum", lambda tokens: 1), ("token", len)):
        read = Outcomes.load(LOGS / "tokens.json", likelihood=rule)
        wanted = []
        for sample in TOKENS:
            tokens = sample["output"]["choices"][0]["logprobs"]["content"]
            wanted.append(math.exp(sum(one["logprob"] for one in tokens) / length(tokens)))
        assert wanted == pytest.approx(read.confidence.tolist(), rel=1e-9)


def test_epochs_of_a_sample_are_a_cluster_and_errors_are_counted(tmp_path):
    with pytest.warns(UserWarning, match="left out because they have no score, as after an error: 1"):
        read = Outcomes.load(LOGS / "said.eval")
    assert read.n == 35
    assert len(set(read.cluster.tolist())) == 12
    of_sample = defaultdict(list)  # Inspect averages the epochs of a sample first
    for cluster, correct in zip(read.cluster.tolist(), read.correct.tolist(), strict=True):
        of_sample[cluster].append(correct)
    means = [sum(of) / len(of) for of in of_sample.values()]
    assert PRINTED["said.eval"]["stated"] == pytest.approx(sum(means) / len(means))
    found = measured(tmp_path, LOGS / "said.eval", "--by", "metadata.level")
    assert found["n"] == 35
    assert found["n_clusters"] == 12
    assert set(found["groups"]) == {"easy", "hard"}
    assert "Epochs of one sample belong together (--cluster sample)." in found["notes"]
    assert "Samples left out because they have no score, as after an error: 1." in found["notes"]
    assert "Confidence is `confidence` in the metadata of the score." in found["notes"]


def test_logs_with_and_without_epochs_are_read_together_where_clusters_are_named(tmp_path, capsys):
    files = (LOGS / "tokens.json", LOGS / "said.eval")
    assert "name what rows belong to (--cluster)" in refused(capsys, *files)
    found = measured(tmp_path, *files, "--cluster", "sample", "--by", "task")
    assert found["n"] == 47
    assert {name: group["n"] for name, group in found["groups"].items()} == {
        "said": 35,
        "tokens": 12,
    }


def test_what_nothing_tells_is_refused(tmp_path, capsys):
    plain = LOGS / "plain.eval"
    assert "`correct` must name the score that says what is right, of match, match1" in refused(capsys, plain)
    assert "samples must say how sure the answer is, got none: let a scorer" in refused(
        capsys, plain, "--correct", "match1"
    )
    assert "`correct` must name a score" in refused(capsys, plain, "--correct", "mach")
    assert "`filter` must go with a log of lm-evaluation-harness" in refused(capsys, plain, "--filter", "x")
    twice = ("--likelihood", "sum", "--confidence", "metadata.level")
    assert "`likelihood` must not be given with `confidence`" in refused(capsys, LOGS / "tokens.eval", *twice)
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    assert "must be an evaluation log of Inspect" in refused(capsys, other)


def test_damaged_logs_are_refused(tmp_path, capsys):
    cut = tmp_path / "cut.eval"
    cut.write_bytes((LOGS / "said.eval").read_bytes()[:9000])
    assert "must be a readable Inspect log file" in refused(capsys, cut)
    flipped = bytearray((LOGS / "tokens.eval").read_bytes())
    with zipfile.ZipFile(LOGS / "tokens.eval") as archive:
        info = next(one for one in archive.infolist() if one.filename.startswith("samples/"))
    flipped[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    cut.write_bytes(flipped)
    assert "is damaged" in refused(capsys, cut)


def test_members_that_are_deflated_or_in_chunks_are_read(tmp_path):
    whole = json.loads((LOGS / "tokens.json").read_text())
    path = tmp_path / "old.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", json.dumps({"version": 2, "eval": whole["eval"]}))
        for sample in whole["samples"]:
            name = f"samples/{sample['id']}_epoch_1"
            archive.writestr(f"{name}/metadata.json", json.dumps(sample.pop("metadata")))
            archive.writestr(f"{name}/sample.json", json.dumps(sample))
    found = measured(tmp_path, path, "--by", "metadata.level")
    assert found["ece"] == measured(tmp_path, LOGS / "tokens.eval")["ece"]
    assert set(found["groups"]) == {"easy", "hard"}


def with_scores(tmp_path, *values):
    log = json.loads((LOGS / "tokens.json").read_text())
    log["samples"] = log["samples"][: len(values)]
    for sample, value in zip(log["samples"], values, strict=True):
        sample["scores"]["choice"]["value"] = value
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(log))
    return path


def test_scores_are_right_or_wrong_in_every_spelling_and_parts_are_refused(tmp_path, capsys):
    read = Outcomes.load(with_scores(tmp_path, "C", "I", "N", 1.0, 0, True, "yes"))
    assert read.correct.tolist() == [True, False, False, True, False, True, True]
    assert "`value` must be right or wrong, 1 or 0, got 'P' in row 1" in refused(
        capsys, with_scores(tmp_path, "C", "P")
    )
    with pytest.warns(UserWarning, match="no score"):
        assert Outcomes.load(with_scores(tmp_path, "C", math.nan, "I")).n == 2


def test_a_log_in_a_folder_of_logs_is_found_and_settings_beside_it_are_not(tmp_path, capsys):
    shutil.copy(LOGS / "tokens.eval", tmp_path / "tokens.eval")
    (tmp_path / "results.json").write_text("{}")
    assert main(["evaluate", str(tmp_path), "--no_remedy"]) == 0
    assert "12 outcomes" in capsys.readouterr().out
