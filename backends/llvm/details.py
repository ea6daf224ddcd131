"""What a function tells beside running: its graph, its kernels, the reasons of its errors.

A function just compiled knows all that. One whose program came from the cache finds it out when it
is first asked, by compiling its graph again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgraph.backends.llvm.conversion import converter
from symgraph.backends.llvm.function import LLVMFunction
from symgraph.backends.llvm.libraries import Code
from symgraph.backends.llvm.python_call import PythonCall
from symgraph.backends.llvm.runtime.callable import make_callable
from symgraph.backends.llvm.runtime.program import Program
from symgraph.backends.reference.evaluate import Extents, bind_sizes, check_equations
from symgraph.errors import IndexRangeError
from symgraph.graph import Graph
from symgraph.locks import lock_across_forks
from symgraph.origins import root_line
from symgraph.program import Signature
from symgraph.tensor import Tensor

if TYPE_CHECKING:
    from symgraph.backends.llvm.assemble import Assembly
    from symgraph.backends.llvm.kernel import Call

__all__ = ["Details", "Later", "Made", "build_function", "count_slots", "nonzero_nodes"]

_lock = lock_across_forks()


@dataclass(frozen=True, slots=True)
class Made:
    """What the backend made of a graph.

    ``codes`` names what each kernel call runs, ``entries`` tells where each of its kernels is kept.
    """

    calls: tuple[Call, ...]
    assembly: Assembly
    codes: tuple[str | Code, ...]
    entries: dict[str, str]


@dataclass(frozen=True, slots=True)
class Details:
    """All of it, known from the beginning."""

    graph: Graph
    rewrites: Sequence[Any]
    made: Made


class Later:
    """All of it, found out when it is asked for.

    ``run_passes`` makes the graph and its rewrites again, ``build`` the rest from the graph.
    ``nodes`` and ``codes`` say what must come out.

    Raises RuntimeError where something else comes out, a fault of the compiler's.
    """

    def __init__(
        self,
        name: str,
        run_passes: Callable[[], tuple[Graph, Sequence[Any]]],
        build: Callable[[Graph], Made],
        nodes: int,
        codes: tuple[str | Code, ...],
    ) -> None:
        self._name, self._run_passes, self._build = name, run_passes, build
        self._nodes, self._codes = nodes, codes
        self._passed: tuple[Graph, Sequence[Any]] | None = None
        self._made: Made | None = None

    def _pass(self) -> tuple[Graph, Sequence[Any]]:
        with _lock:
            if self._passed is None:
                found = self._run_passes()
                self._same(len(found[0]) == self._nodes)
                self._passed = found
            return self._passed

    def _same(self, same: bool) -> None:
        if not same:
            raise RuntimeError(
                f"{self._name}: its program came from the cache, and compiling it again gives "
                "another one: that is a fault of symgraph's; run with SYMGRAPH_CACHE=0 or delete "
                f"the cache folder, and compile {self._name} again"
            )

    @property
    def graph(self) -> Graph:
        return self._pass()[0]

    @property
    def rewrites(self) -> Sequence[Any]:
        return self._pass()[1]

    @property
    def made(self) -> Made:
        with _lock:
            if self._made is None:
                found = self._build(self.graph)
                self._same(found.codes == self._codes)
                self._made = found
            return self._made


# ---- the callable --------------------------------------------------------------------------------


def build_function(
    signature: Signature,
    original: Graph,
    program: Program,
    details: Details | Later,
    counts: tuple[int, ...],
    nodes: int,
) -> LLVMFunction:
    """The function that runs ``program``; ``counts`` are the slots of its sizes known late (see
    `count_slots`), ``nodes`` how many nodes its graph has."""
    explain, fail = _explainer(signature, program, counts, details), _failure(details)
    convert = converter(signature)

    def make(program: Program) -> Any:
        by_python = PythonCall(signature, lambda: details.graph, convert)
        made = make_callable(program, LLVMFunction, convert, explain, fail, by_python)
        by_python.function = weakref.ref(made)
        return made

    f: LLVMFunction = make(program)
    f.signature, f.original, f._nodes = signature, original, nodes
    f._details, f._make, f._convert = details, make, convert
    return f


def nonzero_nodes(graph: Graph) -> list[Tensor]:
    """The nodes that find out a size while the program runs."""
    return [n for n in graph.nodes if n.op.name == "nonzero"]


def count_slots(graph: Graph, assembly: Assembly) -> tuple[int, ...]:
    """For each of those nodes, the slot that its size is written to (-1: none)."""
    slots = assembly.count_slots
    if not slots:
        return ()
    atoms = [a for n in nonzero_nodes(graph) for a in n.attrs["count"].counts]
    return tuple([slots.get(a, -1) for a in atoms])


def _explainer(
    signature: Signature, program: Program, counts: tuple[int, ...], details: Details | Later
) -> Callable[..., Exception]:
    rows, inputs = [spec.dims for spec in program.inputs], signature.inputs

    def explain(kind: int, number: int, slots: tuple[int, ...]) -> Exception:
        graph = details.graph
        shapes = [Extents(tuple(slots[s] for s in row)) for row in rows]
        sizes = bind_sizes(zip(inputs, shapes, strict=True))
        if counts:
            for node, found in zip(nonzero_nodes(graph), counts, strict=True):
                (atom,) = node.attrs["count"].counts
                if found >= 0 and slots[found] >= 0:
                    sizes[atom] = slots[found]
        check_equations(graph, sizes, complete=False)
        return SystemError(f"size check {number} failed without a reason; slots {slots}")

    return explain


def _failure(details: Details | Later) -> Callable[..., Exception]:
    def fail(step: int, status: int, record: tuple[int, ...]) -> Exception:
        call = details.made.assembly.calls[step]
        culprit = call.nest.items[status - 1].node if call.nest is not None else call.node
        line = root_line(culprit.origin) if culprit is not None else None
        return IndexRangeError(
            f"index: index {record[0]} is out of range for an axis of size {record[1]}"
            + (f"; made at {line}" if line else "")
        )

    return fail
