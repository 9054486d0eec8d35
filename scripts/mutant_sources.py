# SPDX-License-Identifier: Apache-2.0
"""The mutants of a source file: one small fault each, by mutmut's operators."""

import ast
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "adafocal"

# Faults in what is computed: a constant, a comparison, an operator, a branch. A survivor among these needs a reason.
FORMULA = (
    (cst.BaseNumber, mutators.operator_number),
    (cst.Name, mutators.operator_name),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.IfExp, mutators.operator_if_exp),
)
# Faults in how it is put together: an argument or a value gone. Texts are left alone.
WIRING = (
    (cst.Assign, mutators.operator_assignment),
    (cst.Call, mutators.operator_arg_removal),
    (cst.Lambda, mutators.operator_lambda),
)
# Not mutated: what only types, documents or words things.
SKIPPED = (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom, cst.Raise, cst.BaseString)


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, and how to make it."""

    path: Path
    function: str
    line: int
    first: int
    last: int
    in_body: bool
    formula: bool
    module: cst.Module = field(repr=False)
    swap: tuple[cst.CSTNode, cst.CSTNode] = field(repr=False)

    @cached_property
    def code(self) -> str:
        """The source of the module with the fault."""
        return self.module.visit(_Swap(*self.swap)).code

    @cached_property
    def change(self) -> tuple[str, str]:
        """The lines that differ, before and after, without their indent."""
        old, new = self.module.code.splitlines(), self.code.splitlines()
        head = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        tail = 0
        while tail < min(len(old), len(new)) - head - 1 and old[-1 - tail] == new[-1 - tail]:
            tail += 1
        before, after = (" ".join(line.strip() for line in lines[head : len(lines) - tail]) for lines in (old, new))
        return before, after

    @cached_property
    def compiled(self) -> CodeType | None:
        """The compiled module, or None where the fault is no Python or changes nothing."""
        try:
            return compile(self.code, str(self.path), "exec") if self.code != self.module.code else None
        except SyntaxError:
            return None


def mutants_of(path: Path) -> list[Mutant]:
    """Give the mutants of a file; the text of each is made on demand."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text("utf-8")))
    finder = _Finder()
    wrapper.visit(finder)
    spans = _statements(wrapper.module.code)
    return [
        Mutant(path, name, line, *spans.get(line, (line, line, False)), formula, wrapper.module, (old, new))
        for old, new, formula, line, name in finder.found
    ]


def relative(mutant: Mutant) -> tuple[str, str, str, str]:
    """Name a fault by what a reader sees, so that the name outlives moved lines."""
    return mutant.path.relative_to(PACKAGE).as_posix(), mutant.function, *mutant.change


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, bool, int, str]] = []
        self._names: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        if isinstance(node, SKIPPED) or _is_naming(node):
            return False
        place = self.get_metadata(PositionProvider, node, None)
        for operators, formula in ((FORMULA, True), (WIRING, False)):
            for kind, operator in operators:
                if isinstance(node, kind) and place is not None:
                    name = ".".join(self._names)
                    kept = (new for new in operator(node) if not _drops_a_name(node, new))
                    self.found += [(node, new, formula, place.start.line, name) for new in kept]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._names.pop()


def _is_naming(node: cst.CSTNode) -> bool:
    """Whether a node names a type, fills ``__all__``, or words an error."""
    if isinstance(node, cst.AnnAssign):
        return getattr(node.annotation.annotation, "value", "") == "TypeAlias"
    if isinstance(node, cst.Assign):
        return getattr(node.targets[0].target, "value", "") == "__all__"
    name = getattr(node.func, "value", "") if isinstance(node, cst.Call) else ""
    return name in ("TypeVar", "cast") or str(name).startswith("Invalid")


def _drops_a_name(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether all that a call loses is a text, such as the name in a message, or the device: tests know but one."""
    if not isinstance(old, cst.Call) or not isinstance(new, cst.Call):
        return False
    kept = {id(argument) for argument in new.args}
    lost = [argument for argument in old.args if id(argument) not in kept]
    return all(
        isinstance(argument.value, cst.SimpleString) or getattr(argument.keyword, "value", "") == "device"
        for argument in lost
    )


class _Swap(cst.CSTTransformer):
    def __init__(self, old: cst.CSTNode, new: cst.CSTNode) -> None:
        self._old, self._new = old, new

    def on_visit(self, node: cst.CSTNode) -> bool:
        return node is not self._old

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:
        return self._new if original_node is self._old else updated_node


def _statements(source: str) -> dict[int, tuple[int, int, bool]]:
    """Map each line to the lines of its innermost statement (of a block: its head), and whether a call runs it."""
    spans: dict[int, tuple[int, int, bool]] = {}

    def visit(node: ast.AST, in_body: bool) -> None:
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1 if body else node.end_lineno or 0)
            spans.update(dict.fromkeys(range(node.lineno, last + 1), (node.lineno, last, in_body)))
        inside = in_body or isinstance(node, ast.FunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), False)
    return spans
