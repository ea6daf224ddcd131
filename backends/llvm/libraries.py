"""Functions that programs share and know by name: where they stand in this process.

The code of products is loaded once for the whole process, as much of it as is needed. What emits it
is only imported where it is not on disk.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symgraph.backends.llvm.jit import Library, Target
from symgraph.backends.llvm.objects import precompiled

if TYPE_CHECKING:
    from symgraph.backends.llvm.builder import Module

__all__ = ["ANY", "TILE", "Code", "is_loaded", "library", "locate", "locate_all"]

ANY = "any"
TILE = "tile"

#: What else can compute the products of a path, if it is there already.
WIDER = {ANY: (ANY,), "lines": (ANY, "lines"), "blocks": (ANY, "blocks")}
WIDER[TILE] = (*WIDER["blocks"], TILE)

_libraries: dict[tuple[str, Target, str], Library] = {}


@dataclass(frozen=True, slots=True)
class Code:
    """A function of a library: these strings alone load it again in another process.

    ``library`` says which (see `locate`), ``name`` is the function's name there.
    """

    library: tuple[str, ...]
    name: str


def locate(code: Code, target: Target) -> int:
    """The address of a library's function, which stays; the library is loaded if it is not there.

    ``("matmul", scalar, path)`` is the product (see `library`).

    Raises KeyError for a library or function that does not exist.
    """
    kind, *which = code.library
    if kind != "matmul":
        raise KeyError(f"no library {code.library}")
    scalar, path = which
    return library(scalar, target, path).address(code.name)


def locate_all(codes: Collection[Code], target: Target) -> dict[Code, int]:
    """The addresses of some functions, see `locate`. What serves several of them comes first."""
    paths: dict[str, set[str]] = {}
    for code in codes:
        paths.setdefault(code.library[1], set()).add(code.library[2])
    for scalar, wanted in paths.items():
        if ANY in wanted or wanted >= {"blocks", "lines"}:
            library(scalar, target, ANY)
    narrow_last = sorted(codes, key=lambda code: code.library[2] == TILE)
    return {code: locate(code, target) for code in narrow_last}


def library(scalar: str, target: Target, path: str = ANY) -> Library:
    """Machine code of the product; ``matmul`` has no epilogue, ``matmul.fused`` calls one.

    Raises KeyError for a path that does not exist.
    """
    found = _there(scalar, target, path)
    if found is None:
        names = ("matmul", "matmul.fused")
        module = functools.partial(_module, scalar, target, path)
        plain = functools.partial(_plain, scalar, target, path)
        found = precompiled(f"matmul {scalar} {path}", names, module, target, plain)
        found = _libraries.setdefault((scalar, target, path), found)
    return found


def is_loaded(code: Code, target: Target) -> bool:
    """Whether `locate` loads nothing."""
    kind, *which = code.library
    return kind == "matmul" and _there(which[0], target, which[1]) is not None


def _there(scalar: str, target: Target, path: str) -> Library | None:
    there = [_libraries.get((scalar, target, other)) for other in WIDER.get(path, (path,))]
    return next((known for known in there if known is not None), None)


def _module(scalar: str, target: Target, path: str) -> Module:
    from symgraph.backends.llvm.matmul import loaded

    return loaded.product_module(scalar, target, path)


def _plain(scalar: str, target: Target, path: str) -> Collection[str]:
    from symgraph.backends.llvm.matmul import loaded

    return loaded.plain_functions(scalar, target, path)
