"""How each operation is written: infix with precedence, indexing, methods, calls.

A node's :class:`Spelling` names the operands shown and puts their texts together. The operands need
not be the node's inputs: conversions, broadcasts and axes that NumPy's rules would insert by
themselves are left out, and ``squeeze(matmul(expand_dims(x, 0), ...))`` reads ``x @ ...`` again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import SymgraphError
from symgraph.names import Names, number_text
from symgraph.op import Op
from symgraph.ops import OPS, leaves
from symgraph.ops import shape as shapes
from symgraph.sizes import Dim, Size, floordiv, is_one
from symgraph.tensor import Tensor
from symgraph.types import DTYPES, DType, TensorType, promote

__all__ = ["Spelling", "Text", "literal", "spell"]

# Precedence, as in Python.
COMPARE, OR, XOR, AND, SHIFT, SUM, PRODUCT, UNARY, POWER, POSTFIX, ATOM = range(11)

#: A constant array of at most this many elements is written out.
FEW = 8


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text and how tightly it binds."""

    text: str
    level: int = ATOM

    def within(self, level: int) -> str:
        """The text, in parentheses unless it binds at least as tightly as ``level``."""
        return self.text if self.level >= level else f"({self.text})"


@dataclass(frozen=True, slots=True)
class Spelling:
    """The operands a node shows and how their texts make up its own."""

    operands: tuple[Tensor, ...]
    join: Callable[..., Text]


INFIX: dict[str, tuple[str, int]] = {
    "add": ("+", SUM), "subtract": ("-", SUM),
    "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT), "floor_divide": ("//", PRODUCT),
    "remainder": ("%", PRODUCT), "matmul": ("@", PRODUCT),
    "bitwise_left_shift": ("<<", SHIFT), "bitwise_right_shift": (">>", SHIFT),
    "logical_and": ("&", AND), "bitwise_and": ("&", AND),
    "logical_xor": ("^", XOR), "bitwise_xor": ("^", XOR),
    "logical_or": ("|", OR), "bitwise_or": ("|", OR),
    "equal": ("==", COMPARE), "not_equal": ("!=", COMPARE), "less": ("<", COMPARE),
    "less_equal": ("<=", COMPARE), "greater": (">", COMPARE), "greater_equal": (">=", COMPARE),
}  # fmt: skip

PREFIX = {"negative": "-", "logical_not": "~", "bitwise_invert": "~"}

#: Operations whose mathematical name is another one.
CALLS = {"maximum": "max", "minimum": "min"}


def spell(node: Tensor, names: Names) -> Spelling:
    """How ``node`` is written."""
    leaf = _leaf(node, names)
    if leaf is not None:
        return Spelling((), lambda: leaf)
    rule = SPELL.get(node.op.name) if OPS.get(node.op.name) is node.op else None
    found = rule(node, names) if rule is not None else None
    if found is not None:
        return found
    return _elementwise(node) if node.op.elementwise and not node.attrs else _call(node, names)


# ---- leaves --------------------------------------------------------------------------------------


def _leaf(node: Tensor, names: Names) -> Text | None:
    if node in names.leaves:
        return Text(names.leaves[node])
    if node.op is leaves.constant:
        return literal(node.attrs["value"])
    if node.op is leaves.size:
        return _size(node.attrs["dim"], names)
    return None


def literal(value: np.ndarray[Any, Any]) -> Text:
    """A constant: the number, a small array, or the shape of a large one."""
    if value.ndim == 0:
        text = number_text(value[()])
        return Text(text, UNARY if text.startswith("-") else ATOM)
    if value.size > FEW:
        return Text(f"array({'x'.join(map(str, value.shape))})")
    return Text(f"array({_nested(value)})")


def _nested(value: np.ndarray[Any, Any]) -> str:
    if value.ndim == 0:
        return number_text(value[()])
    return f"[{', '.join(map(_nested, (np.asarray(v) for v in value)))}]"


def _size(dim: Dim, names: Names) -> Text:
    text = names.dim(dim)
    if text.isidentifier() or text.isdigit():
        return Text(text)
    return Text(text, SUM if isinstance(dim, Size) and len(dim.terms) > 1 else PRODUCT)


# ---- element-wise --------------------------------------------------------------------------------


