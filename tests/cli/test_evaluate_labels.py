# SPDX-License-Identifier: Apache-2.0
"""Tables in which several labels of a row may apply: ``adafocal evaluate --multilabel``."""

import json

import pytest
import torch

from adafocal import MultilabelPredictions
from adafocal.calibration import evaluate
from adafocal.cli import main

NAMES = ["cat", "<b>dog</b>", "owl", "fox"]


def record(n=400, names=NAMES, seed=0):
    """The first labels over-confident, the others calibrated; of some entries nothing is known."""
    generator = torch.Generator().manual_seed(seed)
    truth = 1.5 * torch.randn(n, len(names), generator=generator, dtype=torch.float64)
    labels = torch.bernoulli(truth.sigmoid(), generator=generator).long()
    labels[:7, 2] = -100
    factor = torch.where(torch.arange(len(names)) < 2, 3.0, 1.0)
    return MultilabelPredictions(probs=(factor * truth).sigmoid(), labels=labels, classes=names)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.parquet"
    record().save(path)
    return path


def test_every_label_is_measured_and_the_worst_is_first(table, tmp_path, capsys):
    out, page = tmp_path / "found.json", tmp_path / "page.html"
    assert main(["evaluate", str(table), "--multilabel", "--json", str(out), "--html", str(page), "--bins", "10"]) == 0
    found, shown = json.loads(out.read_text()), capsys.readouterr().out
    summary = evaluate(record(), n_bins=10)

    assert {name: found[name] for name in summary.to_dict()} == json.loads(json.dumps(summary.to_dict()))
    assert found["labels"]["owl"]["n"] == 393
    assert set(summary.worst_first[:2]) == set(NAMES[:2])
    assert "400 samples, 4 labels; calibrated event: the label applies" in shown
    assert "2 of 4 labels miscalibrated beyond chance" in shown
    places = [shown.rindex(name) for name in summary.worst_first]
    assert places == sorted(places)
    for row in ("mean of labels", "all entries"):
        assert row in shown
    html = page.read_text()
    assert "&lt;b&gt;dog" in html
    assert "<b>dog" not in html
    assert "2 of 4 labels miscalibrated beyond chance" in html
    assert "The worst labels first." in html
    assert f"ECE of each label&#39;s probability in percent: {summary.worst_first[0]}" in html.replace("&lt;b&gt;", "<b>").replace("&lt;/b&gt;", "</b>")  # fmt: skip  # noqa: E501


def test_of_many_labels_the_worst_are_drawn_and_all_are_in_numbers(tmp_path, capsys):
    names, page = [f"label {number}" for number in range(40)], tmp_path / "page.html"
    path = tmp_path / "many.csv"
    record(150, names).save(path)
    assert main(["evaluate", str(path), "--multilabel", "--html", str(page)]) == 0
    shown, html = capsys.readouterr().out, page.read_text()

    assert "20 of 40 labels, the worst first" in shown
    assert "The worst 24 of 40 labels; the table holds all." in html
    table = html[html.index('id="section-labels"') :]
    assert all(f">{name}<" in table.replace("<bdi>", "").replace("</bdi>", "") for name in names)


def test_files_are_parts_of_one_table(tmp_path, capsys):
    whole, out = record(), tmp_path / "found.json"
    whole[slice(0, 150)].save(tmp_path / "a.csv")
    whole[slice(150, None)].save(tmp_path / "b.csv")
    given = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert main(["evaluate", *given, "--multilabel", "--json", str(out)]) == 0
    found, expected = json.loads(out.read_text()), evaluate(whole).to_dict()

    assert found["n"] == 400
    assert found["macro"]["ece"] == pytest.approx(expected["macro"]["ece"], abs=1e-6)
    record(names=["cat", "dog", "owl", "elk"]).save(tmp_path / "c.csv")
    assert main(["evaluate", given[0], str(tmp_path / "c.csv"), "--multilabel"]) == 2
    assert "`FILE` must name tables of the same labels, probs of cat, <b>dog</b>, owl, fox" in capsys.readouterr().err


def test_weights_and_clusters_count(tmp_path):
    plain, out = record(), tmp_path / "found.json"
    weight, cluster = torch.arange(400) % 3 + 0.0, torch.arange(400) // 8
    held = MultilabelPredictions(probs=plain.probs, labels=plain.labels, classes=NAMES, weight=weight, cluster=cluster)
    held.save(tmp_path / "heavy.parquet")
    given = ["--weight", "weight", "--cluster", "cluster", "--json", str(out), "--html", str(tmp_path / "p.html")]
    assert main(["evaluate", str(tmp_path / "heavy.parquet"), "--multilabel", *given]) == 0
    found, expected = json.loads(out.read_text()), evaluate(held).to_dict()
    assert found["macro"] == json.loads(json.dumps(expected["macro"]))
    assert found["micro"]["n_clusters"] == 50


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
@pytest.mark.parametrize("names", [["cat"], None])
def test_one_label_is_enough(suffix, names, tmp_path, capsys):
    path, generator = tmp_path / f"one{suffix}", torch.Generator().manual_seed(0)
    probs = torch.rand(50, 1, generator=generator)
    labels = torch.bernoulli(probs, generator=generator)
    MultilabelPredictions(probs=probs, labels=labels, classes=names).save(path)
    found = MultilabelPredictions.load(path)

    torch.testing.assert_close(found.probs, probs)
    assert torch.equal(found.labels, labels.long())
    assert suffix != ".csv" or found.classes == (None if names is None else ("cat",))
    assert main(["evaluate", str(path), "--multilabel"]) == 0
    assert "50 samples, 1 labels" in capsys.readouterr().out


def test_standard_input_is_read(table, tmp_path, monkeypatch, capsys):
    record().save(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert main(["evaluate", "-", "--multilabel"]) == 0
    assert "400 samples, 4 labels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--by", "x"], "`by` must not be given with `--multilabel`, got 'x'."),
        (["--positive-class", "cat"], "`positive_class` must not be given with `--multilabel`, got 'cat'."),
        (["--fail-above", "ece=0.1"], "`fail_above` must not be given with `--multilabel`, got ['ece=0.1']."),
        (["--normalize"], "`normalize` must not be given with `--multilabel`, got True."),
        (["--executor", "ray"], "`multilabel` must go with `--executor local`, got 'ray'."),
        (["--ray-address", "auto"], "`ray_address` must be given with `--executor ray`, got 'auto' with local."),
        (["--bins", "0"], "`bins` must be an integer >= 1, got 0."),
    ],
)
def test_what_has_no_meaning_there_is_refused(given, sentence, table, capsys):
    assert main(["evaluate", str(table), "--multilabel", *given]) == 2
    assert sentence in capsys.readouterr().err


def test_without_the_flag_such_a_table_is_refused_with_it(tmp_path, capsys):
    record(names=["cat", "dog", "owl", "fox"]).save(tmp_path / "labels.csv")
    assert main(["evaluate", str(tmp_path / "labels.csv")]) == 2
    assert "either `label` or `labels` (or, of models whose labels are independent, --multilabel)" in (
        capsys.readouterr().err
    )


def test_a_table_of_one_label_per_row_is_refused_with_it(tmp_path, capsys):
    (tmp_path / "softmax.csv").write_text("prob_a,prob_b,label\n0.4,0.6,1\n0.9,0.1,0\n")
    assert main(["evaluate", str(tmp_path / "softmax.csv"), "--multilabel"]) == 2
    assert "columns must include `label_a`" in capsys.readouterr().err
