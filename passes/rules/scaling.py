"""Sums of products, and scalar factors: they rise out of products, sums and differences."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.ops import reduction as r
from symgraph.passes.rules.pattern import Const, P, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, NORMWISE, ROUNDING, Match, Rule
from symgraph.sizes import product
from symgraph.tensor import Tensor, apply

__all__ = ["SCALING"]

a, b, q, t, x, y, z = (Var(n) for n in "abqtxyz")
c, d = Const("c"), Const("d")


def _safe(name: str, m: Match) -> bool:
    return m.facts.safe_scale(m.env[name], m.node.shape)


def _sum_scaled(m: Match) -> Tensor | None:
    if m.b.shape != m.node.inputs[0].shape:
        return None
    return f.multiply(m.a, apply(r.sum_, (m.b,), (("axis", m.node.attrs["axis"]),)))


def _count(m: Match) -> Tensor:
    dims = m.node.inputs[0].shape
    return size_value(product(dims[k] for k in m.node.attrs["axis"]), m.node.dtype)


def _sum_constant(m: Match) -> Tensor | None:
    """The sum of equal terms; of no terms only where zero times the term is zero."""
    count = _count(m)
    if m.x.ndim or not (m.facts.finite(m.x) or literal_of(count)):
        return None
    return f.multiply(count, m.x)


def _sum_chain(m: Match) -> Tensor:
    inner, outer = m.node.inputs[0].attrs["axis"], m.node.attrs["axis"]
    kept = [k for k in range(m.x.ndim) if k not in inner]
    axes = tuple(sorted((*inner, *(kept[k] for k in outer))))
    return apply(m.node.op, (m.x,), (("axis", axes),))


def _scalar_inside(m: Match) -> bool:
    return m.a.ndim == 0 and m.x.ndim > 0 and m.y.ndim > 0


def _two_scalars(m: Match) -> bool:
    return m.a.ndim == 0 and m.b.ndim == 0 and m.x.ndim > 0


def _divide_scalar(m: Match) -> Tensor | None:
    """Many divisions by one size are one division and many products."""
    if m.x.ndim == 0 or m.y.ndim or m.facts.scale(m.y) is None or literal_of(m.y) is not None:
        return None
    return f.multiply(m.x, f.divide(number(1, m.node.dtype), m.y))


def _flipped(m: Match) -> Tensor | None:
    value = literal_of(m.c)
    if not isinstance(value, float) or not value < 0:
        return None
    return f.multiply(number(-value, m.node.dtype), f.subtract(m.y, m.x))


def _flipped_quotient(m: Match) -> Tensor | None:
    value = literal_of(m.c)
    if not isinstance(value, float) or not value < 0 or m.z.ndim:
        return None
    factor = f.divide(number(-value, m.node.dtype), m.z)
    return f.multiply(factor, f.subtract(m.y, m.x))


def _by_division(m: Match) -> Tensor | None:
    return f.divide(m.x, m.y) if m.y.shape == m.node.shape and m.x.shape == m.y.shape else None


# fmt: off
SCALING: tuple[Rule, ...] = (
    # ---- sums ------------------------------------------------------------------------------------
    Rule("sum_chain",          P.sum(P.sum(x)),                    _sum_chain,    NORMWISE),
    Rule("sum_constant",       P.sum(P.broadcast_to(x)),           _sum_constant, NORMWISE),
    Rule("sum_scaled",
        P.sum(P.multiply(a, b)), _sum_scaled, NORMWISE, lambda m: _safe("a", m)),
    # ---- scalar factors --------------------------------------------------------------------------
    Rule("divide_by_size",     P.divide(x, y),                     _divide_scalar, ROUNDING),
    Rule("scale_rises",
        P.multiply(y, P.multiply(a, x)), P.multiply(a, P.multiply(y, x)), FINITE_ONLY,
        _scalar_inside, sound=lambda m: _safe("a", m)),
    Rule("scales_join",
        P.multiply(a, P.multiply(b, x)), P.multiply(P.multiply(a, b), x), FINITE_ONLY, _two_scalars,
        sound=lambda m: _safe("a", m) and _safe("b", m)),
    Rule("factor_difference",
        P.subtract(P.multiply(a, x), P.multiply(a, y)), P.multiply(a, P.subtract(x, y)),
        FINITE_ONLY, sound=lambda m: _safe("a", m)),
    Rule("factor_sum",
        P.add(P.multiply(a, x), P.multiply(a, y)), P.multiply(a, P.add(x, y)), FINITE_ONLY,
        sound=lambda m: _safe("a", m)),
    Rule("flip_difference",    P.multiply(c, P.subtract(x, y)),    _flipped, ROUNDING),
    Rule("flip_difference_over",
        P.multiply(P.divide(c, z), P.subtract(x, y)), _flipped_quotient, ROUNDING),
    # ---- quotients -------------------------------------------------------------------------------
    Rule("times_reciprocal",   P.multiply(x, P.divide(1, y)),      _by_division, ROUNDING),
)
# fmt: on
