"""Integers where NumPy has no common type, or no integer result."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph as sg

BACKENDS = ("reference", "llvm")
SIGNED = np.array([2**63 - 1, -1, 2**53 + 1, 5, -(2**63), 0])
UNSIGNED = np.array([2**63, 2**64 - 1, 2**53, 5, 2**63, 0], dtype=np.uint64)
COMPARISONS = ("less", "less_equal", "equal", "not_equal", "greater", "greater_equal")

OPERATORS = dict(
    zip(COMPARISONS, ("__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"), strict=True)
)
PAIRS = [(SIGNED.tolist(), UNSIGNED.tolist()), (UNSIGNED.tolist(), SIGNED.tolist())]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COMPARISONS)
def test_signed_and_unsigned_integers_compare_as_numbers(name: str, backend: str) -> None:
    x, y = sg.vector("x", dtype="int64"), sg.vector("y", dtype="uint64", shape=6)
    function = getattr(sg, name)
    f = sg.function([x, y], [function(x, y), function(y, x)], backend=backend)
    want = [[getattr(a, OPERATORS[name])(b) for a, b in zip(p, q, strict=True)] for p, q in PAIRS]
    np.testing.assert_array_equal(f(SIGNED, UNSIGNED), want)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_integer_to_a_negative_power_is_the_reciprocal_towards_zero(backend: str) -> None:
    x, p = sg.vector("x", dtype="int64", shape=5), sg.vector("p", dtype="int64", shape=5)
    f = sg.function([x, p], x**p, backend=backend)
    got = f(np.array([1, -1, -1, 2, 0]), np.array([-7, -2, -3, -1, -1]))
    np.testing.assert_array_equal(got, [1, 1, -1, 0, 0])
