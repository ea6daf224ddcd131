"""Numba: element-wise loops written by hand and compiled for their types at the first call."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

from comparison.cases import Case
from comparison.library import Library, Prepared

numba: Any
np: Any


class Column(Library):
    def load(self) -> None:
        global numba, np
        numba = importlib.import_module("numba")
        np = importlib.import_module("numpy")

    def version(self) -> str:
        return str(numba.__version__)

    def warm_up(self) -> None:
        numba.njit(lambda x: x + 1)(np.ones(3))

    def affine(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x = given["x"]
        two, one = x.dtype.type(2), x.dtype.type(1)
        f = numba.njit(lambda x: x * two + one)
        value = x if x.ndim else x[()]
        return lambda: f(value), lambda y: {"y": y}

    def map(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, half = given["x"], given["x"].dtype.type(0.5)

        def fill(x: Any) -> Any:
            out = np.empty_like(x)
            for k in range(x.size):
                t = x[k]
                out[k] = math.exp(-t * t * half) * math.tanh(t) + math.log1p(t * t)
            return out

        f = numba.njit(fastmath=True)(fill)
        return lambda: f(x), lambda y: {"y": y}

    def sum(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        x, half = given["x"], given["x"].dtype.type(0.5)

        def total(x: Any) -> Any:
            found = 0.0
            for k in range(x.size):
                t = x[k]
                found += math.exp(-t * t * half) * math.tanh(t) + math.log1p(t * t)
            return found

        f = numba.njit(fastmath=True)(total)
        return lambda: f(x), lambda y: {"y": y}
