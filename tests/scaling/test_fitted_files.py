# SPDX-License-Identifier: Apache-2.0
"""Files of fitted scalings: what does not describe one is refused in one sentence, and none gives NaN."""

import contextlib
import json

import pytest
import torch

from adafocal import AdafocalError, Predictions
from adafocal.cli import main
from adafocal.scaling import load_scaling

pytestmark = pytest.mark.usefixtures("unchecked_shapes")
SAVED = {"format": "adafocal-scaling-1"}
TEMPERATURE = SAVED | {"method": "temperature", "temperature": 2.0, "at_bound": False}
VECTOR = SAVED | {"method": "vector", "kind": "logits", "weight": [[1.0, 0.0], [0.0, 1.0]], "bias": [0.0, 0.0]}
ISOTONIC = SAVED | {
    "method": "isotonic", "event": "top_label", "n_classes": 2, "knots": [[0.5, 1.0]], "values": [[0.5, 1.0]],
}  # fmt: skip
LOGITS = Predictions(logits=torch.tensor([[2.0, 0.0], [0.0, 1.0]]), labels=torch.tensor([0, 1]))


@pytest.mark.parametrize("content", [TEMPERATURE, VECTOR, ISOTONIC])
def test_what_is_changed_below_is_right_before(content, tmp_path):
    (tmp_path / "T.json").write_text(json.dumps(content))
    assert load_scaling(tmp_path / "T.json").apply(LOGITS).probs.isfinite().all()


@pytest.mark.parametrize(
    ("content", "change"),
    [
        (TEMPERATURE, {"temperature": value}) for value in (0, -1, "2", None, True, [2.0], 10**400, {}, 1e999)
    ] + [(TEMPERATURE, {"at_bound": value}) for value in ("yes", 1, None)]
    + [(TEMPERATURE, {"method": value}) for value in (None, [], {}, 3, "os.system", "vector")]
    + [(TEMPERATURE, {"more": 1}), (TEMPERATURE, {"self": 1}), (TEMPERATURE, {"format": 1})]
    + [(VECTOR, {"weight": value}) for value in (
        1, [], [1, 2], [[1.0], [0.0, 1.0]], [[1, None], [0, 1]], [["1", 0], [0, 1]], [[True, 0], [0, 1]],
        [[1.0, 0.0]], [[[1.0]]], {"0": 1}, [[10**400, 0], [0, 1]], [[float("nan"), 0], [0, 1]])]
    + [(VECTOR, {"bias": value}) for value in (None, [], [0.0], [[0.0, 0.0]], "ab", [float("inf"), 0.0])]
    + [(VECTOR, {"kind": value}) for value in (None, "probabilities", ["logits"])]
    + [(ISOTONIC, {"knots": value}) for value in (
        None, [], [[]], [[0.5]], [[1.0, 0.5]], [[float("nan"), 1.0]], [[0.5, float("inf")]], [["a", "b"]], [0.5, 1.0])]
    + [(ISOTONIC, {"values": value}) for value in ([[0.5, 1.5]], [[float("nan"), 1.0]], [[-1, 0]], [[None, 1]], 7)]
    + [(ISOTONIC, {"n_classes": value}) for value in (0, 1, "2", 2.5, None)]
    + [(ISOTONIC, {"event": value}) for value in (None, [], "one_vs_rest")],
)  # fmt: skip
def test_a_file_that_describes_no_scaling_is_refused(content, change, tmp_path, capsys):
    path = tmp_path / "T.json"
    path.write_text(json.dumps(content | change))
    with pytest.raises(AdafocalError):
        load_scaling(path)
    LOGITS.save(tmp_path / "p.npz")
    assert main(["scale", "apply", str(path), str(tmp_path / "p.npz"), "-o", str(tmp_path / "out.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("name", ["temperature", "weight", "knots", "n_classes"])
def test_a_number_that_is_missing_is_named(name, tmp_path):
    content = next(held for held in (TEMPERATURE, VECTOR, ISOTONIC) if name in held)
    (tmp_path / "T.json").write_text(json.dumps({key: value for key, value in content.items() if key != name}))
    with pytest.raises(ValueError, match=f"must hold the parameters of {content['method']} scaling, .*{name}"):
        load_scaling(tmp_path / "T.json")


@pytest.mark.parametrize(
    "text",
    [
        "", "[" * 100_000, '{"a":' * 100_000, "\x00", '"x"', "null", "1" * 10_000,
        json.dumps(TEMPERATURE)[:-1] + ', "temperature": 3.0}', json.dumps(TEMPERATURE)[:-5],
        json.dumps(TEMPERATURE).replace("2.0", "NaN"), json.dumps(TEMPERATURE).replace("2.0", "1" * 10_000),
    ],
    ids=range(11),
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_text_that_is_no_json_is_refused(text, encoding, tmp_path):
    (tmp_path / "T.json").write_text(text, encoding=encoding)
    with pytest.raises(AdafocalError, match="must be a file that a fitted scaling saved"):
        load_scaling(tmp_path / "T.json")


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-30, 1e300])
def test_a_temperature_at_the_end_of_the_numbers_gives_a_sentence_or_numbers(temperature, tmp_path):
    (tmp_path / "T.json").write_text(json.dumps(TEMPERATURE | {"temperature": temperature}))
    scaling = load_scaling(tmp_path / "T.json")
    for predictions in (LOGITS, Predictions(probs=LOGITS.probs, labels=LOGITS.labels)):
        with contextlib.suppress(AdafocalError):
            assert scaling.apply(predictions).probs.isfinite().all()
