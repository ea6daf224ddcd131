"""The graph around variables: outputs, order, consumers. The only mutable object, append-only."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from symgraph.errors import GraphError
from symgraph.op import Op
from symgraph.ops import leaves
from symgraph.sizes import Dim
from symgraph.tensor import Tensor, describe

__all__ = ["Graph", "ancestors", "topological"]


def topological(outputs: Iterable[Tensor], known: Container[Tensor] = ()) -> list[Tensor]:
    """The variables that ``outputs`` depend on, inputs first; those in ``known`` are left out.

    The order is that of a depth-first walk, so it depends on the graph alone.
    """
    order: list[Tensor] = []
    seen: set[Tensor] = set()
    stack: list[Any] = []
    for root in outputs:
        stack.append(root)
        while stack:
            node = stack.pop()
            if node is None:  # all that the next one needs has been walked through
                node = stack.pop()
            elif node in seen or node in known:
                continue
            else:
                inputs = node.inputs + node.after if node.after else node.inputs
                if not seen.issuperset(inputs):
                    stack += (node, None)
                    stack += inputs[::-1]
                    continue
            seen.add(node)
            order.append(node)
    return order


def ancestors(outputs: Iterable[Tensor]) -> set[Tensor]:
    """Every variable the outputs depend on, the outputs included."""
    return set(topological(outputs))


class Graph:
    """A set of outputs with everything they depend on.

    ``nodes`` is in topological order. ``get_operation``, ``get_inputs`` and ``get_consumers`` are
    the subroutines of section 6.5.6. ``equations`` are pairs of sizes that must agree when called.
    Whoever has just walked the outputs gives what :func:`topological` found as ``nodes``.

    >>> import symgraph as sg
    >>> A, B = sg.matrix("A"), sg.matrix("B")
    >>> C = A @ B
    >>> g = Graph([C])
    >>> g.get_operation(C).name, g.get_inputs(C) == (A, B), g.get_consumers(A) == [C]
    ('matmul', True, True)
    """

    def __init__(
        self,
        outputs: Iterable[Tensor],
        inputs: Sequence[Tensor] | None = None,
        equations: Iterable[tuple[Dim, Dim]] = (),
        nodes: Sequence[Tensor] | None = None,
    ) -> None:
        self.outputs: tuple[Tensor, ...] = tuple(outputs)
        self._given = None if inputs is None else tuple(inputs)
        self.nodes: list[Tensor] = []
        self._present: set[Tensor] = set()
        self._consumers: dict[Tensor, list[Tensor]] = {}
        self._indexed = 0
        self.equations: dict[tuple[Dim, Dim], Tensor | None] = dict.fromkeys(equations)
        self._add(topological(self.outputs) if nodes is None else nodes)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The declared inputs, or those found, in order of first use."""
        if self._given is not None:
            return self._given
        return tuple(n for n in self.nodes if n.op is leaves.input_)

    def append(self, outputs: Iterable[Tensor]) -> None:
        """Add variables and all they depend on; nothing is ever removed."""
        self._add(topological(outputs, self._present))

    def _add(self, new: Sequence[Tensor]) -> None:
        self._present.update(new)
        self.nodes += new
        for node in new:
            for pair in node.equations:
                self.equations.setdefault(pair, node)

    def _users(self) -> dict[Tensor, list[Tensor]]:
        """The consumers of every node, brought up to date."""
        found = self._consumers
        for node in self.nodes[self._indexed :]:
            found[node] = []
            for i in dict.fromkeys(node.inputs):
                found[i].append(node)
        self._indexed = len(self.nodes)
        return found

    def __contains__(self, x: Tensor) -> bool:
        return x in self._present

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<graph of {len(self.nodes)} nodes, {len(self.outputs)} outputs>"

    def __str__(self) -> str:
        from symgraph.printer import print_graph

        return print_graph(self)

    def _member(self, v: Tensor) -> Tensor:
        if v not in self._present:
            raise GraphError(f"{describe(v)} is not in this graph")
        return v

    def get_operation(self, v: Tensor) -> Op:
        """The operation that computes ``v``."""
        return self._member(v).op

    def get_inputs(self, v: Tensor) -> tuple[Tensor, ...]:
        """The parents of ``v``, repeats included."""
        return self._member(v).inputs

    def get_consumers(self, v: Tensor) -> list[Tensor]:
        """The children of ``v`` in this graph, each once, in order."""
        return list(self._users()[self._member(v)])

    def depth(self) -> int:
        """The number of operations on the longest path (Fig. 1.3); leaves count nothing."""
        depths: dict[Tensor, int] = {}
        for n in self.nodes:
            below = [depths[i] for i in n.inputs]
            depths[n] = 1 + max(below, default=0) if n.inputs else 0
        return max((depths[o] for o in self.outputs), default=0)

    def count(self, *names: str) -> int:
        """How many nodes are one of the named operations."""
        return sum(n.op.name in names for n in self.nodes)
