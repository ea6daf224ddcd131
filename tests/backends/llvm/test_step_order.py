"""The order of steps stays topological while edges are added and steps merge."""

from __future__ import annotations

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.backends.llvm.step_order import StepOrder


class Steps:
    """Named steps with what they read; merged ones answer for both."""

    def __init__(self) -> None:
        self.read: dict[str, set[str]] = {}
        self.order: StepOrder[str] = StepOrder(lambda s: sorted(self.read[s]))

    def append(self, name: str, read: set[str]) -> None:
        self.read[name] = set(read)
        self.order.append(name, sorted(read))

    def connect(self, name: str, read: set[str]) -> None:
        self.read[name] |= read
        self.order.connect(sorted(read), name)

    def contract(self, kept: str, gone: str) -> None:
        self.read[kept] = (self.read[kept] | self.read.pop(gone)) - {kept, gone}
        for reads in self.read.values():
            if gone in reads:
                reads.remove(gone)
                reads.add(kept)
        self.read[kept].discard(kept)
        self.order.contract(kept, gone)

    def graph(self) -> nx.DiGraph:
        g = nx.DiGraph()
        g.add_nodes_from(self.read)
        g.add_edges_from((r, s) for s, reads in self.read.items() for r in reads)
        return g

    def check(self) -> None:
        steps = self.order.steps()
        assert sorted(steps) == sorted(self.read)
        place = {s: k for k, s in enumerate(steps)}
        assert all(place[r] < place[s] for s, reads in self.read.items() for r in reads)


def test_an_edge_against_the_order_reorders() -> None:
    steps = Steps()
    for name in "abc":
        steps.append(name, set())
    steps.connect("a", {"c"})
    assert steps.order.steps().index("c") < steps.order.steps().index("a")


def test_depends_looks_through_other_steps() -> None:
    steps = Steps()
    steps.append("a", set())
    steps.append("b", {"a"})
    steps.append("c", {"b", "a"})
    order = steps.order
    assert order.depends("c", "a") and order.depends("a", "a") and not order.depends("a", "c")
    assert order.depends_indirectly("c", "a") and not order.depends_indirectly("b", "a")


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.data())
def test_the_order_is_topological_after_any_changes(data: st.DataObject) -> None:
    """Appends, edges and merges that keep the graph acyclic, against networkx."""
    steps = Steps()
    for k in range(data.draw(st.integers(1, 20))):
        names = sorted(steps.read)
        action = data.draw(st.sampled_from(["append", "append", "connect", "contract"]))
        if action == "append" or len(names) < 2:
            read = data.draw(st.sets(st.sampled_from(names), max_size=3)) if names else set()
            steps.append(f"s{k}", read)
            continue
        a, b = data.draw(st.permutations(names))[:2]
        paths = steps.graph()
        if action == "connect" and not nx.has_path(paths, a, b):
            assert not steps.order.depends(b, a)
            steps.connect(a, {b})
        elif action == "contract" and not _through_a_third(paths, a, b):
            steps.contract(a, b)
        steps.check()


def _through_a_third(graph: nx.DiGraph, a: str, b: str) -> bool:
    """Whether merging a and b would close a cycle."""
    direct = graph.copy()
    for edge in ((a, b), (b, a)):
        if direct.has_edge(*edge):
            direct.remove_edge(*edge)
    return bool(nx.has_path(direct, a, b) or nx.has_path(direct, b, a))
