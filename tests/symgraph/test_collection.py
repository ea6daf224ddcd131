"""The collector stands still inside and is left as it was."""

from __future__ import annotations

import gc

import pytest

import symgraph as sg
from symgraph.collection import paused_collection
from symgraph.errors import UsageError


def test_the_collector_runs_again_afterwards() -> None:
    with paused_collection():
        with paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_inside_leaves_it_running() -> None:
    with pytest.raises(UsageError):
        sg.function([], [sg.vector("x")])
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        x = sg.vector("x")
        sg.function([x], sg.grad(sg.sum(x * x), x), backend="reference")
        assert not gc.isenabled()
    finally:
        gc.enable()
