# SPDX-License-Identifier: Apache-2.0
"""Above the metrics, what modules hand to one another has a type: how often an annotation says ``Any`` is held."""

import ast
from collections.abc import Iterator
from pathlib import Path

import adafocal

PACKAGE = Path(adafocal.__file__).parent
ROOMS = (
    "data", "models", "integrations", "results", "training", "workers", "recipes", "evaluation", "report", "study",
    "cli",
)  # fmt: skip
# What is left is what others give no type for: Pillow, datasets, the states of the transformers library, TRL, settings.
MOST = 104
NONE = ("results", "evaluation", "study")


def annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            parts = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            yield from (part.annotation for part in parts if part is not None and part.annotation is not None)
            if node.returns is not None:
                yield node.returns
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation


def uses_of_any(source: str) -> int:
    """Count ``Any`` in annotations, also in those that are texts."""
    trees = [
        ast.parse(part.value, mode="eval") if isinstance(part, ast.Constant) and isinstance(part.value, str) else part
        for annotation in annotations(ast.parse(source))
        for part in ast.walk(annotation)
    ]
    names = [
        node.id
        for tree in trees
        for node in (ast.walk(tree) if isinstance(tree, ast.Expression) else [tree])
        if isinstance(node, ast.Name)
    ]
    return names.count("Any")


def counted(room: str) -> int:
    return sum(uses_of_any(path.read_text("utf-8")) for path in (PACKAGE / room).rglob("*.py"))


def test_annotations_say_any_no_more_often_than_they_must():
    counts = {room: counted(room) for room in ROOMS}

    assert len([path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]) >= 100
    assert {room: counts[room] for room in NONE} == dict.fromkeys(NONE, 0)
    assert sum(counts.values()) <= MOST


def test_every_use_is_counted():
    source = "def f(a: Any, *b: dict[str, Any], c: 'list[Any]' = 1) -> Any: pass\nx: Any = 1\ny: list[int] = []"

    assert uses_of_any(source) == 5
