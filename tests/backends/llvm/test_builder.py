"""The writer of LLVM IR: constants keep their bits, loops and branches run as they read."""

from __future__ import annotations

import ctypes
import math
import struct

import pytest

from symgraph.backends.llvm.builder import (
    Builder,
    Module,
    Value,
    lanes_of,
    literal,
    scalar_of,
    vector_type,
)
from symgraph.backends.llvm.jit import OPTIMISED, PLAIN, Library, host, link, load, object_code


def run(module: Module, name: str, *args: int) -> int:
    """Call an emitted i64 function of i64 arguments."""
    library: Library = load(str(module))
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(args))
    return int(kind(library.address(name))(*args))


@pytest.mark.parametrize(("scalar", "lanes"), [("double", 8), ("i1", 2), ("ptr", 4)])
def test_vector_types_take_apart(scalar: str, lanes: int) -> None:
    type_ = vector_type(scalar, lanes)
    assert (scalar_of(type_), lanes_of(type_)) == (scalar, lanes)


def test_one_lane_is_a_scalar() -> None:
    assert vector_type("float", 1) == "float" and lanes_of("float") == 1


@pytest.mark.parametrize("value", [0.1, -0.0, 5e-324, 1e308, math.inf, -math.inf])
def test_doubles_are_written_by_their_bits(value: float) -> None:
    bits = int(literal("double", value), 16)
    assert struct.unpack("<d", struct.pack("<Q", bits))[0] == value
    assert bits >> 63 == (math.copysign(1.0, value) < 0)


def test_floats_are_rounded_once() -> None:
    single = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert literal("float", 0.1) == literal("double", single)


def test_nan_stays_nan() -> None:
    assert literal("double", math.nan) == "0x7FF8000000000000"


def test_equal_tables_are_one() -> None:
    module = Module()
    first, again = (module.constant_array("i64", [1, 2, 3]) for _ in range(2))
    other = module.constant_array("i64", [1, 2, 4])
    assert first == again and first != other and len(module.globals) == 2


def test_a_function_that_is_defined_is_not_declared() -> None:
    module = Module()
    b = Builder(module, "later", "i64", [])
    b.ret(b.call("callee", "i64", []))
    c = Builder(module, "callee", "i64", [])
    c.ret(c.i64(7))
    assert "declare" not in str(module) and run(module, "later") == 7


def test_a_loop_carries_values() -> None:
    """The sum of 0, 3, 6, ... below n; nothing runs where the range is empty."""
    module = Module()
    b = Builder(module, "total", "i64", [("i64", "n")])
    with b.loop(b.i64(0), b.args[0], 3, [b.i64(100)]) as loop:
        loop.next = [b.add(loop.carry[0], loop.index)]
    b.ret(loop.result[0])
    library = load(str(module))
    f = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("total"))
    assert [f(n) for n in (-1, 0, 1, 4, 10)] == [100, 100, 100, 103, 118]


def test_nested_loops_keep_their_carried_values_apart() -> None:
    module = Module()
    b = Builder(module, "pairs", "i64", [("i64", "n")])
    with b.loop(b.i64(0), b.args[0], 1, [b.i64(0)]) as outer:
        with b.loop(b.i64(0), outer.index, 1, outer.carry) as inner:
            inner.next = [b.add(inner.carry[0], b.i64(1))]
        outer.next = inner.result
    b.ret(outer.result[0])
    assert run(module, "pairs", 10) == 45


def test_choose_merges_two_branches() -> None:
    module = Module()
    b = Builder(module, "pick", "i64", [("i64", "n")])
    small = b.icmp("slt", b.args[0], b.i64(5))
    (out,) = b.choose(small, lambda: [b.mul(b.args[0], b.i64(2))], lambda: [b.i64(-1)])
    b.ret(out)
    assert run(module, "pick", 4) == 8
    assert run(module, "pick", 5) == -1


def test_casts_to_the_same_type_write_nothing() -> None:
    b = Builder(Module(), "f", "i64", [])
    x = b.splat(b.i64(1), 4)
    before = len(b.lines)
    assert b.cast("trunc", x, "i64") is x and len(b.lines) == before


def test_not_flips_bools_and_bits() -> None:
    b = Builder(Module(), "f", "i64", [])
    b.not_(Value("%x", "i1"))
    b.not_(Value("%y", "<2 x i8>"))
    assert b.lines[-2:] == ["  %v0 = xor i1 %x, true", "  %v1 = xor <2 x i8> %y, splat (i8 -1)"]


def test_a_split_module_links_to_the_same_functions() -> None:
    """Each half declares what the other defines, function types and attributes included."""
    module = Module()
    inner = Builder(module, "twice", "i64", [("i64", "n")], linkage="internal")
    inner.ret(inner.add(inner.args[0], inner.args[0]))
    pair = Builder(module, "pair", "{ i64, i64 }", [("ptr", "p"), ("i64", "n")],
                   arg_attributes=["readnone"])  # fmt: skip
    both = pair.emit("{ i64, i64 }", f"insertvalue {{ i64, i64 }} poison, {pair.args[1]}, 1")
    pair.ret(both)
    outer = Builder(module, "outer", "i64", [("i64", "n")])
    both = outer.call("pair", "{ i64, i64 }", [Value("null", "ptr"), outer.args[0]])
    second = outer.emit("i64", f"extractvalue {both}, 1")
    outer.ret(outer.call("twice", "i64", [second]))
    hot, rest = map(str, module.split(["outer", "pair"]))
    assert "define" in hot and "@outer" not in hot.replace("declare i64 @outer(i64)", "")
    for level in (PLAIN, OPTIMISED):
        parts = [object_code(hot, host()), object_code(rest, host(), level=level)]
        library = link(parts, ["outer"])
        outer_of = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("outer"))
        assert outer_of(21) == 42


def test_joined_modules_define_what_each_did() -> None:
    one, two = Module(), Module()
    for k, module in enumerate((one, two)):
        twice = Builder(module, "twice", "i64", [("i64", "n")], linkage="internal")
        twice.ret(twice.add(twice.args[0], twice.args[0]))
        b = Builder(module, f"f{k}", "i64", [("i64", "n")])
        shared = b.call("twice", "i64", [b.args[0]])
        b.ret(b.add(shared, b.i64(k)))
    assert one.join(two)
    assert [run(one, f"f{k}", 20) for k in range(2)] == [40, 41]


def test_modules_that_disagree_about_a_function_are_not_joined() -> None:
    one, two = Module(), Module()
    for k, module in enumerate((one, two)):
        b = Builder(module, "f", "i64", [])
        b.ret(b.i64(k))
    assert not one.join(two) and run(one, "f") == 0


@pytest.mark.parametrize("reduced", [False, True])
def test_loops_over_pointers_and_numbers(reduced: bool) -> None:
    """The sum of every third of ten numbers, by an index and by a pointer that steps."""
    module, values = Module(), (ctypes.c_int64 * 10)(*[k * k + 1 for k in range(10)])
    b = Builder(module, "sums", "i64", [("ptr", "values"), ("i64", "count")])
    start, count = b.args
    with b.loop(b.i64(0), count, 3, [b.i64(0), start], reduced=reduced) as loop:
        by_index = b.load("i64", b.gep("i64", start, loop.index))
        by_pointer = b.load("i64", loop.carry[1])
        total = b.add(loop.carry[0], b.add(by_index, by_pointer))
        loop.next = [total, b.gep("i64", loop.carry[1], 3)]
    b.ret(loop.result[0])
    expected = 2 * sum(values[k] for k in range(0, 10, 3))
    assert run(module, "sums", ctypes.addressof(values), 10) == expected
