# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from adafocal import Predictions
from adafocal.calibration import evaluate, one_class_from_probs
from adafocal.cli import main
from adafocal.evaluation.measure import ALL, measure
from adafocal.report.terminal import diagram_lines
from adafocal.selective import aurc
from adafocal.tables.scan import Names, find_files, scan

EXACT_IN_A_STREAM = (
    "n",
    "n_classes",
    "n_bins",
    "accuracy",
    "nll",
    "brier",
    "overconfidence",
    "ece",
    "mce",
    "classwise_ece",
)
NEEDS_ALL = ("brier_calibration", "brier_refinement")
KEYS = {
    "n", "n_classes", "accuracy", "nll", "brier", "ece", "ece_equal_mass", "ece_sweep", "mce", "classwise_ece",
    "overconfidence",
}  # fmt: skip


def predictions(n=500, n_classes=4, seed=0, kind="probs"):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, n_classes, generator=generator)
    labels = torch.multinomial((0.7 * logits).softmax(dim=1), 1, generator=generator)[:, 0]
    return Predictions(**{kind: logits if kind == "logits" else logits.softmax(dim=1)}, labels=labels)


def run(tmp_path, *arguments):
    """Run the command; give its JSON."""
    assert main(["evaluate", *map(str, arguments), "--json", str(tmp_path / "out.json")]) == 0
    return json.loads((tmp_path / "out.json").read_text())