def _elementwise(node: Tensor) -> Spelling:
    name = node.op.name
    shown = _without_implied(node)
    if name in INFIX and len(shown) == 2:
        sign, level = INFIX[name]
        left = level + 1 if level == COMPARE else level
        return Spelling(
            shown, lambda a, b: Text(f"{a.within(left)} {sign} {b.within(level + 1)}", level)
        )
    if name in PREFIX and len(shown) == 1:
        return Spelling(shown, lambda a: Text(PREFIX[name] + a.within(POWER), UNARY))
    return Spelling(shown, lambda *t: Text(f"{CALLS.get(name, name)}({_list(t)})"))


def _list(texts: tuple[Text, ...]) -> str:
    return ", ".join([t.text for t in texts])


def _power(node: Tensor, names: Names) -> Spelling:
    return Spelling(
        _without_implied(node),
        lambda a, b: Text(f"{a.within(POSTFIX)} ** {b.within(UNARY)}", POWER),
    )


def _square(node: Tensor, names: Names) -> Spelling:
    return Spelling(node.inputs, lambda a: Text(f"{a.within(POSTFIX)} ** 2", POWER))


def _reciprocal(node: Tensor, names: Names) -> Spelling:
    return Spelling(_without_implied(node), lambda a: Text(f"1 / {a.within(UNARY)}", PRODUCT))


def _without_implied(node: Tensor) -> tuple[Tensor, ...]:
    """The inputs less the broadcasts and conversions that the operation would insert by itself."""
    shown = list(node.inputs)
    for k, x in enumerate(shown):
        others = shown[:k] + shown[k + 1 :]
        if x.op is shapes.broadcast_to and any(o.shape == node.shape for o in others):
            shown[k] = x = x.inputs[0]
        if _leading_axes(x) and any(o.ndim >= x.ndim for o in others):
            shown[k] = x = x.inputs[0]
        if x.op.name == "astype" and not _one_hot(x) and _implied_cast(node.op, x, others):
            shown[k] = x.inputs[0]
    return tuple(shown)


def _leading_axes(x: Tensor) -> bool:
    return x.op is shapes.expand_dims and x.attrs["axes"] == tuple(range(len(x.attrs["axes"])))


def _implied_cast(op: Op, x: Tensor, others: list[Tensor]) -> bool:
    if op.name == "where" or OPS.get(op.name) is not op:
        return False
    seen = [_apparent(o) for o in (x.inputs[0], *others)]
    dtype, weak = promote(*seen)
    if dtype.kind != "f" and not takes_integers(op, len(seen)):
        dtype = DTYPES["float64"]
    return not weak and dtype == x.dtype


def _apparent(x: Tensor) -> tuple[DType, bool]:
    """The dtype the reader of the text would give x, and whether it reads as a Python number."""
    if x.op is leaves.size:
        return DTYPES["int64"], True
    if x.op is leaves.constant and x.ndim == 0:
        whole = x.dtype.kind == "f" and "." not in number_text(x.attrs["value"][()])
        kind = "int64" if x.dtype.kind in "iu" or whole else "float64"
        return DTYPES["bool" if x.dtype.kind == "b" else kind], True
    return x.dtype, False


@functools.lru_cache(maxsize=512)
def takes_integers(op: Op, count: int) -> bool:
    """Whether an element-wise op computes with integers rather than converting them to floats."""
    try:
        op.infer((TensorType(DTYPES["int64"], ()),) * count, {}, [])
    except SymgraphError:
        return False
    return True


def _one_hot(x: Tensor) -> tuple[Tensor, Dim] | None:
    """The indices and the number of classes, where x is ``one_hot`` along the last axis."""
    same = x.inputs[0]
    if same.op.name != "equal" or same.inputs[1].op is not leaves.iota:
        return None
    column, classes = same.inputs
    if column.op is not shapes.expand_dims or column.attrs["axes"] != (column.ndim - 1,):
        return None
    found = column.inputs[0]
    if found.op.name != "gather" or found.inputs[0] is not classes:
        return None
    return found.inputs[1], classes.attrs["length"]


def _astype(node: Tensor, names: Names) -> Spelling:
    hot = _one_hot(node)
    if hot is not None:
        kind = "" if node.dtype.name == "float64" else f", {node.dtype.name}"
        more = f", {names.dim(hot[1])}{kind}"
        return Spelling((hot[0],), lambda a: Text(f"one_hot({a.text}{more})"))
    return Spelling(node.inputs, lambda a: Text(f"{node.dtype.name}({a.text})"))


