"""An operation gives the same bits on one number, on a few, and on whole vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from variants import assert_same_bits

import symgraph as sg

Array = np.ndarray[Any, Any]
FEW = 3
UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "softplus", "sigmoid", "tanh", "sinh",
    "cosh", "sin", "cos", "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc",
    "erfcx", "log_erfc", "log1mexp", "cbrt", "sqrt", "reciprocal", "sign", "round", "silu", "gelu",
    "logit",
)  # fmt: skip
PAIRS = (
    "logaddexp", "atan2", "pow", "hypot", "divide", "remainder", "floor_divide", "maximum",
    "minimum", "xlogy",
)  # fmt: skip


def numbers(dtype: str) -> tuple[Array, Array]:
    """Ordinary, large, small and special ones, in two orders."""
    rng, limits = np.random.default_rng(1), np.finfo(dtype)
    special = [
        0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 2.0, -3.0, 0.25, 88.7, -103.0, 709.7,
        -745.0, 1e5, 1e10, limits.tiny, limits.max, -limits.max, limits.smallest_subnormal,
    ]  # fmt: skip
    spread = 10.0 ** rng.uniform(-37, 37, 99) * rng.choice([-1, 1], 99)
    found = np.concatenate([rng.normal(size=120), 30 * rng.normal(size=60), spread, special])
    return found.astype(dtype), rng.permutation(found).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*UNARY, *PAIRS])
def test_one_number_and_many_give_the_same_bits(name: str, dtype: str) -> None:
    given = numbers(dtype)[: 1 + (name in PAIRS)]

    def function(shape: tuple[int | str, ...]) -> sg.Function:
        inputs = [sg.tensor(k, shape=shape, dtype=dtype) for k in "xy"[: len(given)]]
        return sg.function(inputs, getattr(sg, name)(*inputs), passes=())

    want = function(("n",))(*given)
    single, few = function(()), function((FEW,))
    alone = np.array([single(*values) for values in zip(*given, strict=True)]).astype(want.dtype)
    assert_same_bits([alone], [want])
    groups = range(0, len(want) - FEW + 1, FEW)
    some = np.concatenate([few(*(a[k : k + FEW] for a in given)) for k in groups])
    assert_same_bits([some], [want[: len(some)]])