def refused(capsys, *arguments):
    """Run the command; give the one sentence with which it refuses."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip().removeprefix("adafocal evaluate: ")


def agree(actual, expected, rtol=1e-6):
    assert set(expected) <= set(actual)
    for name, value in expected.items():
        if name == "verdict":
            assert actual[name]["kind"] == value["kind"]
            continue
        assert actual[name] == (None if value is None else pytest.approx(value, rel=rtol, abs=1e-8)), name


def table_of(data, **more):
    return pa.table({"probs": list(data.probs.numpy()), "label": data.labels.numpy(), **more})


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_every_format_gives_the_numbers_of_the_library(tmp_path, suffix, kind, capsys):
    data = predictions(kind=kind)
    data.save(tmp_path / f"p{suffix}")
    result = run(tmp_path, tmp_path / f"p{suffix}")
    agree(result, evaluate(data).to_dict())
    assert set(result) >= KEYS
    assert result["method"] == "exact"
    assert result["files"] == [str(tmp_path / f"p{suffix}")]
    assert sum(part["count"] for part in result["bins"]) == data.n == 500
    printed = capsys.readouterr().out
    assert "500 samples, 4 classes" in printed
    assert f"{100 * result['accuracy']:.2f} %" in printed


def test_many_files_a_folder_and_a_glob_are_one_data_set(tmp_path):
    data = predictions()
    for index, rows in enumerate((slice(0, 100), slice(100, 110), slice(110, 500))):
        part = Predictions(probs=data.probs[rows], labels=data.labels[rows])
        part.save(tmp_path / "parts" / f"part-{index}{'.csv' if index == 1 else '.parquet'}")
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".part-9.csv").touch()
    expected = evaluate(data).to_dict()
    agree(run(tmp_path, tmp_path / "parts"), expected)
    agree(run(tmp_path, tmp_path / "parts" / "part-*"), expected)
    agree(run(tmp_path, *sorted((tmp_path / "parts").glob("part-*"))), expected)


def test_files_are_read_once_and_in_order_of_their_names(tmp_path):
    for name in ("b.csv", "a.csv", "sub/c.npz"):
        predictions().save(tmp_path / name)
    names = [file.path.relative_to(tmp_path).as_posix() for file in find_files([tmp_path, tmp_path / "a.csv"])]
    assert names == ["a.csv", "b.csv", "sub/c.npz"]


@pytest.mark.parametrize("kind", ["probs", "logits"])
@pytest.mark.parametrize("n_bins", [15, 10, 1])
def test_a_stream_is_exact_or_within_a_cell_of_the_grid(tmp_path, kind, n_bins):
    data = predictions(20_000, kind=kind)
    data.save(tmp_path / "p.parquet")
    expected = evaluate(data, n_bins=n_bins).to_dict()
    part = measure(scan([tmp_path / "p.parquet"], Names()), n_bins=n_bins, in_memory=0)[ALL]
    assert not part.exact
    actual = part.summary.to_dict()
    agree(actual, {name: expected[name] for name in EXACT_IN_A_STREAM})
    agree({name: actual[name] for name in ("ece_equal_mass", "rms", "ks", "smooth_ece")},
          {name: expected[name] for name in ("ece_equal_mass", "rms", "ks", "smooth_ece")}, rtol=0.05)  # fmt: skip
    for name in ("accuracy_interval", "overconfidence_interval"):
        assert actual[name] == pytest.approx(expected[name], rel=1e-6)
    assert actual["rms_interval"] == pytest.approx(expected["rms_interval"], abs=0.003)
    assert actual["p_calibrated"] == pytest.approx(expected["p_calibrated"], abs=0.05)
    assert [actual[name] for name in NEEDS_ALL] == [None, None]
    assert int(part.bins.count.sum()) == 20_000


def test_streaming_does_not_depend_on_how_rows_are_cut(tmp_path, monkeypatch):
    data = predictions(3000)
    pq.write_table(table_of(data), tmp_path / "p.parquet", row_group_size=700)
    whole = measure(scan([tmp_path / "p.parquet"], Names()), in_memory=0)[ALL].summary.to_dict()
    monkeypatch.setattr("adafocal.tables.scan.PIECE", 64)
    pieces = list(scan([tmp_path / "p.parquet"], Names()))
    assert len(pieces) > 100
    agree(measure(pieces, in_memory=500)[ALL].summary.to_dict(), {k: v for k, v in whole.items() if v is not None})


def test_equal_probabilities_and_edges_count_as_in_memory(tmp_path):
    probs = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [1.0, 0.0, 0.0], [0.6, 0.2, 0.2], [0.8, 0.1, 0.1]])
    data = Predictions(probs=probs.repeat(40, 1), labels=torch.arange(200) % 3)
    data.save(tmp_path / "p.npz")
    for n_bins in (5, 10, 15):
        actual = measure(scan([tmp_path / "p.npz"], Names()), n_bins=n_bins, in_memory=0)[ALL].summary.to_dict()
        agree(actual, {name: evaluate(data, n_bins=n_bins).to_dict()[name] for name in EXACT_IN_A_STREAM})


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_groups_are_measured_each_for_itself(tmp_path, in_memory):
    data = predictions(900)
    site = np.array(["north", "south", "<b>"])[np.arange(900) % 3]
    pq.write_table(table_of(data, site=site), tmp_path / "p.parquet")
    measured = measure(scan([tmp_path / "p.parquet"], Names(by="site")), in_memory=in_memory)
    assert list(measured) == ["", "<b>", "north", "south"]
    for name in ("<b>", "north", "south"):
        rows = torch.as_tensor(site == name)
        expected = evaluate(Predictions(probs=data.probs[rows], labels=data.labels[rows])).to_dict()
        agree(measured[name].summary.to_dict(), {key: expected[key] for key in EXACT_IN_A_STREAM})


def test_groups_are_written_and_printed_as_they_are(tmp_path, capsys):
    data = predictions(60)
    pq.write_table(table_of(data, site=["[red]x", "y"] * 30), tmp_path / "p.parquet")
    result = run(tmp_path, tmp_path / "p.parquet", "--by", "site")
    assert {name: part["n"] for name, part in result["groups"].items()} == {"[red]x": 30, "y": 30}
    assert "[red]x" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_groups_are_found_in_every_format(tmp_path, suffix):
    columns = {"prob_0": [0.9, 0.2, 0.7], "prob_1": [0.1, 0.8, 0.3], "label": [0, 1, 1], "site": [7, 8, 7]}
    if suffix == ".csv":
        rows = zip(*columns.values(), strict=True)
        text = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)])
        (tmp_path / "p.csv").write_text(text + "\n")
    else:
        np.savez(tmp_path / "p.npz", **{name: np.array(column) for name, column in columns.items()})
    result = run(tmp_path, tmp_path / f"p{suffix}", "--by", "site")
    assert {name: part["n"] for name, part in result["groups"].items()} == {"7": 2, "8": 1}


def test_the_page_stands_alone_and_escapes_what_comes_from_data(tmp_path, capsys):
    data = predictions(300)
    pq.write_table(table_of(data, site=["<script>alert(1)</script>", "plain"] * 150), tmp_path / "<b>.parquet")
    run(tmp_path, tmp_path / "<b>.parquet", "--by", "site", "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<h1><bdi>Calibration of &lt;b&gt;.parquet</bdi></h1>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script") == 1  # the one that sorts the table of groups
    assert "<b>" not in page
    assert page.count("<svg") == 3  # reliability, classes, risk and coverage
    assert f"{100 * evaluate(data).accuracy:.2f} %" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def page_of(tmp_path, *options):
    main(["evaluate", str(tmp_path / "p.parquet"), "--html", str(tmp_path / "page.html"), *options])
    return (tmp_path / "page.html").read_text()


def test_the_page_of_data_in_memory_shows_classes_and_the_error_of_the_surest(tmp_path):
    data = predictions(300, n_classes=30)
    data.save(tmp_path / "p.parquet")
    page = page_of(tmp_path)
    found = 100 * float((data.correct & (data.labels == 7)).sum() / (data.labels == 7).sum())

    assert f"(AURC; lower is better): {100 * float(aurc(data.confidence, ~data.correct)):.2f}" in page
    assert page.count('<th scope="row"><bdi>') >= 30
    assert f">{found:.1f}</td>" in page
    assert 'id="small-multiples"' not in page


def test_the_page_of_a_class_or_of_a_stream_shows_what_sums_can_tell(tmp_path, monkeypatch):
    predictions(300).save(tmp_path / "p.parquet")
    of_class = page_of(tmp_path, "--positive-class", "1")
    monkeypatch.setattr("adafocal.evaluation.measure.IN_MEMORY", 0)
    streamed = page_of(tmp_path)

    for page in (of_class, streamed):
        assert page.count("<svg") == 1
        assert 'id="section-classes"' not in page
        assert 'id="section-risk"' not in page


def test_too_many_groups_are_refused(tmp_path, capsys):
    data = predictions(1500)
    pq.write_table(table_of(data, row=np.arange(1500)), tmp_path / "p.parquet")
    sentence = "`by` must name a column of at most 1000 different values, got more."
    assert refused(capsys, tmp_path / "p.parquet", "--by", "row") == sentence


def test_a_stream_has_the_smooth_curve_of_data_in_memory(tmp_path):
    predictions(2000).save(tmp_path / "p.parquet")
    exact, streamed = (
        measure(scan([tmp_path / "p.parquet"], Names()), in_memory=limit)[""].curve for limit in (10**9, 0)
    )
    assert len(exact.accuracy) > 50
    torch.testing.assert_close(streamed.accuracy, exact.accuracy, rtol=0, atol=2e-3)


@pytest.mark.parametrize("in_memory", [0, 10**9])
def test_a_positive_class_is_calibrated_in_place_of_the_top_label(tmp_path, in_memory):
    data = predictions(400, n_classes=2)
    data.save(tmp_path / "p.parquet")
    pieces = scan([tmp_path / "p.parquet"], Names())
    actual = measure(pieces, positive_class=1, in_memory=in_memory)[ALL].summary
    confidence, happened = one_class_from_probs(data.probs, data.labels, positive_class=1)
    assert actual.overconfidence == pytest.approx(float(confidence.double().mean() - happened.double().mean()))
    assert actual.accuracy == pytest.approx(float(data.correct.double().mean()))
    assert actual.ece == pytest.approx(evaluate(data, positive_class=1).ece)
    assert actual.ece != pytest.approx(evaluate(data).ece)


def test_columns_are_named_by_flags(tmp_path):
    data = predictions(300, n_classes=3)
    names = ["cat", "dog", "bird"]
    table = pa.table({name: data.probs[:, k].numpy() for k, name in enumerate(names)} | {"truth": data.labels.numpy()})
    pq.write_table(table, tmp_path / "p.parquet")
    pq.write_table(table.rename_columns(["p_0", "p_1", "p_2", "truth"]), tmp_path / "q.parquet")
    np.savez(tmp_path / "r.npz", scores=data.probs.log().numpy(), truth=data.labels.numpy())
    expected = evaluate(data).to_dict()
    agree(run(tmp_path, tmp_path / "p.parquet", "--probs", "cat,dog,bird", "--label", "truth"), expected)
    agree(run(tmp_path, tmp_path / "q.parquet", "--probs", "p", "--label", "truth"), expected)
    agree(run(tmp_path, tmp_path / "r.npz", "--logits", "scores", "--label", "truth"), expected, rtol=1e-4)


def test_bins_are_chosen_by_a_flag(tmp_path):
    data = predictions()
    data.save(tmp_path / "p.csv")
    agree(run(tmp_path, tmp_path / "p.csv", "--bins", "5"), evaluate(data, n_bins=5).to_dict())


BAD_ROW = 123


def spoiled(tmp_path, suffix, probs=None, label=None):
    """Save predictions with one bad row, past their own checks."""
    data = predictions()
    rows, labels = data.probs.numpy().copy(), data.labels.numpy().copy()
    if probs is not None:
        rows[BAD_ROW] = probs
    if label is not None:
        labels[BAD_ROW] = label
    path = tmp_path / f"p{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.table({"probs": list(rows), "label": labels}), path, row_group_size=50)
    elif suffix == ".npz":
        np.savez(path, probs=rows, labels=labels)
    else:
        lines = [",".join([*map(str, row), str(label)]) for row, label in zip(rows.tolist(), labels, strict=True)]
        path.write_text("\n".join(["prob_0,prob_1,prob_2,prob_3,label", *lines]) + "\n")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
@pytest.mark.parametrize("piece", [1 << 18, 64])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"probs": [np.nan, 0.5, 0.5, 0.0]}, "`probs` must be finite, got [nan, 0.5, 0.5, 0]"),
        ({"probs": [0.5, 0.5, 0.5, 0.0]}, "`probs` must sum to 1 within 0.001 in each row, got [0.5, 0.5, 0.5, 0]"),
        ({"probs": [1.5, -0.5, 0, 0]}, "`probs` must lie in [0, 1], got [1.5, -0.5, 0, 0]"),
        ({"label": 4}, "`labels` must be class indices in [0, 4), got 4"),
        ({"label": -1}, "`labels` must be class indices in [0, 4), got -1"),
    ],
)
def test_bad_rows_are_named_by_row_and_file(tmp_path, suffix, piece, fault, sentence, monkeypatch, capsys):
    monkeypatch.setattr("adafocal.tables.scan.PIECE", piece)
    monkeypatch.setattr("adafocal.evaluation.measure.IN_MEMORY", 100)
    path = spoiled(tmp_path, suffix, **fault)
    remedy = ": normalize to divide rows by their sum" if "sum to 1" in sentence else ""
    assert refused(capsys, path) == f"{sentence} in row 123 of {str(path)!r}{remedy}."


def test_broken_csv_cells_are_named_by_row_and_file(tmp_path, capsys):
    path = tmp_path / "p.csv"
    path.write_text("prob_0,prob_1,label\n0.5,0.5,1\n0.5,oops,1\n")
    assert refused(capsys, path) == f"`prob_1` must be a number, got 'oops' in row 1 of {str(path)!r}."
    path.write_text("prob_0,prob_1,label\n0.5,0.5,1\n0.5,0.5\n")
    assert refused(capsys, path) == f"rows must have 3 values as the header has, got 2 in row 1 of {str(path)!r}."
    path.write_text("prob_0,prob_1,label\n0.5,0.5,1\n0.5,0.5,0.5\n")
    assert refused(capsys, path) == f"`label` must be an integer class index, got 0.5 in row 1 of {str(path)!r}."


def test_missing_parquet_values_and_mixed_widths_are_named_by_row_and_file(tmp_path, capsys):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"probs": [[0.5, 0.5], [0.5, None]], "label": [0, 1]}), path)
    assert refused(capsys, path) == f"`probs` must have no missing values, got null in row 1 of {str(path)!r}."
    pq.write_table(pa.table({"probs": [[0.5, 0.5], [0.2, 0.3, 0.5]], "label": [0, 1]}), path)
    said = f"`probs` must have rows of one length, 2, got 3 in row 1 of {str(path)!r}"
    assert refused(capsys, path) == f"{said}: ragged where each row has choices of its own."


def test_files_that_do_not_go_together_are_refused(tmp_path, capsys):
    first, second, third = (tmp_path / name for name in ("a.npz", "b.npz", "c.npz"))
    predictions().save(first)
    predictions(n_classes=5).save(second)
    predictions(kind="logits").save(third)
    assert refused(capsys, first, second) == f"files must all have 4 classes, got 5 in {str(second)!r}."
    assert refused(capsys, first, third) == f"files must all hold probs, got logits in {str(third)!r}."


def test_missing_columns_are_refused_by_file(tmp_path, capsys):
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"probs": [[0.5, 0.5]], "target": [0]}), path)
    assert refused(capsys, path) == (
        f"columns must include either `label` or `labels`, got probs, target in {str(path)!r}."
    )
    pq.write_table(pa.table({"probs": [[0.5, 0.5]], "label": [0]}), path)
    assert refused(capsys, path, "--logits", "z") == f"columns must include `z`, got probs, label in {str(path)!r}."
    assert refused(capsys, path, "--by", "site") == f"columns must include `site`, got probs, label in {str(path)!r}."


def test_files_without_rows_are_refused(tmp_path, capsys):
    table = pa.table({"probs": [[0.5, 0.5]], "label": [0]})
    pq.write_table(table.slice(0, 0), tmp_path / "p.parquet")
    (tmp_path / "p.csv").write_text("prob_0,prob_1,label\n")
    assert refused(capsys, tmp_path / "p.parquet") == "`FILE` must hold at least one row, got 0."
    assert refused(capsys, tmp_path / "p.csv") == "`FILE` must hold at least one row, got 0."
    pq.write_table(table, tmp_path / "q.parquet")
    assert run(tmp_path, tmp_path / "p.parquet", tmp_path / "q.parquet")["n"] == 1


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused_by_name(tmp_path, share, capsys):
    path = tmp_path / "p.parquet"
    predictions().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert refused(capsys, path).startswith(f"`FILE` must be a readable Parquet file, got {str(path)!r}: ")


def test_damage_within_a_parquet_file_is_refused_by_name(tmp_path, capsys):
    path = tmp_path / "p.parquet"
    predictions(5000).save(path)
    whole = bytearray(path.read_bytes())
    whole[4:60] = bytes(56)
    path.write_bytes(whole)
    assert refused(capsys, path).startswith(f"`FILE` must be a readable Parquet file, got {str(path)!r}: ")


def test_missing_files_and_unknown_suffixes_are_refused(tmp_path, capsys):
    path = tmp_path / "none.parquet"
    formats = ".parquet, .csv, .tsv, .jsonl, .ndjson, .npz, .feather, .arrow, .eval, .json"
    sentence = f"`FILE` must name existing files ({formats}), got {str(path)!r}."
    assert refused(capsys, path) == sentence
    (tmp_path / "p.txt").touch()
    sentence = f"{formats} (also with .gz, .bz2, .zst), got {str(tmp_path / 'p.txt')!r}: name it *.csv or *.tsv."
    assert refused(capsys, tmp_path / "p.txt") == f"`path` must end in {sentence}"


def test_unusable_options_are_refused(tmp_path, capsys):
    path = tmp_path / "p.npz"
    predictions().save(path)
    assert refused(capsys, path, "--bins", "0") == "`bins` must be an integer >= 1, got 0."
    sentence = "`positive_class` must be a class, 0 to 3, got '4'."
    assert refused(capsys, path, "--positive-class", "4") == sentence
    assert refused(capsys, path, "--probs", "p", "--logits", "z") == "`logits` or `probs` must be given, and not both."


def test_a_failing_run_leaves_the_old_result(tmp_path, capsys):
    (tmp_path / "out.json").write_text("{}")
    assert refused(capsys, spoiled(tmp_path, ".npz", label=9), "--json", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "{}"


def test_infinite_likelihood_is_null_in_json(tmp_path):
    Predictions(probs=torch.tensor([[1.0, 0.0]]), labels=torch.tensor([1])).save(tmp_path / "p.npz")
    assert run(tmp_path, tmp_path / "p.npz")["nll"] is None


def test_the_diagram_shows_accuracy_as_a_bar_and_confidence_as_a_mark(tmp_path):
    data = Predictions(probs=torch.tensor([[0.75, 0.25]] * 4), labels=torch.tensor([0, 0, 1, 1]))
    data.save(tmp_path / "p.npz")
    bins = measure(scan([tmp_path / "p.npz"], Names()), n_bins=2)[ALL].bins
    header, line = diagram_lines(bins, ascii_only=True)
    assert "accuracy ##" in header
    assert line == "0.500 - 1.000             4  " + "#" * 20 + "." * 10 + "|" + "." * 9 + "   50.0 %"
    assert "█" * 20 + "·" * 10 + "┃" in diagram_lines(bins)[1]


def test_plain_terminals_get_plain_text(tmp_path):
    predictions().save(tmp_path / "p.npz")
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", "adafocal.cli", "evaluate", str(tmp_path / "p.npz")],
        env=environment, capture_output=True, check=True,
    )  # fmt: skip
    assert b"accuracy ##" in done.stdout
    assert done.stdout.isascii()
    assert done.stderr == b""


def test_progress_counts_every_row_once(tmp_path):
    predictions(1000).save(tmp_path / "p.parquet")
    for in_memory in (0, 10**9):
        seen = []
        measure(scan([tmp_path / "p.parquet"], Names()), advance=seen.append, in_memory=in_memory)
        assert sum(seen) == 1000


def test_a_large_file_is_read_without_pandas(tmp_path):
    pq.write_table(table_of(predictions()), tmp_path / "p.parquet")
    code = (
        "import sys, pathlib; from adafocal.tables.scan import Names, scan; "
        "from adafocal.evaluation.measure import measure; "
        "measure(scan([pathlib.Path(sys.argv[1])], Names()), in_memory=1); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "p.parquet"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_the_address_of_a_cluster_is_not_left_aside(tmp_path, capsys):
    predictions().save(tmp_path / "p.parquet")

    assert main(["evaluate", str(tmp_path / "p.parquet"), "--ray-address", "auto"]) == 2
    sentence = "adafocal evaluate: `ray_address` must be given with `--executor ray`, got 'auto' with local.\n"
    assert capsys.readouterr().err == sentence
