# SPDX-License-Identifier: Apache-2.0
"""What names of own code lead to, and what is said where they lead to nothing."""

import enum
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
import torch

from adafocal._own import find, is_own, offers, telling_where
from adafocal._typed import typed_arguments
from adafocal.errors import AdafocalError, OwnCodeError

BUILT_IN = ("focal", "brier")
DEBUG = "; `adafocal --debug` shows the traceback."


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize("name", ["mine:Loss", "a.b.c:d", "_x:_y", "__main__:Loss", "größe:Maß"])
def test_own_code_is_a_module_and_a_name(name):
    assert is_own(name)


@pytest.mark.parametrize(
    "name", ["focal", "owner/set", "owner/set:part", "a:", ":b", "a:b.c", "a:b:c", "a b:c", "a:1", 3, None]
)
def test_nothing_else_is_own_code(name):
    assert not is_own(name)


def test_the_working_directory_is_looked_in_first_and_hides_nothing_afterwards(own_module, tmp_path):
    name = own_module("import sys\nFIRST = sys.path[0]\ndef loss(): return FIRST\n")
    before = list(sys.path)

    assert find("loss", f"{name}:loss", BUILT_IN)() == str(tmp_path)
    assert sys.path == [*before, str(tmp_path)]


def test_a_module_in_a_package_is_found(own_module, tmp_path):
    own_module("")
    (tmp_path / "own_package_of_test").mkdir()
    (tmp_path / "own_package_of_test" / "losses.py").write_text("def loss(): return 7\n")

    assert find("loss", "own_package_of_test.losses:loss", BUILT_IN)() == 7


def test_a_module_that_is_not_there_is_told_with_the_places_that_were_searched(own_module, rejects, tmp_path):
    name = own_module("x = 1")
    where = (
        "a module is looked for in the working directory, in PYTHONPATH and among the installed packages, here "
        f"{os.getcwd()!r}."
    )
    said = "`loss` must name a module that can be imported, got "
    with rejects(ValueError, f"{said}no_such_one:Loss: no module no_such_one is found; {where}"):
        find("loss", "no_such_one:Loss", BUILT_IN)
    with rejects(
        ValueError, f"{said}no_such_one.a:Loss: no module no_such_one.a (there is no no_such_one) is found; {where}"
    ):
        find("loss", "no_such_one.a:Loss", BUILT_IN)
    with rejects(ValueError, f"{said}{name}.a:Loss: no module {name}.a is found; {where}"):
        find("loss", f"{name}.a:Loss", BUILT_IN)


def test_a_misspelt_attribute_is_told_with_the_one_that_may_be_meant(own_module, rejects, tmp_path):
    name = own_module("class FocalLike: pass\nother = 3\n")
    file = str(tmp_path / f"{name}.py")
    with rejects(
        ValueError,
        f"`loss` must name a class or function of the module {name} ({file!r}), got 'FocalLik': "
        "did you mean 'FocalLike'?",
    ):
        find("loss", f"{name}:FocalLik", BUILT_IN)
    with rejects(TypeError, f"`loss` must name a class or function, got {name}:other of type int in {file!r}."):
        find("loss", f"{name}:other", BUILT_IN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\n1 / 0\n", "raised ZeroDivisionError: division by zero ({file}, line 2)" + DEBUG),
        ("def f(:\n", "raised SyntaxError: invalid syntax ({file}, line 1)."),
        ("import sys\nsys.exit(3)\n", "raised SystemExit: 3 ({file}, line 2)" + DEBUG),
        ("\n\nimport no_such\n", "raised ModuleNotFoundError: No module named 'no_such' ({file}, line 3)" + DEBUG),
        ("open('..')\n", "raised IsADirectoryError: [Errno 21] Is a directory: '..' ({file}, line 1)" + DEBUG),
    ],
)  # fmt: skip
def test_what_a_module_raises_as_it_is_imported_is_told_with_file_and_line(own_module, rejects, tmp_path, text, said):
    name = own_module(text)
    with rejects(OwnCodeError, f"`loss` {name}:Loss " + said.format(file=tmp_path / f"{name}.py")):
        find("loss", f"{name}:Loss", BUILT_IN)


