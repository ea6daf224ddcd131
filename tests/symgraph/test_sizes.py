"""Symbolic sizes: the algebra agrees with integer arithmetic, and equal sizes are equal values."""

from __future__ import annotations

import operator
import pickle
import re
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symgraph import sizes
from symgraph.errors import ShapeError, UsageError
from symgraph.sizes import Atom, Dim, Size, evaluate, maximum, minimum, symbol

n, m, k = symbol("n"), symbol("m"), symbol("k")
NAMES = ("n", "m", "k")
ATOMS = tuple(Atom("symbol", name) for name in NAMES)

values = st.tuples(*[st.integers(0, 12)] * 3).map(lambda v: dict(zip(ATOMS, v, strict=True)))
plain = st.one_of(st.integers(-5, 5), st.sampled_from([n, m, k]))
polynomials: st.SearchStrategy[Dim] = st.recursive(
    plain,
    lambda inner: st.builds(
        lambda op, a, b: op(a, b),
        st.sampled_from([operator.add, operator.sub, operator.mul]),
        inner,
        inner,
    ),
    max_leaves=6,
)
dims: st.SearchStrategy[Dim] = st.recursive(
    polynomials,
    lambda inner: st.builds(
        lambda op, a, b: op(a, b), st.sampled_from([operator.add, maximum, minimum]), inner, inner
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(polynomials, polynomials, values)
def test_arithmetic_agrees_with_integers(a: Dim, b: Dim, at: dict[Atom, int]) -> None:
    x, y = evaluate(a, at), evaluate(b, at)
    assert evaluate(a + b, at) == x + y
    assert evaluate(a - b, at) == x - y
    assert evaluate(a * b, at) == x * y


@settings(max_examples=150, deadline=None)
@given(dims, dims, values)
def test_extremes_agree_with_integers(a: Dim, b: Dim, at: dict[Atom, int]) -> None:
    x, y = evaluate(a, at), evaluate(b, at)
    assert evaluate(maximum(a, b), at) == max(x, y)
    assert evaluate(minimum(a, b), at) == min(x, y)


@settings(max_examples=150, deadline=None)
@given(dims, polynomials, values)
def test_division_agrees_with_integers(a: Dim, b: Dim, at: dict[Atom, int]) -> None:
    y = evaluate(b, at)
    assume(b != 0 and y != 0)
    assert evaluate(sizes.floordiv(a, b), at) == evaluate(a, at) // y
    if isinstance(a, Size) or isinstance(b, Size):
        assert evaluate(a % b, at) == evaluate(a, at) % y


@settings(max_examples=100, deadline=None)
@given(polynomials, polynomials, polynomials)
def test_equal_polynomials_are_equal_values(a: Dim, b: Dim, c: Dim) -> None:
    assert a + b == b + a and a * b == b * a
    assert (a + b) + c == a + (b + c) and (a * b) * c == a * (b * c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0 and hash(a + b) == hash(b + a)


@settings(max_examples=100, deadline=None)
@given(dims, dims)
def test_extremes_commute(a: Dim, b: Dim) -> None:
    assert maximum(a, b) == maximum(b, a)
    assert minimum(a, b) == minimum(b, a)


@settings(max_examples=150, deadline=None)
@given(dims, dims, values)
def test_differ_is_never_wrong(a: Dim, b: Dim, at: dict[Atom, int]) -> None:
    if sizes.differ(a, b):
        assert evaluate(a, at) != evaluate(b, at)


@settings(max_examples=150, deadline=None)
@given(dims, values)
def test_the_lower_bound_holds(a: Dim, at: dict[Atom, int]) -> None:
    low = sizes.lower_bound(a)
    assert low is None or low <= evaluate(a, at)


@settings(max_examples=100, deadline=None)
@given(polynomials, polynomials)
def test_exact_division_inverts_the_product(a: Dim, b: Dim) -> None:
    quotient = sizes.divide_exactly(a * b, b)
    assert quotient is None or quotient * b == a * b
    single = type(b) is int or (isinstance(b, Size) and len(b.terms) == 1)
    if single and b != 0:
        assert quotient == a


@settings(max_examples=150, deadline=None)
@given(dims, values)
def test_python_reads_the_text_of_a_size(a: Dim, at: dict[Atom, int]) -> None:
    names = {atom.name: value for atom, value in at.items()} | {"max": max, "min": min}
    assert eval(str(a), {}, names) == evaluate(a, at)


@settings(max_examples=100, deadline=None)
@given(dims, st.integers(1, 4), values)
def test_python_reads_the_text_of_a_quotient(a: Dim, by: int, at: dict[Atom, int]) -> None:
    size = 3 * sizes.floordiv(a, by) + 1
    names = {atom.name: value for atom, value in at.items()} | {"max": max, "min": min}
    assert eval(str(size), {}, names) == evaluate(size, at)


TEXTS = [
    (n + 1, "n + 1"),
    ((n + 1) * (n - 1), "n**2 - 1"),
    (2 * n * m - m, "2*m*n - m"),
    (-n, "-n"),
    (n // 2, "(n//2)"),
    ((n + 1) // 2 * 3, "3*((n + 1)//2)"),
    (maximum(n - 1, 0), "max(n - 1, 0)"),
    (minimum(n, m), "min(m, n)"),
]


@pytest.mark.parametrize(("size", "text"), TEXTS, ids=[t for _, t in TEXTS])
def test_text(size: Dim, text: str) -> None:
    assert str(size) == text


SIMPLER: list[tuple[Dim, Dim]] = [
    (n - n, 0),
    ((2 * n) // 2, n),
    ((n * m) // m, n),
    (n // n, 1),
    (maximum(n, n), n),
    (maximum(n + 1, n), n + 1),
    (minimum(n + 3, n), n),
    (maximum(n, 0), n),
    (maximum(n, -2), n),
    (minimum(n, 0), 0),
    (n**3, n * n * n),
    (n**0, 1),
    (n % n, 0),
    ((4 * n) % 2, 0),
]


@pytest.mark.parametrize(("size", "simple"), SIMPLER, ids=[str(k) for k in range(len(SIMPLER))])
def test_normal_form(size: Dim, simple: Dim) -> None:
    assert size == simple and type(size) is type(simple)


def test_sizes_of_one_name_are_one_size() -> None:
    assert symbol("n") == n and hash(symbol("n")) == hash(n) and symbol("n") != symbol("m")


def test_fresh_sizes_are_different_values() -> None:
    a, b = sizes.fresh(), sizes.fresh()
    assert a != b and not sizes.differ(a, b)


def test_a_count_is_not_the_symbol_of_its_name() -> None:
    count = sizes.count_symbol(n)
    assert count != symbol(str(count))
    assert count * n == n * count


def test_counts_know_what_they_depend_on() -> None:
    count = sizes.count_symbol(n)
    assert isinstance(count, Size)
    assert sizes.symbols_of(maximum(count - 1, m)) == {*count.counts, Atom("symbol", "m")}


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: bool(n == n and n), TypeError, "the truth of the size n is not known before the call"),
    (lambda: range(n), TypeError, "the size n is only known when the function is called"),
    (lambda: [1, 2, 3][n], TypeError, "declare the axis with an int"),
    (lambda: n // 0, ShapeError, "n // 0"),
    (lambda: operator.add(n, "a"), TypeError, "unsupported operand"),
    (lambda: n**-1, TypeError, "unsupported operand"),
    (lambda: evaluate(n, {}), UsageError, "the size n cannot be read off the inputs"),
]


@pytest.mark.parametrize(("use", "error", "message"), REFUSED, ids=[m for _, _, m in REFUSED])
def test_refused(use: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        use()


def test_a_quotient_by_nothing_is_a_shape_error() -> None:
    n, m = symbol("n"), symbol("m")
    assert isinstance(n, Size)
    assert isinstance(m, Size)
    with pytest.raises(ShapeError, match=re.escape("3 elements over 0 leave the size open")):
        evaluate(n // m, {next(iter(n.terms))[0][0][0]: 3, next(iter(m.terms))[0][0][0]: 0})


def test_sizes_pickle() -> None:
    assert pickle.loads(pickle.dumps(2 * n + 1)) == 2 * n + 1
