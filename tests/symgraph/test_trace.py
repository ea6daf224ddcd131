"""The trace of a compilation: queries, counts, the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from traced_models import naive_cross_entropy, softplus_by_hand

import symgraph as sg
from symgraph.errors import UsageError
from symgraph.passes.trace import ROWS, Rewrite, Rewrites


def test_rewrites_are_a_tuple_of_rewrites() -> None:
    found = naive_cross_entropy().rewrites
    assert isinstance(found, tuple) and len(found) > 3
    assert all(isinstance(r, Rewrite) for r in found) and found[0] in found


def test_queries_by_rule_contract_and_pass_agree_with_a_scan() -> None:
    found = naive_cross_entropy().rewrites
    for field in ("rule", "contract", "pass_name"):
        for value in {getattr(r, field) for r in found}:
            wanted = [r for r in found if getattr(r, field) == value]
            assert list(found.by(**{field: value})) == wanted
    assert len(found.by()) == len(found) and len(found.by(rule="no such rule")) == 0


def test_queries_combine_and_chain() -> None:
    found = naive_cross_entropy().rewrites
    first = found[0]
    both = found.by(rule=first.rule, contract=first.contract)
    assert both == found.by(rule=first.rule).by(contract=first.contract)
    assert first in both and isinstance(both, Rewrites)


def test_queries_by_line() -> None:
    found = softplus_by_hand().rewrites
    line = found[0].line
    assert line is not None
    for place in (line, line.line, str(line), f"traced_models.py:{line.line}"):
        assert found.by(line=place) == found
    assert not found.by(line=line.line + 1000) and not found.by(line="elsewhere.py:1")


def test_counts_add_up() -> None:
    found = naive_cross_entropy().rewrites
    counts = found.counts()
    assert sum(counts.values()) == len(found)
    assert list(counts) == list(dict.fromkeys(r.rule for r in found))


def test_the_table_has_a_row_for_each_rewrite_with_its_line() -> None:
    found = naive_cross_entropy().rewrites
    head, *rows = str(found).splitlines()
    assert head.split() == ["pass", "rule", "contract", "line", "rewrite"]
    assert len(rows) == len(found)
    for row, r in zip(rows, found, strict=True):
        assert row.split()[:3] == [r.pass_name, r.rule, r.contract]
        assert f"{Path(__file__).with_name('traced_models.py').name}:" in row and " -> " in row


def test_the_table_says_how_many_rows_it_leaves_out() -> None:
    one = softplus_by_hand().rewrites[0]
    many = Rewrites([one] * (ROWS + 7))
    lines = str(many).splitlines()
    assert len(lines) == ROWS + 2 and lines[-1] == "... and 7 more"


def test_what_would_read_the_same_names_its_operations() -> None:
    x, a = sg.vector("x", shape="n"), sg.scalar("a")
    y = sg.multiply(sg.broadcast_to(a / 70.5, x.shape), x)
    (r,) = sg.function([x, a], y, backend="reference").rewrites.by(rule="broadcast_implicit")
    assert r.change() == "multiply(broadcast_to(a / 70.5, n), x) -> multiply(a / 70.5, x)"
    assert r.change() in str(r)


def test_a_slice_answers_questions_too() -> None:
    found = naive_cross_entropy().rewrites
    assert isinstance(found[:2], Rewrites) and tuple(found[:2]) == (found[0], found[1])


def test_a_contract_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="contract='stabilizing' is none of exact, rounding"):
        softplus_by_hand().rewrites.by(contract="stabilizing")


def test_a_line_that_is_none_is_refused() -> None:
    place: Any = 3.5
    with pytest.raises(UsageError, match=r"line=3\.5 is not a number, a place such as"):
        softplus_by_hand().rewrites.by(line=place)


def test_what_a_trace_tells_is_in_the_graph_where_sizes_are_found_while_running() -> None:
    x = sg.vector("x")
    f = sg.function([x], sg.sum(sg.log(1 + sg.exp(x[x > 0]))), backend="reference")
    (r,) = f.rewrites
    assert r.after.op.name == "softplus" and f.graph.count("softplus") == 1


def test_no_rewrites_say_so() -> None:
    x = sg.vector("x")
    assert str(sg.function([x], x + 1, backend="reference", passes=()).rewrites) == "no rewrites"


@pytest.mark.parametrize("depth", [10, 3000])
def test_a_row_is_short_whatever_the_graph(depth: int) -> None:
    x = sg.vector("x", shape="n")
    y = x
    for _ in range(depth):
        y = sg.sin(y) + x
    f = sg.function([x], sg.log(1 + sg.exp(y)), backend="reference")
    assert f.rewrites and all(len(row) < 260 for row in str(f.rewrites).splitlines())
    assert all(len(str(r)) < 400 for r in f.rewrites)
