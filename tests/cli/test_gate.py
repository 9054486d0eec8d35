# SPDX-License-Identifier: Apache-2.0
"""Limits that fail a build, what the command writes where, and calibration over time."""

import json

import numpy as np
import pytest

from adafocal.cli import main


@pytest.fixture
def file(tmp_path):
    """400 outcomes over-confident by about 20 %, of two sites, over 40 days with a hole."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.6, 1.0, 400).round(3)
    correct = rng.uniform(size=400) < confidence - 0.2
    days = np.datetime64("2026-01-05") + np.sort(rng.integers(0, 20, 400)) * np.timedelta64(1, "D")
    days[200:] += np.timedelta64(20, "D")
    path = tmp_path / "p.csv"
    rows = [
        f"{c},{int(y)},{'north' if i % 2 else 'south'},{d}"
        for i, (c, y, d) in enumerate(zip(confidence, correct, days, strict=True))
    ]
    order = rng.permutation(400)
    path.write_text("confidence,correct,site,day\n" + "\n".join(rows[i] for i in order) + "\n")
    return path


def evaluated(capsys, *arguments):
    status = main(["evaluate", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("flag", ["--fail-above", "--fail_above"])
def test_a_measure_without_interval_is_compared_by_its_value(file, capsys, flag):
    status, _, err = evaluated(capsys, file, flag, "ece_debiased=0.05")

    assert status == 3
    assert err.startswith("adafocal evaluate: ece_debiased is ")
    assert err.endswith(" %, above the limit 5.00 %.\n")
    assert err.count("\n") == 1
    assert evaluated(capsys, file, flag, "ece_debiased=0.9")[0] == 0


def test_a_measure_with_an_interval_is_compared_by_its_end_and_the_output_says_which(file, capsys):
    low, high = result(file, capsys)["overconfidence_interval"]
    within = (low + high) / 2

    assert evaluated(capsys, file, "--fail-above", f"overconfidence={low - 0.01}")[2] == (
        f"adafocal evaluate: overconfidence: the lower end of its 95 % interval, {100 * low:.2f} %, "
        f"is above the limit {100 * (low - 0.01):.2f} %.\n"
    )
    status, out, err = evaluated(capsys, file, "--fail-above", f"overconfidence={within}")
    assert (status, err) == (0, "")
    assert f"overconfidence: the lower end of its 95 % interval, {100 * low:.2f} %, is not above" in out
    status, _, err = evaluated(capsys, file, "--fail-above", f"overconfidence={within}", "--strict")
    assert status == 3
    assert f"the upper end of its 95 % interval, {100 * high:.2f} %, is above" in err


def test_accuracy_fails_below(file, capsys):
    low, high = result(file, capsys)["accuracy_interval"]

    assert evaluated(capsys, file, "--fail-below", f"accuracy={high + 0.01}")[0] == 3
    assert evaluated(capsys, file, "--fail-below", f"accuracy={(low + high) / 2}")[0] == 0
    assert evaluated(capsys, file, "--fail-below", f"accuracy={(low + high) / 2}", "--strict")[0] == 3
    assert evaluated(capsys, file, "--fail-below", f"accuracy={low - 0.01}", "--strict")[0] == 0


def result(file, capsys, *arguments):
    return json.loads(evaluated(capsys, file, "--json", "-", *arguments)[1])


def test_limits_join_by_commas_and_repeat_and_judge_groups_too(file, capsys):
    arguments = (
        "--by",
        "site",
        "--fail-above",
        "ece=5%,nll=9",
        "--fail-above",
        "mce=0.99",
        "--fail-below",
        "p_calibrated=0.05",
    )
    status, out, err = evaluated(capsys, file, *arguments)

    assert status == 3
    failed = err.splitlines()
    assert [line.split(" ")[2:5] for line in failed[:3]] == [
        ["ece", "is", failed[0].split()[4]],
        ["ece", "of", "north"],
        ["ece", "of", "south"],
    ]
    assert sum("p_calibrated" in line for line in failed) == 3
    assert "nll is" in out
    assert "2 of 2 groups keep it." in out
    judged = result(file, capsys, *arguments)["limits"]
    assert len(judged) == 4 * 3
    assert judged[1] | {"number": 0} == {
        "measure": "ece", "fails": "above", "limit": 0.05, "group": "north", "compared": "value", "number": 0,
        "failed": True,
    }  # fmt: skip


def test_what_is_infinite_or_not_defined_fails(tmp_path, capsys):
    path = tmp_path / "p.csv"
    path.write_text("confidence,correct,doc\n1.0,0,a\n0.5,1,b\n0.5,0,c\n")

    assert "nll is inf, above the limit" in evaluated(capsys, path, "--fail-above", "nll=100")[2]
    status, _, err = evaluated(capsys, path, "--cluster", "doc", "--fail-below", "p_calibrated=0.05")
    assert status == 3
    assert "p_calibrated is not defined, and so does not keep the limit 0.050." in err
    assert result(path, capsys, "--fail-above", "nll=100")["limits"][0]["number"] is None


@pytest.mark.parametrize(
    ("option", "given", "sentence"),
    [
        ("above", "ece_debaised=0.1", "`fail_above` must name a measure, one of accuracy, nll, "),
        ("above", "ece", "`fail_above` must be MEASURE=LIMIT, such as ece_debiased=0.05, got 'ece'."),
        ("above", "ece=", "must have a finite number as the limit of ece, got ''."),
        ("above", "ece=nan", "must have a finite number as the limit of ece, got 'nan'."),
        ("above", "ece=inf", "must have a finite number"),
        ("above", "ece=5", "`fail_above` must be between 0 and 1 for ece, got 5: write 0.05 or 5% for percent."),
        ("above", "nll=-1", "must be at least 0 for nll, got -1."),
        ("above", "accuracy=0.9", "of which higher is better, got accuracy: write --fail-below accuracy=0.9."),
        ("below", "ece=0.05", "of which lower is better, got ece: write --fail-above ece=0.05."),
        ("above", "ece=0.1,", "`fail_above` must be MEASURE=LIMIT"),
    ],
)
def test_slips_of_the_pen_get_a_sentence_before_anything_is_read(tmp_path, capsys, option, given, sentence):
    status, out, err = evaluated(capsys, tmp_path / "none.csv", f"--fail-{option}", given)

    assert (status, out) == (2, "")
    assert sentence in err


def test_json_to_standard_output_stands_alone_and_what_is_written_is_said(file, tmp_path, capsys):
    status, out, err = evaluated(capsys, file, "--json", "-", "--html", tmp_path / "p.html", "--by", "site")
    assert status == 0
    assert json.loads(out)["n"] == 400
    assert "accuracy" in err
    assert err.endswith(f"page {tmp_path / 'p.html'}\n")

    status, out, err = evaluated(capsys, file, "--json", tmp_path / "p.json", "--html", tmp_path / "p.html")
    assert out.endswith(f"numbers {tmp_path / 'p.json'}\npage {tmp_path / 'p.html'}\n")
    assert err == ""
    assert "`html` must name a file, got '-'" in evaluated(capsys, file, "--html", "-")[2]


def test_calibration_over_time_shows_every_window_and_raises_an_alarm(file, tmp_path, capsys):
    page = tmp_path / "p.html"
    arguments = ("--time", "day", "--window", "1w", "--html", page)
    status, out, err = evaluated(capsys, file, *arguments)

    assert (status, err) == (0, "")
    assert "Alarm after the window from 2026-01-" in out
    assert "over-confident by" in out
    assert page.read_text("utf-8").count("no rows") >= 1
    held = result(file, capsys, *arguments)["over_time"]
    starts = [window["start"][:10] for window in held["windows"]]
    assert starts[:3] == ["2026-01-05", "2026-01-12", "2026-01-19"]  # Mondays
    assert sum(window["n"] for window in held["windows"]) == 400
    empty = [window for window in held["windows"] if window["n"] == 0]
    assert empty
    assert {window["accuracy"] for window in empty} == {None}
    assert held["alarm"] is True
    status, _, err = evaluated(capsys, file, *arguments, "--fail-on-alarm")
    assert status == 3
    assert err.startswith("adafocal evaluate: Alarm after")


def test_windows_of_all_rows_are_the_summary(file, capsys):
    whole = result(file, capsys, "--time", "day", "--window", "200w")
    (window,) = whole["over_time"]["windows"]

    for name in ("n", "accuracy", "overconfidence", "ece", "accuracy_interval", "overconfidence_interval"):
        assert window[name] == pytest.approx(whole[name])


@pytest.mark.parametrize("option", ["--weight", "--cluster"])
def test_weights_and_clusters_have_intervals_and_no_alarm(tmp_path, capsys, option):
    rng = np.random.default_rng(0)
    rows = [
        f"{c:.3f},{int(rng.uniform() < c)},{i // 4 + 1},2026-01-0{1 + i % 9}"
        for i, c in enumerate(rng.uniform(0.5, 1, 200))
    ]
    path = tmp_path / "p.csv"
    path.write_text("confidence,correct,w,day\n" + "\n".join(rows) + "\n")
    whole = result(path, capsys, "--time", "day", "--window", "200w", option, "w")
    (window,) = whole["over_time"]["windows"]

    assert window["overconfidence_interval"] == pytest.approx(whole["overconfidence_interval"])
    assert window["accuracy_interval"] == pytest.approx(whole["accuracy_interval"])
    assert whole["over_time"]["alarm"] is None
    assert window["log_evidence"] is None
    assert whole["over_time"]["verdict"].startswith("No alarm: rows ")


def test_rows_in_any_order_and_pieces_of_any_size_give_the_same_windows(file, tmp_path, capsys, monkeypatch):
    arguments = ("--time", "day", "--window", "3d")
    first = result(file, capsys, *arguments)["over_time"]
    monkeypatch.setattr("adafocal.tables.scan.PIECE", 64)
    head, *rows = file.read_text().splitlines()
    other = tmp_path / "q.csv"
    other.write_text("\n".join([head, *sorted(rows)]) + "\n")

    again = result(other, capsys, *arguments)["over_time"]
    for one, two in zip(first["windows"], again["windows"], strict=True):
        assert [one[key] for key in ("start", "n")] == [two[key] for key in ("start", "n")]
        assert one["overconfidence"] == pytest.approx(two["overconfidence"])
        assert one["log_evidence"] == pytest.approx(two["log_evidence"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--window", "1w"), "`window` must go with `--time COLUMN`"),
        (("--tolerance", "0"), "`tolerance` must go with `--time COLUMN`"),
        (("--strict",), "`strict` must go with `--fail-above` or `--fail-below`"),
        (("--fail-on-alarm",), "`fail_on_alarm` must go with `--time COLUMN`"),
        (("--time", "day"), "`window` must be given with `--time`"),
        (
            ("--time", "day", "--window", "1y"),
            "`window` must be a number of m, h, d or w, such as 12h, 1d or 2w, and at most 520w, got '1y'.",
        ),
        (("--time", "day", "--window", "0d"), "got '0d'."),
        (("--time", "day", "--window", "521w"), "at most 520w, got '521w'."),
        (("--time", "week", "--window", "1d"), "columns must include `week`"),
        (("--time", "site", "--window", "1d"), "`site` must be a date or timestamp"),
        (("--time", "confidence", "--window", "1d"), "write --time-unit"),
        (("--time", "day", "--window", "1m"), "`window` must make at most 10,000 windows, got "),
        (("--time", "day", "--window", "1d", "--tolerance", "1.5"), "`tolerance` must be"),
        (("--time", "day", "--window", "1d", "--time-unit", "y"), "`time_unit` must be one of"),
        (("--time", "day", "--window", "1d", "--executor", "ray"), "`time` must go with `--executor local`"),
    ],
)
def test_options_of_time_that_do_not_go_together_get_a_sentence(file, capsys, arguments, sentence):
    status, out, err = evaluated(capsys, file, *arguments)

    assert (status, out) == (2, "")
    assert sentence in err


def test_a_tolerance_leaves_what_is_known_alone(file, capsys):
    held = result(file, capsys, "--time", "day", "--window", "1w", "--tolerance", "0.3")["over_time"]

    assert held["alarm"] is False
    assert "off by more than 30 %" in held["verdict"]


def test_the_help_tells_the_exit_statuses(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    text = " ".join(capsys.readouterr().out.split())

    assert "3 a limit of --fail-above or --fail-below is not kept" in text
