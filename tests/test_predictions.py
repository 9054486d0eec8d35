# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import adafocal
from adafocal import Predictions
from adafocal._reading import load_predictions

NO_VALUES = (
    "columns must include `logits` or `probs` (or `logit_0 …` or `prob_0 …`), or `confidence` and `correct`, got"
)
SUFFIXES = [".parquet", ".npz", ".csv"]
LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, -torch.inf]])
LABELS = torch.tensor([0, 2])


def random_predictions(n=50, n_classes=4, dtype=torch.float32, kind="probs", features=False):
    logits = 3 * torch.randn(n, n_classes)
    values = logits if kind == "logits" else logits.softmax(dim=1)
    return Predictions(
        **{kind: values.to(dtype)},
        labels=torch.randint(n_classes, (n,)),
        features=torch.randn(n, 5) if features else None,
    )


def values_of(predictions):
    return predictions.probs if predictions.logits is None else predictions.logits


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["logits", "probs"])
@pytest.mark.parametrize("features", [False, True])
def test_saving_and_loading_keeps_every_value(tmp_path, suffix, kind, features):
    saved = random_predictions(kind=kind, features=features)
    saved.save(tmp_path / f"new/p{suffix}")
    loaded = Predictions.load(tmp_path / f"new/p{suffix}")
    assert loaded.kind == kind
    assert torch.equal(loaded._values, saved._values)
    assert torch.equal(loaded.labels, saved.labels)
    if features:
        assert torch.equal(loaded.features, saved.features)
    else:
        assert loaded.features is None


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_parquet_and_npz_keep_dtypes(tmp_path, suffix, dtype):
    saved = random_predictions(dtype=dtype, n_classes=100)
    saved.save(tmp_path / f"p{suffix}")
    loaded = Predictions.load(tmp_path / f"p{suffix}")
    assert loaded._values.dtype == dtype
    assert torch.equal(loaded._values, saved._values)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_probabilities_survive_every_format(tmp_path, suffix, dtype):
    saved = random_predictions(dtype=dtype, n_classes=100)
    saved.save(tmp_path / f"p{suffix}")
    torch.testing.assert_close(Predictions.load(tmp_path / f"p{suffix}").probs, saved.probs, atol=0.0, rtol=1e-2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_masked_classes_survive_every_format(tmp_path, suffix):
    Predictions(logits=LOGITS, labels=LABELS).save(tmp_path / f"p{suffix}")
    assert torch.equal(Predictions.load(tmp_path / f"p{suffix}").logits, LOGITS)


def test_derived_values_follow_from_the_logits():
    predictions = Predictions(logits=LOGITS, labels=LABELS)
    assert (predictions.n, predictions.n_classes, len(predictions), predictions.kind) == (2, 3, 2, "logits")
    assert torch.equal(predictions.predicted, torch.tensor([0, 1]))
    assert torch.equal(predictions.correct, torch.tensor([True, False]))
    torch.testing.assert_close(predictions.probs, LOGITS.softmax(dim=1))
    torch.testing.assert_close(predictions.log_probs, LOGITS.log_softmax(dim=1))
    torch.testing.assert_close(predictions.confidence, LOGITS.softmax(dim=1).amax(dim=1))
    assert repr(predictions) == "Predictions(logits, n=2, n_classes=3)"


def test_probabilities_of_zero_have_log_minus_infinity():
    predictions = Predictions(probs=torch.tensor([[1.0, 0.0]]), labels=torch.tensor([1]))
    assert torch.equal(predictions.log_probs, torch.tensor([[0.0, -torch.inf]]))
    assert predictions.logits is None


def test_half_precision_widens_to_float32():
    predictions = Predictions(logits=LOGITS.half(), labels=LABELS)
    assert predictions.probs.dtype == torch.float32
    assert Predictions(probs=LOGITS.softmax(1).half(), labels=LABELS).log_probs.dtype == torch.float32


def test_the_lowest_class_wins_ties():
    predictions = Predictions(probs=torch.tensor([[0.5, 0.5], [0.5, 0.5]]), labels=torch.tensor([0, 1]))
    assert torch.equal(predictions.correct, torch.tensor([True, False]))


def test_numpy_arrays_and_unsigned_labels_are_taken():
    predictions = Predictions(logits=LOGITS.numpy(), labels=np.array([0, 2], dtype=np.uint16))
    assert predictions.labels.dtype == torch.int64


def test_gradients_are_dropped():
    assert not Predictions(logits=LOGITS.clone().requires_grad_(), labels=LABELS).logits.requires_grad


PROBS = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]


