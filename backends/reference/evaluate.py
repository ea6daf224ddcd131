"""Evaluate a graph with NumPy, in topological order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from symgraph.errors import IndexRangeError, ShapeError, UsageError
from symgraph.graph import Graph
from symgraph.ops import index as index_ops
from symgraph.ops import leaves
from symgraph.ops.reduction import nothing
from symgraph.origins import root_line
from symgraph.sizes import Atom, Dim, Size, evaluate, lone_atom, symbols_of
from symgraph.tensor import Tensor, describe
from symgraph.types import TensorType, shape_text

__all__ = ["Extents", "bind_sizes", "check_equations", "evaluate_graph", "resolve"]

Array = np.ndarray[Any, Any]


class Shaped(Protocol):
    """An array, or what stands for one where only its shape is known."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True)
class Extents:
    """Stands for an array of which only the shape is known."""

    shape: tuple[int, ...]


Observer = Callable[[Tensor, Any], None]


def resolve(value: Any, sizes: Mapping[Atom, int]) -> Any:
    """An attribute with its sizes replaced by numbers."""
    if isinstance(value, Size):
        return evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(resolve(v, sizes) for v in value)
    return value


def bind_sizes(pairs: Iterable[tuple[Tensor, Shaped]]) -> dict[Atom, int]:
    """The value of every size symbol, read off the arrays of inputs and shared variables.

    Raises:
        ShapeError: an array disagrees with the declared shape or with another array.
    """
    sizes: dict[Atom, int] = {}
    made: dict[Atom, tuple[int, Tensor]] = {}
    later: list[tuple[Tensor, int, Dim, int]] = []
    for variable, array in pairs:
        for axis, (dim, extent) in enumerate(zip(variable.shape, array.shape, strict=True)):
            atom = lone_atom(dim)
            if atom is None or atom.kind != "symbol":
                later.append((variable, axis, dim, extent))
            elif sizes.setdefault(atom, extent) != extent:
                first, source = made[atom]
                raise ShapeError(
                    f"axis {axis} of {describe(variable)} has size {extent}, but {atom.name} is "
                    f"{sizes[atom]} from axis {first} of {describe(source)}"
                )
            else:
                made.setdefault(atom, (axis, variable))
    for variable, axis, dim, extent in later:
        if not symbols_of(dim) <= sizes.keys():
            continue
        wanted = evaluate(dim, sizes)
        if wanted != extent:
            spelled = f"{dim} = {wanted}" if isinstance(dim, Size) else str(dim)
            raise ShapeError(
                f"axis {axis} of {describe(variable)} has size {extent}; "
                f"declared {shape_text(variable.shape)}, so {spelled} is wanted"
            )
    return sizes


def check_equations(graph: Graph, sizes: Mapping[Atom, int], complete: bool = True) -> None:
    """Raise where two sizes that must agree do not; those not known yet are left for later."""
    for (a, b), node in graph.equations.items():
        if not (symbols_of(a) | symbols_of(b)) <= sizes.keys():
            if complete:
                raise UsageError(f"the sizes {a} and {b} are not determined by the inputs")
            continue
        left, right = evaluate(a, sizes), evaluate(b, sizes)
        if left != right:
            raise size_error(node, a, b, left, right)


#: The reductions that need an element, by what they are of nothing.
_WITHOUT_IDENTITY = {
    "max": "max", "min": "min", "argmax": "argmax", "argmin": "argmin", "max_and_argmax": "max",
}  # fmt: skip


def size_error(node: Tensor | None, a: Dim, b: Dim, left: int, right: int) -> Exception:
    """The error for two sizes that turned out different when called."""
    line = root_line(node.origin) if node is not None else None
    where = f" in {node.op.name}" + (f" made at {line}" if line else "") if node is not None else ""
    left_text, right_text = (_measured(node, d, n) for d, n in ((a, left), (b, right)))
    if (
        isinstance(a, Size)
        and str(a).startswith("max(")
        and node is not None
        and node.op.name in ("slice", "place")
    ):
        return IndexRangeError(
            f"an index{where} is out of range for an axis of size {right}: it needs at least "
            f"{left} elements"
        )
    if isinstance(a, Size) and node is not None and node.op.name in _WITHOUT_IDENTITY:
        axis = next(k for k in node.attrs["axis"] if node.inputs[0].shape[k] == b)
        text = nothing(_WITHOUT_IDENTITY[node.op.name], axis)
        return ShapeError(f"an axis is empty{where}: of {describe(node.inputs[0])}, {text}")
    cure = "; pass arrays whose sizes agree"
    if 1 in (left, right) and isinstance(a, Size) and isinstance(b, Size):
        cure = (
            "; a size of 1 known only at run time does not broadcast: "
            "use expand_dims or broadcast_to"
        )
    return ShapeError(f"sizes differ{where}: {left_text} and {right_text}{cure}")


def _measured(node: Tensor | None, dim: Dim, value: int) -> str:
    """A size with what it turned out to be, and the operand's axis that has it."""
    text = f"{dim} is {value}" if isinstance(dim, Size) else f"{value} is wanted"
    if node is None or not isinstance(dim, Size):
        return text
    for x in node.inputs:
        if isinstance(x.type, TensorType) and dim in x.type.shape:
            return f"{text} (axis {x.type.shape.index(dim)} of {describe(x)})"
    return text


def evaluate_graph(
    graph: Graph,
    values: Mapping[Tensor, Array],
    observer: Observer | None = None,
) -> list[Array]:
    """The values of the outputs, given arrays for the inputs and shared variables.

    ``observer(node, value)`` is called after each node. Warnings of NumPy are silenced: the result
    is
    what IEEE arithmetic gives.
    """
    sizes = bind_sizes((v, a) for v, a in values.items())
    check_equations(graph, sizes, complete=False)
    results: dict[Tensor, Any] = dict(values)
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            if node not in results:
                results[node] = _evaluate_node(node, results, sizes)
                if node.op is index_ops.nonzero:
                    _bind_count(graph, node, results[node], sizes)
            if observer is not None:
                observer(node, results[node])
    return [np.asarray(results[o]) for o in graph.outputs]


def _bind_count(graph: Graph, node: Tensor, value: Array, sizes: dict[Atom, int]) -> None:
    for atom in symbols_of(node.attrs["count"]):
        if atom.kind == "count":
            sizes[atom] = len(value)
    check_equations(graph, sizes, complete=False)


def _evaluate_node(node: Tensor, results: Mapping[Tensor, Any], sizes: Mapping[Atom, int]) -> Any:
    if node.op in (leaves.input_, leaves.shared):
        raise UsageError(f"no value was given for {describe(node)}")
    arrays = [results[i] for i in node.inputs]
    if node.op.elementwise:
        # NumPy has other code, with other last bits, for strided arrays
        arrays = [a if 0 in a.strides else np.asarray(a, order="C") for a in arrays]
    known = node.op is not index_ops.nonzero  # a count is what nonzero finds out
    attrs = {k: resolve(v, sizes) if known else v for k, v in node.attrs.items()}
    try:
        out = node.op.evaluate(*arrays, **attrs)
    except IndexRangeError as error:
        line = root_line(node.origin)
        raise IndexRangeError(f"{error}" + (f"; made at {line}" if line else "")) from None
    if isinstance(out, tuple):
        return out
    out = np.asarray(out)
    wanted = node.type.dtype
    return out if out.dtype == wanted else out.astype(wanted)
