"""The same functions for narrower vectors, without fused multiply-add, and what the IR may call."""

from __future__ import annotations

import re

import numpy as np
import pytest
from test_vectormath_accuracy import allowance, hard_arguments
from vectormath_harness import NAMES, arguments, build, compiled, emit_map, ulp_errors

from symgraph.backends.llvm import jit


def narrowed(bits: int, monkeypatch: pytest.MonkeyPatch) -> jit.Target:
    """The target that this machine becomes under ``SYMGRAPH_VECTOR_BITS``."""
    monkeypatch.setenv("SYMGRAPH_VECTOR_BITS", str(bits))
    return jit.host.__wrapped__()


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("name", NAMES)
def test_narrow_targets_agree_with_this_machine(
    name: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = narrowed(bits, monkeypatch)
    for dtype in ("float32", "float64"):
        spread, hard = arguments(name, dtype, 3000, seed=3), hard_arguments(name, dtype)
        arrays = tuple(np.concatenate(pair) for pair in zip(spread, hard, strict=True))
        narrow, here = build(name, dtype, target)(*arrays), compiled(name, dtype)(*arrays)
        # Each is within its bound of the truth, so they differ by no more than both together.
        errors = ulp_errors(narrow, here.astype("float64"))
        assert np.all(errors <= 2 * allowance(name, dtype, here, arrays) + 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_module_is_called(name: str) -> None:
    for scalar, lanes in (("float", 8), ("double", 1)):
        declared = re.findall(r"declare .* @([\w.]+)\(", emit_map(name, scalar, lanes))
        assert all(d.startswith("llvm.") and not d.startswith("llvm.fma.") for d in declared)


@pytest.mark.parametrize("lanes", [1, 2, 4, 32])
def test_any_number_of_lanes_gives_the_same_bits(lanes: int) -> None:
    arrays = arguments("tanh", "float32", 999, seed=4)
    target = jit.Target(jit.host().cpu, jit.host().features, 32 * lanes)
    np.testing.assert_array_equal(
        build("tanh", "float32", target)(*arrays), compiled("tanh", "float32")(*arrays)
    )


def test_a_huge_angle_in_one_lane_leaves_the_others_alone() -> None:
    x = np.linspace(-3.0, 3.0, 64)
    y = x.copy()
    y[17] = 1e300
    a, b = compiled("sin", "float64")(x), compiled("sin", "float64")(y)
    np.testing.assert_array_equal(np.delete(a, 17), np.delete(b, 17))