def with_row(row):
    return torch.tensor([*PROBS, row])


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({}, TypeError, "`logits` or `probs` must be given, and not both."),
        ({"logits": LOGITS, "probs": LOGITS}, TypeError, "`logits` or `probs` must be given, and not both."),
        ({"probs": iter(PROBS)}, TypeError, "`probs` must be a tensor or an array, got list_iterator."),
        ({"probs": PROBS}, ValueError, "`labels` must have one row per row of `probs`, 3, got 2."),
        ({"logits": LOGITS.long()}, TypeError, "`logits` must be floating point, got dtype torch.int64."),
        ({"logits": np.array([["a"]])}, TypeError, "`logits` must be floating point, got dtype <U1."),
        ({"logits": LOGITS[0]}, ValueError, "`logits` must have shape (N, C), got (3,)."),
        ({"logits": LOGITS[:, :1]}, ValueError, "`logits` must have at least 2 classes, got 1."),
        ({"logits": LOGITS[:0], "labels": LABELS[:0]}, ValueError, "`logits` must hold at least one row, got 0."),
        ({"logits": LOGITS, "labels": LABELS[:1]}, ValueError,
         "`labels` must have one row per row of `logits`, 2, got 1."),
        ({"logits": LOGITS, "labels": LABELS.float()}, TypeError,
         "`labels` must be integer class indices, got dtype torch.float32."),
        ({"logits": LOGITS, "labels": LABELS.bool()}, TypeError,
         "`labels` must be integer class indices, got dtype torch.bool."),
        ({"logits": LOGITS, "labels": LABELS[:, None]}, ValueError, "`labels` must have shape (N,), got (2, 1)."),
        ({"logits": LOGITS, "labels": LABELS + 1}, ValueError,
         "`labels` must be class indices in [0, 3), got 3 in row 1."),
        ({"logits": LOGITS, "labels": LABELS - 1}, ValueError,
         "`labels` must be class indices in [0, 3), got -1 in row 0."),
        ({"logits": LOGITS, "features": LOGITS[0]}, ValueError, "`features` must have shape (N, D), got (3,)."),
        ({"logits": LOGITS, "features": LOGITS[:1]}, ValueError,
         "`features` must have one row per row of `logits`, 2, got 1."),
        ({"logits": LOGITS, "features": LOGITS}, ValueError, "`features` must be finite, got [0, 1, -inf] in row 1."),
        ({"logits": torch.full((2, 3), -torch.inf)}, ValueError,
         "`logits` must be finite (-inf only for masked classes), got [-inf, -inf, -inf] in row 0."),
        ({"logits": LOGITS * torch.tensor([[1.0], [torch.nan]])}, ValueError,
         "`logits` must be finite (-inf only for masked classes), got [nan, nan, nan] in row 1."),
        ({"logits": torch.tensor([[torch.inf, 0.0, 0.0, 0.0, 0.0]] * 2)}, ValueError,
         "`logits` must be finite (-inf only for masked classes), got [inf, 0, 0, 0, …] in row 0."),
    ],
)  # fmt: skip
def test_unusable_arguments_are_refused_in_one_sentence(arguments, error, sentence, rejects):
    with rejects(error, sentence):
        Predictions(**({"labels": LABELS} | arguments))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ([torch.nan, 1.0], "`probs` must be finite, got [nan, 1] in row 3."),
        ([torch.inf, -torch.inf], "`probs` must be finite, got [inf, -inf] in row 3."),
        ([1.5, -0.5], "`probs` must lie in [0, 1], got [1.5, -0.5] in row 3."),
        ([0.5, 0.4], "`probs` must sum to 1 within 0.001 in each row, got [0.5, 0.4] in row 3."),
    ],
)
def test_rows_that_are_no_distribution_are_named(row, sentence, rejects):
    with rejects(ValueError, sentence):
        Predictions(probs=with_row(row), labels=torch.zeros(4, dtype=torch.int64))


