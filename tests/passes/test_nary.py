"""Sums and products of any length: what merges in which pipeline, exactly, and in linear time."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph import Graph, Tensor
from symgraph.backends.reference.evaluate import evaluate_graph
from symgraph.passes.rules.engine import Counts, rewrite_outputs
from symgraph.passes.simplify import simplify

X, Y, Z, W = (sg.vector(name, shape="n") for name in "xyzw")
I, J = (sg.tensor(name, shape="n", dtype="int32") for name in "ij")
U, V = (sg.tensor(name, shape="n", dtype="uint8") for name in "uv")
SX, SY, SZ = sg.sin(X), sg.sin(Y), sg.sin(Z)


def _text(expression: Tensor, passes: str) -> str:
    return sg.pprint(simplify(expression, passes))


# fmt: off
FAST: list[tuple[Callable[[], Tensor], str]] = [
    (lambda: X * Y / X,                       "y"),
    (lambda: X / Y * Z * Y / X,               "z"),
    (lambda: Y / (X * Y) * (X * X),           "x"),
    (lambda: X + Y - X,                       "y"),
    (lambda: (X + Y) - (Z + X) + (Z - Y),     "zeros(n)"),
    (lambda: X + Y + 2 * X,                   "3 * x + y"),
    (lambda: 2 * X + (Y - (X + Y)),           "x"),
    (lambda: X * Y + W + X * Z,               "x * (y + z) + w"),
    (lambda: (2 * X) * (Y * 3),               "6 * (y * x)"),
    (lambda: X * Y + Y * Z * X,               "x * y * (1 + z)"),
    (lambda: X * (Y * Z) - W * Y * X + W,     "x * y * (z - w) + w"),
    (lambda: 2 * X * Y * Z + Z * (X * W),     "z * x * (2 * y + w)"),
    (lambda: X + 1.5 - Y - 1.5,               "x - y"),
    (lambda: SX * (Y * SX**2),                "sin(x) * (y * sin(x) ** 2)"),
]
DEFAULT: list[tuple[Callable[[], Tensor], str]] = [
    (lambda: 2 * X * 3,                       "6 * x"),
    (lambda: 2 * X * Y * 3,                   "6 * (y * x)"),
    (lambda: X + 2 * X,                       "3 * x"),
    (lambda: 2 * X + 3 * X,                   "5 * x"),
    (lambda: X + X + X,                       "3 * x"),
    (lambda: X + 2 + Y + 3,                   "5 + (x + y)"),
    (lambda: (X - 2) + (Y - 3),               "x + y - 5"),
    (lambda: (2 - X) + 3,                     "5 - x"),
    (lambda: SX + SY + SX,                    "2 * sin(x) + sin(y)"),
    (lambda: SX * SY + SZ + SX * SZ,          "sin(x) * (sin(y) + sin(z)) + sin(z)"),
]
#: finite results could become infinite, rounding tricks would be undone, or a NaN would be hidden
KEPT: list[Callable[[], Tensor]] = [
    lambda: X + Y - X,
    lambda: X + Y + 2 * X,
    lambda: X * Y / X,
    lambda: (X + 1.5 * 2.0**52) - 1.5 * 2.0**52,
    lambda: Y * (1e-20 * X),
    lambda: 1e-3 * X + 1e-3 * Y,
    lambda: X * Y + X * Z,
    lambda: 3 * X - (3 * X - X),
    lambda: SX + Y - SX,
]
INTEGER: list[tuple[Callable[[], Tensor], str]] = [
    (lambda: I + J - I,                       "j"),
    (lambda: 2 * I * J * 3,                   "6 * (i * j)"),
    (lambda: I + J + I - 2 * J,               "2 * i - j"),
    (lambda: I * J * I,                       "i ** 2 * j"),
    (lambda: U - V - U,                       "-v"),
    (lambda: I + 2 - J - 2,                   "i - j"),
]
# fmt: on


@pytest.mark.parametrize(("make", "wanted"), FAST, ids=[w for _, w in FAST])
def test_fast_merges_whatever_the_nesting(make: Callable[[], Tensor], wanted: str) -> None:
    assert _text(make(), "fast") == wanted


@pytest.mark.parametrize(("make", "wanted"), DEFAULT, ids=[w for _, w in DEFAULT])
def test_default_merges_what_stays_finite(make: Callable[[], Tensor], wanted: str) -> None:
    assert _text(make(), "default") == wanted


@pytest.mark.parametrize("make", KEPT)
def test_default_keeps_what_could_overflow_or_cancel(make: Callable[[], Tensor]) -> None:
    expression = make()
    out = simplify(expression)
    assert sorted(n.op.name for n in Graph([out])) == sorted(n.op.name for n in Graph([expression]))


@pytest.mark.parametrize("passes", ["strict", "default", "fast"])
@pytest.mark.parametrize(("make", "wanted"), INTEGER, ids=[w for _, w in INTEGER])
def test_integers_merge_everywhere(make: Callable[[], Tensor], wanted: str, passes: str) -> None:
    assert _text(make(), passes) == wanted


def _value(expression: Tensor, values: dict[Tensor, Any]) -> Any:
    return evaluate_graph(Graph([expression], list(values)), values)[0]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", "int64"])
def test_integers_wrap_as_before(dtype: str) -> None:
    rng = np.random.default_rng(3)
    limits = np.iinfo(dtype)
    xs = [sg.tensor(name, shape=9, dtype=dtype) for name in "abc"]
    values = {v: rng.integers(limits.min, limits.max, 9, dtype, endpoint=True) for v in xs}
    a, b, c = xs
    for expression in (
        a - b - a - a - 3 * b + c,
        100 * a + 27 * b + 28 * a + b,
        100 * a * b * 27 * a * c * 5,
        a - 3 * b - (c - (a - 3 * b)) - (4 * a - 11) - 100,
        (a + 64) - (b - 64) + a * 127 + 127 * a,
    ):
        out = simplify(expression, "strict")
        assert len(Graph([out])) < len(Graph([expression]))
        np.testing.assert_array_equal(_value(out, values), _value(expression, values))


def test_broadcast_terms_keep_their_shape() -> None:
    r, s = sg.vector("r", shape=3), sg.scalar("s")
    m = sg.matrix("m", shape=("n", 3))
    for expression in (s + m - m, r * m / m, (r + m) + s - m, m + r - r - m + s):
        out = simplify(expression, "fast")
        assert out.shape == expression.shape
    assert _text((r + m) + s - m, "fast").startswith("broadcast_to(s + r")


def test_several_users_keep_a_sum_whole() -> None:
    shared = X + Y
    kept, other = simplify([shared - X, sg.exp(shared)], "fast")
    assert _text(kept, "fast") == "y" and other.inputs[0] is shared


Nest = Callable[[Callable[[Any, Any], Any], list[Any]], Any]


def _right(op: Callable[[Any, Any], Any], xs: list[Any]) -> Any:
    return functools.reduce(lambda done, x: op(x, done), reversed(xs))


def _balanced(op: Callable[[Any, Any], Any], xs: list[Any]) -> Any:
    while len(xs) > 1:
        pairs = [op(p, q) for p, q in zip(xs[::2], xs[1::2], strict=False)]
        xs = pairs + xs[len(xs) // 2 * 2 :]
    return xs[0]


NESTINGS: dict[str, Nest] = {"left": functools.reduce, "right": _right, "balanced": _balanced}


def _work(expression: Tensor, passes: str) -> tuple[Tensor, Counts]:
    counts: list[Counts] = []
    rules = {"default": sg.rules.default, "fast": sg.rules.fast}[passes]
    (out,), _ = rewrite_outputs([expression], rules, "test", counts.append)
    return out, counts[0]


@pytest.mark.parametrize("nesting", NESTINGS)
def test_product_of_ten_thousand_factors_is_linear(nesting: str) -> None:
    def product(n: int) -> Tensor:
        xs = [sg.vector(f"x{k}", shape="n") for k in range(10)]
        factors: list[Any] = [X, *(xs[k % 10] if k % 3 else 1.0 + 1 / (k + 1) for k in range(n))]
        out: Tensor = NESTINGS[nesting](lambda a, b: a * b, factors) / X
        return out

    (_, small), (out, large) = _work(product(1_000), "fast"), _work(product(10_000), "fast")
    assert "x" not in [n.name for n in Graph([out])] and len(Graph([out])) < 500
    assert large.visits <= 10 * small.visits + 2_000


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("nesting", NESTINGS)
def test_sum_of_ten_thousand_terms_is_linear(nesting: str, passes: str) -> None:
    def total(n: int) -> Tensor:
        xs = [sg.sin(sg.vector(f"x{k}", shape="n")) for k in range(10)]
        terms: list[Any] = [(1.0 + k) * xs[k % 10] for k in range(n)]
        return sg.exp(NESTINGS[nesting](lambda a, b: a + b, terms))

    (_, small), (out, large) = _work(total(1_000), passes), _work(total(10_000), passes)
    assert Graph([out]).count("multiply") == 10
    assert large.visits <= 10 * small.visits + 2_000


def test_pairs_that_share_factors_are_grouped_at_once() -> None:
    xs = [sg.vector(f"x{k}", shape="n") for k in range(2_000)]
    terms = [xs[k] * xs[(k + 1) % 2_000 if k % 2 else (k + 3) % 2_000] for k in range(2_000)]
    out, counts = _work(functools.reduce(lambda a, b: a + b, terms), "fast")
    assert Graph([out]).count("multiply") < 2_000
    assert counts.visits < 40_000


def test_values_of_merged_terms() -> None:
    rng = np.random.default_rng(5)
    values = {v: rng.uniform(0.5, 2, 7) for v in (X, Y, Z, W)}
    for make, _ in FAST:
        expression = make()
        out = simplify(expression, "fast")
        np.testing.assert_allclose(
            _value(out, values), _value(expression, values), rtol=1e-13, atol=1e-13
        )


def test_one_large_operand_does_not_overflow_a_difference() -> None:
    """(1/n) q - (1/n) p becomes (1/n) (q - p), since q is at most 1; not so for unknown values."""
    p, q = sg.matrix("p", shape=("n", 3)), sg.sigmoid(sg.matrix("z", shape=("n", 3)))
    n = p.shape[0]
    assert Graph([simplify(q / n - p / n)]).count("multiply") == 1
    assert Graph([simplify(sg.matrix("z", shape=("n", 3)) / n - p / n)]).count("multiply") == 2


# fmt: off
EXTREME_LITERALS: list[tuple[Callable[[], Tensor], float, float]] = [
    (lambda: X * 1e200 * 1e200,               1e-300, 1e100),
    (lambda: (X * 1e-200) / 1e200,            1e300,  1e-100),
    (lambda: 1e200 / (1e-200 / X),            1e-300, 1e100),
    (lambda: X * 1e200 * (X / Y) * 1e200,     1e-150, 1e100),
]
# fmt: on


@pytest.mark.parametrize("passes", ["default", "fast"])
@pytest.mark.parametrize("k", range(len(EXTREME_LITERALS)))
def test_literals_merge_into_normal_numbers_only(k: int, passes: str) -> None:
    make, at, wanted = EXTREME_LITERALS[k]
    out = simplify(make(), passes)
    assert np.isfinite([n.attrs["value"] for n in Graph([out]) if "value" in n.attrs]).all()
    value = _value(out, {X: np.array([at]), Y: np.array([1.0])})
    np.testing.assert_allclose(value, [wanted], rtol=1e-14)


def test_literals_of_float32_and_beside_a_matrix_product() -> None:
    x = sg.vector("x", shape="n", dtype="float32")
    out = simplify(x * 1e30 * 1e30, "fast")
    np.testing.assert_allclose(_value(out, {x: np.array([1e-30], np.float32)}), [1e30], rtol=1e-6)
    a, b = (sg.matrix(name, shape=("n", "n")) for name in "ab")
    out = simplify((1e200 * a) @ (1e200 * b), "fast")
    small = np.full((2, 2), 1e-150)
    np.testing.assert_allclose(_value(out, {a: small, b: small}), np.full((2, 2), 2e100))


def test_a_quotient_in_which_nothing_cancels_stays() -> None:
    """x * x / y would overflow where (x / y) * x does not."""
    assert _text(X / Y * X, "fast") == "x / y * x"
    assert _text(2 * X / Y**3 * (X / Z) * 3 * Z, "fast") == "6 * ((x / y) ** 2 / y)"


def test_scalar_factors_are_shared() -> None:
    s, t = sg.scalar("s"), sg.scalar("t")
    out = simplify(s * (X * t) + X * Y * s, "fast")
    assert Graph([out]).count("multiply") == 2 and Graph([out]).count("add") == 1
    values = {X: np.array([1.0, 2.0]), Y: np.array([3.0, -4.0]), s: np.array(5.0), t: np.array(7.0)}
    np.testing.assert_allclose(_value(out, values), [50, 30])


def test_small_literal_factor_beside_a_bounded_operand() -> None:
    q = sg.sigmoid(Z)
    for expression in (0.1 * q - 0.1 * X, 0.1 * X - 0.1 * q, q / 10 - X / 10):
        assert Graph([simplify(expression)]).count("multiply") == 1
    assert Graph([simplify(0.1 * Z - 0.1 * X)]).count("multiply") == 2
