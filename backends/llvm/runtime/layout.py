"""A program flattened into int64 tables of absolute addresses, which the emitted entry walks.

Nearly everything a call does about addresses is one *move*: ``*target = *base + *offset``, three
addresses a row. Size arguments and output extents are moves too, with a base that holds 0, so
the entry needs two move loops: one for when sizes changed, one for each call.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.cell import SharedCell

from .fields import CODES, ERROR_WORDS, FORMS, Field, InputField, OutputField
from .program import Commit, Pointer, Program, Resize, Size, SizeOp, Step
from .ranges import long_work, plan_ranges

__all__ = [
    "CODES",
    "ERROR_WORDS",
    "FORMS",
    "Field",
    "InputField",
    "Layout",
    "OutputField",
    "address",
    "flatten",
    "native",
]

PER_CALL = ("input", "output", "shared")  # bases whose address may differ at each call
SIZE_OPS = frozenset(SizeOp)
OUT = sys.intern("out")
Row = tuple[int, ...]
Words = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Layout:
    """The header, views of what Python reads, and everything that must live as long as they do."""

    header: Words
    slots: Words
    holder: list[Any]
    kept: list[Any]
    pool: Words
    keep: list[Any] = field(repr=False)


def address(array: np.ndarray[Any, Any]) -> int:
    """Where an array's data begin."""
    return int(array.ctypes.data)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The one descriptor object NumPy itself uses for this dtype; ValueError if there is none."""
    found = np.dtype(dtype.type)
    if dtype.hasobject or not dtype.itemsize or found != dtype:
        raise ValueError(f"a compiled program has no arrays of dtype {dtype!r}")
    return found


class _Writer:
    """Places data, then writes the tables that point into it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.keep: list[Any] = [program]
        self.header = self.words([0] * len(Field))
        self.ranges = plan_ranges(program)
        self.slots = self.words((*program.initial, *self.ranges.initial))
        self.slot_base = address(self.slots)
        self.error = self.words([0] * ERROR_WORDS * program.threads)
        constants = [address(array) for array in program.constants]
        self.blocks = self.words([0, address(self.error), self.slot_base, *constants])
        self.zero = address(self.blocks)
        values = address(self.words([0] * len(program.inputs)))
        self.input_data = self.words([values + 8 * k for k in range(len(program.inputs))])
        self.output_data = self.words([0] * len(program.outputs))
        self.objects = self.words([0] * len(program.outputs))
        self.extents = self.words([0] * sum(len(out.dims) for out in program.outputs))
        self.places = dict(self.find_places())
        self.fits: list[Row] = []
        self.patches: list[Row] = []
        #: for each range what `move` says of an argument, by its identity
        self.sources: list[dict[int, tuple[list[Row], int, int]]]
        self.sources = [{} for _ in range(program.threads)]
        #: whether a step may fail: it gets the error record, or finds out a size, checked then
        self.fails = any(isinstance(step, Resize) for step in program.steps)

    def find_places(self) -> Iterator[tuple[tuple[str, int], int]]:
        """Every base, and the address of the word that holds the base's own address."""
        program = self.program
        yield ("error", 0), self.zero + 8
        yield ("slots", 0), self.zero + 16
        if program.arena_slot is not None:
            yield ("arena", 0), address(self.header) + 8 * Field.ARENA
        for k in range(len(program.constants)):
            yield ("constant", k), self.zero + 8 * (3 + k)
        for k in range(len(program.inputs)):
            yield ("input", k), address(self.input_data) + 8 * k
        for k, out in enumerate(program.outputs):
            if out.late is None:
                yield ("output", k), address(self.output_data) + 8 * k
        for k, cell in enumerate(program.shared):
            yield ("shared", k), cell.location

    def words(self, values: Sequence[int] | Sequence[Row]) -> Words:
        """An int64 array that lives as long as the layout."""
        array = np.array(values, dtype=np.int64)
        self.keep.append(array)
        return array

    def table(self, place: Field, rows: Sequence[Row]) -> int:
        """File rows under ``place`` and their number beside it; the address of the first row."""
        start = address(self.words(rows))
        self.header[place], self.header[place + 1] = start, len(rows)
        return start

    def slot(self, index: int) -> int:
        """The address of a slot."""
        if not 0 <= index < len(self.program.initial):
            raise ValueError(f"slot {index} of a program with {len(self.program.initial)} slots")
        return self.slot_base + 8 * index

    def source(self, pointer: Pointer) -> tuple[int, int]:
        """The second half of a move: where the base's address and where the offset stand."""
        base = pointer.base
        place = self.places.get((base.kind, base.index))
        if place is None:
            raise ValueError(f"{base} has no address that a step of this program could use")
        return place, self.slot(pointer.offset)

    def source_of(self, pointer: Pointer, number: int) -> tuple[int, int]:
        """The same for one of the ranges that a step falls into."""
        place, offset = self.source(pointer)
        if number and pointer.base.kind == "error":
            return place, self.record_offsets + 8 * number
        if number:
            offset = self.slot_base + 8 * self.ranges.offset(pointer, number)
        return place, offset

    def inputs(self) -> None:
        """Table of inputs; each row points at the addresses of its extents' slots."""
        program = self.program
        slots = [self.slot(d) for spec in program.inputs for d in spec.dims]
        written = {dst for op, dst, a, b in program.size_code}
        written |= {step.slot for step in program.steps if isinstance(step, Resize)}
        own = set(slots)
        if len(own) != len(slots) or any(self.slot(d) in own for d in written):
            raise ValueError("every input axis needs a slot of its own that nothing else writes")
        dims, data, rows = address(self.words(slots)), address(self.input_data), []
        for k, spec in enumerate(program.inputs):
            scalar = (0,) * 5 if spec.dims else self.scalar(spec.dtype)
            place = data + 8 * k if spec.dims else int(self.input_data[k])
            head = (self.descriptor(spec.dtype), len(spec.dims), dims, place)
            rows.append((*head, *scalar, spec.dtype.itemsize))
            dims += 8 * len(spec.dims)
        self.table(Field.INPUTS, rows)
        self.keywords()

    def scalar(self, dtype: np.dtype[Any]) -> Row:
        """What the row of an input of rank 0 says about numbers."""
        kind, code, limit = dtype.type, "none", 1 << 53
        if dtype.kind == "f" and dtype.itemsize in (4, 8):
            code = "single" if dtype.itemsize == 4 else "double"
        elif dtype.kind in "iu":
            code = "int"
        low, high = -limit, limit
        if code == "int":
            low, high = int(np.iinfo(dtype).min), min(int(np.iinfo(dtype).max), (1 << 63) - 1)
        twin = id(float) if kind is np.float64 else 0
        return id(kind), twin, CODES.index(code), low, high

    def keywords(self) -> None:
        """The names that a call may give its inputs by, as the interpreter interns them."""
        names = [spec.name for spec in self.program.inputs]
        times = Counter(names)
        plain = [
            sys.intern(name) if times[name] == 1 and name.isidentifier() else None for name in names
        ]
        plain.append(None if OUT in names else OUT)
        self.keep.append(plain)
        table = self.words([0 if name is None else id(name) for name in plain])
        self.header[Field.KEYWORDS] = address(table)

    def descriptor(self, dtype: np.dtype[Any]) -> int:
        """The address of NumPy's descriptor object, kept alive."""
        found = native(dtype)
        self.keep.append(found)
        return id(found)

    def sizes(self) -> None:
        """Size code, the checks after it, and the bounds that keep commits inside their arrays."""
        program, slot = self.program, self.slot
        if any(row[0] not in SIZE_OPS for row in program.size_code):
            raise ValueError("size code holds an operation that SizeOp does not define")
        code: list[Row] = [(op, slot(dst), slot(a), slot(b)) for op, dst, a, b in program.size_code]
        more, start = self.ranges.code, self.slot_base
        code += [(op, *(start + 8 * k for k in (dst, a, b))) for op, dst, a, b in more]
        self.table(Field.CODE, code)
        self.table(Field.CHECKS, [(slot(a), slot(b)) for a, b in program.checks])
        self.table(Field.NONNEGATIVE, [(slot(a),) for a in program.nonnegative])
        limits = [(slot(c.bytes_slot), self.cell(c).array.nbytes) for c in program.commits]
        self.table(Field.LIMITS, limits)

    def cell(self, commit: Commit) -> SharedCell:
        """The shared variable that a commit writes."""
        if not 0 <= commit.cell_index < len(self.program.shared):
            raise ValueError(f"{commit} names no shared variable of this program")
        return self.program.shared[commit.cell_index]

    def steps(self) -> None:
        """The kernel calls; fills the frame's moves on the way."""
        program = self.program
        calls = [step for step in program.steps if isinstance(step, Step)]
        count = sum(len(step.args) for step in calls) * program.threads
        frame, filled = self.words([0] * count), list[int]()
        start = cursor = address(frame)
        records = range(0, 8 * ERROR_WORDS * program.threads, 8 * ERROR_WORDS)
        self.record_offsets = address(self.words(list(records)))
        resized = [step for step in program.steps if isinstance(step, Resize)]
        first = address(self.words([program.initial[step.slot] for step in resized]))
        resets = [
            (self.slot(step.slot), first + 8 * k, self.zero) for k, step in enumerate(resized)
        ]
        moves = [(self.slot(step.slot), *self.source(step.source)) for step in resized]
        self.table(Field.RESETS, resets)
        one = address(self.words([1]))
        resize, rows = address(self.words(moves)), []
        for index, step in enumerate(program.steps):
            if isinstance(step, Resize):
                rows.append((0, resize, 0, 0, 0))
                resize += 8 * 3
                continue
            if step.address == 0:
                raise ValueError(f"step {step.label!r} has no machine code")
            units = one if step.units is None else self.slot(step.units)
            work = self.zero if step.work is None else self.slot(step.work)
            ranges = program.threads if index in self.ranges.shared else 1
            stride = 8 * len(step.args) if ranges > 1 else 0
            rows.append((step.address, cursor, units, work, stride))
            for number in range(ranges):
                self.arguments(step, start, filled, number)
            cursor = start + 8 * len(filled)
        frame[: len(filled)] = filled
        self.table(Field.STEPS, rows)
        self.header[Field.STALE] = 1
        self.header[Field.KEEP_STALE] = int(bool(resized))

    def arguments(self, step: Step, start: int, filled: list[int], number: int) -> None:
        """File the moves that fill one range's part of the frame, which begins at ``start``.

        A size that no call changes is put into ``filled`` at once and needs no move.
        """
        at = start + 8 * len(filled)
        known, sources = self.ranges.fixed.get, self.sources[number]
        values = [known(arg.slot) if type(arg) is Size else None for arg in step.args]
        filled += [0 if value is None else value for value in values]
        for k, value in enumerate(values):
            if value is None:
                arg = step.args[k]
                found = sources.get(id(arg))
                if found is None:
                    found = sources[id(arg)] = self.move(arg, number)
                moves, place, offset = found
                moves.append((at + 8 * k, place, offset))

    def move(self, arg: Pointer | Size, number: int) -> tuple[list[Row], int, int]:
        """Where a move of an argument of one range is filed, and its second half."""
        if isinstance(arg, Size):
            return self.fits, self.zero, self.slot(arg.slot)
        self.fails = self.fails or arg.base.kind == "error"
        return self.patches if self.varies(arg) else self.fits, *self.source_of(arg, number)

    def varies(self, pointer: Pointer) -> bool:
        """Whether the address may differ at each call; a value of rank 0 has a fixed place."""
        base, inputs = pointer.base, self.program.inputs
        if base.kind == "input" and base.index < len(inputs) and not inputs[base.index].dims:
            return False
        return base.kind in PER_CALL

    def outputs(self) -> None:
        """Tables of the arrays allocated before and after the steps."""
        eager, late = [], []
        kept: list[Any] = [None] * 2 * len(self.program.outputs)
        self.pool = self.words([0] * 2 * len(kept))
        pool = address(self.pool)
        self.keep.append(kept)
        self.header[Field.KEPT] = id(kept)
        self.kept = kept
        extents, data, objects = map(address, (self.extents, self.output_data, self.objects))
        for k, out in enumerate(self.program.outputs):
            head = (self.descriptor(out.dtype), len(out.dims), extents)
            place = (objects + 8 * k, data + 8 * k)
            size = self.zero if out.bytes is None else self.slot(out.bytes)
            tail = (out.dtype.itemsize, size, pool + 32 * k, 2 * k)
            if out.late is None:
                eager.append((*head, *place, 0, 0, *tail))
            else:
                late.append((*head, *place, *self.source(out.late), *tail))
            for dim in out.dims:
                self.fits.append((extents, self.zero, self.slot(dim)))
                extents += 8
        self.table(Field.EAGER, eager)
        self.table(Field.LATE, late)
        self.header[Field.DIRECT] = int(not late and not self.fails)

    def commits(self) -> None:
        """The copies into shared variables that end a good call."""
        rows = []
        for commit in self.program.commits:
            cell = self.cell(commit).location
            rows.append((cell, *self.source(commit.source), self.slot(commit.bytes_slot)))
        self.table(Field.COMMITS, rows)
        cells = [(cell.location, cell.array.nbytes) for cell in self.program.shared]
        self.table(Field.SHARED, cells)
        committed = {commit.cell_index for commit in self.program.commits}
        overwritten = sorted(set(self.program.updated) - committed)
        self.table(Field.OVERWRITTEN, [cells[k] for k in overwritten])

    def shared(self) -> None:
        """The shared variables that a call reads or changes, and the threads that it may use."""
        program = self.program
        changed = {*program.updated, *(commit.cell_index for commit in program.commits)}
        cells = enumerate(program.shared)
        self.table(Field.LOCKS, [(cell.location, int(k in changed)) for k, cell in cells])
        self.header[Field.THREADS] = program.threads
        self.header[Field.LONG] = long_work(program.threads)
        self.header[Field.WORK] = self.slot_base + 8 * self.ranges.work

    def result(self) -> None:
        """The form of the result, with the keys of a dict."""
        program, count = self.program, len(self.program.outputs)
        wanted = {"one": 1, "none": 0, "dict": len(set(program.keys))}.get(program.form, count)
        if count != wanted:
            raise ValueError(f"a result of form {program.form!r} cannot hold {count} outputs")
        template = dict.fromkeys(program.keys)
        keys = self.words([id(key) for key in program.keys])
        self.keep.append(template)
        self.header[Field.FORM] = FORMS.index(program.form)
        self.header[Field.TEMPLATE] = id(template)
        self.header[Field.KEYS] = address(keys)
        self.header[Field.OBJECTS] = address(self.objects)
        self.header[Field.N_OBJECTS] = count

    def memory(self) -> list[Any]:
        """The arena's words, and the list that will own its block."""
        program, holder = self.program, [None]
        need = self.zero if program.arena_slot is None else self.slot(program.arena_slot)
        self.header[Field.ARENA_NEED] = need
        self.header[Field.HOLDER] = id(holder)
        self.header[Field.SLOTS] = self.slot_base
        self.header[Field.N_SLOTS] = len(program.initial)
        self.header[Field.ERROR] = address(self.error)
        self.keep.append(holder)
        return holder


def flatten(program: Program) -> Layout:
    """The tables of ``program``; ValueError where it contradicts itself."""
    writer = _Writer(program)
    for fill in (writer.inputs, writer.sizes, writer.steps, writer.outputs, writer.commits):
        fill()
    writer.shared()
    writer.result()
    holder = writer.memory()
    writer.table(Field.FITS, writer.fits)
    writer.table(Field.PATCHES, writer.patches)
    return Layout(writer.header, writer.slots, holder, writer.kept, writer.pool, writer.keep)