def test_the_tolerance_of_sums_follows_the_dtype(rejects):
    probs = torch.tensor([[0.5, 0.4951]])
    assert Predictions(probs=probs.half(), labels=LABELS[:1]).n == 1
    with rejects(ValueError, "`probs` must sum to 1 within 0.001 in each row, got [0.5, 0.4951] in row 0."):
        Predictions(probs=probs, labels=LABELS[:1])
    assert Predictions(probs=torch.tensor([[0.5, 0.4991]]), labels=LABELS[:1]).n == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failing_write_leaves_the_old_file(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"p{suffix}"
    old = random_predictions()
    old.save(path)

    def half_written(arrays, into, classes):
        into.write_bytes(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr("adafocal.predictions.write_table", half_written)
    with pytest.raises(OSError, match="disk full"):
        random_predictions().save(path)
    assert torch.equal(Predictions.load(path)._values, old._values)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["p.txt", "p", "p.parquet.gz"])
def test_unknown_suffixes_are_refused_before_anything_is_written(tmp_path, name, rejects):
    path = tmp_path / "folder" / name
    with rejects(ValueError, f"`path` must end in .parquet, .npz, .csv, got {str(path)!r}."):
        random_predictions().save(path)
    with pytest.raises((ValueError, FileNotFoundError), match=r"^`path` must (end in|be an existing file)"):
        Predictions.load(path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_suffixes_are_refused_where_they_are_read(rejects):
    formats = ".parquet, .csv, .tsv, .jsonl, .ndjson, .npz, .feather, .arrow, .eval, .json (also with .gz, .bz2, .zst)"
    for name, remedy in (("p.txt", ": name it *.csv or *.tsv"), ("p", ""), ("p.xlsx", ": save the sheet as CSV")):
        with rejects(ValueError, f"`path` must end in {formats}, got {name!r}{remedy}."):
            Predictions.load(name)


def test_a_missing_file_is_named(tmp_path, rejects):
    path = tmp_path / "none.npz"
    with rejects(FileNotFoundError, f"`path` must be an existing file, got {str(path)!r}."):
        Predictions.load(path)


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(tmp_path, suffix, share):
    path = tmp_path / f"p{suffix}"
    random_predictions().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="^`path` must be a readable .* file, got '.*p" + suffix):
        Predictions.load(path)


def test_pickled_objects_are_refused(tmp_path, rejects):
    path = tmp_path / "p.npz"
    np.savez(path, probs=np.array([[0.5, 0.5]], dtype=object), labels=np.array([0]))
    with rejects(ValueError, f"`path` must hold plain arrays, got pickled objects in {str(path)!r}."):
        Predictions.load(path)


def write_parquet(path, **columns):
    pq.write_table(pa.table(columns), path)


def test_parquet_rows_of_mixed_widths_are_named(tmp_path, rejects):
    path = tmp_path / "p.parquet"
    write_parquet(path, probs=[[0.5, 0.5], [0.2, 0.3, 0.5]], label=[0, 1])
    remedy = ": ragged where each row has choices of its own."
    with rejects(ValueError, f"`probs` must have rows of one length, 2, got 3 in row 1{remedy}"):
        Predictions.load(path)


@pytest.mark.parametrize("probs", [[[0.5, 0.5], None], [[0.5, 0.5], [0.5, None]]])
def test_missing_parquet_values_are_named(tmp_path, probs, rejects):
    path = tmp_path / "p.parquet"
    write_parquet(path, probs=probs, label=[0, 1])
    with rejects(ValueError, "`probs` must have no missing values, got null in row 1."):
        Predictions.load(path)


def test_missing_parquet_labels_are_named(tmp_path, rejects):
    path = tmp_path / "p.parquet"
    write_parquet(path, probs=[[0.5, 0.5], [0.5, 0.5]], label=[0, None])
    with rejects(ValueError, "`label` must have no missing values, got null in row 1."):
        Predictions.load(path)


def test_parquet_columns_that_are_no_numbers_are_named(tmp_path, rejects):
    path = tmp_path / "p.parquet"
    write_parquet(path, probs=[[0.5, 0.5]], label=["cat"])
    remedy = ": name the columns by the classes for labels in words, as prob_cat, prob_dog"
    with rejects(ValueError, f"`label` must be an integer class index, got 'cat' in row 0{remedy}."):
        Predictions.load(path)
    write_parquet(path, probs=["cat"], label=[0])
    with rejects(TypeError, "`probs` must hold numbers or lists of numbers of one length, got type string."):
        Predictions.load(path)


def test_an_empty_parquet_file_is_refused(tmp_path, rejects):
    path = tmp_path / "p.parquet"
    table = pa.table({"probs": [[0.5, 0.5]], "label": [0]})
    pq.write_table(table.slice(0, 0), path)
    with rejects(ValueError, "`probs` must hold at least one row, got 0."):
        Predictions.load(path)


@pytest.mark.parametrize("label", ["label", "labels"])
def test_tables_with_one_column_per_class_are_read(tmp_path, label):
    path = tmp_path / "p.parquet"
    write_parquet(path, prob_1=[0.4, 0.7], prob_0=[0.6, 0.3], other=["a", "b"], **{label: [1, 0]})
    loaded = Predictions.load(path)
    torch.testing.assert_close(loaded.probs, torch.tensor([[0.6, 0.4], [0.3, 0.7]], dtype=torch.float64))
    assert torch.equal(loaded.labels, torch.tensor([1, 0]))


def test_slices_and_lists_of_every_kind_are_read(tmp_path):
    for kind in (pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)):
        column = pa.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]], type=kind)
        pq.write_table(pa.table({"probs": column, "label": [0, 1, 0]}).slice(1), tmp_path / "p.parquet")
        assert torch.equal(Predictions.load(tmp_path / "p.parquet").probs, torch.tensor([[0.25, 0.75], [0.5, 0.5]]))


