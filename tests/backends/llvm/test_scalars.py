"""Element types in memory and in registers."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.backends.llvm.scalars import is_signed, memory_type, register_type
from symgraph.types import DTYPES


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_memory_types_have_the_size_of_an_element(dtype: np.dtype[np.generic]) -> None:
    bits = {"float": 32, "double": 64}.get(memory_type(dtype)) or int(memory_type(dtype)[1:])
    assert bits == 8 * dtype.itemsize


def test_a_bool_is_a_byte_in_memory_and_a_bit_in_registers() -> None:
    assert (memory_type(DTYPES["bool"]), register_type(DTYPES["bool"])) == ("i8", "i1")


@pytest.mark.parametrize("name", ["float32", "int8", "uint64"])
def test_other_types_are_computed_as_they_are_stored(name: str) -> None:
    assert memory_type(DTYPES[name]) == register_type(DTYPES[name])


def test_only_signed_integers_are_signed() -> None:
    assert [n for n, d in DTYPES.items() if is_signed(d)] == ["int8", "int16", "int32", "int64"]
