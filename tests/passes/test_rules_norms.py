"""Norms, variances and cancelling differences against mpmath at extreme points."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import symgraph as sg
from symgraph import Tensor, simplify

Array = np.ndarray[Any, Any]
EXTREME = {"float64": (1e200, 1e-200), "float32": (1e30, 1e-30)}
TOLERANCE = {"float64": 4e-15, "float32": 2e-6}
x = sg.vector("x", shape="n")
y = sg.vector("y", shape="n")
M = sg.matrix("M", shape=("n", 4))


def operations(expression: Tensor, passes: str = "default") -> list[str]:
    nodes = sg.Graph([simplify(expression, passes)]).nodes
    return sorted(n.op.name for n in nodes if n.inputs)


# ---- lengths -------------------------------------------------------------------------------------

# fmt: off
LENGTHS: dict[str, Callable[[Tensor], Tensor]] = {
    "norm":         lambda v: sg.norm(v),
    "by hand":      lambda v: sg.sqrt(sg.sum(v * v)),
    "by a power":   lambda v: sg.sqrt(sg.sum(v**2)),
    "by a product": lambda v: sg.sqrt(v @ v),
    "of |x|":       lambda v: sg.sqrt(sg.sum(sg.abs(v) ** 2)),
    "guarded":      lambda v: sg.where(sg.sum(v * v) == 0, 0.0, sg.sqrt(sg.sum(v * v))),
    "from parts":   lambda v: sg.sqrt(sg.sum(v[:1] ** 2) + sg.sum(v[1:] ** 2)),
}
# fmt: on


@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize("dtype", EXTREME)
@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_length_neither_overflows_nor_underflows(name: str, dtype: str, backend: str) -> None:
    v = sg.vector("v", shape=3, dtype=dtype)
    length = LENGTHS[name](v)
    f = sg.function([v], [length, sg.grad(length, v)], backend=backend)
    for scale in (*EXTREME[dtype], 1.0):
        value, slope = f(np.array([3 * scale, -4 * scale, 12 * scale], dtype))
        np.testing.assert_allclose(value / scale, 13, rtol=TOLERANCE[dtype])
        np.testing.assert_allclose(slope, np.array([3, -4, 12]) / 13, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("passes", ["strict", "default", "fast", ()])
def test_length_has_derivative_zero_at_zero(passes: Any) -> None:
    for name in LENGTHS:
        v = sg.vector("v", shape=3)
        length = LENGTHS[name](v)
        d, along = sg.grad(length, v), sg.ones_like(v)
        f = sg.function([v], [d, sg.hvp(length, v, along)], passes=passes, backend="reference")
        for found in f(np.zeros(3)):
            np.testing.assert_array_equal(found, np.zeros(3), err_msg=name)


@pytest.mark.parametrize("scale", [1e180, 1.0, 1e-150])
def test_second_derivative_of_a_length(scale: float) -> None:
    v, u = sg.vector("v", shape=3), sg.vector("u", shape=3)
    f = sg.function([v, u], sg.hvp(sg.sqrt(sg.sum(v * v)), v, u))
    at, along = np.array([3.0, -4.0, 12.0]), np.array([1.0, 2.0, -0.5])
    unit = at / 13
    want = (along - unit * (unit @ along)) / 13
    np.testing.assert_allclose(f(at * scale, along) * scale, want, rtol=1e-13)


def test_special_values_of_a_length() -> None:
    f = sg.function([M], sg.sqrt(sg.sum(M * M, axis=1)))
    rows = np.array(
        [[np.inf, 1, 2, 3], [-np.inf, 0, 0, 0], [np.nan, 1, 2, 3], [np.nan, np.inf, 0, 0]]
    )
    np.testing.assert_array_equal(f(rows), [np.inf, np.inf, np.nan, np.nan])
    assert f(np.zeros((0, 4))).shape == (0,)
    np.testing.assert_array_equal(sg.function([x], sg.norm(x))(np.zeros(0)), 0)


def test_length_near_the_ends_of_the_range() -> None:
    f = sg.function([x], sg.norm(x))
    assert f(np.array([1.7e308])) == 1.7e308
    assert f(np.array([5e-324])) == 5e-324
    np.testing.assert_allclose(f(np.full(4, 5e-309)), 1e-308, rtol=1e-15)
    np.testing.assert_allclose(f(np.array([1e200, 1e-200])), 1e200, rtol=1e-15)


@pytest.mark.parametrize("point", [(3e200, 4e200), (3e-200, -4e-200), (0.0, 2.0), (1.0, 1e-9)])
def test_hypot_by_hand(point: tuple[float, float]) -> None:
    a, b = sg.scalar("a"), sg.scalar("b")
    h = sg.sqrt(a * a + b * b)
    assert operations(h) == ["hypot"]
    value, da, db = sg.function([a, b], [h, *sg.grad(h, [a, b])])(*point)
    with mpmath.workprec(200):
        want = mpmath.hypot(*map(mpmath.mpf, point))
        slopes = [float(mpmath.mpf(p) / want) for p in point]
    np.testing.assert_allclose([value, da, db], [float(want), *slopes], rtol=1e-15)


def test_root_of_one_plus_a_square() -> None:
    f = sg.function([x], [sg.sqrt(1 + x * x), sg.grad(sg.sum(sg.sqrt(1 + x * x)), x)])
    value, slope = f(np.array([1e200, -1e300, 0.0, 0.75]))
    np.testing.assert_allclose(value, [1e200, 1e300, 1, 1.25], rtol=1e-15)
    np.testing.assert_allclose(slope, [1, -1, 0, 0.6], rtol=1e-15)


def test_root_of_one_plus_a_square_has_no_case_at_zero() -> None:
    """Such a length is never 0, so its slope needs no mask."""
    slope = sg.grad(sg.sum(sg.sqrt(1 + x * x)), x)
    assert operations(slope) == ["divide", "hypot"]
    assert "where" in operations(sg.grad(sg.sum(sg.hypot(x, y)), x))


def test_global_norm_of_many_tensors() -> None:
    parts = [sg.vector(f"g{k}") for k in range(60)]
    length = sg.sqrt(sum(sg.sum(g**2) for g in parts))
    f = sg.function(parts, length, backend="reference")
    assert f.graph.count("norm") == 60 and f.graph.count("square") == 0
    np.testing.assert_allclose(f(*[np.array([1e180])] * 60), 60**0.5 * 1e180, rtol=1e-14)


def test_root_beside_other_terms_stays() -> None:
    assert "sqrt" in operations(sg.sqrt(x * x + y))
    assert "sqrt" in operations(sg.sqrt(sg.var(M, axis=0) + 1e-5))


# ---- squared lengths -----------------------------------------------------------------------------


@pytest.mark.parametrize("passes", ["default", "fast"])
def test_squared_norm_has_gradient_twice_x(passes: str) -> None:
    spelled = (sg.norm(x) ** 2, sg.sum(x**2), x @ x, sg.sum(sg.abs(x) ** 2))
    assert len({simplify(s, passes) for s in spelled}) == 1
    for cost in spelled:
        f = sg.function([x], sg.grad(cost, x), passes=passes, backend="reference")
        assert [n.op.name for n in f.graph.nodes if n.inputs] == ["multiply"]
        at = np.array([0.1, -3.0, 0.0, 1e300])
        np.testing.assert_array_equal(f(at), 2 * at)


def test_weight_decay_is_one_scaled_add() -> None:
    w, g, rate = sg.matrix("w"), sg.matrix("g"), sg.scalar("rate")
    cost = sg.sum(g * w) + rate * sg.sum(w**2)
    f = sg.function([g, w, rate], sg.grad(cost, w), passes="fast", backend="reference")
    names = sorted(n.op.name for n in f.graph.nodes if n.inputs and n.ndim == 2)
    assert names == ["add", "multiply"]


def test_clipping_by_the_global_norm() -> None:
    a, b = sg.vector("a"), sg.matrix("b")
    n = sg.sqrt(sg.sum(a**2) + sg.sum(b**2))
    clipped = [sg.where(n > 1.0, g / sg.where(n > 1.0, n, 1.0), g) for g in (a, b)]
    f = sg.function([a, b], clipped)
    for scale in (1e200, 1.0):
        one, two = f(np.array([3.0, 0.0]) * scale, np.array([[4.0]]) * scale)
        np.testing.assert_allclose([one[0], two[0, 0]], [0.6, 0.8], rtol=1e-15)
    one, two = f(np.zeros(2), np.zeros((1, 1)))
    np.testing.assert_array_equal(one, 0)
    small = f(np.array([0.25, 0.5]), np.array([[0.125]]))
    np.testing.assert_array_equal(small[0], [0.25, 0.5])


# ---- variances -----------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_naive_variance_does_not_cancel(axis: int | None, keepdims: bool) -> None:
    mean = functools.partial(sg.mean, axis=axis, keepdims=keepdims)
    naive = mean(M**2) - mean(M) ** 2
    f = sg.function([M], [naive, sg.grad(sg.sum(naive), M)], backend="reference")
    rng = np.random.default_rng(3)
    at = rng.standard_normal((6, 4)) + 1e9
    value, slope = f(at)
    count = at.size if axis is None else at.shape[axis]
    np.testing.assert_allclose(value, np.var(at, axis=axis, keepdims=keepdims), rtol=1e-12)
    want = 2 * (at - at.mean(axis=axis, keepdims=True)) / count
    np.testing.assert_allclose(slope, want, rtol=1e-6, atol=1e-7)


def _naive_covariance(a: Tensor, b: Tensor) -> Tensor:
    return sg.mean(a * b) - sg.mean(a) * sg.mean(b)


def test_naive_covariance_does_not_cancel() -> None:
    """In default where the data are known to be moderate, in fast always."""
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal(9) + 1e8, rng.standard_normal(9) - 1e8
    want = np.cov(a - 1e8, b + 1e8, bias=True)[0, 1]
    moderate = [sg.clip(v, -1e9, 1e9) for v in (x, y)]
    for operands, passes in ((moderate, "default"), ([x, y], "fast")):
        f = sg.function([x, y], _naive_covariance(*operands), passes=passes, backend="reference")
        np.testing.assert_allclose(f(a, b), want, rtol=1e-6)


def test_naive_covariance_of_anything_stays_finite() -> None:
    """Deviations multiply values that the formula multiplies only by means."""
    f = sg.function([x, y], _naive_covariance(x, y), backend="reference")
    assert f(np.array([1e200, -1e200, 0.0]), np.array([0.0, 0.0, 1e200])) == 0
    big = np.finfo("float64").max / 4
    assert f(np.array([big, -big]), np.array([2.0, 2.0])) == 0


def test_other_differences_of_means_stay() -> None:
    assert operations(sg.mean(M**2, axis=0) - sg.mean(M, axis=1)[:1] ** 2).count("sum") == 2
    kept = sg.mean(x**2) - sg.mean(y) ** 2
    assert "expand_dims" not in operations(kept)


def test_batch_normalisation_by_hand() -> None:
    """Its gradient is orthogonal to ones and nearly so to what is normalised (eq. 8.41-8.43)."""
    centred = M - sg.mean(M, axis=0)
    normal = centred / sg.sqrt(1e-8 + sg.mean(centred**2, axis=0))
    weights = sg.matrix("W", shape=("n", 4))
    g = sg.function([M, weights], [normal, sg.grad(sg.sum(sg.tanh(normal) * weights), M)])
    rng = np.random.default_rng(5)
    value, slope = g(rng.standard_normal((7, 4)), rng.standard_normal((7, 4)))
    np.testing.assert_allclose(slope.sum(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose((slope * value).sum(axis=0), 0, atol=1e-6)


# ---- differences that cancel ---------------------------------------------------------------------

Formula = Callable[[Any], Any]
# fmt: off
#: by hand in symgraph, the same in mpmath, and where
CANCELLING: dict[str, tuple[Callable[[Tensor], Tensor], Formula, list[float]]] = {
    "1 - cos x": (lambda v: 1 - sg.cos(v), lambda v: 1 - mpmath.cos(v),
        [0, 1e-8, -1e-5, 0.5, 3, 100, 1e-150]),
    "cos x - 1": (lambda v: sg.cos(v) - 1, lambda v: mpmath.cos(v) - 1,
        [0, 1e-8, -1e-5, 0.5, 3]),
    "(1 - cos x) / x^2": (lambda v: (1 - sg.cos(v)) / v**2, lambda v: (1 - mpmath.cos(v)) / v**2,
        [1e-8, -1e-5, 0.5, 3, 1e-200]),
    "sqrt(x + 1) - sqrt x": (lambda v: sg.sqrt(v + 1) - sg.sqrt(v),
        lambda v: mpmath.sqrt(v + 1) - mpmath.sqrt(v), [1e-10, 1, 1e8, 1e16, 1e300]),
    "sqrt(x + 3) - sqrt(x + 2)": (lambda v: sg.sqrt(v + 3) - sg.sqrt(v + 2),
        lambda v: mpmath.sqrt(v + 3) - mpmath.sqrt(v + 2), [0, 1, 1e8, 1e16, 1e300]),
    "sqrt(1 + x) - 1": (lambda v: sg.sqrt(1 + v) - 1, lambda v: mpmath.sqrt(1 + v) - 1,
        [0, 1e-20, -1e-10, -0.5, 2, 1e10, 1e300]),
    "1/(x + 1) - 1/x": (lambda v: 1 / (v + 1) - 1 / v, lambda v: 1 / (v + 1) - 1 / v,
        [1e-10, 2, 1e8, 1e16, 1e100, -3]),
    "x^2 - 1": (lambda v: v**2 - 1, lambda v: v * v - 1,
        [0, 1 + 1e-12, -1 + 1e-12, 3, 1e100]),
    "1 - x^2": (lambda v: 1 - v**2, lambda v: 1 - v * v, [0, 1 + 1e-12, -1 + 1e-12, 3]),
}
# fmt: on


#: the derivative of sin(x) / x cancels near 0
UNSTEADY = {"(1 - cos x) / x^2"}


@pytest.mark.parametrize("name", CANCELLING)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", ["reference", "llvm"])
def test_cancelling_difference(name: str, dtype: str, backend: str) -> None:
    """Value, first and second derivative, wherever these are in range."""
    build, exact, points = CANCELLING[name]
    v = sg.scalar("v", dtype=dtype)
    first = sg.grad(build(v), v)
    f = sg.function([v], [build(v), first, sg.grad(first, v)], backend=backend)
    limits = np.finfo(dtype)
    orders = 1 if name in UNSTEADY else 3
    for point in points:
        at = float(np.dtype(dtype).type(point)) if abs(point) < float(limits.max) else np.inf
        if not np.isfinite(at) or (at == 0 and name in UNSTEADY):
            continue
        with mpmath.workprec(3000):
            want = [float(mpmath.diff(exact, mpmath.mpf(at), n)) for n in range(orders)]
        for n, (value, truth) in enumerate(zip(f(at), want, strict=False)):
            if not truth or limits.tiny <= abs(truth) <= limits.max:
                bound = 64 * float(limits.eps) * abs(truth)
                assert abs(float(value) - truth) <= bound, f"order {n} at {point}"


def test_derivative_of_a_quotient_that_is_smooth_at_zero() -> None:
    """(1 - cos x) / x^2: that of sin(x) / x cancels; the absolute error is bounded by eps / x."""
    v = sg.scalar("v")
    f = sg.function([v], sg.grad((1 - sg.cos(v)) / v**2, v), backend="reference")
    for point in (1e-8, -1e-5, 1e-3, 0.5, 3.0):
        with mpmath.workprec(200):
            want = mpmath.diff(lambda u: (1 - mpmath.cos(u)) / u**2, mpmath.mpf(point))
        assert abs(float(f(point)) - float(want)) <= 4 * 2**-52 / abs(point)


@pytest.mark.parametrize("name", CANCELLING)
def test_cancelling_difference_keeps_nan(name: str) -> None:
    v = sg.scalar("v")
    assert np.isnan(sg.function([v], CANCELLING[name][0](v), backend="reference")(np.nan))


def test_difference_of_squares() -> None:
    f = sg.function([x, y], x**2 - y**2)
    a = np.array([1 + 1e-12, 3e200, 2.0, np.nan])
    b = np.array([1.0, 3e200, 1.0, 1.0])
    np.testing.assert_allclose(f(a, b), [(a[0] - 1) * (a[0] + 1), 0, 3, np.nan], rtol=1e-15)


def test_difference_of_squared_integers_stays() -> None:
    n = sg.vector("n", dtype="int64")
    assert operations(n * n - 1) == ["square", "subtract"]


def test_distance_is_never_expanded() -> None:
    assert operations(sg.sum((x - y) ** 2)) == ["square", "subtract", "sum"]
    assert operations(sg.sum((x - y) ** 2), "fast") == ["square", "subtract", "sum"]


# ---- derivatives at the ends of the range --------------------------------------------------------

u, w = sg.scalar("u"), sg.scalar("w")
EVERY = ("strict", "default", "fast")


def _second(expression: Tensor) -> Tensor:
    slope: Tensor = sg.grad(sg.grad(expression, u), u)
    return slope


@pytest.mark.parametrize("passes", EVERY)
@pytest.mark.parametrize("at", [1e155, 1e160, -1e200])
def test_derivatives_vanish_far_out(passes: str, at: float) -> None:
    """All of these are at most 1 / |u|^2, which no number but 0 is close to."""
    for expression in (
        _second(sg.hypot(u, 3.0)),
        _second(sg.sqrt(u * u + 1)),
        sg.grad(u / sg.sqrt(1 + u * u), u),
        _second(1 / (1 + u * u)),
    ):
        assert abs(sg.function([u], expression, passes=passes)(at)) <= 1e-300


@pytest.mark.parametrize("passes", EVERY)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_second_derivatives_of_lengths_keep_their_scale(passes: str, scale: float) -> None:
    """At (1, 2) the Hessian is [[4, -2], [-2, 1]] / 5^1.5, and inverse to the scale."""
    root = 5**1.5 * scale
    for length in (sg.hypot(u, w), sg.norm(sg.stack([u, w])), sg.sqrt(u * u + w * w)):
        slope = sg.grad(length, u)
        parts = [sg.grad(slope, u), sg.grad(slope, w)]
        found = sg.function([u, w], parts, passes=passes)(scale, 2 * scale)
        np.testing.assert_allclose(found, [4 / root, -2 / root], rtol=1e-14)


@pytest.mark.parametrize("passes", EVERY)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_cosine_has_a_derivative_at_any_scale(passes: str, scale: float) -> None:
    """That of c . v / |c| |v| is (c - v (c . v) / |v|^2) / |c| |v|."""
    v, c, at = sg.vector("v", shape=3), np.array([1.0, -2.0, 2.0]), np.array([2.0, 1.0, -2.0])
    cosine = sg.sum(v * c) / (sg.norm(v) * 3)
    found = sg.function([v], sg.grad(cosine, v), passes=passes)(at * scale)
    np.testing.assert_allclose(found * scale, (c + at * 4 / 9) / 9, rtol=1e-14)
