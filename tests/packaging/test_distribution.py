# SPDX-License-Identifier: Apache-2.0
"""Wheel and source distribution hold what they should, and work in an empty environment, with each extra."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import packaging.metadata
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "runs", "site", "*.egg-info", "__pycache__")
TABLE = (ROOT / "pyproject.toml").read_text("utf-8").split("[project.optional-dependencies]")[1].split("\n[")[0]
EXTRAS = re.findall(r"^(\w+) = \[", TABLE, re.M)
TOPOLOGY = (
    "import torch, adafocal; adafocal.TopologyAwareFocalLoss()(torch.zeros(1, 2, 4, 4), torch.ones(1, 4, 4).long())"
)
# One command of each extra.
USES = {
    "": "python -c 'import torch, adafocal; adafocal.AdaFocalLoss()(torch.zeros(2, 3), torch.tensor([0, 1]))'",
    "report": "adafocal evaluate p.csv --html p.html",
    "train": "adafocal train --epochs 1 --progress false",
    "text": "python -c 'import transformers, adafocal.models'",
    "segmentation": "python -c 'import monai, nibabel, adafocal'",
    "topology": f"python -c '{TOPOLOGY}'",
    "ray": "python -c 'import ray, adafocal'",
}
# Without its extra each of these asks for it by name.
MISSING = ("report", "train", "topology")
NOT_INSTALLED = {
    "all": "the environment of these tests is installed with it",
    "dev": "the environment of these tests is installed with it",
    "docs": "part of dev",
    "trl": "part of dev",
    "timm": "brings torchvision, of the size of torch",
}


# The sources of this checkout must not be found in place of what is installed.
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def call(*command, cwd):
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    source, dist = tmp_path_factory.mktemp("source") / "adafocal", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, source, cwd=source)
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def core(built, tmp_path_factory):
    """Install once what every environment has, since the package requires it: torch is large."""
    folder = tmp_path_factory.mktemp("core")
    python = environment(folder, *required(built))
    return call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()


def required(built):
    with zipfile.ZipFile(built[0]) as wheel:
        [path] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = packaging.metadata.Metadata.from_email(wheel.read(path), validate=True)
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description_content_type == "text/markdown"
    return sorted(str(requirement) for requirement in metadata.requires_dist if not requirement.marker)


def environment(folder, *requirements, core=None):
    """Install requirements into an environment of its own, which finds another one's packages."""
    call(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    if core is not None:
        [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
        (packages / "core.pth").write_text(core)
    call(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", *requirements, cwd=folder)
    (folder / "p.csv").write_text("prob_0,prob_1,label\n" + "0.8,0.2,0\n0.3,0.7,1\n0.6,0.4,1\n" * 20)
    return python


def test_the_wheel_holds_every_module_and_what_pages_are_made_of(built):
    with zipfile.ZipFile(built[0]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    package = [path for path in (source / "adafocal").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected = {path.relative_to(source).as_posix() for path in package}

    assert {
        "adafocal/py.typed",
        "adafocal/report/study.html",
        "adafocal/report/page.css",
        "adafocal/cli/printed.json",
    } <= held
    assert held == expected


def test_the_source_distribution_holds_sources_licence_and_readme_but_no_tests(built):
    with tarfile.open(built[1]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}

    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"}
    also = {"", "src", "MANIFEST.in", "PKG-INFO", "SECURITY.md", "constraints.txt", "setup.cfg"}
    assert wanted | {"src/adafocal/py.typed"} <= held
    assert {name.split("/")[0] for name in held} <= wanted | also


def test_the_metadata_are_valid(built):
    assert required(built) == [
        "numpy>=1.26",
        "torch>=2.6",
        "typing-extensions>=4.13",  # torch brings it, too
    ]


@pytest.mark.parametrize("extra", ["", *(extra for extra in EXTRAS if extra not in NOT_INSTALLED)])
def test_the_wheel_works_in_an_environment_of_its_requirements(built, core, tmp_path, extra):
    assert len(EXTRAS) >= 8
    wanted = f"adafocal[{extra}] @ {built[0].as_uri()}" if extra else str(built[0])
    python = environment(tmp_path, wanted, core=core)

    assert "usage: adafocal" in call(python.parent / "adafocal", "--help", cwd=tmp_path)
    assert shell(USES[extra], tmp_path).returncode == 0
    if extra == "":
        assert "site-packages" in call(python, "-c", "import adafocal; print(adafocal.__file__)", cwd=tmp_path)
        for missing in MISSING:
            done = shell(USES[missing], tmp_path)
            assert done.returncode != 0
            assert re.search(r"pip install 'adafocal\[\w+\]'", done.stderr), (missing, done.stderr)
        a_strict_type_check_of_a_users_module_passes(python, tmp_path)


def shell(command, folder):
    """Run a command with the programs of the environment in this folder."""
    found = CLEAN | {"PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, cwd=folder, env=found, capture_output=True, text=True)


def a_strict_type_check_of_a_users_module_passes(python, folder):
    module, text = folder / "users.py", (Path(__file__).parent / "users_module.py").read_text(encoding="utf-8")
    module.write_text(text, encoding="utf-8")
    check = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), str(module)]
    call(*check, cwd=folder)
    module.write_text(text.replace("n_bins=15", "n_bins='15'"), encoding="utf-8")
    done = subprocess.run(check, cwd=folder, env=CLEAN, capture_output=True, text=True)
    assert 'Argument "n_bins" to "AdaFocalLoss" has incompatible type "str"; expected "int"' in done.stdout
