"""Nothing is forgotten: every operation has a type rule, a value, a derivative and rows."""

from __future__ import annotations

import numpy as np
import pytest
from op_case import variables
from op_cases import CASES

import symgraph as sg
from symgraph.op import Op, Undefined
from symgraph.ops import OPS
from symgraph.passes.derivatives import derivative_of

#: Leaves have a value from elsewhere and nothing to differentiate by.
LEAVES = {"input", "shared", "constant", "size", "iota"}

#: Public functions that compute nothing element by element: they declare, derive or compile.
OTHERWISE_TESTED = {
    "IndexedUpdate", "SharedVariable", "call_array_function", "call_ufunc", "matrix", "scalar",
    "shared", "tensor", "tensor3", "vector",
}  # fmt: skip

WITHOUT_LEAVES = [op for name, op in OPS.items() if name not in LEAVES]


def names(ops: list[Op]) -> list[str]:
    """Names of parameter sets."""
    return [op.name for op in ops]


@pytest.fixture(scope="module")
def used() -> dict[str, set[str]]:
    """For every operation, the rows whose graphs hold it."""
    found: dict[str, set[str]] = {}
    for case in CASES:
        xs = variables(case, case.dtypes[0])
        for node in sg.Graph([case.build(*xs)]).nodes:
            found.setdefault(node.op.name, set()).add(case.op)
    return found


@pytest.mark.parametrize("op", list(OPS.values()), ids=list(OPS))
def test_type_rule_and_value(op: Op) -> None:
    assert callable(op.infer) and callable(op.evaluate)
    assert op.name in OPS and OPS[op.name] is op


@pytest.mark.parametrize("op", WITHOUT_LEAVES, ids=names(WITHOUT_LEAVES))
def test_has_its_own_rows(op: Op, used: dict[str, set[str]]) -> None:
    """A row is named after the operation, and its graph really holds it."""
    assert op.name in used, f"{op.name} is in no row's graph"
    own = {"getitem" if op.name == "slice" else op.name, op.name}
    assert own & used[op.name], f"no row of tests/table is named {op.name} and holds it"


@pytest.mark.parametrize("op", WITHOUT_LEAVES, ids=names(WITHOUT_LEAVES))
def test_derivative_or_reason(op: Op) -> None:
    """Every operation states a derivative, both ways, or the reason why there is none."""
    rule = derivative_of(op)
    if op.name == "item":  # a projection: the drivers hand its part on themselves
        assert rule is None
        return
    assert rule is not None, f"{op.name} states no derivative"
    stated = [rule.partials, rule.transpose, rule.bprop]
    assert sum(s is not None for s in stated) == 1, f"{op.name} states several derivatives"
    if rule.bprop is not None:
        assert rule.jvp is not None, f"{op.name} has no forward mode of its own"


def _reasons(op: Op) -> list[str]:
    rule = derivative_of(op)
    if rule is None or rule.partials is None:
        return []
    example = next(c for c in CASES if c.op == op.name)
    node = example.build(*variables(example, example.dtypes[0]))
    if node.op is not op:
        return []
    return [p.reason for p in rule.partials(node) if isinstance(p, Undefined)]


@pytest.mark.parametrize("op", WITHOUT_LEAVES, ids=names(WITHOUT_LEAVES))
def test_rows_differentiate_what_can_be(op: Op) -> None:
    """An operation that no row differentiates has a discrete result, or says why."""
    rows = [c for c in CASES if c.op == op.name]
    if not rows or any(c.order >= 2 for c in rows):
        return
    result = rows[0].build(*variables(rows[0], rows[0].dtypes[0]))
    discrete = result.dtype.kind != "f" or bool(_reasons(op))
    assert discrete or op.name == "stop_gradient", f"{op.name} is never differentiated"


def test_reasons_are_sentences() -> None:
    """The reasons users read."""
    said = {r for op in WITHOUT_LEAVES for r in _reasons(op)}
    assert said and all(len(r.split()) > 3 for r in said)


def test_public_functions_are_in_the_table() -> None:
    from symgraph import functions
    from symgraph.functions import aliases

    tested = {c.op for c in CASES} | {"at", *OTHERWISE_TESTED, *aliases.__all__}
    nn = {name for name in functions.__all__ if _home(name).endswith(("activations", "losses"))}
    missing = {n for n in functions.__all__ if not n.startswith("_")} - tested - nn
    assert not missing, f"in no row of tests/table: {sorted(missing)}"


def _home(name: str) -> str:
    from symgraph import functions

    return str(getattr(getattr(functions, name), "__module__", ""))


def test_rows_are_told_apart() -> None:
    """No two rows share a name, so a failure names one of them."""
    ids = [c.id for c in CASES]
    assert len(set(ids)) == len(ids), sorted({i for i in ids if ids.count(i) > 1})


def test_declared_traits_hold() -> None:
    """Commutative and associative operations are, on numbers; idempotent ones repeat nothing."""
    a, b, c = (np.array(v, np.int64) for v in (6, 3, 5))
    for op in OPS.values():
        kind = [v.astype(bool) if op.name.startswith("logical") else v for v in (a, b, c)]
        if op.name in ("logaddexp", "hypot"):
            kind = [v.astype(np.float64) for v in (a, b, c)]
        x, y, z = kind
        if "commutative" in op.traits:
            assert op.evaluate(x, y) == op.evaluate(y, x)
        if "associative" in op.traits:
            left, right = op.evaluate(op.evaluate(x, y), z), op.evaluate(x, op.evaluate(y, z))
            assert np.allclose(left, right, rtol=1e-15), op.name
        if "idempotent" in op.traits and "commutative" in op.traits:
            assert op.evaluate(x, x) == x
