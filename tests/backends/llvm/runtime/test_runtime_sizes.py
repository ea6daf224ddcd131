"""Size code, checks, arena and data-dependent extents."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from runtime_kernels import (
    F4,
    I8,
    Unexpected,
    X,
    Y,
    add_into,
    affine,
    compiled,
    positive,
    step,
    store_address,
    store_words,
    total,
    vector,
    vector_program,
)

from symgraph.backends.llvm.runtime.program import (
    Base,
    InputSpec,
    OutputSpec,
    Pointer,
    Program,
    Resize,
    Size,
    SizeOp,
)

ARENA, SLOTS = Base("arena"), Base("slots")
BIG = 2**63 - 1

PYTHON: dict[SizeOp, Callable[[int, int, int], int]] = {
    SizeOp.MOVE: lambda old, a, b: a,
    SizeOp.ADD: lambda old, a, b: a + b,
    SizeOp.SUB: lambda old, a, b: a - b,
    SizeOp.MUL: lambda old, a, b: a * b,
    SizeOp.FLOORDIV: lambda old, a, b: a // b if b else 0,
    SizeOp.MOD: lambda old, a, b: a % b if b else 0,
    SizeOp.MIN: lambda old, a, b: min(a, b),
    SizeOp.MAX: lambda old, a, b: max(a, b),
    SizeOp.ALIGN64: lambda old, a, b: -(-a // 64) * 64,
    SizeOp.MULADD: lambda old, a, b: old + a * b,
}
VALUES = (0, 1, -1, 2, 7, -7, 63, 64, 65, -64, 10**9, BIG, -BIG, -BIG - 1)


def evaluate(code: tuple[int, int, int], values: tuple[int, int, int]) -> int:
    """Slot 2 (``values[2]`` before) after one operation on slots 0 and 1, as a program sees it."""
    program = Program(
        initial=(*values, 4, 0),
        size_code=((code[0], 2, code[1], code[2]),),
        outputs=(OutputSpec(I8, (3,)),),
        steps=(step(store_words, Pointer(Y, 4), Size(3), Pointer(SLOTS, 4)),),
    )
    return int(compiled(program)()[2])


@pytest.mark.parametrize("op", SizeOp, ids=lambda op: op.name)
def test_size_code_agrees_with_python(op: SizeOp) -> None:
    for a, b in itertools.product(VALUES, VALUES):
        expected = PYTHON[op](5, a, b)
        if -BIG - 1 <= expected <= BIG and -BIG - 1 <= a * b * (op is SizeOp.MULADD) <= BIG:
            assert evaluate((op, 0, 1), (a, b, 5)) == expected, (a, b)
        else:
            with pytest.raises(OverflowError, match="does not fit in 64 bits"):
                evaluate((op, 0, 1), (a, b, 5))


def test_size_code_runs_in_order() -> None:
    program = vector_program(
        initial=(0, 0, 4, 0),
        size_code=((SizeOp.MUL, 3, 0, 2), (SizeOp.MULADD, 3, 0, 2), (SizeOp.SUB, 3, 3, 0)),
        outputs=(OutputSpec(F4, (3,)),),
        steps=(),
    )
    assert compiled(program)(vector(1, 2)).shape == (2 * 4 + 2 * 4 - 2,)


def test_kernels_see_new_sizes() -> None:
    program = vector_program(
        outputs=(OutputSpec(F4, ()),),
        steps=(step(total, Pointer(X, 1), Pointer(Y, 1), Size(0)),),
    )
    f = compiled(program)
    assert [float(f(np.ones(n, F4))) for n in (5, 9, 0, 2)] == [5, 9, 0, 2]


def pairs(**other: Any) -> Program:
    """f(x, y) = 2 x + 1, where x and y must be equally long and longer than 1; slot 3 is n - 2."""
    return vector_program(
        initial=(0, 0, 4, 0, 2, 0),
        inputs=(InputSpec("x", F4, (0,)), InputSpec("y", F4, (5,))),
        size_code=((SizeOp.SUB, 3, 0, 4),),
        checks=((0, 5),),
        nonnegative=(0, 3),
        **other,
    )


def test_failed_check_is_explained() -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(pairs())(vector(1, 2, 3), vector(1, 2))
    assert caught.value.args == ("explain", 0, 0, (3, 0, 4, 1, 2, 2))


def test_negative_size_is_explained() -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(pairs())(vector(1), vector(1))
    assert caught.value.args == ("explain", 1, 1, (1, 0, 4, -1, 2, 1))


def test_same_wrong_sizes_fail_again_and_right_ones_work() -> None:
    f = compiled(pairs())
    for _ in range(3):
        with pytest.raises(Unexpected):
            f(vector(1, 2, 3), vector(1, 2))
    assert f(vector(1, 2), vector(1, 2)).tolist() == [3, 5]


def test_extents_written_before_an_argument_did_not_fit_are_not_trusted() -> None:
    f = compiled(pairs())
    f(vector(1, 2), vector(1, 2))
    with pytest.raises(Unexpected, match="convert"):
        f(vector(1, 2, 3), 1.0)
    assert f(vector(1, 2, 3), vector(1, 2, 3)).tolist() == [3, 5, 7]


def test_explain_may_raise() -> None:
    def explain(kind: int, index: int, slots: tuple[int, ...]) -> BaseException:
        raise KeyError(index)

    with pytest.raises(KeyError):
        compiled(pairs(), explain=explain)(vector(1), vector(1, 2))


def test_explain_may_call_the_function() -> None:
    seen = []

    def explain(kind: int, index: int, slots: tuple[int, ...]) -> BaseException:
        seen.append(f(vector(1, 2), vector(1, 2)).tolist())
        return ValueError(slots[0])

    f = compiled(pairs(), explain=explain)
    with pytest.raises(ValueError, match="3"):
        f(vector(1, 2, 3), vector(1))
    assert seen == [[3, 5]] and f(vector(1, 2), vector(1, 2)).tolist() == [3, 5]


def test_explain_must_return_an_exception() -> None:
    answer: Any = 3
    with pytest.raises(SystemError):
        compiled(pairs(), explain=lambda *a: answer)(vector(1), vector(1, 2))


# ---- arena ---------------------------------------------------------------------------------------


def arena_program(steps: tuple[Any, ...]) -> Program:
    """Slots: n, 0, 4, arena bytes, its second half."""
    return vector_program(
        initial=(0, 0, 4, 0, 0),
        size_code=(
            (SizeOp.MUL, 3, 0, 2),
            (SizeOp.ALIGN64, 4, 3, 3),
            (SizeOp.ADD, 3, 4, 4),
        ),
        arena_slot=3,
        steps=steps,
    )


def test_arena_holds_what_steps_leave_there() -> None:
    first, second = Pointer(ARENA, 1), Pointer(ARENA, 4)
    f = compiled(
        arena_program(
            (
                step(affine, Pointer(X, 1), first, Size(0)),
                step(affine, first, second, Size(0)),
                step(affine, second, Pointer(Y, 1), Size(0)),
            )
        )
    )
    rng = np.random.default_rng(3)
    for n in (5, 100_000, 7, 0, 200_000, 1):
        x = rng.integers(-9, 9, n).astype(F4)
        np.testing.assert_array_equal(f(x), 8 * x + 7)


def test_arena_is_aligned_and_stays_where_sizes_shrink() -> None:
    program = vector_program(
        initial=(0, 0, 4, 0, 1, 0),
        size_code=((SizeOp.MUL, 3, 0, 2),),
        arena_slot=3,
        outputs=(OutputSpec(I8, (4,)),),
        steps=(step(store_address, Pointer(Y, 1), Pointer(ARENA, 1)),),
    )
    f = compiled(program)
    places = [int(f(np.zeros(n, F4))[0]) for n in (1000, 10, 1000, 0, 500)]
    assert len(set(places)) == 1 and places[0] % 64 == 0


def test_a_hopeless_arena_is_an_error_and_the_program_survives() -> None:
    program = vector_program(
        initial=(0, 0, 2**60, 0),
        size_code=((SizeOp.MUL, 3, 0, 2),),
        arena_slot=3,
    )
    f = compiled(program)
    for n in (1, 2, 4):
        with pytest.raises((MemoryError, ValueError)):
            f(np.zeros(n, F4))
    assert f(np.zeros(0, F4)).shape == (0,)


def test_an_output_too_large_for_numpy_is_its_error() -> None:
    program = vector_program(
        initial=(0, 0, 2**62, 0),
        outputs=(OutputSpec(F4, (0,)), OutputSpec(F4, (2, 2))),
        steps=(),
        form="list",
    )
    f = compiled(program)
    for _ in range(3):
        with pytest.raises(ValueError, match="too big"):
            f(vector(1, 2))


def test_huge_extents_of_an_empty_input() -> None:
    program = vector_program(
        initial=(0, 0, 16, 0, 0),
        inputs=(InputSpec("x", F4, (0, 4)),),
        size_code=((SizeOp.MUL, 3, 0, 2),),
        arena_slot=3,
        steps=(),
    )
    with pytest.raises(OverflowError):
        compiled(program)(np.empty((2**60, 0), F4))


# ---- data-dependent extents ----------------------------------------------------------------------


def compress() -> Program:
    """f(x) = x[x > 0], then twice that plus one.

    Slots: n, 0, 4, arena bytes, count, 1, n + 1, where kept values start, where results start.
    """
    n, zero, four, need, count, one, more, kept, results = range(9)
    source = Pointer(ARENA, zero)
    values, twice = Pointer(ARENA, kept), Pointer(ARENA, results)
    return Program(
        initial=(0, 0, 4, 0, 0, 1, 0, 64, 0),
        inputs=(InputSpec("x", F4, (n,)),),
        size_code=(
            (SizeOp.ADD, more, n, one),
            (SizeOp.MOVE, results, kept, zero),
            (SizeOp.MULADD, results, more, four),
            (SizeOp.ALIGN64, results, results, zero),
            (SizeOp.ADD, need, results, results),
        ),
        nonnegative=(count,),
        arena_slot=need,
        outputs=(
            OutputSpec(F4, (count,), late=values),
            OutputSpec(F4, (count,), late=twice),
            OutputSpec(F4, (n,)),
        ),
        steps=(
            step(positive, Pointer(Base("input"), zero), values, source, Size(n)),
            Resize(count, source),
            step(affine, values, twice, Size(count)),
            step(affine, Pointer(X, zero), Pointer(Base("output", 2), zero), Size(n)),
        ),
        form="tuple",
    )


def test_resize_and_late_outputs() -> None:
    f, rng = compiled(compress()), np.random.default_rng(5)
    for n in (8, 8, 8, 0, 3000, 1):
        x = rng.standard_normal(n).astype(F4)
        kept, twice, whole = f(x)
        np.testing.assert_array_equal(kept, x[x > 0])
        np.testing.assert_array_equal(twice, x[x > 0] * np.float32(2) + np.float32(1))
        np.testing.assert_array_equal(whole, x * np.float32(2) + np.float32(1))


def test_every_call_starts_from_the_initial_extent() -> None:
    program = Program(
        initial=(0, 0, 0, 128, 77, 5, 0),
        inputs=(InputSpec("x", F4, (0,)),),
        outputs=(OutputSpec(I8, (5,)),),
        arena_slot=3,
        steps=(
            step(store_words, Pointer(Y, 1), Size(5), Pointer(SLOTS, 1)),
            step(positive, Pointer(X, 1), Pointer(ARENA, 5), Pointer(ARENA, 1), Size(0)),
            Resize(4, Pointer(ARENA, 1)),
        ),
    )
    f = compiled(program)
    assert [int(f(vector(1, 2))[4]) for _ in range(3)] == [77, 77, 77]


def test_a_check_after_resize_is_explained_and_outputs_are_dropped() -> None:
    program = compress()
    changed = Program(
        **{
            **{name: getattr(program, name) for name in program.__slots__},
            "checks": ((4, 1),),  # nothing may be positive
        }
    )
    f = compiled(changed)
    assert f(vector(-1, -2))[0].shape == (0,)
    with pytest.raises(Unexpected) as caught:
        f(vector(3, -2))
    assert caught.value.args[:3] == ("explain", 0, 0) and caught.value.args[3][4] == 1
    assert f(vector(-1, -2))[0].shape == (0,)


def test_the_arena_does_not_grow_for_a_resize() -> None:
    program = vector_program(
        initial=(0, 0, 4, 64, 0, 0),
        size_code=((SizeOp.MUL, 3, 4, 5), (SizeOp.MAX, 3, 3, 5)),
        arena_slot=5,
        steps=(
            step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),
            Resize(5, Pointer(Base("constant", 0), 1)),
        ),
        constants=(np.array([1 << 20]),),
    )
    with pytest.raises(SystemError, match="outgrew"):
        compiled(program)(vector(1))


def test_add_into_an_output() -> None:
    program = vector_program(
        steps=(
            step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),
            step(add_into, Pointer(X, 1), Pointer(Y, 1), Size(0)),
        )
    )
    assert compiled(program)(vector(1, 2)).tolist() == [4, 7]
