"""What it takes to share out the work of a program: which steps, how much, and where in memory."""

from __future__ import annotations

import ctypes
import dataclasses

from runtime_kernels import F4, I8, X, Y

from symgraph.backends.llvm.runtime.layout import ERROR_WORDS, Field, address, flatten
from symgraph.backends.llvm.runtime.program import (
    Base,
    InputSpec,
    OutputSpec,
    Pointer,
    Program,
    Resize,
    Size,
    SizeOp,
    Step,
)
from symgraph.backends.llvm.runtime.ranges import plan_ranges

ARENA, ERROR = Base("arena"), Base("error")


def program(threads: int) -> Program:
    """Slots: n, 0, 1, 3 n, bytes of scratch, of the arena, 7; two steps may be shared out."""
    x, y, scratch = Pointer(X, 1), Pointer(Y, 1), Pointer(ARENA, 1, 4)
    return Program(
        initial=(0, 0, 1, 0, 64, 256, 7),
        inputs=(InputSpec("x", F4, (0,)),),
        outputs=(OutputSpec(F4, (0,)),),
        size_code=((SizeOp.ADD, 3, 0, 0), (SizeOp.ADD, 3, 3, 0)),
        steps=(
            Step(1000, (x, y, scratch), "by rows", units=0, work=3),
            Step(1001, (x, y), "one unit", units=2, work=6),
            Step(1002, (x, y), "no work told", units=0),
            Step(1003, (x, Pointer(ERROR, 1)), "checked", units=6, work=3),
        ),
        arena_slot=5,
        threads=threads,
    )


def test_steps_of_several_units_and_known_work_are_shared() -> None:
    assert plan_ranges(program(1)).shared == set()
    assert plan_ranges(program(2)).shared == {0, 3}


def test_a_count_of_units_found_during_the_call_is_no_constant() -> None:
    one = program(2)
    steps = (*one.steps, Resize(2, Pointer(ARENA, 1)))
    assert plan_ranges(dataclasses.replace(one, steps=steps)).shared == {0, 1, 3}


def test_the_work_of_all_steps_is_added_up() -> None:
    layout = flatten(program(1))
    ranges = plan_ranges(program(1))
    slots = [5, 0, 1, 15, 64, 256, 7, *ranges.initial]
    for op, target, a, b in ranges.code:
        assert op == SizeOp.ADD
        slots[target] = slots[a] + slots[b]
    assert slots[ranges.work] == 15 + 7 + 15
    assert layout.header[Field.WORK] == address(layout.slots) + 8 * ranges.work
    assert layout.header[Field.N_SLOTS] == 7, "errors are explained by the program's own slots"


def test_each_range_has_scratch_of_its_own() -> None:
    ranges = plan_ranges(program(3))
    scratch = Pointer(ARENA, 1, 4)
    slots = [5, 0, 1, 15, 64, 256, 7, *ranges.initial]
    for _, target, a, b in ranges.code:
        slots[target] = slots[a] + slots[b]
    assert [slots[ranges.offset(scratch, r)] for r in range(3)] == [0, 64, 128]
    assert [ranges.offset(Pointer(X, 1), r) for r in range(3)] == [1, 1, 1]


def test_frames_stand_behind_each_other() -> None:
    def words(threads: int) -> list[list[int]]:
        layout = flatten(program(threads))
        start, count = (int(layout.header[f]) for f in (Field.STEPS, Field.N_STEPS))
        (table,) = (array for array in layout.keep if getattr(array, "shape", 0) == (count, 5)
                    and address(array) == start)  # fmt: skip
        assert table.dtype == I8
        return [[int(row[1] - table[0, 1]) // 8, int(row[4])] for row in table]

    assert words(1) == [[0, 0], [3, 0], [5, 0], [7, 0]]
    assert words(3) == [[0, 24], [9, 0], [11, 0], [13, 16]]


def test_each_range_has_an_error_record_of_its_own() -> None:
    layout = flatten(program(3))
    records = [a for a in layout.keep if getattr(a, "size", 0) == 3 * ERROR_WORDS]
    assert address(records[0]) == layout.header[Field.ERROR]


def test_known_work_needs_no_code() -> None:
    steps = tuple([Step(1000 + k, (), "known", units=2, work=6) for k in range(3)])
    ranges = plan_ranges(dataclasses.replace(program(1), steps=steps))
    assert not ranges.code and ranges.initial == [21]


def test_only_what_may_change_is_moved_into_the_frame() -> None:
    known, found = [Size(slot) for slot in (6, 4)], Size(3)
    steps = (Step(1000, (known[0], found, known[1]), "sizes"),)
    layout = flatten(dataclasses.replace(program(1), steps=steps))
    assert layout.header[Field.N_FITS] == 2, "one argument, and the extent of the result"
    first = int(layout.header[Field.STEPS])
    frame = ctypes.cast(first, ctypes.POINTER(ctypes.c_int64))[1]
    assert list((ctypes.c_int64 * 3).from_address(frame)) == [7, 0, 64]
