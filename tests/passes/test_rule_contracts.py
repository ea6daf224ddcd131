"""Every rule fires on an example and keeps its contract there; unsound rules are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from contracts import ContractBroken, check_contract, check_lightly, check_sound, computes
from rule_examples import ABSOLUTE, examples_of
from unsound_rules import EXAMPLES, UNSOUND, Planted

import symgraph as sg
from symgraph import Tensor
from symgraph.errors import GraphError, SymgraphError
from symgraph.functions.variables import number
from symgraph.passes.rules.engine import RuleSet, rewrite_outputs
from symgraph.passes.rules.rule import CONTRACTS, FINITE_ONLY, Rule
from symgraph.passes.rules.table import RULES

NAMES = [rule.name for rule in RULES]
FLOATS = ("float64", "float32")
#: Rules that multiply what the formula as written does not multiply: where entries are beyond the
#: square root of the largest number, such a product may overflow.
OVERFLOWING = frozenset({"product_order"})
WHOLE = ("int64", "int8", "uint8", "bool")


@dataclass(frozen=True)
class Shapes:
    """The shapes of x, y and z, the size n, and how many draws make up for few elements."""

    x: tuple[Any, ...]
    y: tuple[Any, ...]
    z: tuple[Any, ...]
    n: int = 5
    draws: int = 2


ROWS = ("n", 3)
PLAIN = Shapes(ROWS, ROWS, ROWS)
OTHERS = {
    "empty": Shapes(ROWS, ROWS, ROWS, n=0, draws=1),
    "one row": Shapes(ROWS, ROWS, ROWS, n=1, draws=5),
    "size-1 axis": Shapes((1, 3), (1, 3), (1, 3), draws=5),
    "scalars": Shapes((), (), (), draws=12),
    "vectors": Shapes(("n",), ("n",), ("n",), draws=3),
    "line and scalar": Shapes(ROWS, (3,), ()),
    "column": Shapes(("n", 1), ROWS, (3,)),
    "scalar first": Shapes((), ROWS, ("n", 1)),
    "cube": Shapes((2, "n", 3), (2, "n", 3), ("n", 3)),
}


def _inputs(dtype: str, shapes: Shapes) -> list[Tensor]:
    triple = zip("xyz", (shapes.x, shapes.y, shapes.z), strict=True)
    xs = [sg.tensor(name, shape=shape, dtype=dtype) for name, shape in triple]
    return [*xs, sg.tensor("k", shape=("n",), dtype="int64")]


def _examples(rule: Rule, *inputs: Tensor) -> Iterator[Callable[[], Tensor]]:
    if rule.name in EXAMPLES:
        return iter([partial(EXAMPLES[rule.name], *inputs)])
    return examples_of(rule, *inputs)


def _rewritten(
    rules: RuleSet, builders: Iterator[Callable[[], Tensor]]
) -> tuple[Tensor, Tensor] | None:
    """The first example that a rule fires on, before and after."""
    for build in builders:
        try:
            before = build()
        except (SymgraphError, IndexError, ValueError):  # not for this dtype or these shapes
            continue
        (after,), log = rewrite_outputs([before], rules, "test")
        if log:
            return before, after
    return None


def _used(inputs: list[Tensor], before: Tensor) -> list[Tensor]:
    graph = sg.Graph([before])
    return [v for v in inputs if v in graph] or inputs[:1]


def attempt(rule: Rule, dtype: str) -> bool:
    """Check a rule on arrays of (n, 3); whether it fired."""
    inputs = _inputs(dtype, PLAIN)
    found = _rewritten(RuleSet([rule], relaxed=True), _examples(rule, *inputs))
    if found is None:
        return False
    used = _used(inputs, found[0])
    check_contract(
        rule.contract, *found, used, rule.ulps, rule.name in ABSOLUTE, rule.name not in OVERFLOWING
    )
    return True


def attempt_shapes(rule: Rule, shapes: Shapes, dtype: str = "float64") -> bool:
    """Check a rule on arrays of other shapes; whether it fired."""
    inputs = _inputs(dtype, shapes)
    found = _rewritten(RuleSet([rule], relaxed=True), _examples(rule, *inputs))
    if found is None:
        return False
    used = _used(inputs, found[0])
    if not computes(found[0], used, shapes.n):
        return False
    check_lightly(rule.contract, *found, used, shapes.n, shapes.draws)
    return True


#: Operands that facts are known of, so that the ``sound`` condition of a rule may hold.
KNOWN: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda v: v,
    sg.sigmoid,
    sg.tanh,
    lambda v: sg.sigmoid(v) + number(1, v.dtype),
    lambda v: sg.clip(v, number(-2, v.dtype), number(2, v.dtype)),
    lambda v: sg.where(sg.isfinite(v), sg.tanh(v), number(1, v.dtype)),
    lambda v: sg.one_hot(sg.astype(v[:, 0] > 0, "int64"), 3, dtype=v.dtype),
    lambda v: sg.one_hot(sg.astype(v[:, 0] > 0, "int64"), 3, dtype=v.dtype) + number(1, v.dtype),
    sg.softmax,
    sg.exp,
)


def attempt_soundly(rule: Rule, dtype: str) -> int:
    """Check a finite-only rule where facts let it fire in the default pipeline; how often."""
    rules, fired = RuleSet([rule]), 0
    for known in KNOWN:
        *xs, k = inputs = _inputs(dtype, PLAIN)
        operands = [known(v) for v in xs] if dtype in FLOATS else xs
        found = _rewritten(rules, _examples(rule, *operands, k))
        if found is not None:
            check_sound(*found, _used(inputs, found[0]))
            fired += 1
    return fired


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_rule_fires_and_keeps_its_contract(rule: Rule) -> None:
    fired = [dtype for dtype in (*FLOATS, *WHOLE) if attempt(rule, dtype)]
    assert fired, f"{rule.name} fires on none of its examples"


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_rule_keeps_its_contract_on_other_shapes(rule: Rule) -> None:
    for what, shapes in OTHERS.items():
        try:
            attempt_shapes(rule, shapes)
        except (ContractBroken, GraphError) as error:
            raise type(error)(f"{what}: {error}") from None


CONDITIONAL = [rule for rule in RULES if rule.contract == FINITE_ONLY and rule.sound is not None]


@pytest.mark.parametrize("rule", CONDITIONAL, ids=[r.name for r in CONDITIONAL])
def test_finite_only_rule_is_sound_where_it_says_so(rule: Rule) -> None:
    fired = sum(attempt_soundly(rule, dtype) for dtype in (*FLOATS, "int64", "uint8"))
    assert fired, f"{rule.name}: no operand in KNOWN makes its sound condition hold"


def test_names_are_unique_and_contracts_known() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {rule.contract for rule in RULES} <= set(CONTRACTS)


@pytest.mark.parametrize("planted", UNSOUND, ids=[p.rule.name for p in UNSOUND])
def test_unsound_rule_is_caught(planted: Planted) -> None:
    with pytest.raises(ContractBroken):
        if planted.soundly:
            attempt_soundly(planted.rule, planted.dtype)
        elif planted.shapes is not None:
            attempt_shapes(planted.rule, OTHERS[planted.shapes])
        else:
            attempt(planted.rule, planted.dtype)


def test_sound_rules_of_the_same_kind_are_not_caught() -> None:
    """The checks fail on what is wrong, not on what is unusual."""
    for planted in UNSOUND:
        if planted.elsewhere:
            assert attempt(planted.rule, planted.elsewhere)
