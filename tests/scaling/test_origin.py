# SPDX-License-Identifier: Apache-2.0
"""What a fitted scaling says of its data, and what it refuses."""

import json

import pytest
import torch

from adafocal import Predictions
from adafocal.scaling import METHODS, Temperature, fit_temperature, load_scaling

NAMES = ["cat", "dog", "eel"]


def drawn(n=300, *, kind="logits", seed=0, n_classes=3, **columns):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, n_classes, generator=generator)
    labels = torch.multinomial((logits / 2).softmax(1), 1, generator=generator)[:, 0]
    return Predictions(**{kind: logits if kind == "logits" else logits.softmax(1)}, labels=labels, **columns)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_what_it_was_fitted_on_and_refuses_other_classes(tmp_path, method, unchecked_shapes):
    c = 2 if method in ("platt", "beta", "quadratic") else 3
    names, held = NAMES[:c], drawn(n_classes=c)
    fitted = METHODS[method](drawn(n_classes=c, classes=names))
    fitted.save(tmp_path / "s.json")
    loaded = load_scaling(tmp_path / "s.json")

    assert loaded.origin == fitted.origin
    assert (loaded.origin.rows, loaded.origin.kind, loaded.origin.classes) == (300, "logits", tuple(names))
    assert loaded.origin.shares == pytest.approx(fitted.apply(held).probs.double().mean(0).tolist(), abs=1e-6)
    for classes in (names[::-1], ["cow", *names[1:]]):
        sentence = f"in their order, {', '.join(names)}, got {', '.join(classes)}.$"
        with pytest.raises(ValueError, match=sentence):
            loaded.apply(drawn(n_classes=c, classes=classes))
    with pytest.raises(ValueError, match=rf"`predictions` must have {c} classes.*, got 5"):
        loaded.apply(drawn(n_classes=5))
    assert loaded.apply(drawn(n_classes=c, classes=names)).n == 300
    assert loaded.apply(held).n == 300  # which has no names


def test_numbers_alone_tell_whether_scalings_are_equal():
    fitted = fit_temperature(drawn())
    assert fitted == Temperature(fitted.temperature)
    assert repr(fitted) == repr(Temperature(fitted.temperature))


def test_rows_without_weight_are_not_counted():
    weight = torch.ones(300)
    weight[:100] = 0
    assert fit_temperature(drawn(weight=weight)).origin.rows == 200


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_that_says_nothing_of_its_data_takes_any(tmp_path, version):
    content = {"format": f"adafocal-scaling-{version}", "method": "temperature", "temperature": 2.0, "at_bound": False}
    (tmp_path / "T.json").write_text(json.dumps(content))
    loaded = load_scaling(tmp_path / "T.json")

    assert loaded == Temperature(2.0)
    assert loaded.origin is None
    assert loaded.apply(Predictions(logits=torch.zeros(2, 7))).n == 2


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rows": 3, "kind": "logits"}, "must say what the scaling was fitted on as adafocal does"),
        ([1], "must say what the scaling was fitted on as adafocal does"),
        ({"rows": 3, "kind": "volumes", "n_classes": 3}, "`kind` must be one of"),
        ({"rows": 3, "kind": "logits", "n_classes": 3, "classes": ["a"]}, "`classes` must be 3, one for each class"),
        ({"rows": 3, "kind": "logits", "n_classes": 2, "shares": [2.0, -1.0]}, "`shares` must be at least 0, got -1."),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, told, said):
    content = {"format": "adafocal-scaling-2", "method": "temperature", "temperature": 2.0, "fitted_on": told}
    (tmp_path / "T.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=said):
        load_scaling(tmp_path / "T.json")
