# SPDX-License-Identifier: Apache-2.0
"""Rows are matched by an id of any type, or by their order; what does not match is told with counts."""

import numpy as np
import pytest
import torch

import adafocal as af
from adafocal.evaluation.compare import compare


def record(n=40, labels=None, **more):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 3 if labels is None else labels
    return af.Predictions(logits=torch.randn(n, 3, generator=generator), labels=labels, **more)


IDS = {
    "integers": list(range(40)),
    "floats": [float(row) for row in range(40)],
    "words": [f"q{row}" for row in range(40)],
    "dates": np.arange("2020-01-01", "2020-02-10", dtype="datetime64[D]"),
    "bytes": np.array([b"%d" % row for row in range(40)]),
    "tensor": torch.arange(40),
}


@pytest.mark.parametrize("kind", IDS)
def test_rows_are_found_by_ids_of_any_type_in_any_order(kind):
    first, order = record(), torch.randperm(40, generator=torch.Generator().manual_seed(1))
    ids = IDS[kind]
    turned = ids[order] if isinstance(ids, (torch.Tensor, np.ndarray)) else [ids[row] for row in order.tolist()]
    found = compare({"a": first, "b": first[order]}, ids={"a": ids, "b": turned})

    assert found.matched_by == "id"
    assert found.sentence == "b and a hold the same rows: no difference."


def test_integers_that_have_become_floats_are_the_same_ids():
    found = compare({"a": record(), "b": record()}, ids={"a": IDS["integers"], "b": IDS["floats"]})

    assert found.sentence == "b and a hold the same rows: no difference."


def test_rows_without_a_partner_are_left_out_on_either_side_and_counted():
    first = record()
    found = compare(
        {"a": first[torch.arange(30)], "b": first[torch.arange(10, 40)], "c": first},
        ids={"a": range_of(0, 30), "b": range_of(10, 40), "c": range_of(0, 40)},
    )

    assert {one.name: (one.summary.n, one.left_out) for one in found.compared} == {
        "a": (20, 10),
        "b": (20, 10),
        "c": (20, 20),
    }
    assert "Rows without a partner are left out: 10 of a, 10 of b, 20 of c." in found.notes


def range_of(start, end):
    return list(range(start, end))


def test_ids_that_tell_nothing_apart_are_refused_with_counts():
    first, ids = record(), range_of(0, 40)
    other = record(labels=(torch.arange(40) + (torch.arange(40) < 3).long()) % 3)

    for second, theirs, sentence in (
        (first, [0, 0, 1, 1, *range_of(4, 40)], r"each value once, got 2 on several rows of b, such as '0' on 2"),
        (first, [None, None, *range_of(2, 40)], r"no missing values, got 2 of 40 rows in b, first row 0"),
        (first, [f"x{row}" for row in ids], r"got none in common, such as '0' in a; 'x0' in b"),
        (first, ids[:-1], r"one value per row of 'b', 40, got shape \(39,\)"),
        (other, ids, r"the same for one id, got different ones for 3 of 40, such as '0': 0 in a, 1 in b"),
    ):
        with pytest.raises(ValueError, match=sentence):
            compare({"a": first, "b": second}, ids={"a": ids, "b": theirs})
    with pytest.raises(ValueError, match="must be given for each"):
        compare({"a": first, "b": first}, ids={"a": ids})


def test_without_ids_order_decides_where_sizes_and_labels_agree():
    first = record()
    other = record(labels=(torch.arange(40) + 1) % 3)

    assert compare({"a": first, "b": first}).matched_by == "order"
    found = compare({"a": first, "b": other})
    assert found.matched_by == "none"
    assert "the labels of 40 of 40 rows differ between a and b, first in row 0" in found.notes[0]
    with pytest.raises(ValueError, match="the same in the same order, got the labels of 40 of 40"):
        compare({"a": first, "b": other}, paired=True)
    with pytest.raises(TypeError, match="`ids` must not be given where rows are not to be matched"):
        compare({"a": first, "b": first}, ids={"a": range_of(0, 40), "b": range_of(0, 40)}, paired=False)


def test_answers_are_matched_by_order_with_a_warning_and_may_differ_for_one_id():
    one = af.Outcomes(confidence=torch.full((40,), 0.7), correct=torch.arange(40) % 2 == 0)
    two = af.Outcomes(confidence=torch.full((40,), 0.6), correct=torch.arange(40) % 3 == 0)
    ids = range_of(0, 40)

    assert "nothing in the tables confirms" in compare({"a": one, "b": two}).notes[0]
    assert compare({"a": one, "b": two}, ids={"a": ids, "b": ids}).matched_by == "id"


@pytest.mark.parametrize("what", ["weight", "cluster"])
def test_one_row_counts_and_belongs_alike_in_all_tables(what):
    values = torch.arange(40)
    first, second = record(**{what: values}), record(**{what: values.flip(0)})

    with pytest.raises(ValueError, match=rf"`{what}` must be the same for one row in all tables, got different ones"):
        compare({"a": first, "b": second})
    with pytest.raises(ValueError, match=f"`{what}` must be given for all tables, got it for some"):
        compare({"a": first, "b": record()})
    assert compare({"a": first, "b": second}, paired=False).matched_by == "none"
