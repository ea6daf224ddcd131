"""Rules of matrix products: transposes, batches, factors, sums and the order of a chain."""

from __future__ import annotations

from symgraph import functions as f
from symgraph.functions.variables import number
from symgraph.ops import leaves
from symgraph.ops import reduction as r
from symgraph.ops import shape as s
from symgraph.ops.product import matmul
from symgraph.passes.rules.chain_order import better_order, is_transpose
from symgraph.passes.rules.layout import is_one, reshaped
from symgraph.passes.rules.pattern import Node, P, Var, literal_of, near_input, some_input
from symgraph.passes.rules.rule import (
    FINITE_ONLY,
    NORMWISE,
    ROUNDING,
    STABILISING,
    Condition,
    Match,
    Rule,
)
from symgraph.passes.rules.selections import SELECTIONS, on_diagonal
from symgraph.sizes import product
from symgraph.tensor import Tensor, apply

__all__ = ["PRODUCTS"]

FLATTENING = frozenset((s.expand_dims, s.reshape))

a, b, t, x, y, z = (Var(n) for n in "abtxyz")


def _alone(*names: str) -> Condition:
    return lambda m: all(m.alone(m.env[n]) for n in names)


# ---- transposes ----------------------------------------------------------------------------------


def _transposed_product(m: Match) -> Tensor | None:
    """(A B)^T is B^T A^T where A or B is a transpose already."""
    one, two = m.x, m.y
    if not (is_transpose(m.node) and (is_transpose(one) or is_transpose(two))):
        return None
    return f.matmul(f.matrix_transpose(two), f.matrix_transpose(one))


# ---- stretched operands --------------------------------------------------------------------------


def _without_batch(operand: Tensor) -> Tensor:
    """The operand without leading axes along which it only repeats."""
    if operand.op is not s.broadcast_to:
        return operand
    (source,) = operand.inputs
    while source.ndim > 2 and is_one(source.shape[0]):
        source = reshaped(source, source.shape[1:])
    wanted = (*source.shape[:-2], *operand.shape[-2:])
    return source if wanted == source.shape else f.broadcast_to(source, wanted)


def _product_of_stretched(m: Match) -> Tensor | None:
    one, two = m.node.inputs
    new = _without_batch(one), _without_batch(two)
    changed = any(n.shape != i.shape for n, i in zip(new, m.node.inputs, strict=True))
    return f.matmul(*new) if changed else None


def _flattened(m: Match) -> Tensor | None:
    """Many small products with one matrix are one product with many rows."""
    one, two = m.x, m.y
    if one.ndim < 3 or one.op in (s.permute_dims, s.broadcast_to):
        return None
    if two.ndim > 2 and all(map(is_one, two.shape[:-2])):
        two = reshaped(two, two.shape[-2:])
    if two.ndim != 2:
        return None
    rows = f.reshape(one, (product(one.shape[:-1]), one.shape[-1]))
    return f.reshape(f.matmul(rows, two), m.node.shape)


def _summed_batch(m: Match) -> Tensor | None:
    """The sum over a batch of A^T B is one product over the rows of the whole batch."""
    one, two = m.x, m.y
    batch = one.shape[:-2]
    if not is_transpose(one) or not batch or two.shape[:-2] != batch or one.dtype.kind == "b":
        return None
    if m.node.attrs["axis"] != tuple(range(len(batch))) or two.op in (s.permute_dims,):
        return None
    rows = product((*batch, one.shape[-1]))
    left = f.reshape(one.inputs[0], (rows, one.shape[-2]))
    return f.matmul(f.matrix_transpose(left), f.reshape(two, (rows, two.shape[-1])))


# ---- small and equal operands --------------------------------------------------------------------


def _outer(m: Match) -> Tensor | None:
    """A column times a row needs no sum; a size that only turns out to be 1 is no row."""
    row = is_one(m.x.shape[-1]) and is_one(m.y.shape[-2])
    return f.multiply(m.x, m.y) if row else None


