"""The same functions for narrower vectors, without fused multiply-add, and what the IR may call."""

from __future__ import annotations

import re

import numpy as np
import pytest
from test_vectormath_accuracy import hard_arguments
from vectormath_harness import (
    NAMES,
    arguments,
    bound,
    build,
    compiled,
    emit_map,
    narrowed,
    ulp_errors,
)

from symgraph.backends.llvm import jit


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("name", NAMES)
def test_narrow_targets_agree_with_this_machine(name: str, bits: int) -> None:
    for dtype in ("float32", "float64"):
        spread, hard = arguments(name, dtype, 3000, seed=3), hard_arguments(name, dtype)
        arrays = tuple(np.concatenate(pair) for pair in zip(spread, hard, strict=True))
        narrow, here = compiled(name, dtype, bits)(*arrays), compiled(name, dtype)(*arrays)
        # Each is within its bound of the truth, so they differ by no more than both together.
        errors = ulp_errors(narrow, here.astype("float64"))
        both = bound(name, dtype) + bound(name, dtype, narrowed(bits))
        assert np.all(errors <= both + 0.5)


@pytest.mark.parametrize("bits", [128, 512])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_module_is_called(name: str, bits: int) -> None:
    for scalar, lanes in (("float", 8), ("double", 1)):
        text = emit_map(name, scalar, lanes, narrowed(bits).features)
        declared = re.findall(r"declare .* @([\w.]+)\(", text)
        assert all(d.startswith("llvm.") and not d.startswith("llvm.fma.") for d in declared)


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_lanes_gives_the_same_bits(name: str, lanes: int) -> None:
    for dtype, bits in (("float32", 32), ("float64", 64)):
        spread, hard = arguments(name, dtype, 900, seed=4), hard_arguments(name, dtype)
        arrays = tuple(np.concatenate(pair) for pair in zip(spread, hard, strict=True))
        target = jit.Target(jit.host().cpu, jit.host().features, bits * lanes)
        got, want = build(name, dtype, target)(*arrays), compiled(name, dtype)(*arrays)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def test_a_huge_angle_in_one_lane_leaves_the_others_alone() -> None:
    x = np.linspace(-3.0, 3.0, 64)
    y = x.copy()
    y[17] = 1e300
    a, b = compiled("sin", "float64")(x), compiled("sin", "float64")(y)
    np.testing.assert_array_equal(np.delete(a, 17), np.delete(b, 17))
