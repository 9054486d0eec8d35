# SPDX-License-Identifier: Apache-2.0
"""Every example in the package runs, and every public name of the pure layers says what it takes and gives."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
import torch

import adafocal

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(adafocal.__path__, prefix="adafocal.")
    if not module.name.endswith("__main__")
)
SOURCE = Path(adafocal.__file__).parents[1]
PACKAGES = tuple(f"adafocal.{name}" for name in ("calibration", "losses", "ood", "scaling", "selective"))
DOCUMENTED = [
    f"{package}.{name}"
    for package in PACKAGES
    for name in importlib.import_module(package).__all__
    if callable(getattr(importlib.import_module(package), name))
]


def test_the_modules_are_found():
    # Each search is held against another way to find the same: one that goes blind finds fewer.
    files = {path.relative_to(SOURCE).with_suffix("") for path in (SOURCE / "adafocal").rglob("*.py")}
    names = {".".join(path.parts).removesuffix(".__init__") for path in files if path.name != "__main__"}

    assert set(MODULES) == names - {"adafocal"}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_names_are_found(package):
    module = importlib.import_module(package)
    ours = {
        f"{package}.{name}"
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and value.__module__.startswith("adafocal.")
    }

    assert {path for path in DOCUMENTED if path.rpartition(".")[0] == package} == ours


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_module_run(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("adafocal"):
            raise
        pytest.skip(f"needs {missing.name}, of an optional extra")
    torch.manual_seed(0)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, extraglobs={"torch": torch}, optionflags=options)

    assert result.failed == 0


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_public_name_has_the_sections_of_its_kind(path):
    package, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(package), name)
    found = set(re.findall(r"^(Args|Attributes|Returns|Raises|Example|Reference):", inspect.getdoc(value) or "", re.M))

    if not inspect.isclass(value):
        assert {"Args", "Returns", "Example"} <= found
    elif not issubclass(value, torch.nn.Module):
        assert {"Attributes"} <= found
    else:
        assert {"Args", "Raises", "Example", "Reference"} <= found


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_public_function_documents_each_of_its_arguments(path):
    package, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(package), name)
    if inspect.isclass(value) and not issubclass(value, torch.nn.Module):
        section, names = "Attributes", list(value.__dataclass_fields__)
    else:
        section, names = "Args", list(inspect.signature(value).parameters)
    documented = re.search(rf"^{section}:\n(.*?)(?:\n\n|\Z)", inspect.getdoc(value) or "", re.M | re.S)

    assert documented is not None
    assert re.findall(r"^    (\w+):", documented[1], re.M) == names
