"""What a column of the table is: one library and its way to write each formula."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from comparison.cases import Case

__all__ = ["OTHERS", "TITLES", "Library", "NotWritten", "Prepared", "open_library"]

#: A call that runs to its end, and the results by name from what the call returned.
Prepared = tuple[Callable[[], Any], Callable[[Any], Mapping[str, Any]]]

#: The columns in order: the name on the command line and the title.
TITLES: dict[str, str] = {
    "symgraph": "symgraph",
    "numpy": "NumPy",
    "jax": "JAX",
    "pytensor": "PyTensor",
    "torch": "PyTorch",
    "numba": "Numba",
    "casadi": "CasADi",
    "onnxruntime": "ONNX Runtime",
    "tinygrad": "tinygrad",
}

#: Those that do few of the cases: the fastest of them shares one column.
OTHERS = ("numba", "casadi", "onnxruntime", "tinygrad")


class NotWritten(Exception):
    """The library has no way to do this case; the message says why."""


class Library(ABC):
    """One library; a subclass has a method for each ``kind`` of case."""

    #: Whether the library makes functions ahead of the call (else compile times mean nothing).
    compiles = True

    @abstractmethod
    def load(self) -> None:
        """Import the library."""

    @abstractmethod
    def version(self) -> str:
        """The library's version, and its mode if there are several."""

    @abstractmethod
    def warm_up(self) -> None:
        """A first trivial function, so that one-off work is not charged to a case."""

    def prepare(self, case: Case, given: Mapping[str, Any]) -> Prepared:
        """Build the case: everything up to a function that can be called."""
        method = getattr(self, case.kind, None)
        if method is None:
            raise NotWritten(f"{case.kind} is not written for this library")
        prepared: Prepared = method(case, given)
        return prepared


def open_library(name: str) -> Library:
    """The column ``name``; nothing of it is imported yet."""
    module = importlib.import_module(f"comparison.in_{name}")
    opened: Library = module.Column()
    return opened
