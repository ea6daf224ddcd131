"""Making variables: interned nodes, and leaves with an identity of their own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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
    "node_key",
    "private_table",
    "reapply",
]

Attrs = tuple[tuple[str, Any], ...]
_NO_ATTRS: Mapping[str, Any] = {}


class _Tables(threading.local):
    private: dict[Any, Tensor] | None = None
    private_births: dict[Atom, Tensor] | None = None


_tables = _Tables()
_births: weakref.WeakValueDictionary[Atom, Tensor] = weakref.WeakValueDictionary()
_shared: weakref.WeakValueDictionary[Any, Tensor] = weakref.WeakValueDictionary()
_lock = threading.Lock()


@contextmanager
def private_table(nodes: Sequence[Tensor] = ()) -> Iterator[None]:
    """Inside, nodes intern in a table of their own that starts with ``nodes`` and is then
    dropped."""
    before = _tables.private, _tables.private_births
    _tables.private = {node_key(n): n for n in nodes if n.inputs or n.attrs}
    _tables.private_births = {a: n for n in nodes for a in _born(n.attrs)}
    try:
        yield
    finally:
        _tables.private, _tables.private_births = before


def attribute_key(value: Any) -> Any:
    """An attribute as a dictionary key that tells types and bits apart (True, 1, 1.0, -0.0)."""
    if isinstance(value, np.ndarray):
        if value.size > 64:
            return (id(value),)
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, tuple):
        return tuple(attribute_key(v) for v in value)
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, bool):
        return ("bool", value)
    return value


def node_key(x: Tensor) -> Any:
    """What makes two nodes one: the operation, the identity of its inputs, its attributes."""
    return _key(x.op, x.inputs, tuple(x.attrs.items()))


def _key(op: Op, inputs: tuple[Tensor, ...], attrs: Attrs) -> Any:
    ids = tuple([id(i) for i in inputs])
    if not attrs:
        return (op, ids)
    return (op, ids, tuple([(k, attribute_key(v)) for k, v in attrs]))


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
    return _interned(key, _new(op, inputs, mapping, type_, None, tuple(equations)))


def reapply(node: Tensor, inputs: tuple[Tensor, ...], origin: Origin) -> Tensor:
    """The operation of ``node`` on other inputs, as a node that comes from ``origin``.

    Where the inputs have the types of the old ones, so has the result, and nothing is inferred.

    Raises:
        SymgraphError: the inputs do not fit the operation.
    """
    attrs = tuple(node.attrs.items()) if node.attrs else ()
    if node.equations or not all(map(_same_type, inputs, node.inputs)):
        with with_origin(origin):
            return apply(node.op, inputs, attrs)
    key = _key(node.op, inputs, attrs)
    found = _existing(key)
    if found is not None:
        return found
    return _interned(key, _new(node.op, inputs, node.attrs, node.type, None, (), origin))


def _same_type(x: Tensor, y: Tensor) -> bool:
    return bool(x.type is y.type or x.type == y.type)


def _existing(key: Any) -> Tensor | None:
    """The node of that key, if there is one whose sizes are up to date."""
    private = _tables.private
    found = private.get(key) if private is not None else _shared.get(key)
    return None if found is None or is_outdated(found) else found


def _interned(key: Any, node: Tensor) -> Tensor:
    private = _tables.private
    if private is not None:
        private[key] = node
        return node
    with _lock:
        return _shared.setdefault(key, node)


def leaf(op: Op, attrs: Mapping[str, Any], type_: Type, name: str | None) -> Tensor:
    """A node with an identity of its own: an input, a shared variable, a large constant."""
    return _new(op, (), attrs, type_, name, ())


def _new(
    op: Op,
    inputs: tuple[Tensor, ...],
    attrs: Mapping[str, Any],
    type_: Type,
    name: str | None,
    equations: tuple[tuple[Dim, Dim], ...],
    origin: Origin | None = None,
) -> Tensor:
    node = object.__new__(Tensor)
    node.op, node.inputs, node.attrs, node.type = op, inputs, attrs, type_
    node.name, node.equations = name, equations
    node.origin = current_origin() if origin is None else origin
    node.after = _births_before(type_, attrs) if type(type_) is TensorType else ()
    for atom in _born(attrs):
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