# ---- reductions and rows -------------------------------------------------------------------------


def _reduction(node: Tensor, names: Names) -> Spelling:
    return _reduced(node, "")


def _reduced(node: Tensor, more: str) -> Spelling:
    (x,) = node.inputs
    name = node.op.name
    axis = _axis(node.attrs["axis"], x.ndim)
    if name == "sum" and x.op.name == "astype" and _implied_width(x):
        x = x.inputs[0]
    return Spelling((x,), lambda a: Text(f"{name}({a.text}{axis}{more})"))


def _implied_width(x: Tensor) -> bool:
    """Whether sum would convert by itself: it adds bool and small integers in 64 bits."""
    kind = x.inputs[0].dtype.kind
    return x.dtype.name == {"b": "int64", "i": "int64", "u": "uint64"}.get(kind)


def _axis(axis: tuple[int, ...], ndim: int) -> str:
    if len(axis) == ndim:
        return ""
    return f", axis={axis[0] if len(axis) == 1 else axis}"


def _rowwise(node: Tensor, names: Names) -> Spelling:
    axis = _axis(node.attrs["axis"], 1 if node.ndim == 1 else 0)
    return Spelling(node.inputs, lambda a: Text(f"{node.op.name}({a.text}{axis})"))


def _item(node: Tensor, names: Names) -> Spelling:
    return Spelling(
        node.inputs, lambda a: Text(f"{a.within(POSTFIX)}[{node.attrs['index']}]", POSTFIX)
    )


# ---- shape ---------------------------------------------------------------------------------------


def _expand_dims(node: Tensor, names: Names) -> Spelling:
    (x,) = node.inputs
    axes = node.attrs["axes"]
    if "reduction" in x.op.traits and x.attrs.get("axis") == axes:
        return _reduced(x, ", keepdims=True")
    entries = ["None" if k in axes else ":" for k in range(node.ndim)]
    return _indexed(x, entries)


def _index(entries: list[str]) -> str:
    """The entries of an index, less those at the end that select everything."""
    while len(entries) > 1 and entries[-1] == ":":
        entries.pop()
    return ", ".join(entries)


def _indexed(x: Tensor, entries: list[str]) -> Spelling:
    index = _index(entries)
    return Spelling((x,), lambda a: Text(f"{a.within(POSTFIX)}[{index}]", POSTFIX))


def _permute_dims(node: Tensor, names: Names) -> Spelling:
    (x,) = node.inputs
    axes = node.attrs["axes"]
    placed = _gathered_in_place(x, axes)
    if placed is not None:
        return placed
    plain = tuple(range(len(axes)))
    if axes == plain[::-1]:
        return Spelling((x,), lambda a: Text(f"{a.within(POSTFIX)}.T", POSTFIX))
    if axes == (*plain[:-2], *plain[:-3:-1]):
        return Spelling((x,), lambda a: Text(f"{a.within(POSTFIX)}.mT", POSTFIX))
    return Spelling((x,), lambda a: Text(f"permute_dims({a.text}, {axes})"))


def _broadcast_to(node: Tensor, names: Names) -> Spelling:
    (x,) = node.inputs
    shape = names.dims(node.shape)
    while x.op is shapes.expand_dims and x.size == 1:  # a number needs no axes to be stretched
        (x,) = x.inputs
    if x.op is not leaves.constant or x.ndim:
        return Spelling((x,), lambda a: Text(f"broadcast_to({a.text}, {shape})"))
    value = literal(x.attrs["value"]).text
    filled = {"0": f"zeros({shape})", "1": f"ones({shape})"}
    return Spelling((), lambda: Text(filled.get(value, f"full({shape}, {value})")))


def _reshape(node: Tensor, names: Names) -> Spelling:
    return Spelling(node.inputs, lambda a: Text(f"reshape({a.text}, {names.dims(node.shape)})"))


def _squeeze(node: Tensor, names: Names) -> Spelling:
    (x,) = node.inputs
    axes = node.attrs["axes"]
    if x.op.name == "matmul":
        vectors = _vector_product(x, axes)
        if vectors is not None:
            return vectors
    if x.op is shapes.slice_ and all(is_one(x.shape[a]) for a in axes):
        return _indexed(x.inputs[0], _slice_entries(x, axes, names))
    spelled = axes[0] if len(axes) == 1 else axes
    return Spelling((x,), lambda a: Text(f"squeeze({a.text}, {spelled})"))


