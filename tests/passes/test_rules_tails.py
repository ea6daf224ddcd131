"""Rules of error functions: tails that neither cancel nor underflow, and their derivatives."""

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

x, y = sg.vector("x", shape="n"), sg.vector("y", shape="n")
Unary = Callable[[Tensor], Tensor]
ROOT = math.sqrt(2)

# fmt: off
SPELLINGS: dict[str, dict[str, Unary]] = {
    "erfc": {
        "complement":   lambda v: 1 - sg.erf(v),
        "mirrored":     lambda v: 1 + sg.erf(-v),
        "minus one":    lambda v: -(sg.erf(v) - 1),
        "two halves":   lambda v: 2 * (0.5 - 0.5 * sg.erf(v)),
        "two minus":    lambda v: 2 - sg.erfc(-v),
        "named":        sg.erfc,
    },
    "erfcx": {
        "product":      lambda v: sg.exp(v**2) * sg.erfc(v),
        "of erf":       lambda v: sg.exp(v * v) * (1 - sg.erf(v)),
        "named":        sg.erfcx,
    },
    "log erfc": {
        "log":          lambda v: sg.log(sg.erfc(v)),
        "of erf":       lambda v: sg.log(1 - sg.erf(v)),
        "log1p":        lambda v: sg.log1p(-sg.erf(v)),
        "named":        sg.log_erfc,
    },
}
# fmt: on
CASES = [(form, name) for form, spelled in SPELLINGS.items() for name in spelled]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("form", "name"), CASES)
def test_value_and_two_derivatives_at_extreme_points(form: str, name: str, dtype: str) -> None:
    """The second derivative of erfcx loses digits below 10, where its series begins."""
    ulps = 1e4 if form == "erfcx" else 64
    assert not misses(SPELLINGS[form][name], FORMS[form], dtype, ulps=ulps)


@pytest.mark.parametrize("passes", [*PIPELINES, ()])
@pytest.mark.parametrize("form", SPELLINGS)
def test_gradient_is_right_in_every_pipeline(form: str, passes: object) -> None:
    """Without rules on the derivative too: it is taken of the stable form."""
    for name, formula in SPELLINGS[form].items():
        if (form, name) != ("erfcx", "of erf"):
            assert not misses(formula, FORMS[form], passes=passes, order=1, first=1, ulps=1e4)


# fmt: off
PAIRS: dict[str, tuple[Tensor, Tensor]] = {
    "left tail":      (0.5 * (1 + sg.erf(x / ROOT)),         sg.ndtr(x)),
    "right tail":     (1 - 0.5 * (1 + sg.erf(x / ROOT)),     sg.ndtr(-x)),
    "gelu":           (0.5 * x * (1 + sg.erf(x / ROOT)),     0.5 * x * sg.erfc(x * -ROOT / 2)),
    "weighted":       (y - y * sg.erf(x),                    y * sg.erfc(x)),
    "scaled":         (y * sg.exp(x**2) * sg.erfc(x),        y * sg.erfcx(x)),
    "back":           (sg.exp(-x**2) * sg.erfcx(x),          sg.erfc(x)),
    "hazard":         (sg.exp(-x**2) / sg.erfc(x) * 2,       2 / sg.erfcx(x)),
    "inverse Mills ratio": (
        sg.exp(-x**2 / 2) / (0.5 * sg.erfc(x / ROOT)), 2 / sg.erfcx(1 / ROOT * x)
    ),
    "complement of complement": (1 - sg.erfc(x),             sg.erf(x)),
}
# fmt: on


@pytest.mark.parametrize("name", PAIRS)
def test_becomes(name: str) -> None:
    written, wanted = (simplify(e) for e in PAIRS[name])
    assert sg.pprint(written).split("0.70")[0] == sg.pprint(wanted).split("0.70")[0]
    at = {v: np.array([-1.5, 0.25, 2.0, 30.0, 0.75]) for v in (x, y)}
    used = {v: at[v] for v in sg.Graph([written]).inputs}
    np.testing.assert_allclose(
        written.eval(used, backend="reference"), wanted.eval(used, backend="reference"), rtol=1e-12
    )


@pytest.mark.parametrize("name", PAIRS)
def test_nan_stays_nan(name: str) -> None:
    written = simplify(PAIRS[name][0])
    used = {v: np.array([np.nan]) for v in sg.Graph([written]).inputs}
    assert np.isnan(written.eval(used, backend="reference")).all()


@pytest.mark.parametrize(
    "formula",
    [
        sg.log_ndtr,
        lambda v: sg.log(0.5 * (1 + sg.erf(v / ROOT))),
        lambda v: sg.log(0.5 * sg.erfc(-v / ROOT)),
    ],
)
@pytest.mark.parametrize("point", [-1e4, -40.0, -5.0, -1.0, 0.0, 1.0, 5.0, 20.0])
def test_logarithm_of_the_normal_distribution_in_both_tails(formula: Unary, point: float) -> None:
    cost = formula(x)
    slope = sg.grad(sg.sum(cost), x)
    curve = sg.grad(sg.sum(slope), x)
    got = sg.function([x], [cost, slope, curve], backend="reference")([point])
    with mpmath.workdps(50):
        v = mpmath.mpf(point)
        tail = mpmath.erfc(-v / mpmath.sqrt(2)) / 2
        density = mpmath.exp(-v * v / 2) / mpmath.sqrt(2 * mpmath.pi)
        ratio = density / tail
        value = mpmath.log1p(-mpmath.erfc(v / mpmath.sqrt(2)) / 2) if v > 0 else mpmath.log(tail)
        want = [float(value), float(ratio), float(-ratio * (v + ratio))]
    rtol = 1e-11 if abs(point) < 100 else 1e-6
    np.testing.assert_allclose(np.ravel(got)[:2], want[:2], rtol=1e-12)
    np.testing.assert_allclose(np.ravel(got)[2], want[2], rtol=rtol)


def test_gradient_of_log_erfc_has_no_logarithm() -> None:
    """-2 / sqrt(pi) / erfcx(x) on the right, where exp(-x**2) and erfc(x) would both be 0."""
    gradient = sg.Graph([simplify(sg.grad(sg.sum(sg.log(1 - sg.erf(x))), x))])
    assert gradient.count("erfcx") == 1 and gradient.count("erf", "log", "log_erfc") == 0


@pytest.mark.parametrize("wanted", [True, False])
def test_erf_and_erfc_add_up_to_one_where_no_nan_can_come(wanted: bool) -> None:
    v = sg.tanh(sg.constant(np.linspace(-1, 1, 3))) if wanted else x
    graph = sg.Graph([simplify(sg.erf(v) + sg.erfc(v))])
    assert (graph.count("erf", "erfc") == 0) is wanted


@pytest.mark.parametrize(
    "kept",
    [
        sg.exp(x**2) * sg.erfc(y),
        sg.exp(x**2) * sg.erfcx(x),
        1.5 - sg.erf(x),
        sg.exp(x) * sg.erfc(x),
    ],
    ids=["another argument", "another sign", "not one", "no square"],
)
def test_is_left_alone(kept: Tensor) -> None:
    def ops(e: Tensor) -> list[str]:
        return sorted(n.op.name for n in sg.Graph([e]).nodes if n.inputs)

    assert ops(simplify(kept)) == ops(kept)
