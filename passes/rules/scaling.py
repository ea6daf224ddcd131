"""Sums of products, and scalar factors: they rise out of products, sums and differences."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number, size_value
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.rules.coefficients import normal
from symgraph.passes.rules.pattern import Const, P, Var, literal_of
from symgraph.passes.rules.rule import FINITE_ONLY, NORMWISE, ROUNDING, Match, Rule
from symgraph.sizes import product
from symgraph.tensor import Tensor, apply

__all__ = ["SCALING"]

a, b, q, t, x, y, z = (Var(n) for n in "abqtxyz")
c, d = Const("c"), Const("d")


#: products and sums of values within this bound are finite in float32 too
LARGE = 1e37


def _safe(name: str, m: Match) -> bool:
    return m.facts.safe_scale(m.env[name], m.node.shape)


def _rises_from_product(m: Match) -> bool:
    """Whether x * y is finite where y * (a * x) is: a does not shrink, or an operand is small."""
    if not _safe("a", m) or m.facts.grows(m.a, m.node.shape):
        return _safe("a", m)
    x_size, y_size = m.facts.magnitude(m.x), m.facts.magnitude(m.y)
    return x_size <= 1 or y_size <= 1 or x_size * y_size <= LARGE


def _rises_from_sum(m: Match) -> bool:
    """Whether x + y is finite where a * x + a * y is; one large operand cannot overflow it."""
    if not _safe("a", m):
        return False
    grows = m.facts.grows(m.a, m.node.shape)
    return grows or m.facts.bounded(m.x) or m.facts.bounded(m.y)


def _scale(m: Match) -> bool:
    """A literal or size; other shared factors are found in whole sums."""
    return m.facts.scale(m.a) is not None


def _opposites(m: Match) -> bool:
    """Whether b is -a for a positive a: literals, or literals over the same divisor."""
    one, other = _over(m.a), _over(m.b)
    if one is None or other is None or one[1] is not other[1]:
        return False
    return one[0] > 0 and one[0] == -other[0]


def _over(x: Tensor) -> tuple[float, Tensor | None] | None:
    """x as a float literal over something, or as a literal alone."""
    top, below = (x.inputs[0], x.inputs[1]) if x.op is e.divide else (x, None)
    value = literal_of(top)
    return (value, below) if isinstance(value, float) else None


def _rises_from_total(m: Match) -> bool:
    """Whether the sum of b is finite where that of a * b is."""
    if not _safe("a", m):
        return False
    return m.facts.grows(m.a, m.node.inputs[0].shape) or m.facts.magnitude(m.b) <= COUNTED


#: the sum of as many values of this size as memory holds is finite in float32
COUNTED = 1e20


def _joins(m: Match) -> bool:
    """Whether a * b is a normal number: both are literals or sizes, or one is and does not grow
    the other out of range.
    """
    spans = m.facts.scale(m.a), m.facts.scale(m.b)
    if spans[0] is not None and spans[1] is not None:
        low, high = spans[0][0] * spans[1][0], spans[0][1] * spans[1][1]
        return _safe("a", m) and _safe("b", m) and low >= 1 / MODERATE and high <= MODERATE
    return False


MODERATE = 1e30


def _scalar_factor(m: Match) -> bool:
    return m.a.ndim == 0 and m.a.dtype == m.node.dtype


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
    """A scalar in a product of arrays, or a literal in one of scalars that nobody else uses."""
    if m.node.ndim == 0:
        return literal_of(m.a) is not None and literal_of(m.y) is None and m.alone(m.inner)
    return m.a.ndim == 0 and m.x.ndim > 0 and m.y.ndim > 0


def _two_scalars(m: Match) -> bool:
    """Two scalars before an array; the product of literals and sizes has to be normal."""
    if m.a.ndim or m.b.ndim or m.x.ndim == 0:
        return False
    one, two = m.facts.scale(m.a), m.facts.scale(m.b)
    if one is None or two is None:
        return True
    low, high = one[0] * two[0], one[1] * two[1]
    return normal(low, m.node.dtype) and normal(high, m.node.dtype)


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


def _above_zero(*literals: Tensor) -> bool:
    return all(_number(v) > 0 for v in literals)


def _below_zero(*literals: Tensor) -> bool:
    return all(_number(v) < 0 for v in literals)


def _number(x: Tensor) -> float:
    """A float literal of moderate size; 0 for any other."""
    value = literal_of(x)
    return value if isinstance(value, float) and abs(value) <= MODERATE else 0.0


def _add_scaled(m: Match) -> Tensor:
    return f.multiply(number(1 + _number(m.c), m.node.dtype), m.x)


def _add_both_scaled(m: Match) -> Tensor:
    return f.multiply(number(_number(m.c) + _number(m.d), m.node.dtype), m.x)


def _by_division(m: Match) -> Tensor | None:
    return f.divide(m.x, m.y) if m.y.shape == m.node.shape and m.x.shape == m.y.shape else None


# fmt: off
SCALING: tuple[Rule, ...] = (
    # ---- sums ------------------------------------------------------------------------------------
    Rule("sum_chain",          P.sum(P.sum(x)),                    _sum_chain,    NORMWISE),
    Rule("sum_constant",       P.sum(P.broadcast_to(x)),           _sum_constant, NORMWISE),
    Rule("sum_scaled",
        P.sum(P.multiply(a, b)), _sum_scaled, FINITE_ONLY, _scalar_factor,
        sound=_rises_from_total),
    # ---- scalar factors --------------------------------------------------------------------------
    Rule("divide_by_size",     P.divide(x, y),                     _divide_scalar, ROUNDING),
    Rule("scale_rises",
        P.multiply(y, P.multiply(a, x).named("inner")), P.multiply(a, P.multiply(y, x)),
        FINITE_ONLY, _scalar_inside, sound=_rises_from_product),
    Rule("scales_join",
        P.multiply(a, P.multiply(b, x)), P.multiply(P.multiply(a, b), x), FINITE_ONLY, _two_scalars,
        sound=_joins),
    Rule("factor_difference",
        P.subtract(P.multiply(a, x), P.multiply(a, y)), P.multiply(a, P.subtract(x, y)),
        FINITE_ONLY, _scale, sound=_rises_from_sum),
    Rule("factor_sum",
        P.add(P.multiply(a, x), P.multiply(a, y)), P.multiply(a, P.add(x, y)), FINITE_ONLY,
        _scale, sound=_rises_from_sum),
    Rule("factor_opposites",
        P.add(P.multiply(a, x), P.multiply(b, y)), P.multiply(a, P.subtract(x, y)), FINITE_ONLY,
        _opposites, sound=_rises_from_sum),
    Rule("add_scaled",
        P.add(x, P.multiply(c, x)), _add_scaled, ROUNDING, lambda m: _above_zero(m.c)),
    Rule("add_both_scaled",
        P.add(P.multiply(c, x), P.multiply(d, x)), _add_both_scaled, ROUNDING,
        lambda m: _above_zero(m.c, m.d) or _below_zero(m.c, m.d)),
    Rule("flip_difference",    P.multiply(c, P.subtract(x, y)),    _flipped, ROUNDING),
    Rule("flip_difference_over",
        P.multiply(P.divide(c, z), P.subtract(x, y)), _flipped_quotient, ROUNDING),
    # ---- quotients -------------------------------------------------------------------------------
    Rule("times_reciprocal",   P.multiply(x, P.divide(1, y)),      _by_division, ROUNDING),
)
# fmt: on
