"""Shared variables: read at call time, updated in place by steps or by commits at the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from runtime_kernels import (
    F4,
    Unexpected,
    X,
    Y,
    add_into,
    affine,
    compiled,
    refuse_negative,
    step,
    vector,
    vector_program,
)

from symgraph.backends.llvm.runtime.program import (
    Base,
    Commit,
    OutputSpec,
    Pointer,
    Program,
    Size,
    SizeOp,
)
from symgraph.cell import SharedCell

W, ARENA, ERROR = Base("shared"), Base("arena"), Base("error")


def reader(cell: SharedCell) -> Program:
    """f(x) = 2 w + 1 as long as x."""
    return vector_program(
        shared=(cell,), steps=(step(affine, Pointer(W, 1), Pointer(Y, 1), Size(0)),)
    )


def committer(cell: SharedCell, **other: Any) -> Program:
    """w becomes 2 w + 1 once the checks, the steps and the late output are done; fails on x[0] < 0.

    Slots: n, 0, 4, bytes of w and of the arena, 1.
    """
    new = Pointer(ARENA, 1)
    parts: dict[str, Any] = {
        "initial": (0, 0, 4, 0, 1),
        "size_code": ((SizeOp.MUL, 3, 0, 2),),
        "arena_slot": 3,
        "shared": (cell,),
        "outputs": (OutputSpec(F4, (0,), late=new),),
        "steps": (
            step(affine, Pointer(W, 1), new, Size(0)),
            step(refuse_negative, Pointer(X, 1), Pointer(ERROR, 1)),
        ),
        "commits": (Commit(0, new, 3),),
    }
    return vector_program(**{**parts, **other})


def test_shared_is_read_at_every_call() -> None:
    cell = SharedCell(vector(1, 2))
    f = compiled(reader(cell))
    assert f(vector(0, 0)).tolist() == [3, 5]
    cell.array[0] = 10
    assert f(vector(0, 0)).tolist() == [21, 5]


def test_a_replaced_array_is_seen_by_every_program() -> None:
    cell = SharedCell(vector(1, 2))
    f, g = compiled(reader(cell)), compiled(reader(cell))
    f(vector(0, 0))
    cell.replace(vector(5, 6))
    assert f(vector(0, 0)).tolist() == g(vector(0, 0)).tolist() == [11, 13]
    assert cell.array.tolist() == [5, 6]


def test_update_in_place() -> None:
    cell = SharedCell(vector(1, 2))
    f = compiled(
        vector_program(
            shared=(cell,),
            outputs=(),
            form="none",
            steps=(step(add_into, Pointer(X, 1), Pointer(W, 1), Size(0)),),
        )
    )
    assert f(vector(10, 20)) is None and f(vector(10, 20)) is None
    assert cell.array.tolist() == [21, 42]


def test_commit() -> None:
    cell = SharedCell(vector(1, 2))
    f, array = compiled(committer(cell)), cell.array
    assert f(vector(0, 0)).tolist() == [3, 5]
    assert cell.array is array and array.tolist() == [3, 5]


def test_commit_goes_to_the_array_of_the_moment() -> None:
    cell = SharedCell(vector(1, 2))
    f, old = compiled(committer(cell)), cell.array
    f(vector(0, 0))
    cell.replace(vector(0, 1))
    f(vector(0, 0))
    assert old.tolist() == [3, 5] and cell.array.tolist() == [1, 3]


def test_a_failing_step_commits_nothing() -> None:
    cell = SharedCell(vector(1, 2))
    with pytest.raises(Unexpected, match="fail"):
        compiled(committer(cell))(vector(-1, 0))
    assert cell.array.tolist() == [1, 2]


def test_a_late_output_that_cannot_be_made_commits_nothing() -> None:
    cell = SharedCell(vector(1, 2))
    program = committer(
        cell,
        initial=(0, 0, 4, 0, 2**62),
        outputs=(OutputSpec(F4, (4, 4), late=Pointer(ARENA, 1)),),
    )
    with pytest.raises(ValueError, match="too big"):
        compiled(program)(vector(1, 0))
    assert cell.array.tolist() == [1, 2]


def test_a_commit_beyond_the_shared_array_is_refused() -> None:
    cell = SharedCell(vector(1, 2))
    program = committer(cell, size_code=((SizeOp.MUL, 3, 0, 2), (SizeOp.ADD, 3, 3, 4)))
    with pytest.raises(SystemError, match="larger than its shared variable"):
        compiled(program)(vector(1, 2))
    assert cell.array.tolist() == [1, 2]


def test_replace_wants_the_same_dtype_and_shape() -> None:
    cell = SharedCell(vector(1, 2))
    with pytest.raises(ValueError, match=r"float32 and shape \(2,\).*float64 and shape \(3,\)"):
        cell.replace(np.zeros(3))
    with pytest.raises(ValueError, match="writeable"):
        cell.replace(np.broadcast_to(np.float32(1), (2,)))
    assert cell.array.tolist() == [1, 2]
