"""How element types look in LLVM: in memory, in registers, and how wide they are."""

from __future__ import annotations

from symgraph.types import DType

__all__ = ["is_signed", "memory_type", "register_type"]

_FLOATS = {4: "float", 8: "double"}


def memory_type(dtype: DType) -> str:
    """The type an element is stored as; bool takes a byte."""
    return _FLOATS[dtype.itemsize] if dtype.kind == "f" else f"i{8 * dtype.itemsize}"


def register_type(dtype: DType) -> str:
    """The type an element is computed in; bool is one bit."""
    return "i1" if dtype.kind == "b" else memory_type(dtype)


def is_signed(dtype: DType) -> bool:
    return dtype.kind == "i"