def test_folder_names_are_no_columns(tmp_path):
    path = tmp_path / "label=7" / "p.parquet"
    Predictions(logits=LOGITS, labels=LABELS).save(path)
    assert torch.equal(Predictions.load(path).labels, LABELS)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            ["label"],
            f"{NO_VALUES} label.",
        ),
        (["probs", "label", "labels"], "columns must include either `label` or `labels`, got probs, label, labels."),
        (["probs", "logits", "label"], "columns must hold logits or probabilities, or one must be named, got both."),
        (["prob_0", "prob_2", "label"], "columns must be numbered from prob_0 without a gap, got no `prob_1`."),
    ],
)
def test_missing_and_doubtful_columns_are_refused(tmp_path, columns, sentence, rejects):
    write_parquet(tmp_path / "p.parquet", **{name: [1] for name in columns})
    np.savez(tmp_path / "p.npz", **{name: np.array([1]) for name in columns})
    (tmp_path / "p.csv").write_text(",".join(columns) + "\n")
    for suffix in SUFFIXES:
        with rejects(ValueError, sentence):
            Predictions.load(tmp_path / f"p{suffix}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prob_0,prob_1,label\n0.5,0.5,0\n0.5,x,0\n", "`prob_1` must be a number, got 'x' in row 1."),
        ("prob_0,prob_1,label\n0.5,0.5,0\n0.5,,0\n", "`prob_1` must have no missing values, got null in row 1."),
        ("prob_0,prob_1,label\n0.5,0.5\n", "rows must have 3 values as the header has, got 2 in row 0."),
        ("prob_0,prob_1,label\n0.5,0.5,0.5\n", "`label` must be an integer class index, got 0.5 in row 0."),
        ("prob_0,prob_1,label\n0.5,0.5,inf\n", "`label` must be an integer class index, got inf in row 0."),
        ("prob_0,prob_1,label\n", "`probs` must hold at least one row, got 0."),
        (
            "",
            f"{NO_VALUES} no column.",
        ),
    ],
)
def test_broken_csv_files_are_refused_with_the_row(tmp_path, text, sentence, rejects):
    (tmp_path / "p.csv").write_text(text)
    with rejects(ValueError, sentence):
        Predictions.load(tmp_path / "p.csv")


