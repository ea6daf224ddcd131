"""A program flattened into int64 tables of absolute addresses, which the emitted entry walks.

Nearly everything a call does about addresses is one *move*: ``*target = *base + *offset``, three
addresses a row. Size arguments and output extents are moves too, with a base that holds 0, so
the entry needs two move loops: one for when sizes changed, one for each call.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.cell import SharedCell

from .program import Commit, Pointer, Program, Resize, Size, SizeOp, Step

__all__ = ["ERROR_WORDS", "FORMS", "Field", "Layout", "address", "flatten", "native"]

ERROR_WORDS = 8
FORMS = ("one", "list", "tuple", "dict", "none")
PER_CALL = ("input", "output", "shared")  # bases whose address may differ at each call
SIZE_OPS = frozenset(SizeOp)
Row = tuple[int, ...]
Words = np.ndarray[Any, np.dtype[np.int64]]


class Field(enum.IntEnum):
    """Words of the header; ``X`` is the address of a table and ``N_X`` its number of rows."""

    BUSY = 0  # 1 while a call is using the tables
    STALE = enum.auto()  # 1 where slots and frame may not agree with the extents
    KEEP_STALE = enum.auto()  # what STALE becomes after a good refit: 1 where steps resize
    CONVERT = enum.auto()  # Python callbacks
    EXPLAIN = enum.auto()
    FAIL = enum.auto()
    DIAGNOSE = enum.auto()
    ARENA = enum.auto()  # aligned address
    CAPACITY = enum.auto()  # bytes behind it
    ARENA_NEED = enum.auto()  # address of the slot that holds the wanted size
    ARENA_DIMS = enum.auto()  # the extent NumPy is asked for
    HOLDER = enum.auto()  # a one-element list that owns the arena
    FORM = enum.auto()  # index into FORMS
    TEMPLATE = enum.auto()  # a dict of all keys
    KEYS = enum.auto()
    OBJECTS = enum.auto()  # the output arrays of the call under way
    N_OBJECTS = enum.auto()
    SLOTS = enum.auto()
    N_SLOTS = enum.auto()
    ERROR = enum.auto()
    INPUTS = enum.auto()  # descr, rank, slot addresses, where the data address goes
    N_INPUTS = enum.auto()
    CODE = enum.auto()  # op, dst, a, b
    N_CODE = enum.auto()
    CHECKS = enum.auto()  # a, b
    N_CHECKS = enum.auto()
    NONNEGATIVE = enum.auto()  # a
    N_NONNEGATIVE = enum.auto()
    LIMITS = enum.auto()  # a, largest value
    N_LIMITS = enum.auto()
    RESETS = enum.auto()  # moves before size code
    N_RESETS = enum.auto()
    FITS = enum.auto()  # moves after size code
    N_FITS = enum.auto()
    PATCHES = enum.auto()  # moves of every call
    N_PATCHES = enum.auto()
    EAGER = enum.auto()  # descr, rank, extents, object, data, base, offset, itemsize
    N_EAGER = enum.auto()
    LATE = enum.auto()
    N_LATE = enum.auto()
    STEPS = enum.auto()  # address, frame, slot of units; or 0, move of the resize, 0
    N_STEPS = enum.auto()
    COMMITS = enum.auto()  # cell, base, offset, bytes
    N_COMMITS = enum.auto()


@dataclass(frozen=True, slots=True)
class Layout:
    """The header, views of what Python reads, and everything that must live as long as they do."""

    header: Words
    slots: Words
    holder: list[Any]
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
        self.slots = self.words(program.initial)
        self.slot_base = address(self.slots)
        self.error = self.words([0] * ERROR_WORDS)
        constants = [address(array) for array in program.constants]
        self.blocks = self.words([0, address(self.error), self.slot_base, *constants])
        self.zero = address(self.blocks)
        self.input_data = self.words([0] * len(program.inputs))
        self.output_data = self.words([0] * len(program.outputs))
        self.objects = self.words([0] * len(program.outputs))
        self.extents = self.words([0] * sum(len(out.dims) for out in program.outputs))
        self.places = dict(self.find_places())
        self.fits: list[Row] = []
        self.patches: list[Row] = []

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

    def inputs(self) -> None:
        """Table of inputs; each row points at the addresses of its extents' slots."""
        program = self.program
        slots = [self.slot(d) for spec in program.inputs for d in spec.dims]
        written = {dst for op, dst, a, b in program.size_code}
        written |= {step.slot for step in program.steps if isinstance(step, Resize)}
        if len(set(slots)) != len(slots) or any(self.slot(d) in slots for d in written):
            raise ValueError("every input axis needs a slot of its own that nothing else writes")
        dims, data, rows = address(self.words(slots)), address(self.input_data), []
        for k, spec in enumerate(program.inputs):
            rows.append((self.descriptor(spec.dtype), len(spec.dims), dims, data + 8 * k))
            dims += 8 * len(spec.dims)
        self.table(Field.INPUTS, rows)

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
        code = [(op, slot(dst), slot(a), slot(b)) for op, dst, a, b in program.size_code]
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
        cursor = address(self.words([0] * sum(len(step.args) for step in calls)))
        resized = [step for step in program.steps if isinstance(step, Resize)]
        first = address(self.words([program.initial[step.slot] for step in resized]))
        resets = [
            (self.slot(step.slot), first + 8 * k, self.zero) for k, step in enumerate(resized)
        ]
        moves = [(self.slot(step.slot), *self.source(step.source)) for step in resized]
        self.table(Field.RESETS, resets)
        one = address(self.words([1]))
        resize, rows = address(self.words(moves)), []
        for step in program.steps:
            if isinstance(step, Resize):
                rows.append((0, resize, 0))
                resize += 8 * 3
                continue
            if step.address == 0:
                raise ValueError(f"step {step.label!r} has no machine code")
            units = one if step.units is None else self.slot(step.units)
            rows.append((step.address, cursor, units))
            cursor = self.arguments(step, cursor)
        self.table(Field.STEPS, rows)
        self.header[Field.STALE] = 1
        self.header[Field.KEEP_STALE] = int(bool(resized))

    def arguments(self, step: Step, cursor: int) -> int:
        """File the moves that fill one step's part of the frame; the address after it."""
        for arg in step.args:
            if isinstance(arg, Size):
                self.fits.append((cursor, self.zero, self.slot(arg.slot)))
            else:
                moves = self.patches if arg.base.kind in PER_CALL else self.fits
                moves.append((cursor, *self.source(arg)))
            cursor += 8
        return cursor

    def outputs(self) -> None:
        """Tables of the arrays allocated before and after the steps."""
        eager, late = [], []
        extents, data, objects = map(address, (self.extents, self.output_data, self.objects))
        for k, out in enumerate(self.program.outputs):
            head = (self.descriptor(out.dtype), len(out.dims), extents)
            place = (objects + 8 * k, data + 8 * k)
            if out.late is None:
                eager.append((*head, *place, 0, 0, 0))
            else:
                late.append((*head, *place, *self.source(out.late), out.dtype.itemsize))
            for dim in out.dims:
                self.fits.append((extents, self.zero, self.slot(dim)))
                extents += 8
        self.table(Field.EAGER, eager)
        self.table(Field.LATE, late)

    def commits(self) -> None:
        """The copies into shared variables that end a good call."""
        rows = []
        for commit in self.program.commits:
            cell = self.cell(commit).location
            rows.append((cell, *self.source(commit.source), self.slot(commit.bytes_slot)))
        self.table(Field.COMMITS, rows)

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
    writer.result()
    holder = writer.memory()
    writer.table(Field.FITS, writer.fits)
    writer.table(Field.PATCHES, writer.patches)
    return Layout(writer.header, writer.slots, holder, writer.keep)
