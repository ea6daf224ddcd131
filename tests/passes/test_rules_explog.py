"""Rules of exponentials and logarithms: forms, values and derivatives, and where they stay away."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from closed_forms import FORMS, misses

import symgraph as sg
from symgraph import Tensor, simplify
from symgraph.passes.pipeline import PIPELINES

x, y, z, w = (sg.vector(n, shape="n") for n in "xyzw")
Unary = Callable[[Tensor], Tensor]


def _lse_by_maximum(*terms: Tensor) -> Tensor:
    m = terms[0]
    for t in terms[1:]:
        m = sg.maximum(m, t)
    total = sg.exp(terms[0] - m)
    for t in terms[1:]:
        total = total + sg.exp(t - m)
    return m + sg.log(total)


# fmt: off
#: what was written, and what becomes of it
PAIRS: dict[str, tuple[Tensor, Tensor]] = {
    "log exp":             (sg.log(sg.exp(x)),                       x),
    "log of many":         (sg.log(2 * sg.exp(x) / 4),               -math.log(2) + x),
    "log2 exp2":           (sg.log2(sg.exp2(x)),                     x),
    "log2 of power of two": (sg.log2(2.0**x),                        x),
    "log10 of power of ten": (sg.log10(10.0**x),                     x),
    "log of power of ten": (sg.log(10.0**x),                         math.log(10) * x),
    "log1p expm1":         (sg.log1p(sg.expm1(x)),                   x),
    "exp of log":          (sg.exp(sg.log(sg.abs(x))),               sg.abs(x)),
    "exp of minus log":    (sg.exp(-sg.log(sg.abs(x))),              1 / sg.abs(x)),
    "exp of half log":     (sg.exp(1.5 * sg.log(sg.abs(x))),         sg.abs(x) ** 1.5),
    "product":             (sg.exp(x) * sg.exp(y),                   sg.exp(y + x)),
    "product apart":       (w * sg.exp(-sg.abs(x)) * (z * sg.exp(-sg.abs(y))),
                            w * sg.exp(-(sg.abs(x) + sg.abs(y))) * z),
    "quotient of weighted": (3 * sg.exp(x) / (2 * sg.exp(y)),        1.5 * sg.exp(x - y)),
    "quotient of sum":     (sg.exp(x) / (sg.exp(y) + sg.exp(z)),
                            sg.exp(x - sg.logaddexp(y, z))),
    "quotient":            (sg.exp(x) / sg.exp(y),                   sg.exp(x - y)),
    "cube":                (sg.exp(x)**3,                            sg.exp(3 * x)),
    "square":              (sg.exp(x)**2,                            sg.exp(2 * x)),
    "root":                (sg.sqrt(sg.exp(x)),                      sg.exp(0.5 * x)),
    "expm1":               (2.5 * sg.exp(x) - 2.5,                   2.5 * sg.expm1(x)),
    "expm1 plus one":      (sg.expm1(x) + 1,                         sg.exp(x)),
    "sinh":                ((sg.exp(x) - sg.exp(-x)) / 2,            sg.sinh(x)),
    "cosh and sinh":       (sg.cosh(x) - sg.sinh(x),                 sg.exp(-x)),
    "two terms":           (sg.log(sg.exp(x) + sg.exp(y)),           sg.logaddexp(x, y)),
    "nested": (
        sg.log(sg.exp(sg.log(sg.exp(x) + sg.exp(y))) + sg.exp(z)),
        sg.logaddexp(sg.logaddexp(x, y), z),
    ),
    "maximum subtracted":  (_lse_by_maximum(x, y),                   sg.logaddexp(x, y)),
    "maximum of three": (_lse_by_maximum(x, y, z), sg.logaddexp(sg.logaddexp(x, y), z)),
    "maximum with zero":   (_lse_by_maximum(x, sg.zeros_like(x)),    sg.softplus(x)),
    "weights": (
        sg.log(2 * sg.exp(x) + 3 * sg.exp(y)),
        sg.simplify(sg.logaddexp(math.log(2) + x, math.log(3) + y)),
    ),
    "positive weight": (
        sg.log((1 + w**2) * sg.exp(x) + sg.exp(y)), sg.logaddexp(x + sg.log1p(w**2), y)
    ),
    "log1mexp":            (sg.log(1 - sg.exp(x)),                   sg.log1mexp(x)),
    "log1p of minus exp":  (sg.log1p(-sg.exp(x)),                    sg.log1mexp(x)),
    "log of minus expm1":  (sg.log(-sg.expm1(x)),                    sg.log1mexp(x)),
    "log of exp minus 1":  (sg.log(sg.exp(x) - 1),                   x + sg.log1mexp(-x)),
    "log of cosh minus 1": (
        sg.log(2 * sg.cosh(x) - 1), sg.logaddexp(x, -x) + sg.log1mexp(-sg.logaddexp(x, -x))
    ),
    "inverse of softplus": (sg.log(sg.expm1(y)),                     y + sg.log1mexp(-y)),
    "twice atanh":         (sg.log1p(x) - sg.log1p(-x),              2 * sg.atanh(x)),
    "atanh by quotient":   (0.5 * sg.log((1 + x) / (1 - x)),         sg.atanh(x)),
    "asinh":               (sg.log(x + sg.sqrt(x**2 + 1)),           sg.asinh(x)),
    "log of square":       (sg.log(x**2),                            2 * sg.log(sg.abs(x))),
    "log of sixth power":  (sg.log(x**6),                            6 * sg.log(sg.abs(x))),
    "log of fifth power":  (sg.log(sg.abs(x)**5),                    5 * sg.log(sg.abs(x))),
    "log of root":         (sg.log(sg.sqrt(x)),                      0.5 * sg.log(x)),
    "log of magnitude":    (sg.log(sg.abs(x * y)), sg.log(sg.abs(x)) + sg.log(sg.abs(y))),
    "log of nonnegative":  (sg.log(sg.abs(x) * sg.square(y)),
                            sg.log(sg.abs(x)) + 2 * sg.log(sg.abs(y))),
    "squashed by tanh":    (sg.log(1 - sg.square(sg.tanh(x))),
                            math.log(4) - (sg.softplus(-2 * x) + sg.softplus(2 * x))),
    "interval, logistic":  (sg.log(sg.sigmoid(x) - sg.sigmoid(y)),
                            sg.log(sg.sigmoid(x) - sg.sigmoid(y))),
    "log of exp times":    (sg.log(w * sg.exp(x)),                   sg.log(w) + x),
}
# fmt: on


@pytest.mark.parametrize("name", PAIRS)
def test_becomes(name: str) -> None:
    written, wanted = PAIRS[name]
    assert simplify(written) is simplify(wanted), sg.pprint(simplify(written))


# fmt: off
SPELLINGS: dict[str, dict[str, Unary]] = {
    "identity": {
        "log exp":     lambda v: sg.log(sg.exp(v)),
        "log2":        lambda v: sg.log2(2.0**v),
        "log10":       lambda v: sg.log10(10.0**v),
        "log1p expm1": lambda v: sg.log1p(sg.expm1(v)),
        "softplus undone": lambda v: sg.log(sg.expm1(sg.log(1 + sg.exp(v)))),
    },
    "exp": {
        "expm1 + 1":   lambda v: sg.expm1(v) + 1,
        "cosh + sinh": lambda v: sg.sinh(v) + sg.cosh(v),
        "product":     lambda v: sg.exp(2 * v) * sg.exp(-v),
        "root":        lambda v: sg.sqrt(sg.exp(2 * v)),
        "square":      lambda v: sg.exp(v / 2)**2,
        "quotient":    lambda v: sg.exp(3 * v) / sg.exp(2 * v),
    },
    "sinh": {
        "difference":  lambda v: (sg.exp(v) - sg.exp(-v)) / 2,
        "weighted":    lambda v: 0.5 * sg.exp(v) - 0.5 * sg.exp(-v),
        "named":       sg.sinh,
    },
    "log1mexp": {
        "log":         lambda v: sg.log(1 - sg.exp(v)),
        "log1p":       lambda v: sg.log1p(-sg.exp(v)),
        "expm1":       lambda v: sg.log(-sg.expm1(v)),
        "named":       sg.log1mexp,
    },
    "logexpm1": {
        "log":         lambda v: sg.log(sg.exp(v) - 1),
        "expm1":       lambda v: sg.log(sg.expm1(v)),
    },
    "atanh": {
        "log1p":       lambda v: 0.5 * (sg.log1p(v) - sg.log1p(-v)),
        "quotient":    lambda v: 0.5 * sg.log((1 + v) / (1 - v)),
        "named":       sg.atanh,
    },
    "asinh": {
        "log":         lambda v: sg.log(v + sg.sqrt(v**2 + 1)),
        "named":       sg.asinh,
    },
    "log cosh": {
        "log cosh":    lambda v: sg.log(sg.cosh(v)),
        "mean of two": lambda v: sg.log((sg.exp(v) + sg.exp(-v)) / 2),
    },
}
# fmt: on
CASES = [(form, name) for form, spelled in SPELLINGS.items() for name in spelled]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("form", "name"), CASES)
def test_value_and_two_derivatives_at_extreme_points(form: str, name: str, dtype: str) -> None:
    assert not misses(SPELLINGS[form][name], FORMS[form], dtype)


@pytest.mark.parametrize("passes", [*PIPELINES, ()])
@pytest.mark.parametrize("form", [f for f in SPELLINGS if f not in ("asinh", "exp")])
def test_gradient_is_right_in_every_pipeline(form: str, passes: object) -> None:
    """Without rules on the derivative too: it is taken of the stable form."""
    for formula in SPELLINGS[form].values():
        assert not misses(formula, FORMS[form], passes=passes, order=1, first=1)


# ---- two variables -------------------------------------------------------------------------------


def _value_and_slopes(cost: Tensor, at: tuple[float, float]) -> list[float]:
    f = sg.function([x, y], [cost, *sg.grad(sg.sum(cost), [x, y])], backend="reference")
    return [float(v[0]) for v in f([at[0]], [at[1]])]


@pytest.mark.parametrize(
    ("a", "b"),
    [(1e4, 1e4 - 1), (-1e4, -1e4 - 1e-9), (1e4, -1e4), (3, 3 - 1e-12), (1e308, 0), (5e-324, 0)],
)
def test_log_of_a_difference_of_exponentials(a: float, b: float) -> None:
    with mpmath.workdps(40):
        gap = mpmath.mpf(a) - mpmath.mpf(b)
        value = a + mpmath.log(-mpmath.expm1(-gap))
        share = -1 / mpmath.expm1(-gap)
        wanted = [float(value), float(share), float(1 - share)]
    np.testing.assert_allclose(
        _value_and_slopes(sg.log(sg.exp(x) - sg.exp(y)), (a, b)), wanted, rtol=1e-13, atol=1e-300
    )


@pytest.mark.parametrize(("a", "b"), [(1e4, 1e4), (-1e4, 1e4), (800, 799), (-1e308, 1e308)])
def test_log_of_a_weighted_sum(a: float, b: float) -> None:
    got = _value_and_slopes(sg.log(2 * sg.exp(x) + 3 * sg.exp(y)), (a, b))
    share = 1 / (1 + 1.5 * np.exp(np.clip(b - a, -700, 700)))
    with np.errstate(over="ignore"):
        wanted = [np.logaddexp(a + np.log(2), b + np.log(3)), share, 1 - share]
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        (-np.inf, -np.inf, -np.inf),
        (np.inf, 0.0, np.inf),
        (0.0, np.inf, np.nan),
        (np.nan, 0.0, np.nan),
        (0.0, np.nan, np.nan),
        (2.0, 2.0, -np.inf),
        (1.0, 2.0, np.nan),
    ],
)
def test_log_of_a_difference_at_the_edges(a: float, b: float, wanted: float) -> None:
    f = sg.function([x, y], sg.log(sg.exp(x) - sg.exp(y)), backend="reference")
    np.testing.assert_array_equal(f([a], [b]), [wanted])


def test_log_of_an_odd_power_that_underflows() -> None:
    """-0.0 has the logarithm -inf; the NaN of a negative number would be another story."""
    value = sg.log(x**5).eval({x: np.array([-1e-100, 1e-100])}, backend="reference")
    np.testing.assert_array_equal(value, [-np.inf, -np.inf])


# ---- where rules stay away -----------------------------------------------------------------------

# fmt: off
KEPT: dict[str, Tensor] = {
    "exp of log of any sign":   sg.exp(sg.log(x)),
    "exp of c log":             sg.exp(1.5 * sg.log(x)),
    "log of product":           sg.log(x * y),
    "log of literal times":     sg.log(3.0 * x),
    "log of odd root":          sg.log(x**1.5),
    "power to any exponent":    sg.exp(x)**y,
    "exponentials of two sizes": sg.exp(sg.matrix("c", shape=("m", 1))) * sg.exp(x),
    "square used twice":        sg.exp(x)**2 + sg.exp(x),
    "sum of unknown weights":   sg.log(w * sg.exp(x) + z * sg.exp(y)),
    "never positive":           sg.log(-sg.exp(x) - sg.exp(y)),
    "shift that may be inf":    z + sg.logaddexp(x - z, y - z),
    "x log x":                  x * sg.log(x),
    "integer powers of two":    sg.exp2(x) - 1,
    "integer powers of ten":    1 - 10.0**x,
    "log1p of what cancels":    sg.log1p(sg.sinh(x)),
    "log1p of a part of it": sg.log1p(0.5 * sg.sinh(x)),
    "log of a quotient":        sg.log((1 + sg.square(x)) / (1 + sg.square(y))),
    "quotient by exp":          y / sg.exp(x),
    "quotient by product":      z / (y * sg.exp(x)),
    "quotient by quotient":     z / (y / sg.exp(x)),
    "product that may overflow": (z * sg.exp(x)) * (w * sg.exp(y)),
}
# fmt: on


@pytest.mark.parametrize("name", KEPT)
def test_is_left_alone(name: str) -> None:
    graph = sg.Graph([simplify(KEPT[name])])
    ops = [node.op.name for node in sg.Graph([KEPT[name]]).nodes if node.op.name not in _LEAVES]
    assert sorted(n.op.name for n in graph.nodes if n.op.name not in _LEAVES) == sorted(ops)


_LEAVES = ("input", "constant", "size", "broadcast_to", "negative", "subtract", "add")


def test_zero_times_log_zero_is_nan_unless_asked() -> None:
    """``x log x`` has the NaN of IEEE arithmetic at 0; ``xlogy`` and the fast pipeline have 0."""
    at = np.array([0.0, 0.5])
    want = 0.5 * np.log(0.5)
    for passes, zero in (("strict", np.nan), ("default", np.nan), ("fast", 0.0)):
        got = sg.function([x], x * sg.log(x), passes=passes, backend="reference")(at)
        np.testing.assert_allclose(got, [zero, want])
    np.testing.assert_allclose(sg.xlogy(x, x).eval({x: at}, backend="reference"), [0, want])


#: a finite value that the product of exponentials instead would lose
FRAGILE: dict[str, tuple[Tensor, tuple[float, ...]]] = {
    "zero over a subnormal": (y / sg.exp(x), (-740.0, 0.0, 1.0)),
    "subnormal divisor": (y / (3 * sg.exp(x)), (-745.0, 1e-154, 1.0)),
    "large other factor": (y / (z * sg.exp(x)), (30.0, 1e300, 1e290)),
    "quotient in quotient": (y / (z / sg.exp(x)), (-1e300, 1e300, 1e-154)),
    "cancelling factors": (z * sg.exp(x) * (z * sg.exp(x + 100)), (605.0, 1.0, 1e-160)),
}


@pytest.mark.parametrize("name", FRAGILE)
def test_a_finite_result_stays_finite(name: str) -> None:
    expression, values = FRAGILE[name]
    at = {v: np.array([value]) for v, value in zip((x, y, z), values, strict=True)}
    at = {v: at[v] for v in sg.Graph([expression]).inputs}
    want, got = [
        sg.function(list(at), expression, passes=p, backend="reference")(*at.values())
        for p in ((), "default")
    ]
    np.testing.assert_allclose(got, want, rtol=0.5)
    assert np.isfinite(want).all()


def test_log_of_a_logistic_interval() -> None:
    """Ordinal regression: the probability of an interval far out in a tail."""
    low, high = (
        np.array([-700.0, 40.0, -1.0, 300.0, 2.0]),
        np.array([-699.0, 41.0, 1.0, 300.5, 2.0]),
    )
    value = sg.log(sg.sigmoid(y) - sg.sigmoid(x))
    got = sg.function([x, y], value, backend="reference")(low, high)
    with mpmath.workdps(700):
        p, q = [[1 / (1 + mpmath.exp(-mpmath.mpf(v))) for v in at] for at in (low, high)]
        want = [float(mpmath.log(b - a)) if b > a else -np.inf for a, b in zip(p, q, strict=True)]
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_slope_of_log_cosh() -> None:
    assert simplify(sg.grad(sg.sum(sg.log(sg.cosh(x))), x)).op.name == "tanh"


def test_fast_likelihood_of_powers_is_the_logit_form() -> None:
    """0 ** 0 at an infinite logit needs masks; the fast pipeline, or finite logits, none."""
    p = sg.sigmoid(x)
    likelihood = sg.log(p**y * (1 - p) ** (1 - y))
    assert sg.Graph([simplify(likelihood)]).count("where") > 0
    assert sg.Graph([simplify(likelihood, passes="fast")]).count("where", "log", "exp") == 0


@pytest.mark.parametrize("name", PAIRS)
def test_nan_stays_nan(name: str) -> None:
    graph = sg.Graph([simplify(PAIRS[name][0])])
    at = {v: np.array([np.nan]) for v in graph.inputs}
    assert np.isnan(graph.outputs[0].eval(at, backend="reference")).all()


@pytest.mark.parametrize("name", PAIRS)
def test_simplifying_twice_changes_nothing(name: str) -> None:
    once = simplify(PAIRS[name][0])
    assert simplify(once) is once
