"""Sizes as slots: every dim a program needs becomes an int64 slot, computed by the size
bytecode."""

from __future__ import annotations

import operator
from collections.abc import Callable

from symgraph.backends.llvm.runtime.program import Code, SizeOp
from symgraph.errors import UsageError
from symgraph.sizes import Atom, Dim, Size

__all__ = ["FOLDS", "SlotTable", "upper_bound"]

#: Operations on two numbers, done at once where both are known.
FOLDS: dict[SizeOp, Callable[[int, int], int]] = {
    SizeOp.ADD: operator.add,
    SizeOp.SUB: operator.sub,
    SizeOp.MUL: operator.mul,
    SizeOp.MIN: min,
    SizeOp.MAX: max,
    SizeOp.ALIGN64: lambda a, b: -(-a // 64) * 64,
}


class SlotTable:
    """Hands out slots; equal dims share one. ``code`` computes the derived ones, in order."""

    def __init__(self) -> None:
        self.initial: list[int] = []
        self.code: list[Code] = []
        self._constants: dict[int, int] = {}
        self._values: dict[int, int] = {}
        self._dims: dict[Size, int] = {}
        self._atoms: dict[Atom, int] = {}

    def new(self, value: int = 0) -> int:
        """A slot of its own, holding ``value`` at first."""
        self.initial.append(value)
        return len(self.initial) - 1

    def bind(self, atom: Atom, slot: int) -> None:
        """``slot`` holds the value of a symbol or count."""
        self._atoms[atom] = slot

    def initial_of(self, atom: Atom) -> int:
        """The first value of a symbol's or count's slot."""
        return self.initial[self._atoms[atom]]

    def knows(self, atom: Atom) -> bool:
        return atom in self._atoms

    def slot(self, dim: Dim) -> int:
        """The slot that holds ``dim``."""
        if isinstance(dim, int):
            found = self._constants.get(dim)
            if found is None:
                found = self._constants[dim] = self.new(dim)
                self._values[found] = dim
            return found
        if dim not in self._dims:
            self._dims[dim] = self._polynomial(dim)
        return self._dims[dim]

    def emit(self, op: SizeOp, a: int, b: int) -> int:
        """A slot computed from two others."""
        left, right = self._values.get(a), self._values.get(b)
        if left is not None and right is not None and op in FOLDS:
            value = FOLDS[op](left, right)
            if abs(value) < 1 << 63:  # what overflows raises in the call
                return self.slot(value)
        if op is SizeOp.ADD and (left == 0 or right == 0):
            return b if left == 0 else a
        out = self.new()
        self.code.append((int(op), out, a, b))
        return out

    def _polynomial(self, size: Size) -> int:
        total = -1
        for monomial, c in size.terms:
            term = -1
            for atom, power in monomial:
                for _ in range(power):
                    factor = self._atom(atom)
                    term = factor if term < 0 else self.emit(SizeOp.MUL, term, factor)
            if c != 1 or term < 0:
                constant = self.slot(c)
                term = constant if term < 0 else self.emit(SizeOp.MUL, term, constant)
            total = term if total < 0 else self.emit(SizeOp.ADD, total, term)
        return total

    def _atom(self, atom: Atom) -> int:
        if atom not in self._atoms:
            if atom.kind in ("symbol", "count"):
                raise UsageError(
                    f"function: the size {atom.name} cannot be read off the inputs; declare it as "
                    "an axis of its own of some input"
                )
            op = {"floordiv": SizeOp.FLOORDIV, "min": SizeOp.MIN, "max": SizeOp.MAX}[atom.kind]
            a, b = (self.slot(x) for x in atom.args)
            self._atoms[atom] = self.emit(op, a, b)
        return self._atoms[atom]

    def align64(self, slot: int) -> int:
        """``slot`` rounded up to a multiple of 64."""
        return self.emit(SizeOp.ALIGN64, slot, slot)


def upper_bound(dim: Dim) -> Dim:
    """``dim`` with every run-time count at the value that makes it largest."""
    if isinstance(dim, int) or not dim.counts:
        return dim
    total: Dim = 0
    for monomial, c in dim.terms:
        term: Dim = c
        for atom, power in monomial:
            for _ in range(power):
                term = term * _atom_bound(atom)
        if c < 0 and Size(((monomial, c),)).counts:
            continue  # a negative term is largest where its count is 0
        total = total + term
    return total


def _atom_bound(atom: Atom) -> Dim:
    single = Size(((((atom, 1),), 1),))
    if atom.kind == "count":
        return upper_bound(atom.args[0])
    if not single.counts:
        return single
    args = tuple(upper_bound(a) for a in atom.args)
    if atom.kind == "floordiv":
        return args[0] // atom.args[1]
    return Size(((((Atom(atom.kind, atom.name, args), 1),), 1),))
