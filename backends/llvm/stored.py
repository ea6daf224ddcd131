"""A program as plain data, which another process can take up: names stand for addresses, numbers
for variables."""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.backends.llvm.jit import Target
from symgraph.backends.llvm.libraries import Code, locate_all
from symgraph.backends.llvm.runtime.program import (
    Base,
    Commit,
    InputSpec,
    OutputSpec,
    Pointer,
    Program,
    Resize,
    Size,
    Step,
)
from symgraph.cell import SharedCell

if TYPE_CHECKING:
    from symgraph.backends.llvm.kernels import Kernel

__all__ = ["Bound", "Facts", "Stored", "decode", "encode", "kernel_entries"]

OWN_BYTES = 1 << 20  # of constants that the passes made; more are not worth their room
SMALL = 1024  # bytes of a constant that is kept though the graph has it

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a program without its graph: its kernel calls, its distinct kernels, the
    bytes of their code, the nodes of its graph, and where its sizes known late stand: one slot
    for each ``nonzero`` of the graph."""

    calls: int
    kernels: int
    code_bytes: int
    nodes: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A program that may be bound to the variables of any graph it was made for.

    ``constants`` are arrays, or the numbers of nodes that hold them; ``shared`` are the numbers
    of shared variables; ``codes`` is what each step runs, by name.
    """

    program: Program
    constants: tuple[Array | int, ...]
    shared: tuple[int, ...]
    codes: tuple[str | Code, ...]
    facts: Facts

    def bind(self, bound: Bound) -> Program:
        """The program of these variables."""
        constants = [c if isinstance(c, np.ndarray) else bound.constant(c) for c in self.constants]
        specs = zip(self.program.inputs, bound.inputs, strict=True)
        return replace(
            self.program,
            inputs=tuple([InputSpec(name, dtype, s.dims) for s, (name, dtype) in specs]),
            constants=tuple(constants),
            shared=tuple([bound.shared[k] for k in self.shared]),
            form=bound.form,
            keys=bound.keys,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """What a program gets from the graph at hand: the name and dtype of each input, its shared
    variables, its nodes' values, and the form of the result."""

    inputs: tuple[tuple[str, np.dtype[Any]], ...]
    shared: Sequence[SharedCell]
    values: Sequence[Array | None]
    form: Any
    keys: tuple[str, ...]

    def constant(self, number: int) -> Array:
        """The value of a node that is a constant."""
        value = self.values[number]
        assert value is not None
        return np.ascontiguousarray(value)


# ---- to plain data -------------------------------------------------------------------------------


def encode(
    program: Program,
    codes: Sequence[str | Code],
    addresses: Mapping[Code, int],
    entries: Mapping[str, str],
    bound: Bound,
    facts: Facts,
) -> bytes | None:
    """The entry of ``program``; None if it holds too much.

    ``codes`` name what each step runs, ``addresses`` are the slots that hold addresses from the
    beginning, ``entries`` tell where each kernel is kept.
    """
    numbers = {id(cell): k for k, cell in enumerate(bound.shared)}
    constants = _constants(program.constants, bound.values)
    if constants is None:
        return None
    slots = list(map(int, program.initial))
    for slot in addresses.values():
        slots[slot] = 0
    names = iter(codes)
    parts = (
        tuple(slots),
        tuple([(slot, _code(code)) for code, slot in addresses.items()]),
        tuple([spec.dims for spec in program.inputs]),
        tuple([(o.dtype.str, o.dims, _pointer(o.late), o.bytes) for o in program.outputs]),
        tuple([_step(s, names) for s in program.steps]),
        program.size_code,
        program.checks,
        program.nonnegative,
        program.arena_slot,
        constants,
        tuple([numbers[id(cell)] for cell in program.shared]),
        tuple([(c.cell_index, _pointer(c.source), c.bytes_slot) for c in program.commits]),
        program.updated,
        program.threads,
        tuple(entries.items()),
        (facts.calls, facts.kernels, facts.code_bytes, facts.nodes, facts.counts),
    )
    return marshal.dumps(parts)


def _constants(arrays: Sequence[Array], values: Sequence[Array | None]) -> Any:
    """Each constant by the number of the node it is the value of, else by its dtype, shape, and
    bytes; None if these are too many."""
    known = {_memory(v): k for k, v in enumerate(values) if v is not None and v.nbytes > SMALL}
    out, total = list[Any](), 0
    for array in arrays:
        number = known.get(_memory(array))
        if number is not None:
            out.append(number)
            continue
        total += array.nbytes
        if total > OWN_BYTES:
            return None
        out.append((array.dtype.str, array.shape, array.tobytes()))
    return tuple(out)


def _memory(array: Array) -> Any:
    return array.ctypes.data, array.dtype.str, array.shape


def _code(code: str | Code) -> Any:
    return code if isinstance(code, str) else (code.library, code.name)


def _pointer(p: Pointer | None) -> Any:
    return None if p is None else (p.base.kind, p.base.index, p.offset, p.stride)


def _step(step: Step | Resize, names: Any) -> Any:
    if isinstance(step, Resize):
        return step.slot, _pointer(step.source)
    args = tuple([a.slot if isinstance(a, Size) else _pointer(a) for a in step.args])
    return _code(next(names)), args, step.label, step.units, step.work


# ---- from plain data -----------------------------------------------------------------------------


def kernel_entries(data: Any) -> dict[str, str]:
    """Where the kernels of an entry are kept."""
    return dict(data[14])


def decode(data: Any, kernels: Mapping[str, Kernel], target: Target) -> Stored:
    """The program of an entry (what `encode` gave to marshal) with these kernels.

    Raises KeyError for a library that is not there.
    """
    slots, relocations, inputs, outputs, steps, size_code, checks, nonnegative = data[:8]
    arena, constants, shared, commits, updated, threads, _, facts = data[8:]
    given = {slot: Code(*code) for slot, code in relocations}
    called = [Code(*s[0]) for s in steps if len(s) > 2 and not isinstance(s[0], str)]
    places = locate_all(dict.fromkeys([*given.values(), *called]), target)
    initial = list(slots)
    for slot, code in given.items():
        initial[slot] = places[code]
    read = _Reader(kernels, places)
    program = Program(
        initial=tuple(initial),
        inputs=tuple([InputSpec("", np.dtype(bool), dims) for dims in inputs]),
        outputs=tuple(
            [OutputSpec(np.dtype(d), dims, read.pointer(late), b) for d, dims, late, b in outputs]
        ),
        steps=tuple([read.step(s) for s in steps]),
        size_code=size_code,
        checks=checks,
        nonnegative=nonnegative,
        arena_slot=arena,
        commits=tuple([Commit(c, read.address(source), b) for c, source, b in commits]),
        updated=updated,
        threads=threads,
        code=tuple({id(k.library): k.library for k in kernels.values()}.values()),
    )
    arrays = tuple([c if isinstance(c, int) else _array(*c) for c in constants])
    return Stored(program, arrays, shared, tuple(read.codes), Facts(*facts))


def _array(dtype: str, shape: tuple[int, ...], whole: bytes) -> Array:
    return np.frombuffer(whole, np.dtype(dtype)).reshape(shape)


class _Reader:
    """Makes each pointer and each name once."""

    def __init__(self, kernels: Mapping[str, Kernel], places: Mapping[Code, int]) -> None:
        self.kernels, self.places = kernels, places
        self.pointers: dict[Any, Pointer] = {}
        self.sizes: dict[int, Size] = {}
        self.codes: list[str | Code] = []

    def pointer(self, data: Any) -> Pointer | None:
        return None if data is None else self.address(data)

    def address(self, data: Any) -> Pointer:
        found = self.pointers.get(data)
        if found is None:
            kind, number, offset, stride = data
            found = self.pointers[data] = Pointer(Base(kind, number), offset, stride)
        return found

    def size(self, slot: int) -> Size:
        found = self.sizes.get(slot)
        if found is None:
            found = self.sizes[slot] = Size(slot)
        return found

    def step(self, data: Any) -> Step | Resize:
        if len(data) == 2:
            return Resize(data[0], self.address(data[1]))
        name, args, label, units, work = data
        code = name if isinstance(name, str) else Code(*name)
        self.codes.append(code)
        place = self.kernels[code].address if isinstance(code, str) else self.places[code]
        found = [self.size(a) if type(a) is int else self.address(a) for a in args]
        return Step(place, tuple(found), label, units, work)
