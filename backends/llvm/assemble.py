"""Put a program together: sizes into slots, variables into memory, calls into steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.kernels import Kernel
from symgraph.backends.llvm.loops import PointerParam
from symgraph.backends.llvm.memory import ALIGNMENT, Arena, Block
from symgraph.backends.llvm.runtime.program import (
    Base,
    Commit,
    Form,
    InputSpec,
    OutputSpec,
    Pointer,
    Program,
    Resize,
    Size,
    SizeOp,
    Step,
)
from symgraph.backends.llvm.slots import SlotTable, upper_bound
from symgraph.errors import UsageError
from symgraph.functions import SharedVariable
from symgraph.ops import index, leaves
from symgraph.program import Signature
from symgraph.sizes import Atom, Dim, lone_atom, product, symbols_of
from symgraph.sizes import Size as SymbolicSize
from symgraph.tensor import Tensor

__all__ = ["Assembly", "assemble"]


@dataclass(slots=True)
class Assembly:
    """A program with what the callbacks need to explain its errors."""

    program: Program
    calls: dict[int, Call]
    input_slots: list[tuple[int, ...]]
    arena_bytes: Dim
    count_slots: dict[Atom, int]


@dataclass(slots=True)
class _Places:
    """Where every stored variable lives."""

    base: dict[Tensor, Base] = field(default_factory=dict)
    block: dict[Tensor, Block] = field(default_factory=dict)


class _Assembler:
    def __init__(
        self,
        signature: Signature,
        outputs: Sequence[Tensor],
        calls: Sequence[Call],
        kernels: Sequence[Kernel],
        equations: dict[tuple[Dim, Dim], Tensor | None],
    ) -> None:
        self.signature, self.calls, self.kernels = signature, list(calls), list(kernels)
        self.results = list(outputs[: signature.n_outputs])
        self.updates = dict(zip(signature.updated, outputs[signature.n_outputs :], strict=True))
        self.input_index = {v: k for k, v in enumerate(signature.inputs)}
        self.slots = SlotTable()
        self.equations = equations
        self.checks: list[tuple[int, int]] = []
        self.constants: dict[int, tuple[int, Any]] = {}
        self.shared: dict[Tensor, int] = {}
        self.places = _Places()
        self.arena = Arena()

    # ---- sizes -------------------------------------------------------------------------------

    def bind_inputs(self) -> list[tuple[int, ...]]:
        """A slot for every axis of every input; symbols are bound to the first that shows them."""
        for node in self.counted():
            (atom,) = node.attrs["count"].counts
            self.slots.bind(atom, self.slots.new(-1))
        later: list[tuple[int, Dim]] = []
        rows = []
        for variable in self.signature.inputs:
            row = []
            for dim in variable.shape:
                slot = self.slots.new()
                row.append(slot)
                atom = lone_atom(dim)
                named = atom is not None and atom.kind in ("symbol", "count")
                if atom is not None and named and not self.slots.knows(atom):
                    self.slots.bind(atom, slot)
                else:
                    later.append((slot, dim))
            rows.append(tuple(row))
        for slot, dim in later:
            self.check_known(dim)
            self.equal(slot, self.slots.slot(dim), _counts(dim))
        for a, b in self.equations:
            self.check_known(a)
            self.check_known(b)
            self.equal(self.slots.slot(a), self.slots.slot(b), _counts(a) | _counts(b))
        return rows

    def counted(self) -> list[Tensor]:
        return list(dict.fromkeys(c.node for c in self.calls if c.node.op is index.nonzero))

    def check_known(self, dim: Dim) -> None:
        for atom in symbols_of(dim):
            if not self.slots.knows(atom):
                raise UsageError(
                    f"function: the size {atom.name} cannot be read off the inputs; declare it as "
                    "an axis "
                    "of its own of some input"
                )

    def equal(self, left: int, right: int, counts: frozenset[Atom]) -> None:
        """Demand equal slots; where a run-time count is involved, only once it is known (not
        -1)."""
        waits = [self.slots.slot(_as_size(c)) for c in counts if self.slots.initial_of(c) == -1]
        if not waits:
            self.checks.append((left, right))
            return
        gap = self.slots.emit(SizeOp.SUB, left, right)
        one, zero = self.slots.slot(1), self.slots.slot(0)
        for slot in waits:
            known = self.slots.emit(SizeOp.ADD, slot, one)
            gap = self.slots.emit(SizeOp.MUL, gap, self.slots.emit(SizeOp.MIN, known, one))
        self.checks.append((gap, zero))

    # ---- memory ------------------------------------------------------------------------------

    def bytes_of(self, node: Tensor) -> Dim:
        count = upper_bound(product(node.shape))
        if node.op is index.nonzero:
            count = upper_bound(node.inputs[0].shape[0]) + 1
        return count * node.dtype.itemsize

    def place_all(self) -> None:
        """Outputs, updated variables, then blocks of the arena by lifetime."""
        for k, node in enumerate(self.results):
            if not any(isinstance(d, SymbolicSize) and d.counts for d in node.shape):
                self.places.base[node] = Base("output", k)
        self.input_read_last = max(
            (
                k
                for k, call in enumerate(self.calls)
                for p in call.params
                if isinstance(p, PointerParam) and p.node in self.input_index and p.node.ndim
            ),
            default=-1,
        )
        for variable, value in self.updates.items():
            if value not in self.places.base and self.in_place(variable, value):
                self.places.base[value] = Base("shared", self.cell(variable))
        last = self.last_uses()
        releases: dict[int, list[Block]] = {}
        self.scratch: dict[int, list[Block]] = {}
        for k, call in enumerate(self.calls):
            for p in call.params:
                if isinstance(p, PointerParam):
                    self.place_param(k, p, last, releases)
            for block in releases.pop(k, []):
                self.arena.release(block)
            for block in self.scratch.get(k, []):
                self.arena.release(block)

    def place_param(
        self, k: int, p: PointerParam, last: dict[Tensor, int], releases: dict[int, list[Block]]
    ) -> None:
        if p.role == "scratch":
            self.scratch.setdefault(k, []).append(self.arena.take(upper_bound(p.bytes), True))
        elif p.role == "write" and p.node is not None and p.node not in self.places.base:
            block = self.arena.take(self.bytes_of(p.node))
            self.places.base[p.node] = Base("arena")
            self.places.block[p.node] = block
            releases.setdefault(last[p.node], []).append(block)

    def last_uses(self) -> dict[Tensor, int]:
        """The last step that touches each variable; those read at the end live to the end."""
        last: dict[Tensor, int] = {}
        for k, call in enumerate(self.calls):
            for p in call.params:
                if isinstance(p, PointerParam) and p.node is not None:
                    last[p.node] = k
        for node in (*self.results, *self.updates.values()):
            last[node] = len(self.calls)
        return last

    def in_place(self, variable: SharedVariable, value: Tensor) -> bool:
        """Whether the new value may overwrite the old: nothing reads that later, nothing can
        fail."""
        writers = [k for k, c in enumerate(self.calls) if _writes(c, value)]
        if len(writers) != 1 or self.counted():
            return False
        (at,) = writers
        if any(c.checked for c in self.calls[at:]) or any(
            _reads(c, variable) for c in self.calls[at + 1 :]
        ):
            return False
        # an input may be the memory of the variable itself, got by get_value(borrow=True)
        arrays = [v for v in self.signature.inputs if v.ndim]
        if self.input_read_last > at:
            return False
        return all(
            not _reads(self.calls[at], v) or self.calls[at].aligned(v, value)
            for v in (variable, *arrays)
        )

    # ---- addresses ---------------------------------------------------------------------------

    def cell(self, variable: SharedVariable) -> int:
        return self.shared.setdefault(variable, len(self.shared))

    def base(self, node: Tensor) -> tuple[Base, Dim]:
        """The base of a variable, and where in it the variable begins (bytes)."""
        if node in self.input_index:
            return Base("input", self.input_index[node]), 0
        if isinstance(node, SharedVariable):
            return Base("shared", self.cell(node)), 0
        if node.op is leaves.constant:
            array = np.ascontiguousarray(node.attrs["value"])
            at, _ = self.constants.setdefault(id(node.attrs["value"]), (len(self.constants), array))
            return Base("constant", at), 0
        return self.places.base[node], 0

    def pointer(self, k: int, p: PointerParam, scratch: list[Block]) -> Pointer:
        if p.role == "error":
            return Pointer(Base("error"), self.slots.slot(0))
        if p.role == "scratch":
            return Pointer(Base("arena"), self.offsets[scratch.pop(0).index])
        assert p.node is not None
        base, _ = self.base(p.node)
        offset = self.slots.slot(p.offset * p.node.dtype.itemsize)
        if base.kind == "arena":
            start = self.offsets[self.places.block[p.node].index]
            zero = self.slots.slot(0)
            offset = start if offset == zero else self.slots.emit(SizeOp.ADD, start, offset)
        return Pointer(base, offset)

    def lay_out(self) -> int | None:
        """Offsets of the arena's blocks; returns the slot of its whole size."""
        self.offsets: list[int] = []
        if not self.arena.blocks:
            return None
        at = self.slots.slot(0)
        for block in self.arena.blocks:
            self.offsets.append(at)
            size = self.slots.align64(self.slots.slot(block.bytes))
            at = self.slots.emit(SizeOp.ADD, at, size)
        return at

    # ---- the whole ---------------------------------------------------------------------------

    def run(self) -> Assembly:
        rows = self.bind_inputs()
        self.place_all()
        arena_slot = self.lay_out()
        steps: list[Step | Resize] = []
        origin: dict[int, Call] = {}
        for k, (call, kernel) in enumerate(zip(self.calls, self.kernels, strict=True)):
            scratch = list(self.scratch.get(k, []))
            args = tuple(
                self.pointer(k, p, scratch)
                if isinstance(p, PointerParam)
                else Size(self.slots.slot(p.dim))
                for p in call.params
            )
            origin[len(steps)] = call
            work = None if call.work == 0 else self.slots.slot(call.work)
            units = self.slots.slot(call.units)
            steps.append(Step(kernel.address, args, call.node.op.name, units, work))
            if call.node.op is index.nonzero:
                (atom,) = call.node.attrs["count"].counts
                counted = PointerParam(call.node, call.node.inputs[0].shape[0])
                source = self.pointer(k, counted, [])
                steps.append(Resize(self.slots.slot(_as_size(atom)), source))
        outputs = tuple(self.output(k, n) for k, n in enumerate(self.results))
        commits = tuple(self.commit(s, v) for s, v in self.updates.items() if not self._done(s, v))
        inputs = tuple(
            InputSpec(v.name or f"#{k}", v.dtype, rows[k])
            for k, v in enumerate(self.signature.inputs)
        )
        program = Program(
            initial=tuple(self.slots.initial),
            inputs=inputs,
            outputs=outputs,
            steps=tuple(steps),
            size_code=tuple(self.slots.code),
            checks=tuple(self.checks),
            arena_slot=arena_slot,
            constants=tuple(a for _, a in self.constants.values()),
            shared=tuple(s.cell for s in self.shared if isinstance(s, SharedVariable)),
            commits=commits,
            form=cast(Form, self.signature.form),
            keys=self.signature.keys,
        )
        total: Dim = 0
        for block in self.arena.blocks:
            total = total + (block.bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        counts = {
            a: self.slots.slot(_as_size(a)) for n in self.counted() for a in n.attrs["count"].counts
        }
        return Assembly(program, origin, rows, total, counts)

    def _done(self, variable: SharedVariable, value: Tensor) -> bool:
        base = self.places.base.get(value)
        return base is not None and base == Base("shared", self.shared.get(variable, -1))

    def output(self, k: int, node: Tensor) -> OutputSpec:
        dims = tuple(self.slots.slot(d) for d in node.shape)
        base = self.places.base[node]
        late = None
        if base != Base("output", k):
            late = Pointer(base, self.offsets[self.places.block[node].index])
        return OutputSpec(node.dtype, dims, late)

    def commit(self, variable: SharedVariable, value: Tensor) -> Commit:
        base, _ = self.base(value)
        offset = self.slots.slot(0)
        if base.kind == "arena":
            offset = self.offsets[self.places.block[value].index]
        size = self.slots.slot(product(value.shape) * value.dtype.itemsize)
        return Commit(self.cell(variable), Pointer(base, offset), size)


def _counts(dim: Dim) -> frozenset[Atom]:
    return dim.counts if isinstance(dim, SymbolicSize) else frozenset()


def _as_size(atom: Atom) -> SymbolicSize:
    return SymbolicSize(((((atom, 1),), 1),))


def _writes(call: Call, node: Tensor) -> bool:
    return any(
        isinstance(p, PointerParam) and p.role == "write" and p.node is node for p in call.params
    )


def _reads(call: Call, node: Tensor) -> bool:
    return any(
        isinstance(p, PointerParam) and p.role == "read" and p.node is node for p in call.params
    )


def assemble(
    signature: Signature,
    outputs: Sequence[Tensor],
    calls: Sequence[Call],
    kernels: Sequence[Kernel],
    equations: dict[tuple[Dim, Dim], Tensor | None],
) -> Assembly:
    """The program that runs ``calls`` and returns ``outputs`` (results first, then updates)."""
    return _Assembler(signature, outputs, calls, kernels, equations).run()