#: so many products before or after a vector are written as products with the vector itself
CHAIN = 8


def _vector_product(x: Tensor, dropped: tuple[int, ...]) -> Spelling | None:
    """A chain of products that starts or ends with a vector, the added axes left out."""
    row, column = x.ndim - 2 in dropped, x.ndim - 1 in dropped
    if x.ndim != 2 or len(dropped) != row + column:
        return None
    left = _to_vector(x.inputs[0], 0) if row else (x.inputs[0],)
    right = _to_vector(x.inputs[1], 1) if column else (x.inputs[1],)
    if left is None or right is None:
        return None

    def join(*texts: Text) -> Text:
        first, *others = texts[: len(left)]
        for text in others:
            first = _product(first, text)
        *others, last = texts[len(left) :]
        for text in reversed(others):
            last = _product(text, last)
        return _product(first, last)

    return Spelling((*left, *right), join)


def _to_vector(x: Tensor, side: int) -> tuple[Tensor, ...] | None:
    """The factors of x, in order, where its first (side 0) or last (side 1) is a vector with an
    added axis.
    """
    found: list[Tensor] = []
    while x.op.name == "matmul" and len(found) < CHAIN:
        found.append(x.inputs[1 - side])
        x = x.inputs[side]
    if x.op is not shapes.expand_dims or x.ndim != 2 or x.attrs["axes"] != (side,):
        return None
    found.append(x.inputs[0])
    return tuple(found if side else reversed(found))


def _product(a: Text, b: Text) -> Text:
    return Text(f"{a.within(PRODUCT)} @ {b.within(PRODUCT + 1)}", PRODUCT)


def _matmul(node: Tensor, names: Names) -> Spelling:
    return Spelling(node.inputs, _product)


def _concat(node: Tensor, names: Names) -> Spelling:
    k = node.attrs["axis"]
    axis = f", axis={k}" if k else ""
    if all(x.op is shapes.expand_dims and x.attrs["axes"] == (k,) for x in node.inputs):
        parts = tuple(x.inputs[0] for x in node.inputs)
        return Spelling(parts, lambda *t: Text(f"stack([{_list(t)}]{axis})"))
    return Spelling(node.inputs, lambda *t: Text(f"concat([{_list(t)}]{axis})"))


# ---- slices and indices --------------------------------------------------------------------------


def _slice(node: Tensor, names: Names) -> Spelling:
    return _indexed(node.inputs[0], _slice_entries(node, (), names))


def _slice_entries(node: Tensor, dropped: tuple[int, ...], names: Names) -> list[str]:
    (x,) = node.inputs
    quad = zip(
        node.attrs["starts"], node.attrs["steps"], node.attrs["lengths"], x.shape, strict=True
    )
    return [
        _bound(start, n, names) if k in dropped else _range(start, step, length, n, names)
        for k, (start, step, length, n) in enumerate(quad)
    ]


def _bound(at: Dim, n: Dim, names: Names) -> str:
    """A position, counted from the end where that is the number."""
    back = at - n
    return str(back) if type(at) is not int and type(back) is int and back < 0 else names.dim(at)


def _range(start: Dim, step: int, length: Dim, n: Dim, names: Names) -> str:
    """``start:stop:step`` that selects ``length`` elements of an axis of size n."""
    top = n - 1 if step < 0 else n
    first = "" if start == (0 if step > 0 else top) else _bound(_other("min", start, top), n, names)
    inner = _other("max", length, 0)
    stop = start + step * inner
    if abs(step) > 1:
        divided = _other("floordiv", inner, abs(step))
        if divided != inner:  # the length is the extent over the step, rounded up
            extent = divided - (abs(step) - 1)
            stop = start + extent if step > 0 else start - extent
    whole = n - start + (step - 1) if step > 0 else start - step
    if stop in (n, -1) or inner == _other("max", floordiv(whole, abs(step)), 0):
        last = ""
    else:
        last = _bound(_other("min", stop, n), n, names)
    return f"{first}:{last}" + (f":{step}" if step != 1 else "")


def _other(kind: str, d: Dim, limit: Dim) -> Dim:
    """a where d is ``max(a, limit)`` (min, floordiv): the bound before clipping or division."""
    if isinstance(d, Size) and len(d.terms) == 1:
        monomial, c = d.terms[0]
        if c == 1 and len(monomial) == 1 and monomial[0][0].kind == kind and monomial[0][1] == 1:
            rest = [a for a in monomial[0][0].args if a != limit]
            return rest[0] if len(rest) == 1 else d
    return d