def test_the_deepest_line_of_own_code_is_told_and_errors_of_others_stay_as_they_are(own_module):
    name = own_module("def outer():\n    return inner()\ndef inner():\n    return {}['x']\n")
    outer = find("loss", f"{name}:outer", BUILT_IN)
    with (
        pytest.raises(OwnCodeError, match=rf"^Your code raised KeyError: 'x' \(.*{name}\.py, line 4\)"),
        telling_where([name]),
    ):
        outer()
    with pytest.raises(KeyError), telling_where([name]):
        raise KeyError("ours")
    with pytest.raises(MemoryError), telling_where([name]):
        raise MemoryError


def test_an_error_of_ours_passes_through_own_code(own_module):
    name = own_module("from adafocal.losses import AdaFocalLoss\ndef make(): return AdaFocalLoss(n_bins=0)\n")
    with pytest.raises(AdafocalError, match=r"^`n_bins` must be"), telling_where([name]):
        find("loss", f"{name}:make", BUILT_IN)()


class Package:
    name, version = "their-losses", "1.2"


def offered(monkeypatch, *entries):
    made = [importlib.metadata.EntryPoint(name, value, "adafocal.losses")._for(Package()) for name, value in entries]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: made if group == "adafocal.losses" else [])


def test_an_installed_package_offers_a_loss_that_is_imported_on_use_alone(own_module, monkeypatch, rejects, tmp_path):
    name = own_module("import pathlib\npathlib.Path('imported').touch()\ndef loss(): return 5\n")
    offered(monkeypatch, ("theirs", f"{name}:loss"), ("broken", "no_such_package:loss"))
    assert [(one.name, one.package, one.refused) for one in offers("loss", BUILT_IN)] == [
        ("broken", "their-losses 1.2", ""), ("theirs", "their-losses 1.2", ""),
    ]  # fmt: skip
    assert not Path("imported").exists()

    assert find("loss", "theirs", BUILT_IN)() == 5
    with pytest.raises(ValueError, match=r"got no_such_package:loss \(broken of the package their-losses 1\.2\): no"):
        find("loss", "broken", BUILT_IN)
    with rejects(
        ValueError,
        "`loss` must be one of focal, brier, broken, theirs, got 'their': did you mean 'theirs'?",
    ):
        find("loss", "their", BUILT_IN)
    with rejects(
        ValueError,
        "`loss` must be one of focal, brier, broken, theirs or package.module:name of your own, got 'mine.Loss'.",
    ):
        find("loss", "mine.Loss", BUILT_IN)


def test_a_package_takes_no_name_that_is_taken(monkeypatch, rejects):
    offered(monkeypatch, ("focal", "theirs:focal"), ("two", "a:x"), ("two", "b:x"), ("a/b", "c:d"), ("whole", "module"))

    assert [one.refused for one in offers("loss", BUILT_IN)] == [
        "its name must be a word, and its place package.module:name",
        "adafocal has one of this name; use it as theirs:focal",
        "another package offers one of this name; use it as a:x",
        "another package offers one of this name; use it as b:x",
        "its name must be a word, and its place package.module:name",
    ]
    with rejects(
        ValueError,
        "`loss` cannot be 'two' of the package their-losses 1.2: another package offers one of this name; use it as "
        "a:x.",
    ):
        find("loss", "two", BUILT_IN)


def takes(
    logits,
    labels,
    gamma: float = 1.0,
    n: int = 1,
    kind: Literal["a", "b"] = "a",
    flag: bool = False,
    sizes: tuple[int, ...] = (),
    maybe: Optional[float] = 2.0,  # noqa: UP045
    colour: Colour = Colour.RED,
    place: Path = Path(),
    weight: torch.Tensor | None = None,
    noted: Annotated[int, "a note"] = 1,
    free=None,
    anything: Any = None,
    implicit: float = None,  # type: ignore[assignment]  # noqa: RUF013
    module: torch.nn.Module = None,  # type: ignore[assignment]
): ...


