"""The distributions hold what they must and nothing else, and what is installed from them works."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import symgraph as sg

ROOT = Path(__file__).parent.parent

PROGRAM = """
import numpy as np
import symgraph as sg
import symgraph.passes, symgraph.backends
x = sg.vector("x")
f = sg.function([x], sg.grad(sg.sum(sg.exp(2 * x)), x))
print(sg.__file__)
print(f(np.zeros(3)).tolist())
"""


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    """What a command prints; ``path`` is put before the installed packages."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it.

    They are built from a copy, so that nothing an earlier build left in the checkout gets in.
    """
    copy, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("symgraph", "passes", "backends"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = ("-m", "build", "--no-isolation", "--outdir", str(folder), str(copy))
    run(sys.executable, *command, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (found,) = built.glob("*.tar.gz")
    return found


def sources() -> set[str]:
    """The modules of the package as they are named when installed."""
    folders = {"symgraph": "symgraph", "passes": "symgraph/passes", "backends": "symgraph/backends"}
    found = set()
    for folder, name in folders.items():
        for p in (ROOT / folder).rglob("*.py"):
            inside = p.relative_to(ROOT / folder)
            if inside.parts[0] not in ("passes", "backends") or folder != "symgraph":
                found.add(f"{name}/{inside.as_posix()}")
    return found


def test_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}
    assert names == sources() | {"symgraph/py.typed"}


def test_wheel_is_pure(wheel: Path) -> None:
    assert wheel.name == f"symgraph-{sg.__version__}-py3-none-any.whl"


def test_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("/METADATA")]
        text = archive.read(name).decode()
    for line in ("Name: symgraph", f"Version: {sg.__version__}", "License-Expression: MIT"):
        assert line in text.splitlines()


def test_sdist_holds_what_the_wheel_is_made_from(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "symgraph/py.typed"} <= names
    assert sources() <= names


def test_installed_wheel_runs_native_code(wheel: Path, tmp_path: Path) -> None:
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    target = tmp_path / "site"
    run(sys.executable, *pip, "--target", str(target), str(wheel), cwd=tmp_path)
    where, values = run(sys.executable, "-c", PROGRAM, cwd=tmp_path, path=target).splitlines()
    assert Path(where) == target / "symgraph" / "__init__.py"
    assert values == "[2.0, 2.0, 2.0]"


def test_version_is_stated_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == sg.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {sg.__version__}" in changes


def test_import_is_light() -> None:
    code = "import sys, symgraph; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ("networkx", "llvmlite", "scipy", "symgraph.backends.llvm")
    assert run(sys.executable, "-c", code, *heavy, cwd=ROOT.parent).strip() == "[]"


@pytest.mark.parametrize("folder", ["passes", "backends"])
def test_folders_refuse_their_bare_names(folder: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {folder}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"symgraph.{folder}; import it under that name" in done.stderr


def test_help_lists_every_command() -> None:
    listed = run("make", "-s", "help", cwd=ROOT)
    for target in ("help", "demo", "test", "check", "bench"):
        assert f"make {target}" in listed