def _dot_same(m: Match) -> Tensor | None:
    """A vector times itself is its sum of squares, which may then turn out to be a length."""
    one, two = m.node.inputs
    if one.op not in FLATTENING or two.op not in FLATTENING or one.dtype.kind == "b":
        return None
    (source,) = one.inputs
    flat = is_one(one.shape[-2]) and is_one(two.shape[-1])
    if not flat or source is not two.inputs[0] or one.size != source.size or one.ndim > 2:
        return None
    axes = tuple(range(source.ndim))
    return reshaped(apply(r.sum_, (f.square(source),), (("axis", axes),)), m.node.shape)


def _row(x: Tensor) -> Tensor | None:
    """x as one row of a matrix, if it is one."""
    if x.ndim == 1:
        return f.expand_dims(x, 0)
    return x if x.ndim == 2 and is_one(x.shape[0]) else None


def _outer_left(m: Match) -> Tensor | None:
    """(v w^T) B is v (w^T B): the outer product is never formed."""
    row = _row(m.b)
    if row is None or m.y.ndim != 2:
        return None
    return f.multiply(m.a, f.matmul(row, m.y)) if row.shape[1] == m.y.shape[0] else None


def _outer_right(m: Match) -> Tensor | None:
    """B (v w^T) is (B v) w^T."""
    row = _row(m.b)
    if row is None or m.y.ndim != 2:
        return None
    return f.multiply(f.matmul(m.y, m.a), row) if m.y.shape[1] == m.a.shape[0] else None


def _rank_one(m: Match) -> bool:
    """Whether the operand is a column times something that nobody else uses."""
    return m.a.ndim == 2 and is_one(m.a.shape[1]) and m.alone(m.t)


def _small_factors(m: Match) -> bool:
    """Whether no product of two or three of the factors overflows, nor a sum of them."""
    return _magnitude(m, m.a) * _magnitude(m, m.b) * _magnitude(m, m.y) <= COUNTED


# ---- sums ----------------------------------------------------------------------------------------


def _trace(m: Match) -> Tensor | None:
    """Tr(A B) is the sum of A times B^T: nothing off the diagonal is computed."""
    if m.node.attrs["axis"] != (0, 1) or m.x.ndim != 2 or m.y.ndim != 2:
        return None
    if literal_of(m.z) != 0 or not on_diagonal(m.t) or m.x.dtype.kind == "b":
        return None
    return apply(r.sum_, (m.x * f.matrix_transpose(m.y),), (("axis", (0, 1)),))


def _diagonal(m: Match) -> Tensor | None:
    """The diagonal of A B, row by row."""
    whole, one, two = m.node.inputs
    square = whole.ndim == 2 and whole.shape[0] == whole.shape[1]
    every = one is two and one.op is leaves.iota and one.shape == whole.shape[:1]
    if not (square and every) or whole.dtype.kind == "b" or m.node.attrs["axes"] != (0, 1):
        return None
    first, second = whole.inputs
    return apply(r.sum_, (first * f.matrix_transpose(second),), (("axis", (1,)),))


def _sum_of_product(m: Match) -> Tensor | None:
    """Sum the rows of A, or the columns of B, before they are multiplied."""
    if m.x.ndim != 2 or m.y.ndim != 2 or m.x.dtype.kind == "b":
        return None
    axis = m.node.attrs["axis"]
    rows = f.sum(m.x, axis=0) if 0 in axis else None
    columns = f.sum(m.y, axis=1) if 1 in axis else None
    if rows is None or columns is None:
        return rows @ m.y if rows is not None else m.x @ columns
    return f.sum(rows * columns)


#: the sum of as many values of this size as memory holds is finite in float32
COUNTED = 1e20


def _small_products(x: str, *others: str) -> Condition:
    """Whether products of x with any of the others, and sums of them, are finite in any order."""

    def holds(m: Match) -> bool:
        size = _magnitude(m, m.env[x])
        return all(size * _magnitude(m, m.env[n]) <= COUNTED for n in others)

    return holds


def _magnitude(m: Match, x: Tensor) -> float:
    """A bound of the elements of x that are not NaN, at least 1."""
    return max(1, m.facts.magnitude(x))


