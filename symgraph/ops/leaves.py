"""Nodes without inputs: declared inputs, shared variables, constants, sizes, and filled arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import GraphError
from symgraph.op import Attrs, Equations
from symgraph.ops.registry import declare
from symgraph.types import TensorType


def _given(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    raise GraphError("a leaf states its type itself")


def _no_value(**attrs: Any) -> Any:
    raise GraphError("the value of an input or shared variable comes from the call")


input_ = declare("input", _given, _no_value, "leaf")
shared = declare("shared", _given, _no_value, "leaf")


def _infer_constant(
    types: tuple[TensorType, ...], attrs: Attrs, equations: Equations
) -> TensorType:
    value = attrs["value"]
    return TensorType(value.dtype, value.shape, attrs.get("weak", False))


constant = declare("constant", _infer_constant, lambda value, weak=False: value, "leaf exact")


def _infer_size(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return TensorType(attrs["dtype"], (), attrs.get("weak", False))


#: A symbolic size used as a value; weak (like a Python int) where the user wrote ``x.shape[0]``.
size = declare(
    "size",
    _infer_size,
    lambda dim, dtype, weak=False: np.array(dim, dtype),
    "leaf exact nonnegative",
)


def _infer_full(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return TensorType(types[0].dtype, attrs["shape"])


def _infer_iota(types: tuple[TensorType, ...], attrs: Attrs, equations: Equations) -> TensorType:
    return TensorType(attrs["dtype"], (attrs["length"],))


#: 0, 1, ..., length - 1
iota = declare("iota", _infer_iota, lambda length, dtype: np.arange(length).astype(dtype), "exact")
