"""Compiled functions: what every backend's callable shares (its signature, its graph, its
views)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import UnsupportedError
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.tensor import Tensor

__all__ = ["Function", "Signature", "shape_results"]


@dataclass(frozen=True, slots=True)
class Signature:
    """How a function is called: its inputs, the form of its results, the variables it updates."""

    name: str
    inputs: tuple[Tensor, ...]
    n_outputs: int
    form: str
    keys: tuple[str, ...]
    updated: tuple[SharedVariable, ...]


def shape_results(signature: Signature, results: Sequence[np.ndarray[Any, Any]]) -> Any:
    """The results in the form the user asked for."""
    if signature.form == "one":
        return results[0]
    if signature.form == "dict":
        return dict(zip(signature.keys, results, strict=True))
    if signature.form == "none":
        return None
    return list(results) if signature.form == "list" else tuple(results)


class Function:
    """A compiled function: arrays in, arrays out.

    ``graph`` is the optimised graph (its outputs, then the new values of updated variables),
    ``original`` the graph before any pass, ``rewrites`` what the rules did.
    """

    signature: Signature
    graph: Graph
    original: Graph
    rewrites: tuple[Any, ...]

    def _set(
        self, signature: Signature, graph: Graph, original: Graph, rewrites: Sequence[Any]
    ) -> None:
        self.signature, self.graph, self.original = signature, graph, original
        self.rewrites = tuple(rewrites)

    def _deliver(self, values: Sequence[np.ndarray[Any, Any]]) -> Any:
        """Store the new values of updated variables, which follow the results; shape those."""
        signature = self.signature
        new = values[signature.n_outputs :]
        for variable, value in zip(signature.updated, new, strict=True):
            variable.cell.replace(value)
        return shape_results(signature, values[: signature.n_outputs])

    @property
    def name(self) -> str:
        return self.signature.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError("a backend supplies the call")

    def __repr__(self) -> str:
        names = ", ".join(i.name or f"#{k}" for k, i in enumerate(self.signature.inputs))
        return f"<symgraph function {self.name}({names}), {len(self.graph)} nodes>"

    def __str__(self) -> str:
        from symgraph.printer import print_function

        return print_function(self)

    def to_networkx(self) -> Any:
        """The optimised graph as a networkx.DiGraph; node attributes op, type, name, origin
        (strings)."""
        from symgraph.views import to_networkx

        return to_networkx(self.graph)

    def to_dot(self) -> str:
        """The optimised graph in the dot language."""
        from symgraph.views import to_dot

        return to_dot(self.graph)

    def to_svg(self) -> str:
        """The optimised graph drawn by graphviz; raises UnsupportedError where ``dot`` is not
        installed."""
        from symgraph.views import to_svg

        return to_svg(self.graph)

    def to_html(self, title: str | None = None) -> str:
        """The optimised graph as a self-contained page of HTML with a picture; needs no
        graphviz."""
        from symgraph.views import to_html

        return to_html(self, title)

    def llvm_ir(self) -> str:
        """The LLVM IR of the program's kernels."""
        raise UnsupportedError(
            f"{self.name} was compiled by a backend without LLVM IR; use backend='llvm'"
        )

    def assembly(self) -> str:
        """The machine code of the program's kernels as assembly text."""
        raise UnsupportedError(
            f"{self.name} was compiled by a backend without assembly; use backend='llvm'"
        )
