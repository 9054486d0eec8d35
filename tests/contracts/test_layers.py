# SPDX-License-Identifier: Apache-2.0
"""Imports point down only: the layers of the library, from the bottom."""

import ast
import pkgutil
import re
from pathlib import Path

import adafocal

LAYERS = [
    {
        "_arrays",
        "_checks",
        "_docs",
        "_dtypes",
        "_estimate",
        "_files",
        "_fit",
        "_lightning",
        "_locks",
        "_measure",
        "_notebook",
        "_own",
        "_ranks",
        "_reading",
        "_records",
        "_rows",
        "_settings",
        "_shapes",
        "_sums",
        "_tails",
        "_text",
        "_typed",
        "_values",
        "_moved",
        "errors",
        "multilabel",
        "outcomes",
        "predictions",
        "tables",
    },
    {"losses", "calibration", "selective", "scaling", "ood", "topology"},
    {"metrics", "measures"},
    {"data", "models", "integrations", "results"},
    {"training", "workers"},
    {"recipes", "evaluation"},
    {"report", "study"},
    {"cli", "plot"},
]
# Within layer 1 these may use their neighbours; everything else of a layer keeps to itself.
SIDEWAYS = {
    ("losses", "calibration"),
    ("losses", "selective"),
    ("losses", "topology"),
    ("ood", "calibration"),
    ("scaling", "calibration"),
    ("selective", "calibration"),
}
PACKAGE = Path(adafocal.__file__).parent


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(height for height, names in enumerate(LAYERS) if name in names)


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module] if node.module != "adafocal" else [f"adafocal.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name and name.startswith("adafocal.")}
    return found


def test_every_part_of_the_package_has_a_layer():
    parts = {part(path) for path in modules()}

    assert parts == set().union(*LAYERS)
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))
    found = [name for _, name, _ in pkgutil.walk_packages(adafocal.__path__, "adafocal.")]  # __main__ among them
    assert len(modules()) == len(found)


def test_imports_point_down():
    upward = {
        f"{path.relative_to(PACKAGE)} imports {target}"
        for path in modules()
        for target in imported_parts(path) - {part(path)}
        if target in set().union(*LAYERS)
        and layer(target) >= layer(part(path))
        and not (layer(target) == layer(part(path)) == 0)
        and (part(path), target) not in SIDEWAYS
    }

    assert upward == set()


def test_the_check_sees_an_arrow_that_points_up(tmp_path):
    module = tmp_path / "focal.py"
    module.write_text("def late():\n    from adafocal.training.run import run\n    import adafocal.cli\n")

    assert imported_parts(module) == {"training", "cli"}
    assert layer("training") > layer("losses")


def test_what_is_raised_on_purpose_is_an_error_of_ours():
    """A fault that a user can mend must be told from a fault of ours, which the command shows as such."""
    built_in = {"ValueError", "TypeError", "OSError", "FileNotFoundError", "ModuleNotFoundError", "RuntimeError"}
    raised = [
        (path, node.exc.func.id)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    ]

    texts = [path.read_text(encoding="utf-8") for path in modules()]
    assert len(raised) == sum(len(re.findall(r"^ *raise [A-Z_]\w*\(", text, re.M)) for text in texts)
    assert [f"{path.relative_to(PACKAGE)}: {name}" for path, name in raised if name in built_in] == []


def test_only_the_workers_of_a_study_import_lightning():
    """It takes longer to import than everything else together, and the process that plans and compares has no need."""
    left, seen = ["adafocal.cli.study", *(f"adafocal.study.{path.stem}" for path in PACKAGE.glob("study/*.py"))], set()
    while left:
        name = left.pop()
        place = PACKAGE.parent / name.replace(".", "/")
        path = next((one for one in (place.with_suffix(".py"), place / "__init__.py") if one.exists()), None)
        if path is None or name in seen:
            continue
        seen.add(name)
        nodes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
        left += [
            whole for node in nodes for whole in (node.module, *(f"{node.module}.{one.name}" for one in node.names))
        ]

    assert {"adafocal.training.folder", "adafocal.training.measured", "adafocal.scaling.remedy"} < seen
    assert "adafocal._lightning" not in seen