def test_csv_may_have_other_columns_a_byte_order_mark_and_blank_lines(tmp_path):
    text = 'name,label, prob_1,prob_0\n"a, b",1,0.25,0.75\n\nc,0,0.5,0.5\n'
    (tmp_path / "p.csv").write_text(text, encoding="utf-8-sig")
    loaded = Predictions.load(tmp_path / "p.csv")
    assert torch.equal(loaded.probs, torch.tensor([[0.75, 0.25], [0.5, 0.5]]))
    assert torch.equal(loaded.labels, torch.tensor([1, 0]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_labels_is_read_where_none_is_asked_for(tmp_path, suffix, rejects):
    Predictions(logits=LOGITS).save(tmp_path / f"p{suffix}")
    loaded = Predictions.load(tmp_path / f"p{suffix}")

    assert (loaded.labelled, loaded.logits.tolist()) == (False, LOGITS.tolist())
    remedy = "use Predictions(labels=...), or name their column in load(label=...)"
    with rejects(ValueError, f"`labels` must be given for what is asked of these predictions, got none: {remedy}."):
        _ = loaded.correct
    with pytest.raises(ValueError, match=r"^columns must include `label`, got "):
        Predictions.load(tmp_path / f"p{suffix}", label="label")


def test_the_package_offers_the_record():
    assert adafocal.Predictions is Predictions


def test_a_record_says_what_it_holds():
    logits, labels = torch.zeros(2, 3), torch.tensor([0, 1])

    assert repr(Predictions(logits=logits, labels=labels)) == "Predictions(logits, n=2, n_classes=3)"
    more = Predictions(probs=logits.softmax(dim=1), labels=labels, features=torch.zeros(2, 5))
    assert repr(more) == "Predictions(probs, n=2, n_classes=3, features=5)"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            [0.25, 0.25, 0.25, 0.3],
            "`probs` must sum to 1 within 0.001 in each row, got [0.25, 0.25, 0.25, 0.3] in row 1.",
        ),
        ([0.2, 0.2, 0.2, 0.2, 0.3], "sum to 1 within 0.001 in each row, got [0.2, 0.2, 0.2, 0.2, …] in row 1."),
        ([1.5, 0.2], "`probs` must lie in [0, 1], got [1.5, 0.2] in row 1."),
        ([-0.5, 1.5], "`probs` must lie in [0, 1], got [-0.5, 1.5] in row 1."),
        ([float("nan"), 1.0], "`probs` must be finite, got [nan, 1] in row 1."),
    ],
)
def test_the_first_bad_row_is_shown_behind_a_certain_one(row, said):
    certain = [1.0] + [0.0] * (len(row) - 1)
    with pytest.raises(ValueError, match=re.escape(said) + "$"):
        Predictions(probs=torch.tensor([certain, row, row]), labels=torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(("dtype", "off"), [(torch.float16, 0.03), (torch.bfloat16, 0.03), (torch.float32, 0.003)])
def test_rows_that_do_not_sum_to_1_are_refused_in_every_dtype(dtype, off):
    probs = torch.tensor([[0.5, 0.5 + off]], dtype=dtype)
    with pytest.raises(ValueError, match="must sum to 1 within"):
        Predictions(probs=probs, labels=torch.tensor([0]))
    Predictions(probs=torch.tensor([[0.5, 0.5 + off / 10]], dtype=dtype), labels=torch.tensor([0]))


def test_unsigned_labels_are_taken_and_logits_in_half_precision_are_saved_as_they_are(tmp_path):
    logits = torch.tensor([[2.0, -0.5]], dtype=torch.bfloat16)
    Predictions(logits=logits, labels=np.array([1], dtype=np.uint32), features=torch.ones(1, 2)).save(
        tmp_path / "p.npz"
    )
    back = Predictions.load(tmp_path / "p.npz")

    assert back.labels.tolist() == [1]
    assert back.logits.tolist() == [[2.0, -0.5]]
    assert back.features.tolist() == [[1.0, 1.0]]


def test_commands_name_the_file_in_every_sentence_and_load_does_not(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("prob_0,prob_1,label\n0.5,0.5,2\n")

    for load, said in ((load_predictions, f"in row 0 of {str(path)!r}."), (Predictions.load, "in row 0.")):
        with pytest.raises(ValueError, match=re.escape(said) + "$"):
            load(path)
