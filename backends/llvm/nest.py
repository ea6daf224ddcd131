"""A loop nest as data: its space, its values, what it reads and writes; and its canonical text."""

from __future__ import annotations

import itertools
import weakref
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from symgraph.backends.llvm.clusters import CHEAP
from symgraph.op import Op
from symgraph.sizes import Dim
from symgraph.tensor import Tensor
from symgraph.types import DType

__all__ = ["Access", "Item", "Nest", "PointerParam", "SizeParam", "is_saved", "pass_items"]

_own_codes: weakref.WeakKeyDictionary[Op, int] = weakref.WeakKeyDictionary()
_numbers = itertools.count()  # never given twice: compiled kernels outlive the op


@cache
def dtype_name(dtype: DType) -> str:
    """The name of a dtype, which NumPy composes anew each time."""
    return dtype.name


def own_code(op: Op) -> int:
    """A number for an op that brings its own native code."""
    if op not in _own_codes:
        _own_codes[op] = next(_numbers)
    return _own_codes[op]


@dataclass(frozen=True, slots=True)
class PointerParam:
    """An address: the buffer of a variable plus an offset in elements. ``role`` read, write or
    scratch."""

    node: Tensor | None
    offset: Dim
    role: str = "read"
    bytes: Dim = 0


@dataclass(frozen=True, slots=True)
class SizeParam:
    """A size known when the function is called, or the bits of a literal."""

    dim: Dim


@dataclass(frozen=True, slots=True)
class Access:
    """Memory seen from the iteration space: a pointer parameter and one stride per axis
    (elements)."""

    pointer: int
    strides: tuple[int | str, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"p{self.pointer}[{', '.join(map(str, self.strides))}] {dtype_name(self.dtype)}"


@dataclass(slots=True)
class Item:
    """One value of the nest.

    ``kind``: load, literal, parameter (a literal that is passed in, so that kernels which differ in
    it alone are one), size, ramp, op, gather, inside (a mask), window (a load under a mask),
    reduce, or repeat (a row value written along the inner axes). ``args`` are earlier items;
    ``full`` says it changes along the inner axes; ``stage`` is the pass it can first be computed in
    (for row values: before which).
    """

    kind: str
    dtype: DType
    full: bool
    stage: int = 0
    args: tuple[int, ...] = ()
    node: Tensor | None = None
    access: Access | None = None
    payload: tuple[Any, ...] = ()

    def __str__(self) -> str:
        name = (
            self.node.op.name
            if self.node is not None and self.kind in ("op", "reduce")
            else self.kind
        )
        if self.node is not None and self.node.op.lower is not None:
            name += f"#{own_code(self.node.op)}"  # two users may name their ops alike
        parts = [f"%{a}" for a in self.args] + [str(p) for p in self.payload]
        if self.access is not None:
            parts.append(str(self.access))
        operand = (
            f" of {dtype_name(self.node.inputs[-1].dtype)}"
            if self.node is not None and self.kind == "op"
            else ""
        )
        level = "full" if self.full else "row"
        return (
            f"{name}({', '.join(parts)}){operand} : {dtype_name(self.dtype)} {level} {self.stage}"
        )


@dataclass(slots=True)
class Nest:
    """A loop nest ready to be emitted."""

    extents: tuple[int | str, ...]
    inner: tuple[int, ...]
    items: list[Item] = field(default_factory=list)
    stores: list[tuple[int, Access]] = field(default_factory=list)
    params: list[PointerParam | SizeParam] = field(default_factory=list)
    scratch: dict[int, int] = field(default_factory=dict)
    checked: bool = False
    sources: list[Tensor] = field(default_factory=list)

    def key(self) -> str:
        """The canonical text."""
        lines = [f"space ({', '.join(map(str, self.extents))}) inner {list(self.inner)}"]
        lines += [f"%{k} = {item}" for k, item in enumerate(self.items)]
        lines += [f"store %{v} -> {a}" for v, a in self.stores]
        lines += [f"save %{v} -> p{p}" for v, p in self.scratch.items()]
        return "\n".join(lines)

    __str__ = key

    def passes(self) -> int:
        """How often a row's inner axes are walked."""
        stages = [self.items[v].stage for v, _ in self.stores if self.items[v].full]
        stages += [self.items[i.args[0]].stage for i in self.items if i.kind == "reduce"]
        return 1 + max(stages, default=-1)


def is_saved(nest: Nest, k: int, stage: int) -> bool:
    """Whether pass ``stage`` reads item ``k`` back instead of computing it again."""
    item = nest.items[k]
    if not item.full or item.stage >= stage or item.kind not in ("op", "gather"):
        return False
    return item.node is None or item.node.op.name not in CHEAP


def pass_items(nest: Nest, stage: int) -> list[int]:
    """The full items that pass ``stage`` computes, in order; saved ones are not among them."""
    goals = [
        i.args[0] for i in nest.items if i.kind == "reduce" and nest.items[i.args[0]].stage == stage
    ]
    goals += [v for v, _ in nest.stores if nest.items[v].full and nest.items[v].stage == stage]
    goals += [v for v in nest.scratch if nest.items[v].stage == stage]
    found: set[int] = set()
    stack = [g for g in goals if nest.items[g].full]
    while stack:
        k = stack.pop()
        if k in found or not nest.items[k].full or is_saved(nest, k, stage):
            continue
        found.add(k)
        stack.extend(nest.items[k].args)
    return sorted(found)
