"""A kernel call: which code, and the arguments it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.libraries import Code
from symgraph.backends.llvm.loops import Nest, PointerParam, SizeParam
from symgraph.sizes import Dim
from symgraph.tensor import Tensor

__all__ = ["Call", "Code", "CodeParam", "Emit", "Param"]


@dataclass(frozen=True, slots=True)
class CodeParam:
    """An argument of a kernel that is the address of a function."""

    code: Code


Param = PointerParam | SizeParam | CodeParam
Emit = Callable[[Module, str, Target], None]


@dataclass(frozen=True, slots=True)
class Call:
    """One step of a program.

    ``key`` is the canonical text of the code (equal keys share it), ``emit`` writes it; ``code`` is
    given instead where a library has it. ``node`` is what the step computes, for
    errors. ``units`` is how many independent units the kernel's work falls into (see
    `kernel_function`) and ``work`` about how many scalar operations they are together (0: few).
    """

    key: str
    emit: Emit | None
    params: tuple[Param, ...]
    node: Tensor
    code: Code | None = None
    checked: bool = False
    nest: Nest | None = None
    units: Dim = 1
    work: Dim = 0

    def aligned(self, variable: Tensor, value: Tensor) -> bool:
        """Whether ``variable`` is only read at the very element where ``value`` is written."""
        nest = self.nest
        if nest is None or self._touches_elsewhere(nest, variable, value):
            return False
        writes = [(v, a) for v, a in nest.stores if _touches(nest, a.pointer, value)]
        again = bool(nest.inner) and nest.passes() > 1  # a later pass may read what one has written
        if again and any(nest.items[v].full for v, _ in writes):
            return False
        reads = [
            i
            for i in nest.items
            if i.access is not None and _touches(nest, i.access.pointer, variable)
        ]
        return all(
            i.kind == "load"
            and not (i.full and again)
            and any(i.access is not None and i.access.strides == w.strides for _, w in writes)
            and (i.access is not None and _starts(nest, i.access.pointer))
            for i in reads
        )

    def _touches_elsewhere(self, nest: Nest, *nodes: Tensor) -> bool:
        """Whether the kernel reads or writes one of ``nodes`` in other ways than its nest does."""
        others = [p for p in self.params if not any(p is q for q in nest.params)]
        return any(isinstance(p, PointerParam) and p.node is n for p in others for n in nodes)


def _touches(nest: Nest, pointer: int, node: Tensor) -> bool:
    p = nest.params[pointer]
    return isinstance(p, PointerParam) and p.node is node


def _starts(nest: Nest, pointer: int) -> bool:
    p = nest.params[pointer]
    return isinstance(p, PointerParam) and p.offset == 0
