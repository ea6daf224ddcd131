"""Making variables: interned nodes, and leaves with an identity of their own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from symgraph.errors import DTypeError, SymgraphError
from symgraph.op import Op
from symgraph.origins import Origin, UserLine, current_origin, with_origin
from symgraph.sizes import Atom, Dim, Size
from symgraph.types import DType, TensorType, Type, shape_text
from symgraph.variable import Tensor, bind, describe

__all__ = [
    "Tensor",
    "apply",
    "bind",
    "check_number",
    "describe",
    "is_outdated",
    "leaf",
    "leaf_of",
    "node_key",
    "private_table",
    "reapply",
]

Attrs = tuple[tuple[str, Any], ...]
Made = TypeVar("Made", bound=Tensor)
_NO_ATTRS: Mapping[str, Any] = {}


class _Tables(threading.local):
    private: dict[Any, Tensor] | None = None
    private_births: dict[Atom, Tensor] | None = None


class _Entry(weakref.ref[Tensor]):
    """A node in the shared table, which does not keep it alive."""

    __slots__ = ("key",)
    key: Any


_tables = _Tables()
_births: weakref.WeakValueDictionary[Atom, Tensor] = weakref.WeakValueDictionary()
_shared: dict[Any, _Entry] = {}
_lock = threading.Lock()


def _forget(entry: _Entry, table: dict[Any, _Entry] = _shared) -> None:
    """The node of an entry is gone; the table is an argument since it outlives this module."""
    if table.get(entry.key) is entry:
        table.pop(entry.key, None)


@contextmanager
def private_table(nodes: Sequence[Tensor] = ()) -> Iterator[None]:
    """Inside, nodes intern in a table of their own that starts with ``nodes`` and is then
    dropped."""
    before = _tables.private, _tables.private_births
    _tables.private = {n.key or node_key(n): n for n in nodes if n.inputs or n.attrs}
    _tables.private_births = {a: n for n in nodes if "count" in n.attrs for a in _born(n.attrs)}
    try:
        yield
    finally:
        _tables.private, _tables.private_births = before


def attribute_key(value: Any) -> Any:
    """An attribute as a dictionary key that tells types and bits apart (True, 1, 1.0, -0.0)."""
    if isinstance(value, tuple):
        plain = _PLAIN.issuperset(map(type, value))
        return value if plain else tuple([attribute_key(v) for v in value])
    if isinstance(value, np.ndarray):
        if value.size > 64:
            return (id(value),)
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, bool):
        return ("bool", value)
    return value


#: types whose values are equal only where they are the same
_PLAIN = frozenset((int, str, Size))


def node_key(x: Tensor) -> Any:
    """What makes two nodes one: the operation, the identity of its inputs, its attributes."""
    return _key(x.op, x.inputs, tuple(x.attrs.items()))


def _key(op: Op, inputs: tuple[Tensor, ...], attrs: Attrs) -> Any:
    if not attrs:
        return (op, *map(id, inputs))
    return (op, *map(id, inputs), tuple([(k, attribute_key(v)) for k, v in attrs]))


def apply(op: Op, inputs: tuple[Tensor, ...] = (), attrs: Attrs = ()) -> Tensor:
    """The node ``op(inputs; attrs)``: the one that exists, or a new one with its inferred type.

    Raises:
        SymgraphError: the inputs do not fit the operation; the message says where they were made.
    """
    key = _key(op, inputs, attrs)
    found = _existing(key)
    if found is not None:
        return found
    equations: list[tuple[Dim, Dim]] = []
    mapping = dict(attrs) if attrs else _NO_ATTRS
    try:
        type_ = op.infer(tuple([i.type for i in inputs]), mapping, equations)
    except SymgraphError as error:
        raise type(error)(f"{error}{_where(inputs)}") from None
    return _interned(_new(Tensor, key, op, inputs, mapping, type_, None, tuple(equations)))


def reapply(node: Tensor, inputs: tuple[Tensor, ...], origin: Origin) -> Tensor:
    """The operation of ``node`` on other inputs, as a node that comes from ``origin``.

    Where the inputs have the types of the old ones, so has the result, and nothing is inferred.

    Raises:
        SymgraphError: the inputs do not fit the operation.
    """
    if node.equations or not _same_types(inputs, node.inputs):
        with with_origin(origin):
            return apply(node.op, inputs, tuple(node.attrs.items()))
    of_attributes = (node.key[-1],) if node.attrs else ()
    key = (node.op, *map(id, inputs), *of_attributes)
    found = _existing(key)
    if found is not None:
        return found
    return _interned(_new(Tensor, key, node.op, inputs, node.attrs, node.type, None, (), origin))


def _same_types(xs: tuple[Tensor, ...], ys: tuple[Tensor, ...]) -> bool:
    for x, y in zip(xs, ys, strict=True):
        if x is not y and x.type is not y.type and x.type != y.type:
            return False
    return True


def _existing(key: Any) -> Tensor | None:
    """The node of that key, if there is one whose sizes are up to date."""
    private = _tables.private
    if private is not None:
        found = private.get(key)
    else:
        entry = _shared.get(key)
        found = entry() if entry is not None else None
    return None if found is None or (found.after and is_outdated(found)) else found


def _interned(node: Tensor) -> Tensor:
    """The node, or the one of that key that another thread has made in the meantime."""
    key, private = node.key, _tables.private
    if private is not None:
        private[key] = node
        return node
    entry = _Entry(node, _forget)
    entry.key = key
    with _lock:
        before = _shared.get(key)
        found = before() if before is not None else None
        if found is not None:
            return found
        _shared[key] = entry
    return node


def leaf(op: Op, attrs: Mapping[str, Any], type_: Type, name: str | None) -> Tensor:
    """A node with an identity of its own: an input, a large constant."""
    return _new(Tensor, None, op, (), attrs, type_, name, ())


def leaf_of(kind: type[Made], op: Op, type_: Type, name: str | None) -> Made:
    """A node with an identity of its own that is an instance of ``kind``: a shared variable."""
    return _new(kind, None, op, (), {}, type_, name, ())


def _new(
    kind: type[Made],
    key: Any,
    op: Op,
    inputs: tuple[Tensor, ...],
    attrs: Mapping[str, Any],
    type_: Type,
    name: str | None,
    equations: tuple[tuple[Dim, Dim], ...],
    origin: Origin | None = None,
) -> Made:
    node = object.__new__(kind)
    node.key, node.op, node.inputs, node.attrs, node.type = key, op, inputs, attrs, type_
    node.name, node.equations = name, equations
    node.origin = current_origin() if origin is None else origin
    node.after = _births_before(type_, attrs) if type(type_) is TensorType else ()
    for atom in _born(attrs) if "count" in attrs else ():
        (_births if _tables.private_births is None else _tables.private_births)[atom] = node
    return node


def _born(attrs: Mapping[str, Any]) -> frozenset[Atom]:
    count = attrs.get("count")
    return count.counts if isinstance(count, Size) else frozenset()


def _births_before(type_: TensorType, attrs: Mapping[str, Any]) -> tuple[Tensor, ...]:
    dims = (*type_.shape, attrs["dim"]) if "dim" in attrs else type_.shape
    counts = [a for d in dims if isinstance(d, Size) for a in d.counts]
    if not counts or "count" in attrs:
        return ()
    private = _tables.private_births
    found = []
    for atom in dict.fromkeys(counts):
        node = private.get(atom) if private is not None else None
        found.append(node if node is not None else _births.get(atom))
    return tuple(n for n in found if n is not None)


def is_outdated(node: Tensor) -> bool:
    """Whether a pass has remade the node that finds out one of this node's sizes."""
    if not node.after or _tables.private_births is None:
        return False
    now = _births_before(node.type, node.attrs)
    return any(a is not b for a, b in zip(node.after, now, strict=True))


def _where(inputs: tuple[Tensor, ...]) -> str:
    seen: dict[str, None] = {}
    for i in inputs:
        if isinstance(i.origin, UserLine) and (i.inputs or i.name or i.ndim):
            shape = f" {shape_text(i.shape)}" if isinstance(i.type, TensorType) else ""
            seen[f"{i.name or i.op.name}{shape} was made at {i.origin}"] = None
    return "; " + "; ".join(seen) if seen else ""


def check_number(
    value: Any, dtype: DType, what: str, cure: str = "use sg.constant with a wider dtype"
) -> np.ndarray[Any, Any]:
    """A Python number as a 0-d array of ``dtype``.

    Raises:
        DTypeError: an int that ``dtype`` cannot hold.
    """
    if dtype.kind in "iu" and not isinstance(value, bool):
        limits = np.iinfo(dtype)
        if not limits.min <= value <= limits.max:
            raise DTypeError(
                f"{what}: the Python int {value} does not fit {dtype.name} "
                f"({limits.min} to {limits.max}); {cure}"
            )
    try:
        with np.errstate(over="ignore"):
            return np.array(value, dtype)
    except OverflowError:
        raise DTypeError(
            f"{what}: a Python int is too large for {dtype.name}; write a float"
        ) from None
