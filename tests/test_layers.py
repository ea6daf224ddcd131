"""Imports point one way, heavy libraries load late, and the two folders answer to one name only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "symgraph": ROOT / "symgraph",
    "symgraph.passes": ROOT / "passes",
    "symgraph.backends": ROOT / "backends",
}

#: From the bottom to the top: a module imports only its own layer and those before it.
LAYERS = (
    ("symgraph.errors", "symgraph.collection", "symgraph.locks"),
    ("symgraph.loading",),
    ("symgraph.sizes",),
    ("symgraph.types",),
    ("symgraph.op", "symgraph.origins", "symgraph.cell"),
    ("symgraph.ops",),
    ("symgraph.variable",),
    ("symgraph.tensor",),
    ("symgraph.graph",),
    ("symgraph.functions",),
    ("symgraph.canonical",),
    ("symgraph.names", "symgraph.spelling", "symgraph.printer", "symgraph.verify"),
    ("symgraph.layout", "symgraph.drawing", "symgraph.views", "symgraph.latex"),
    ("symgraph.passes",),
    ("symgraph.rules",),
    ("symgraph.arguments", "symgraph.program"),
    ("symgraph.out",),
    ("symgraph.explain",),
    ("symgraph.backends",),
    ("symgraph.samples", "symgraph.replay", "symgraph.audit_results", "symgraph.audit"),
    ("symgraph.compile",),
    ("symgraph.nn", "symgraph.optim", "symgraph.verify_grad"),
    ("symgraph",),
)

#: Imports inside a function that point up: a method of a lower layer shows itself by a higher one.
LATE = {
    ("symgraph.graph", "symgraph.printer"),
    ("symgraph.printer", "symgraph.passes.facts"),
    ("symgraph.program", "symgraph.audit"),
    ("symgraph.program", "symgraph.replay"),
}

#: Where a heavy library may be imported when first needed, and where even at the top of a module.
HEAVY = {
    "llvmlite": (("symgraph.backends.llvm",), ("symgraph.backends.llvm",)),
    "mpmath": (("symgraph.backends.precise",), ("symgraph.backends.precise",)),
    "networkx": (("symgraph.views", "symgraph.passes", "symgraph.backends"), ()),
}

Import = tuple[str, str, bool]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, under the name it is imported by."""
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if package == "symgraph" and parts[0] in ("passes", "backends"):
                continue
            named = parts[:-1] if parts[-1] == "__init__" else parts
            yield ".".join([package, *named]), file


def imports(module: str, tree: ast.AST, late: bool = False) -> Iterator[Import]:
    """(importer, imported, whether only inside a function) for every import statement."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((module, alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = absolute(module, node)
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield module, whole if whole in KNOWN else source, late
        else:
            inside = late or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(module, node, inside)


def absolute(module: str, node: ast.ImportFrom) -> str:
    """The module that a ``from`` statement names, dots resolved."""
    if not node.level:
        return str(node.module)
    package = module if KNOWN[module].name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


KNOWN = dict(modules())
FOUND = [
    found
    for name, file in KNOWN.items()
    for found in imports(name, ast.parse(file.read_text(encoding="utf-8")))
]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layer(module: str) -> int:
    """The layer of a module, by the longest name that fits."""
    fits = [
        (len(entry), level)
        for level, entries in enumerate(LAYERS)
        for entry in entries
        if module == entry or (entry != "symgraph" and within(module, entry))
    ]
    assert fits, f"{module} stands in no layer; add it to LAYERS"
    return max(fits)[1]


@pytest.mark.parametrize("module", KNOWN)
def test_every_module_has_a_layer(module: str) -> None:
    assert layer(module) >= 0


def test_imports_point_down() -> None:
    wrong = [
        (a, b)
        for a, b, late in FOUND
        if within(b, "symgraph") and layer(b) > layer(a) and not (late and (a, b) in LATE)
    ]
    assert wrong == []


def test_the_late_imports_are_all_needed() -> None:
    assert {(a, b) for a, b, late in FOUND if late} >= LATE


def test_passes_and_backends_do_not_know_each_other() -> None:
    wrong = [
        (a, b)
        for a, b, _ in FOUND
        if within(a, "symgraph.passes") and within(b, "symgraph.backends")
    ]
    assert wrong == []


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_in_their_place(library: str) -> None:
    anywhere, at_the_top = HEAVY[library]
    wrong = [
        (a, b)
        for a, b, late in FOUND
        if within(b, library)
        and not any(within(a, place) for place in (anywhere if late else at_the_top))
    ]
    assert wrong == []


def python(*code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_symgraph_is_light() -> None:
    done = python(
        "import sys, symgraph",
        "heavy = ['llvmlite', 'networkx', 'scipy', 'symgraph.drawing', 'symgraph.views']",
        "heavy += ['symgraph.rules', 'symgraph.passes.rules', 'symgraph.passes.facts']",
        "print([m for m in heavy if m in sys.modules])",
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("folder", ["passes", "backends"])
def test_the_bare_folders_refuse(folder: str) -> None:
    done = python(f"import {folder}")
    assert f"this folder is the package symgraph.{folder}; import it under that name" in done.stderr


def test_the_folders_are_one_with_the_package() -> None:
    done = python(
        "import symgraph.passes, symgraph.backends, os",
        "print([os.path.realpath(p.__path__[0]) for p in (symgraph.passes, symgraph.backends)])",
    )
    assert done.stdout.strip() == str([str((ROOT / f).resolve()) for f in ("passes", "backends")])
