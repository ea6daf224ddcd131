"""A graph as canonical bytes: equal bytes are the same program, in this process or any other.

What tells two programs apart is written down: operations, inputs by number, attributes by type and
bits, types, names, sizes by which symbol is which, shared variables by which variable is which.
Where the user wrote a node is not, nor what the symbols that nobody named happen to be called.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.functions import SharedVariable
from symgraph.graph import topological
from symgraph.op import Op
from symgraph.ops import OPS, leaves
from symgraph.sizes import Atom, Dim, Size
from symgraph.tensor import Tensor
from symgraph.types import DTYPES, TensorType

__all__ = ["canonical_bytes", "shared_variables"]

LIMIT = 32 << 20  # bytes of all constants: reading more takes longer than compiling
INLINE = 1024  # bytes of a constant that is written out; a longer one is told by its digest
MARSHAL = 2  # the last version whose bytes depend on values alone, not on who else holds them
PLAIN = frozenset((bool, int, float, str, type(None)))

#: Operations of the language. Those a user makes are found by no name.
_names: dict[Op, str] = {op: name for name, op in OPS.items()}
_dtypes = {dtype: dtype.str for dtype in DTYPES.values()}


class Unknown(Exception):
    """Something that has no canonical form, such as an operation of a user's own."""


class _Writer:
    """Numbers what it meets in the order in which it meets it.

    Special values are lists, which no attribute is: so tuples of an attribute stay what they are.
    """

    def __init__(self) -> None:
        self.numbers: dict[Tensor, int] = {}
        self.types: dict[Any, int] = {}
        self.types_by_id: dict[int, int] = {}
        self.sizes: dict[Size, int] = {}
        self.size_terms: list[Any] = []
        self.atoms: dict[Atom, int] = {}
        self.atom_forms: list[Any] = []
        self.bytes = 0

    # ---- sizes and types ---------------------------------------------------------------------

    def dim(self, dim: Dim) -> Any:
        if type(dim) is int:
            return dim
        if not isinstance(dim, Size):
            raise Unknown(dim)
        number = self.sizes.get(dim)
        return ["size", self.size(dim) if number is None else number]

    def size(self, size: Size) -> int:
        terms = tuple(
            [(tuple([(self.atom(a), power) for a, power in m]), c) for m, c in size.terms]
        )
        self.size_terms.append(terms)
        self.sizes[size] = len(self.sizes)
        return self.sizes[size]

    def atom(self, atom: Atom) -> int:
        found = self.atoms.get(atom)
        if found is None:
            name = "" if is_anonymous(atom) else atom.name
            form = (atom.kind, name, tuple([self.dim(d) for d in atom.args]))
            found = self.atoms[atom] = len(self.atoms)
            self.atom_forms.append((found, form))
        return found

    def type(self, type_: Any) -> int:
        found = self.types_by_id.get(id(type_))
        if found is None:
            form = self.type_form(type_)
            found = self.types.setdefault(marshal.dumps(form, MARSHAL), len(self.types))
            self.types_by_id[id(type_)] = found
        return found

    def type_form(self, type_: Any) -> Any:
        if isinstance(type_, TensorType):
            dims = tuple([self.dim(d) for d in type_.shape])
            return self.dtype(type_.dtype), dims, type_.weak
        return [self.type_form(t) for t in type_.items]

    def dtype(self, dtype: np.dtype[Any]) -> str:
        return _dtypes.get(dtype) or dtype.str

    # ---- attributes --------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        kind = type(value)
        if kind in PLAIN:
            return value
        if kind is tuple:
            return tuple([v if type(v) is int else self.value(v) for v in value])
        if kind is Size:
            return self.dim(value)
        if kind is np.ndarray:
            return self.array(value)
        if isinstance(value, np.dtype):
            return ["dtype", self.dtype(value)]
        raise Unknown(value)

    def array(self, array: np.ndarray[Any, Any]) -> Any:
        self.bytes += array.nbytes
        if self.bytes > LIMIT or array.dtype.hasobject:
            raise Unknown(array)
        head = self.dtype(array.dtype), array.shape
        if array.nbytes <= INLINE:
            return ["array", *head, array.tobytes()]
        whole = np.ascontiguousarray(array)
        return ["digest", *head, hashlib.blake2b(whole.data, digest_size=32).digest()]

    # ---- nodes -------------------------------------------------------------------------------

    def node(self, node: Tensor) -> Any:
        """All there is to a node but its origin."""
        op, numbers = node.op, self.numbers
        name = _names.get(op)
        if name is None:
            raise Unknown(op)
        form = [name, self.type(node.type), *[numbers[i] for i in node.inputs]]
        if node.attrs:
            form.append(tuple([(k, self.value(v)) for k, v in node.attrs.items()]))
        if node.name is not None:
            form.append(["name", node.name])
        if node.after:
            form.append(["after", *[numbers[i] for i in node.after]])
        if node.equations:
            form.append(["equal", *[(self.dim(a), self.dim(b)) for a, b in node.equations]])
        numbers[node] = len(numbers)
        return tuple(form)

    def orders(self) -> Any:
        """How the names of anonymous symbols sort, before a sign that is less than a digit and
        before one that is more: sums of sizes are kept in the order of their texts."""
        names = [(a.name, k) for a, k in self.atoms.items() if is_anonymous(a)]
        if len(names) < 2:
            return ()
        return tuple(tuple([k for _, k in sorted((n + c, k) for n, k in names)]) for c in " ^")


def is_anonymous(atom: Atom) -> bool:
    """Whether a symbol's name is a serial number of the process."""
    return atom.kind in ("symbol", "count") and atom.name.startswith("_")


def shared_variables(
    nodes: Sequence[Tensor], updated: Sequence[SharedVariable]
) -> list[SharedVariable]:
    """The shared variables of a program, each once, in an order that only the program decides."""
    read = [n for n in nodes if n.op is leaves.shared and isinstance(n, SharedVariable)]
    return list(dict.fromkeys((*read, *updated)))


def canonical_bytes(
    nodes: Sequence[Tensor],
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    updated: Sequence[SharedVariable],
) -> bytes | None:
    """The program with these ``nodes`` in topological order, which makes ``outputs``: results, then
    the new values of ``updated``.

    None where something has no canonical form: an operation or attribute that is a user's own, or
    more than ``LIMIT`` bytes of constants.
    """
    w = _Writer()
    try:
        forms = [w.node(n) for n in nodes]
        more = [w.node(n) for n in topological((*inputs, *updated), w.numbers)]
    except Unknown:
        return None
    numbers = w.numbers
    lists = [tuple([numbers[n] for n in each]) for each in (outputs, inputs, updated)]
    parts = (forms, more, lists, list(w.types), w.size_terms, w.atom_forms, w.orders())
    return marshal.dumps(parts, MARSHAL)
