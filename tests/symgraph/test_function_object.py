"""A compiled function and an expression as objects: stages, copies, pickles, the public names."""

from __future__ import annotations

import copy
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.errors import UnsupportedError, UsageError

x = sg.vector("x")


def test_stages_of_a_checked_function_are_those_of_its_program() -> None:
    f = sg.function([x], sg.exp(x), check_finite=True)
    assert "exp(%0)" in f.stages()


def test_stages_of_a_function_with_varying_shared_variables() -> None:
    w = sg.shared(np.ones(2), name="w", shape=("m",))
    assert "exp(%0)" in sg.function([], sg.exp(w)).stages()


def test_the_reference_backend_has_no_stages() -> None:
    f = sg.function([x], sg.exp(x), name="g", backend="reference")
    with pytest.raises(UnsupportedError, match="g was compiled by a backend that evaluates node"):
        f.stages()


@pytest.mark.parametrize("backend", ["llvm", "reference"])
def test_a_function_is_not_pickled_but_copies_are_itself(backend: str) -> None:
    f = sg.function([x], sg.exp(x), name="g", backend=backend)
    with pytest.raises(UsageError, match="g: a compiled function cannot be pickled; save the val"):
        pickle.dumps(f)
    assert copy.copy(f) is f and copy.deepcopy([f])[0] is f


@pytest.mark.parametrize(
    "thing", [x, sg.exp(x), sg.Graph([sg.exp(x)]), sg.shared(np.ones(2), name="w")]
)
def test_expressions_are_not_pickled(thing: Any) -> None:
    with pytest.raises(UsageError, match="expressions cannot be pickled; save the code that makes"):
        pickle.dumps(thing)


@pytest.mark.parametrize(
    ("names", "hidden"),
    [
        (sg, ("arguments", "call_ufunc", "cell", "evaluate_tensor", "getitem", "op", "sizes")),
        (sg.optim, ("Any", "np", "f", "grad", "cast")),
        (sg.rules, ("annotations",)),
    ],
)
def test_only_public_names_are_listed(names: ModuleType, hidden: tuple[str, ...]) -> None:
    listed = dir(names)
    assert not set(listed) & set(hidden)
    assert all(hasattr(names, n) for n in listed)
    assert set(listed) <= {*names.__all__, *(n for n in listed if n.startswith("__"))}