def typed(**given):
    return typed_arguments("loss_args", "m:f", takes, given, ours=("logits", "labels"))


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"gamma": "0.5"}, 0.5), ({"gamma": 2}, 2.0), ({"n": "3"}, 3), ({"kind": "b"}, "b"), ({"flag": "true"}, True),
        ({"sizes": [1, "2"]}, (1, 2)), ({"maybe": None}, None), ({"maybe": "3"}, 3.0), ({"colour": "RED"}, Colour.RED),
        ({"place": "x"}, Path("x")), ({"noted": "4"}, 4), ({"free": "5"}, "5"), ({"anything": [1]}, [1]),
        ({"weight": None}, None), ({"implicit": None}, None), ({"implicit": "1"}, 1.0),
    ],
)  # fmt: skip
def test_a_value_takes_the_type_of_its_annotation(given, value):
    [found] = typed(**given).values()

    assert found == value
    assert type(found) is type(value)


def test_numbers_become_a_tensor_where_one_is_annotated():
    assert torch.equal(typed(weight=[1.0, 2.0])["weight"], torch.tensor([1.0, 2.0]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gamma": "abc"}, "gamma` of m:f must be float, got 'abc'."),
        ({"gamma": None}, "gamma` of m:f must be float, got None."),
        ({"n": 0.5}, "n` of m:f must be int, got 0.5."),
        ({"n": True}, "n` of m:f must be int, got True."),
        ({"kind": "c"}, "kind` of m:f must be one of 'a', 'b', got 'c'."),
        ({"sizes": "x"}, "sizes` of m:f must be tuple[int, ...], got 'x'."),
        ({"maybe": "x"}, "maybe` of m:f must be float or None, got 'x'."),
        ({"weight": ["x"]}, "weight` of m:f must be numbers for a tensor, got ['x']."),
        ({"weight": "x"}, "weight` of m:f must be torch.Tensor or None, got 'x'."),
    ],
)
def test_a_value_of_another_type_is_refused(given, said, rejects):
    with rejects(TypeError, f"`loss_args.{said}"):
        typed(**given)


def test_the_path_of_a_class_builds_nothing(tmp_path):
    with pytest.raises(TypeError, match=r"must be torch\.nn\.modules\.module\.Module"):
        typed(module={"class_path": "torch.nn.ReLU"})


def test_unknown_and_missing_arguments_are_named(rejects):
    def loss(alpha: float, beta: float = 1.0): ...

    with rejects(ValueError, "`loss_args` of m:f must be among alpha, beta, got 'bet': did you mean 'beta'?"):
        typed_arguments("loss_args", "m:f", loss, {"bet": 1})
    with rejects(ValueError, "`loss_args` of m:f must give alpha, got {'beta': 2}."):
        typed_arguments("loss_args", "m:f", loss, {"beta": 2})
    with rejects(ValueError, "`loss_args` of m:f must be among nothing, got 'x'."):
        typed_arguments("loss_args", "m:f", lambda: None, {"x": 2})
    with rejects(TypeError, "`loss_args` must be names and values, got [1]."):
        typed_arguments("loss_args", "m:f", loss, [1])
    assert typed_arguments("loss_args", "m:f", lambda **more: None, {"x": "2"}) == {"x": "2"}


def test_annotations_that_are_text_are_resolved(own_module):
    name = own_module(
        "from __future__ import annotations\nclass Loss:\n    def __init__(self, gamma: float = 1.0): ...\n"
    )

    assert typed_arguments("loss_args", name, find("loss", f"{name}:Loss", ()), {"gamma": "2"}) == {"gamma": 2.0}
