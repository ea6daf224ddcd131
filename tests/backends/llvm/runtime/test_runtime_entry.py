"""Calls through the emitted entry: results, their forms, argument checks, conversion."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from runtime_kernels import (
    F4,
    Owner,
    Unexpected,
    X,
    Y,
    affine,
    compiled,
    step,
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
    Size,
)

I8 = np.dtype(np.int64)


def two_outputs(**other: Any) -> Program:
    """2 x + 1 and its sum."""
    outputs = (OutputSpec(F4, (0,)), OutputSpec(F4, ()))
    steps = (
        step(affine, Pointer(X, 1), Pointer(Y, 1), Size(0)),
        step(total, Pointer(Y, 1), Pointer(Base("output", 1), 1), Size(0)),
    )
    return vector_program(outputs=outputs, steps=steps, **other)


def test_vector() -> None:
    x = np.arange(8, dtype=F4)
    y = compiled(vector_program())(x)
    assert type(y) is np.ndarray and y.dtype is F4 and y.flags.c_contiguous and y.flags.owndata
    np.testing.assert_array_equal(y, x * 2 + 1)


def test_sizes_follow_the_arguments() -> None:
    f = compiled(vector_program())
    for n in (8, 3, 0, 1000, 8, 8, 1):
        x = np.arange(n, dtype=F4)
        np.testing.assert_array_equal(f(x), x * 2 + 1)


def test_each_call_has_its_own_output() -> None:
    f, x = compiled(vector_program()), vector(1, 2)
    first, second = f(x), f(x)
    assert not np.shares_memory(first, second)


def test_list() -> None:
    result = compiled(two_outputs(form="list"))(vector(1, 2))
    assert type(result) is list and [a.tolist() for a in result] == [[3, 5], 8]


def test_tuple() -> None:
    result = compiled(two_outputs(form="tuple"))(vector(1, 2))
    assert type(result) is tuple and [a.tolist() for a in result] == [[3, 5], 8]


def test_dict() -> None:
    f = compiled(two_outputs(form="dict", keys=("y", "sum")))
    result = f(vector(1, 2))
    assert {k: a.tolist() for k, a in result.items()} == {"y": [3, 5], "sum": 8}
    assert list(result) == ["y", "sum"] and f(vector(1)) is not result


def test_none() -> None:
    assert compiled(vector_program(outputs=(), steps=(), form="none"))(vector(1)) is None


def test_zero_rank_output_is_an_array() -> None:
    program = vector_program(
        outputs=(OutputSpec(F4, ()),),
        steps=(step(total, Pointer(X, 1), Pointer(Y, 1), Size(0)),),
    )
    result = compiled(program)(vector(1, 2, 4))
    assert type(result) is np.ndarray and result.shape == () and result == 7


def test_offsets_are_bytes() -> None:
    program = vector_program(
        size_code=((1, 3, 0, 4),),  # slot 3 = n - 1
        initial=(0, 0, 4, 0, -1),
        outputs=(OutputSpec(F4, (3,)),),
        steps=(step(affine, Pointer(X, 2), Pointer(Y, 1), Size(3)),),
    )
    np.testing.assert_array_equal(compiled(program)(vector(10, 20, 30)), [41, 61])


def test_constant() -> None:
    constant = vector(5, 6)
    program = Program(
        initial=(2, 0),
        outputs=(OutputSpec(F4, (0,)),),
        constants=(vector(0), constant),
        steps=(step(affine, Pointer(Base("constant", 1), 1), Pointer(Y, 1), Size(0)),),
    )
    f = compiled(program)
    np.testing.assert_array_equal(f(), [11, 13])
    constant[0] = 1
    np.testing.assert_array_equal(f(), [3, 13])


def test_slots_can_be_read_by_kernels() -> None:
    program = Program(
        initial=(3, 0, 42),
        outputs=(OutputSpec(I8, (0,)),),
        steps=(step(store_words, Pointer(Y, 1), Size(0), Pointer(Base("slots"), 1)),),
    )
    np.testing.assert_array_equal(compiled(program)(), [3, 0, 42])


@pytest.mark.parametrize(
    "argument",
    [  # another dtype, ranks, strides, byte order, alignment, a subclass, no array at all
        np.zeros(3, np.float64),
        np.zeros((3, 1), F4),
        np.zeros((), F4),
        np.zeros(6, F4)[::2],
        np.zeros(3, ">f4"),
        np.zeros(13, np.uint8)[1:].view(F4),
        np.ma.zeros(3, F4),
        [1.0, 2.0],
        1.0,
        None,
    ],
)
def test_other_arguments_go_to_convert(argument: object) -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(vector_program())(argument)
    kind, args, names = caught.value.args
    assert kind == "convert" and args[0] is argument and len(args) == 1 and names == {}


@pytest.mark.parametrize("count", [0, 2, 3])
def test_wrong_number_of_arguments_goes_to_convert(count: int) -> None:
    with pytest.raises(Unexpected) as caught:
        compiled(vector_program())(*[vector(1)] * count)
    assert len(caught.value.args[1]) == count


def test_keywords() -> None:
    """Names that the program knows need no Python."""
    f = compiled(two_inputs())
    x, y = vector(1, 2), vector(5)
    results = [f(x, y), f(x, y=y), f(x=x, y=y), f(y=y, x=x)]
    assert [[a.tolist() for a in result] for result in results] == [[[3, 5], [11]]] * 4


def two_inputs() -> Program:
    """2 x + 1 and 2 y + 1."""
    return Program(
        initial=(0, 0, 0),
        inputs=(InputSpec("x", F4, (0,)), InputSpec("y", F4, (1,))),
        outputs=(OutputSpec(F4, (0,)), OutputSpec(F4, (1,))),
        steps=tuple(
            step(affine, Pointer(Base("input", k), 2), Pointer(Base("output", k), 2), Size(k))
            for k in range(2)
        ),
        form="list",
    )


@pytest.mark.parametrize("names", [{"x": 1, "z": 2}, {"x": 1}, {"z": 2}, {"x": 1, "y": 2}])
def test_other_keywords_go_to_convert(names: dict[str, int]) -> None:
    given = {name: vector(value) for name, value in names.items()}
    with pytest.raises(Unexpected) as caught:
        compiled(two_inputs())(vector(3), **given)
    assert caught.value.args[2] == given


@pytest.mark.parametrize("name", ["x", "#0", "not a name"])
def test_names_that_do_not_tell_inputs_apart_go_to_convert(name: str) -> None:
    program = two_inputs()
    specs = tuple(InputSpec(name, F4, (k,)) for k in range(2))
    f = compiled(dataclasses.replace(program, inputs=specs))
    with pytest.raises(Unexpected):
        f(vector(1), **{name: vector(2)})


def test_converted_arrays_live_as_long_as_the_call() -> None:
    f = compiled(vector_program(), lambda x: (np.asarray(x, F4) + np.float32(0),))
    for _ in range(100):
        assert f([1.0, 2.0]).tolist() == [3, 5]
    assert f(vector(3)).tolist() == [7]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((), "0 arrays for 1 inputs"),
        (([1.0],), "x: list is not exactly an ndarray"),
        ((np.zeros(2),), "x: dtype dtype('float64') where dtype('float32') was due"),
        ((np.zeros((2, 2), F4),), "x: rank 2 where 1 was due"),
        ((np.zeros(4, F4)[::2],), "x: not C-contiguous and aligned"),
        ((np.zeros(2, np.dtype("f4", copy=True)),), "another descriptor"),
    ],
    ids=["count", "type", "dtype", "rank", "layout", "descriptor"],
)
def test_a_bad_answer_of_convert_is_a_system_error(answer: Any, message: str) -> None:
    with pytest.raises(SystemError) as caught:
        compiled(vector_program(), lambda *a: answer)(1.0)
    assert message in str(caught.value)


def test_convert_must_return_a_tuple() -> None:
    answer: Any = [vector(1)]
    with pytest.raises(SystemError):
        compiled(vector_program(), lambda x: answer)(1.0)


def test_an_equal_dtype_with_another_descriptor_goes_to_convert() -> None:
    x = np.zeros(2, np.dtype("f4", copy=True))
    f = compiled(vector_program(), lambda a: (a.view(F4),))
    assert f(x).tolist() == [1, 1]


def test_many_arguments() -> None:
    count = 200
    specs = tuple(InputSpec(f"x{k}", F4, (k,)) for k in range(count))
    zero = count
    steps = tuple(
        step(total, Pointer(Base("input", k), zero), Pointer(Base("output", k), zero), Size(k))
        for k in range(count)
    )
    program = Program(
        initial=(0,) * (count + 1),
        inputs=specs,
        outputs=(OutputSpec(F4, ()),) * count,
        steps=steps,
        form="list",
    )
    arrays = [np.full(k, 2, F4) for k in range(count)]
    assert [float(y) for y in compiled(program)(*arrays)] == [2.0 * k for k in range(count)]


def test_calls_of_every_kind() -> None:
    f, x = compiled(vector_program()), vector(1)
    results = [f(x), f(*[x]), f.__call__(x), next(map(f, [x])), type(f).__call__(f, x)]
    assert [r.tolist() for r in results] == [[3]] * 5


def test_instances_have_what_the_base_class_gives() -> None:
    f = compiled(vector_program())
    f.note = 3
    assert isinstance(f, Owner) and f.greet() == "hello" and f.__dict__ == {"note": 3}
    assert callable(f) and type(f).__name__ == "Owner" and type(f).__module__ == Owner.__module__


def test_nothing_in_python_reaches_the_program_memory() -> None:
    f = compiled(vector_program())
    assert not hasattr(f, "_owner")
    f.__dict__.clear()
    assert f(vector(1)).tolist() == [3]


def test_an_instance_made_by_hand_is_not_callable() -> None:
    f = type(compiled(vector_program()))()
    with pytest.raises(TypeError):
        f(vector(1))