def _place(node: Tensor, names: Names) -> Spelling:
    x, fill = node.inputs
    triple = zip(node.attrs["starts"], node.attrs["steps"], x.shape, node.shape, strict=True)
    entries = [_range(start, step, length, n, names) for start, step, length, n in triple]
    index, shape = _index(entries), names.dims(node.shape)
    if fill.op is leaves.constant and literal(fill.attrs["value"]).text == "0":
        return Spelling((x,), lambda a: Text(f"zeros({shape}).at[{index}].set({a.text})", POSTFIX))
    return Spelling(
        (x, fill),
        lambda a, b: Text(f"full({shape}, {b.text}).at[{index}].set({a.text})", POSTFIX),
    )


def _gather(node: Tensor, names: Names) -> Spelling | None:
    if node.attrs["axes"] != tuple(range(len(node.inputs) - 1)):
        return None
    return Spelling(node.inputs, lambda a, *i: Text(f"{a.within(POSTFIX)}[{_list(i)}]", POSTFIX))


def _gathered_in_place(x: Tensor, order: tuple[int, ...]) -> Spelling | None:
    """``x[:, i]``: a gather whose index axes are put back where the indexed axes were."""
    if x.op.name != "gather":
        return None
    axes, lead = x.attrs["axes"], x.attrs["axes"][0]
    width = max(i.ndim for i in x.inputs[1:])
    wanted = (*range(width, width + lead), *range(width), *range(width + lead, x.ndim))
    if axes != tuple(range(lead, lead + len(axes))) or order != wanted:
        return None
    before = ":, " * lead
    return Spelling(
        x.inputs, lambda a, *i: Text(f"{a.within(POSTFIX)}[{before}{_list(i)}]", POSTFIX)
    )


def _scatter(node: Tensor, names: Names) -> Spelling | None:
    if node.attrs["axes"] != tuple(range(len(node.inputs) - 2)):
        return None
    how = "add" if node.op.name == "scatter_add" else "set"
    return Spelling(
        node.inputs,
        lambda a, v, *i: Text(f"{a.within(POSTFIX)}.at[{_list(i)}].{how}({v.text})", POSTFIX),
    )


# ---- everything else -----------------------------------------------------------------------------


def _iota(node: Tensor, names: Names) -> Spelling:
    dtype = "" if node.dtype.name == "int64" else f", dtype={node.dtype.name}"
    return Spelling((), lambda: Text(f"arange({names.dim(node.attrs['length'])}{dtype})"))


def _cumulative_sum(node: Tensor, names: Names) -> Spelling:
    axis = _axis((node.attrs["axis"],), node.ndim)
    back = ", reverse=True" if node.attrs["reverse"] else ""
    return Spelling(node.inputs, lambda a: Text(f"cumulative_sum({a.text}{axis}{back})"))


def _nonzero(node: Tensor, names: Names) -> Spelling:
    return Spelling(node.inputs, lambda a: Text(f"nonzero({a.text})"))


def _call(node: Tensor, names: Names) -> Spelling:
    options = [f"{k}={names.attribute(v)}" for k, v in node.attrs.items()]
    return Spelling(
        node.inputs,
        lambda *t: Text(f"{node.op.name}({', '.join([*(x.text for x in t), *options])})"),
    )


#: The operations that are not written as a plain operator or call; None falls back to the call.
SPELL: dict[str, Callable[[Tensor, Names], Spelling | None]] = {
    "pow": _power, "square": _square, "reciprocal": _reciprocal, "astype": _astype,
    "matmul": _matmul, "item": _item, "iota": _iota, "nonzero": _nonzero,
    "cumulative_sum": _cumulative_sum,
    "softmax": _rowwise, "log_softmax": _rowwise, "max_and_argmax": _reduction,
    "expand_dims": _expand_dims, "squeeze": _squeeze, "permute_dims": _permute_dims,
    "reshape": _reshape, "broadcast_to": _broadcast_to, "concat": _concat,
    "slice": _slice, "place": _place, "gather": _gather,
    "scatter_add": _scatter, "scatter_set": _scatter,
    **{name: _reduction for name, op in OPS.items() if "reduction" in op.traits},
}  # fmt: skip
