"""Put a program together: sizes into slots, variables into memory, calls into steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from symgraph.backends.llvm.jit import host
from symgraph.backends.llvm.kernel import Call, Code, Param
from symgraph.backends.llvm.kernels import Kernel
from symgraph.backends.llvm.libraries import locate
from symgraph.backends.llvm.loops import PointerParam, SizeParam
from symgraph.backends.llvm.memory import ALIGNMENT, Block
from symgraph.backends.llvm.placement import ARENA, Placement
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
    """A program with what the callbacks need to explain its errors.

    ``codes`` are the functions whose addresses stand in slots from the beginning.
    """

    program: Program
    calls: dict[int, Call]
    input_slots: list[tuple[int, ...]]
    arena_bytes: Dim
    count_slots: dict[Atom, int]
    codes: dict[Code, int]


class _Assembler:
    def __init__(
        self,
        signature: Signature,
        outputs: Sequence[Tensor],
        calls: Sequence[Call],
        kernels: Sequence[Kernel],
        equations: dict[tuple[Dim, Dim], Tensor | None],
        threads: int = 1,
    ) -> None:
        self.threads = threads
        self.signature, self.calls, self.kernels = signature, list(calls), list(kernels)
        self.results = list(outputs[: signature.n_outputs])
        self.updates = dict(zip(signature.updated, outputs[signature.n_outputs :], strict=True))
        self.input_index = {v: k for k, v in enumerate(signature.inputs)}
        self.slots = SlotTable()
        self.equations = equations
        self.checks: list[tuple[int, int]] = []
        self.constants: dict[int, tuple[int, Any]] = {}
        self.shared: dict[Tensor, int] = {}
        self.codes: dict[Code, int] = {}
        self.sizes: dict[Dim, Size] = {}
        self.known: dict[tuple[Tensor, Dim], Pointer] = {}
        self.rooms: dict[tuple[int, int | None], Pointer] = {}

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

    # ---- addresses ---------------------------------------------------------------------------

    def cell(self, variable: SharedVariable) -> int:
        return self.shared.setdefault(variable, len(self.shared))

    def base(self, node: Tensor) -> Base:
        """The block of memory that a variable is the beginning of."""
        if node in self.input_index:
            return Base("input", self.input_index[node])
        if isinstance(node, SharedVariable):
            return Base("shared", self.cell(node))
        if node.op is leaves.constant:
            array = np.ascontiguousarray(node.attrs["value"])
            at, _ = self.constants.setdefault(id(node.attrs["value"]), (len(self.constants), array))
            return Base("constant", at)
        return self.places.base[node]

    def pointer(self, k: int, p: PointerParam, scratch: list[Block]) -> Pointer:
        if p.role == "error":
            return Pointer(Base("error"), self.slots.slot(0))
        if p.role == "scratch":
            shared_out = self.places.ranges(self.calls[k]) > 1
            stride = self.slots.slot(self.places.scratch_bytes(p)) if shared_out else None
            at = self.offsets[scratch.pop(0).index]
            return self.rooms.setdefault((at, stride), Pointer(ARENA, at, stride))
        assert p.node is not None
        found = self.known.get((p.node, p.offset))
        if found is None:
            found = self.known[p.node, p.offset] = self.address(p.node, p.offset)
        return found

    def address(self, node: Tensor, offset: Dim) -> Pointer:
        """Where the element ``offset`` elements into a variable stands."""
        base = self.base(node)
        at = self.slots.slot(offset * node.dtype.itemsize)
        if base.kind == "arena":
            at = self.slots.emit(SizeOp.ADD, self.offsets[self.places.block[node].index], at)
        return Pointer(base, at)

    def arguments(self, k: int, params: Sequence[Param]) -> tuple[Pointer | Size, ...]:
        """What a step is handed for the parameters of call ``k``."""
        scratch = list(self.places.scratch.get(k, ()))
        known = self.sizes.get
        return tuple(
            [
                (type(p) is SizeParam and known(p.dim)) or self.argument(k, p, scratch)
                for p in params
            ]
        )

    def argument(self, k: int, p: Param, scratch: list[Block]) -> Pointer | Size:
        """The same for one parameter."""
        if isinstance(p, PointerParam):
            return self.pointer(k, p, scratch)
        if isinstance(p, SizeParam):
            return self.sizes.setdefault(p.dim, Size(self.slots.slot(p.dim)))
        if p.code not in self.codes:
            self.codes[p.code] = self.slots.new(locate(p.code, host()))
        return Size(self.codes[p.code])

    def lay_out(self) -> int | None:
        """Offsets of the arena's blocks; returns the slot of its whole size."""
        self.offsets: list[int] = []
        if not self.places.arena.blocks:
            return None
        at = self.slots.slot(0)
        for block in self.places.arena.blocks:
            self.offsets.append(at)
            size = self.slots.align64(self.slots.slot(block.bytes))
            at = self.slots.emit(SizeOp.ADD, at, size)
        return at

    # ---- the whole ---------------------------------------------------------------------------

    def run(self) -> Assembly:
        rows = self.bind_inputs()
        self.places = Placement(
            self.calls,
            self.results,
            self.updates,
            self.cell,
            bool(self.counted()),
            self.threads,
        )
        arena_slot = self.lay_out()
        steps: list[Step | Resize] = []
        origin: dict[int, Call] = {}
        for k, (call, kernel) in enumerate(zip(self.calls, self.kernels, strict=True)):
            args = self.arguments(k, call.params)
            origin[len(steps)] = call
            # a size found out meanwhile counts as its largest value: work is added up before
            work = None if call.work == 0 else self.slots.slot(upper_bound(call.work))
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
        updated = tuple(self.cell(s) for s in self.updates)
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
            updated=updated,
            threads=self.threads,
            code=tuple({id(k.library): k.library for k in self.kernels if k.library}.values()),
        )
        total: Dim = 0
        for block in self.places.arena.blocks:
            total = total + (block.bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        counts = {
            a: self.slots.slot(_as_size(a)) for n in self.counted() for a in n.attrs["count"].counts
        }
        return Assembly(program, origin, rows, total, counts, self.codes)

    def _done(self, variable: SharedVariable, value: Tensor) -> bool:
        base = self.places.base.get(value)
        return base is not None and base == Base("shared", self.shared.get(variable, -1))

    def output(self, k: int, node: Tensor) -> OutputSpec:
        dims = tuple(self.slots.slot(d) for d in node.shape)
        base = self.places.base[node]
        late = None
        if base != Base("output", k):
            late = Pointer(base, self.offsets[self.places.block[node].index])
        size = self.slots.slot(product(node.shape) * node.dtype.itemsize)
        return OutputSpec(node.dtype, dims, late, None if late else size)

    def commit(self, variable: SharedVariable, value: Tensor) -> Commit:
        base = self.base(value)
        offset = self.slots.slot(0)
        if base.kind == "arena":
            offset = self.offsets[self.places.block[value].index]
        size = self.slots.slot(product(value.shape) * value.dtype.itemsize)
        return Commit(self.cell(variable), Pointer(base, offset), size)


def _counts(dim: Dim) -> frozenset[Atom]:
    return dim.counts if isinstance(dim, SymbolicSize) else frozenset()


def _as_size(atom: Atom) -> SymbolicSize:
    return SymbolicSize(((((atom, 1),), 1),))


def assemble(
    signature: Signature,
    outputs: Sequence[Tensor],
    calls: Sequence[Call],
    kernels: Sequence[Kernel],
    equations: dict[tuple[Dim, Dim], Tensor | None],
    threads: int = 1,
) -> Assembly:
    """The program that runs ``calls`` and returns ``outputs`` (results first, then updates), its
    larger steps shared out to ``threads`` threads.
    """
    return _Assembler(signature, outputs, calls, kernels, equations, threads).run()
