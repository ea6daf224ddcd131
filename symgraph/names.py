"""Names for what a printed graph mentions: unique in one text, and the same in every run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.ops import leaves
from symgraph.origins import Derived, Origin, root_line
from symgraph.sizes import Dim, Size
from symgraph.tensor import Tensor
from symgraph.types import TensorType, Type

__all__ = ["Names", "number_text", "origin_text"]

_NAMELESS = re.compile(r"\b_(count)?[0-9]+\b")
_PREFIX = {"input": "in", "shared": "shared"}


class Names:
    """Names of leaves and sizes, given in order of first appearance.

    Inputs and shared variables keep the user's name; a second one of the same name gets ``_2``, one
    without a name is ``in1``, ``in2``, ... or ``shared1``, ... Sizes nobody has named are ``_1``,
    ``_2``, ..., sizes found out by the graph ``_count1``, ...
    """

    def __init__(self, nodes: Iterable[Tensor]) -> None:
        variables = [n for n in dict.fromkeys(nodes) if n.op in (leaves.input_, leaves.shared)]
        self._taken = {v.name for v in variables if v.name}
        self._seen: set[str] = set()
        self._sizes: dict[str, str] = {}
        self.leaves: dict[Tensor, str] = {v: self._choose(v) for v in variables}

    def _choose(self, v: Tensor) -> str:
        if v.name and v.name not in self._seen:
            self._seen.add(v.name)
            return v.name if v.name.isprintable() else repr(v.name)
        stem, k = (f"{v.name}_", 2) if v.name else (_PREFIX[v.op.name], 1)
        while f"{stem}{k}" in self._taken:
            k += 1
        self._taken.add(f"{stem}{k}")
        return f"{stem}{k}"

    def dim(self, d: Dim) -> str:
        """One size."""
        return str(d) if type(d) is int else self._renamed(str(d))

    def dims(self, shape: Sequence[Dim]) -> str:
        """A shape as Python spells the tuple; a single size without the parentheses."""
        inner = ", ".join(map(self.dim, shape))
        return inner if len(shape) == 1 else f"({inner})"

    def type(self, t: Type) -> str:
        """A type, its sizes by these names."""
        return self._renamed(str(t))

    def _renamed(self, text: str) -> str:
        return _NAMELESS.sub(self._rename, text)

    def _rename(self, found: re.Match[str]) -> str:
        stem = "_" + (found[1] or "")
        if found[0] not in self._sizes:
            rank = 1 + sum(name.rstrip("0123456789") == stem for name in self._sizes.values())
            self._sizes[found[0]] = f"{stem}{rank}"
        return self._sizes[found[0]]

    def attribute(self, value: Any) -> str:
        """An attribute's value: dtypes by name, sizes by these names."""
        if isinstance(value, Size):
            return self.dim(value)
        if isinstance(value, np.dtype):
            return value.name
        if isinstance(value, tuple):
            inner = ", ".join(map(self.attribute, value))
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        if isinstance(value, TensorType):
            return self.type(value)
        return repr(value)


def number_text(value: Any) -> str:
    """One element of an array as Python would write it, whole floats without the ``.0``."""
    text = str(value)
    return text[:-2] if text.endswith(".0") and text != "-0.0" else text


def origin_text(origin: Origin | None) -> str:
    """``model.py:12``, ``bprop of matmul at model.py:12``, or nothing where nobody knows."""
    line = root_line(origin)
    if isinstance(origin, Derived):
        return f"{origin}{f' at {line}' if line else ''}"
    return str(line) if line else ""
