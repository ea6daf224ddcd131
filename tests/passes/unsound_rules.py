"""Rules that break their contracts, each in one way, for the contract test to catch."""

from __future__ import annotations

from dataclasses import dataclass

from rule_example import Example

from symgraph import functions as f
from symgraph.ops import elementwise as e
from symgraph.ops import reduction as r
from symgraph.passes.rules.pattern import Literal, Node, P, Var
from symgraph.passes.rules.rule import (
    EXACT,
    FINITE_ONLY,
    NORMWISE,
    ROUNDING,
    STABILISING,
    Match,
    Rule,
)
from symgraph.tensor import Tensor, apply

__all__ = ["EXAMPLES", "UNSOUND", "Planted"]


@dataclass(frozen=True)
class Planted:
    """An unsound rule: the dtype or the shapes on which it is, whether it claims soundness by
    facts, and a dtype on which it is right."""

    rule: Rule
    dtype: str = "float64"
    shapes: str | None = None
    soundly: bool = False
    elsewhere: str | None = None


def _reduced(x: Tensor, m: Match) -> Tensor:
    """What the matched node is, of another array."""
    return apply(m.node.op, (x,), tuple(m.node.attrs.items()))


def _by_count(m: Match) -> Tensor:
    """Multiplied by the count and divided by it: of nothing 0/0."""
    (terms,) = m.node.inputs
    count = f.sum(f.ones_like(terms), axis=m.node.attrs["axis"], keepdims=True)
    scaled = _reduced(f.multiply(terms, count), m)
    return f.divide(scaled, f.squeeze(count, axis=m.node.attrs["axis"]))


def _split_sum(m: Match) -> Tensor | None:
    """Sums each operand by itself: wrong where one of them was stretched along the axis."""
    a, b = m.node.inputs[0].inputs
    if a.ndim != b.ndim:
        return None
    return f.add(_reduced(a, m), _reduced(b, m))


x, y, z = Var("x"), Var("y"), Var("z")
YES = P.equal(x, x)


def _sound_everywhere(m: Match) -> bool:
    return True


UNSOUND = (
    Planted(Rule("add_zero_is_not_exact", P.add(x, 0.0), x, EXACT), elsewhere="int64"),
    Planted(Rule("minus_loses_signed_zero", P.subtract(0.0, x), P.negative(x), EXACT)),
    Planted(
        Rule("zero_absorbs_no_infinity", P.multiply(x, 0.0), P.subtract(0.0, 0.0), ROUNDING)
    ),
    Planted(Rule("exp_log_forgets_the_sign", P.exp(P.log(x)), x, ROUNDING)),
    Planted(Rule("division_is_not_exact", P.divide(x, 3.0), P.multiply(x, 1 / 3), EXACT)),
    Planted(
        Rule("overflow_on_the_way", P.divide(x, y), P.multiply(x, P.reciprocal(y)), ROUNDING)
    ),
    Planted(
        Rule(
            "quotient_overflows_on_the_way",
            P.divide(P.multiply(x, y), z),
            P.multiply(x, P.divide(y, z)),
            ROUNDING,
        )
    ),
    Planted(
        Rule(
            "log_of_square_has_a_modulus",
            P.log(P.square(x)),
            P.multiply(2.0, P.log(x)),
            STABILISING,
        )
    ),
    Planted(Rule("naive_softplus", P.softplus(x), P.log(P.add(1.0, P.exp(x))), STABILISING)),
    Planted(Rule("cancels_near_zero", P.expm1(x), P.subtract(P.exp(x), 1.0), STABILISING)),
    Planted(
        Rule("nan_compares_false", P.less(x, y), P.logical_not(P.greater_equal(x, y)), EXACT),
        elsewhere="int8",
    ),
    Planted(
        Rule("relu_forgets_nan", P.relu(x), P.where(P.greater(x, 0.0), x, 0.0), EXACT),
    ),
    Planted(
        Rule("maximum_hides_nan", P.maximum(x, y), P.where(P.greater(x, y), x, y), NORMWISE),
    ),
    Planted(
        Rule("sign_of_unsigned", P.sign(P.negative(x)), P.negative(P.sign(x)), EXACT),
        dtype="uint8",
    ),
    Planted(
        Rule("abs_wraps_around", P.greater_equal(P.abs(x), 0.0), YES, EXACT),
        dtype="int8",
        elsewhere="float64",
    ),
    Planted(
        Rule("successor_wraps_around", P.less(x, P.add(x, 1.0)), YES, EXACT), dtype="uint8"
    ),
    Planted(
        Rule("bool_product_is_no_sum", P.multiply(x, y), P.add(x, y), EXACT), dtype="bool"
    ),
    Planted(
        Rule(
            "sum_of_nothing_is_no_share",
            Node(frozenset((r.sum_,)), children=frozenset((e.exp,))),
            _by_count,
            NORMWISE,
        ),
        shapes="empty",
        elsewhere="float64",
    ),
    Planted(
        Rule(
            "stretched_operands_sum_less",
            Node(frozenset((r.sum_,)), children=frozenset((e.add,))),
            _split_sum,
            NORMWISE,
        ),
        shapes="column",
    ),
    Planted(
        Rule("drops_a_term", Node(frozenset((r.sum_,)), children=frozenset((e.multiply,))),
             lambda m: _reduced(m.node.inputs[0].inputs[0], m), NORMWISE)
    ),
    Planted(
        Rule("claims_to_be_sound", P.subtract(x, x), Literal(0.0), FINITE_ONLY,
             sound=_sound_everywhere),
        soundly=True,
        elsewhere="float64",
    ),
    Planted(
        Rule("overflows_where_sound", P.add(P.multiply(x, y), P.multiply(x, z)),
             P.multiply(x, P.add(y, z)), FINITE_ONLY, sound=_sound_everywhere),
        soundly=True,
        elsewhere="float64",
    ),
    Planted(
        Rule("hides_infinity_where_sound", P.divide(P.multiply(x, y), y), x, FINITE_ONLY,
             sound=_sound_everywhere),
        soundly=True,
        elsewhere="float64",
    ),
)  # fmt: skip

#: The examples of planted rules that are no patterns.
EXAMPLES: dict[str, Example] = {
    "sum_of_nothing_is_no_share": lambda x, y, z, k: f.sum(f.exp(x), axis=0),
    "stretched_operands_sum_less": lambda x, y, z, k: f.sum(x + y, axis=1),
    "drops_a_term": lambda x, y, z, k: f.sum(x * y, axis=0),
}
