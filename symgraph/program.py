"""Compiled functions: what every backend's callable shares (its signature, its graph, its
views)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from symgraph.errors import UnsupportedError, UsageError
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.passes.trace import Rewrites
from symgraph.tensor import Tensor

__all__ = ["Function", "Signature", "list_results", "shape_results"]


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


def list_results(signature: Signature, results: Any) -> list[np.ndarray[Any, Any]]:
    """The results in order, whatever form they came in."""
    if signature.form == "one":
        return [results]
    if signature.form == "dict":
        return [results[key] for key in signature.keys]
    return list(results or ())


class Function:
    """A compiled function: arrays in, arrays out.

    ``graph`` is the optimised graph (its outputs, then the new values of updated variables),
    ``original`` the graph before any pass, ``rewrites`` what the rules did.
    """

    signature: Signature
    graph: Graph
    original: Graph
    rewrites: Rewrites

    def _set(
        self, signature: Signature, graph: Graph, original: Graph, rewrites: Sequence[Any]
    ) -> None:
        self.signature, self.graph, self.original = signature, graph, original
        self.rewrites = Rewrites(rewrites)

    def _deliver(
        self,
        values: Sequence[np.ndarray[Any, Any]],
        targets: Sequence[np.ndarray[Any, Any]] | None = None,
    ) -> Any:
        """Store the new values of updated variables, which follow the results; shape those.

        With ``targets`` the results are copied into these arrays, which are what is returned.
        """
        signature = self.signature
        new = values[signature.n_outputs :]
        for variable, value in zip(signature.updated, new, strict=True):
            variable.cell.replace(value)
        results = values[: signature.n_outputs]
        if targets is None:
            return shape_results(signature, results)
        for target, value in zip(targets, results, strict=True):
            np.copyto(target, value)
        return shape_results(signature, targets)

    @property
    def name(self) -> str:
        return self.signature.name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError("a backend supplies the call")

    def __repr__(self) -> str:
        names = ", ".join(i.name or f"#{k}" for k, i in enumerate(self.signature.inputs))
        return f"<symgraph function {self.name}({names}), {self._size()} nodes>"

    def _size(self) -> int:
        """How many nodes the graph has."""
        return len(self.graph)

    def __str__(self) -> str:
        from symgraph.printer import print_function

        return print_function(self)

    def replay(self, *arrays: Any, seed: int = 0) -> Any:
        """Compute both sides of every rewrite again and compare them, each by its contract.

        ``arrays`` are the arguments of a call; without any, small ones are drawn. Returns a
        :class:`~symgraph.replay.Replay`; its ``str()`` is a table, ``passed`` says whether all is
        well, ``failures`` names the steps that broke their contract.
        """
        from symgraph.replay import replay

        return replay(self, arrays, seed)

    def audit(self, samples: int = 6, seed: int = 0, per_rule: int = 3) -> Any:
        """Measure the rounding error of every rule that fired against arithmetic of many digits,
        before and after, and that of the whole function.

        ``samples`` arguments are drawn, ordinary ones and boundary ones in turn; at most
        ``per_rule`` rewrites of each rule are measured. Returns an
        :class:`~symgraph.audit.Audit`; its ``str()`` is a table that also says what was left out.

        Raises:
            UnsupportedError: mpmath is not installed (``pip install 'symgraph[audit]'``).
        """
        from symgraph.audit import audit

        return audit(self, samples, seed, per_rule)

    def profile(self, *args: Any, rounds: int = 20, **kwargs: Any) -> Any:
        """Time, bytes and operations of every kernel, measured over ``rounds`` calls."""
        raise UnsupportedError(
            f"{self.name} has no kernels to profile; compile it with backend='llvm', without "
            "check_finite and with shared variables of fixed shape"
        )

    def to_networkx(self) -> Any:
        """The optimised graph as a networkx.DiGraph; node attributes op, type, name, origin
        (strings)."""
        from symgraph.views import to_networkx

        return to_networkx(self.graph)

    def to_dot(self, path: str | PathLike[str] | None = None) -> str:
        """The optimised graph in the dot language; written to the file ``path`` too, if given."""
        from symgraph.views import to_dot, written

        return written(to_dot(self.graph), path, "to_dot")

    def to_svg(self, path: str | PathLike[str] | None = None) -> str:
        """The optimised graph drawn by graphviz; written to the file ``path`` too, if given.

        Raises:
            UnsupportedError: the program ``dot`` is not installed.
        """
        from symgraph.views import to_svg, written

        return written(to_svg(self.graph), path, "to_svg")

    def to_html(self, path: str | PathLike[str] | None = None, *, title: str | None = None) -> str:
        """The optimised graph as a self-contained page of HTML with a picture; written to the file
        ``path`` too, if given. Needs no graphviz.
        """
        from symgraph.views import to_html, written

        return written(to_html(self, title), path, "to_html")

    def peak_bytes(self, *arrays: Any, **sizes: int) -> int:
        """The bytes that a call holds at once, beside its arguments and shared variables."""
        raise UnsupportedError(
            f"{self.name} was compiled by a backend that does not plan its memory; use "
            "backend='llvm'"
        )

    def release(self) -> None:
        """Let go of the memory kept for further calls; a backend that keeps none does nothing."""

    @property
    def ctypes(self) -> Any:
        """A ctypes function of doubles that computes the one result, a number."""
        raise self._no_code()

    @property
    def address(self) -> int:
        """Where a C function of doubles that computes the one result stands."""
        raise self._no_code()

    def as_low_level_callable(self, signature: str | None = None, user_data: Any = None) -> Any:
        """A ``scipy.LowLevelCallable`` of the C function."""
        raise self._no_code()

    def _no_code(self) -> UnsupportedError:
        return UnsupportedError(
            f"{self.name} cannot be called from C: it is evaluated by Python; compile it with "
            "backend='llvm', without check_finite, of shared variables whose shapes are fixed"
        )

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

    def stages(self) -> str:
        """The loop nests and other kernels of the program, in order, as text."""
        raise UnsupportedError(
            f"{self.name} was compiled by a backend that evaluates node by node; print({self.name})"
            " shows the nodes, backend='llvm' makes kernels"
        )

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UsageError(
            f"{self.name}: a compiled function cannot be pickled; save the values of its shared "
            "variables (w.get_value()), and compile again where they are loaded"
        )