def _same_shapes(m: Match) -> bool:
    return m.y.shape == m.z.shape and m.alone(m.a) and m.alone(m.b)


# ---- factors -------------------------------------------------------------------------------------


def _scalar(m: Match) -> bool:
    return m.a.ndim == 0 and m.alone(m.b)


def _grows(m: Match) -> bool:
    return m.facts.grows(m.a)


def _finite_other(m: Match) -> bool:
    return m.facts.finite(m.x)


def _zero(m: Match) -> Tensor:
    return number(0, m.node.dtype)


# fmt: off
PRODUCTS: tuple[Rule, ...] = (
    # ---- transposes and stretched operands -------------------------------------------------------
    Rule("transposed_product",
        P.permute_dims(P.matmul(x, y).named("a")), _transposed_product, NORMWISE, _alone("a")),
    Rule("product_of_stretched",
        Node(frozenset((matmul,)), children=frozenset((s.broadcast_to,))), _product_of_stretched,
        NORMWISE),
    Rule("product_flattened",  P.matmul(x, y), _flattened, NORMWISE),
    Rule("summed_batch",
        P.sum(P.matmul(x, y).named("a")), _summed_batch, NORMWISE, _alone("a")),
    *SELECTIONS,
    # ---- small and equal operands ----------------------------------------------------------------
    Rule("outer_product",      P.matmul(x, y), _outer, ROUNDING),
    Rule("outer_times",
        P.matmul(P.multiply(a, b).named("t"), y), _outer_left, FINITE_ONLY, _rank_one,
        sound=_small_factors),
    Rule("times_outer",
        P.matmul(y, P.multiply(a, b).named("t")), _outer_right, FINITE_ONLY, _rank_one,
        sound=_small_factors),
    Rule("dot_same",           P.matmul(x, y), _dot_same, STABILISING,
        looks=some_input(FLATTENING)),
    Rule("zero_product",       P.matmul(0.0, x), _zero, FINITE_ONLY, sound=_finite_other),
    Rule("product_zero",       P.matmul(x, 0.0), _zero, FINITE_ONLY, sound=_finite_other),
    # ---- factors ---------------------------------------------------------------------------------
    Rule("product_negative_left",
        P.matmul(P.negative(x), y), P.negative(P.matmul(x, y)), ROUNDING),
    Rule("product_negative_right",
        P.matmul(x, P.negative(y)), P.negative(P.matmul(x, y)), ROUNDING),
    Rule("product_scaled_left",
        P.matmul(P.multiply(a, x).named("b"), y), P.multiply(a, P.matmul(x, y)), FINITE_ONLY,
        _scalar, sound=_grows),
    Rule("product_scaled_right",
        P.matmul(y, P.multiply(a, x).named("b")), P.multiply(a, P.matmul(y, x)), FINITE_ONLY,
        _scalar, sound=_grows),
    # ---- sums ------------------------------------------------------------------------------------
    Rule("trace_of_product",
        P.sum(P.where(t, P.matmul(x, y).named("a"), z)), _trace, NORMWISE, _alone("a")),
    Rule("diagonal_of_product",
        P.gather(P.matmul(x, y).named("a"), t, z), _diagonal, NORMWISE, _alone("a")),
    Rule("sum_of_product",
        P.sum(P.matmul(x, y).named("a")), _sum_of_product, FINITE_ONLY, _alone("a"),
        sound=_small_products("x", "y")),
    Rule("product_common_left",
        P.add(P.matmul(x, y).named("a"), P.matmul(x, z).named("b")),
        P.matmul(x, P.add(y, z)), FINITE_ONLY, _same_shapes, sound=_small_products("x", "y", "z")),
    Rule("product_common_right",
        P.add(P.matmul(y, x).named("a"), P.matmul(z, x).named("b")),
        P.matmul(P.add(y, z), x), FINITE_ONLY, _same_shapes, sound=_small_products("x", "y", "z")),
    # ---- order -----------------------------------------------------------------------------------
    Rule("product_order",      P.matmul(x, y), better_order, NORMWISE, looks=near_input((matmul,))),
)
# fmt: on
