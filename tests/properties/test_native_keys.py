"""Kernels are shared by their keys: calls with equal keys must stand for the same machine code."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from random_graphs import Example, examples
from test_native_bits import LARGE, SETTINGS
from variants import unfused

import symgraph as sg
from symgraph.backends.llvm import compile as stages
from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Module
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.program_cache import bypassed
from symgraph.ops.elementwise import add
from symgraph.tensor import apply

CODE: dict[str, str] = {}  # the code of every key met by any test of this module


def text_of(call: Call) -> str:
    """The LLVM IR of a call's kernel."""
    module = Module(jit.host().features)
    assert call.emit is not None
    call.emit(module, "kernel", jit.host())
    return f"{len(call.params)} parameters\n{module}"


class Seen(Exception):
    """The compilation need not go on."""


def check(calls: Sequence[Call], target: Any) -> None:
    """Stands for the compilation of kernels: each must be what its key has stood for before."""
    for call in calls:
        if call.emit is not None:
            text = text_of(call)
            assert CODE.setdefault(call.key, text) == text, call.key
    raise Seen


def checked(inputs: Sequence[sg.Tensor], outputs: Any) -> None:
    with mock.patch.object(stages, "compile_kernels", check), bypassed(), contextlib.suppress(Seen):
        sg.function(inputs, outputs, passes=())


@settings(max_examples=100, **SETTINGS)
@given(examples())
def test_equal_keys_are_equal_code(example: Example) -> None:
    checked(example.inputs, example.outputs)
    with unfused():
        checked(example.inputs, example.outputs)


@settings(max_examples=60, **SETTINGS)
@given(examples(shapes=LARGE))
def test_equal_keys_are_equal_code_for_large_arrays(example: Example) -> None:
    checked(example.inputs, example.outputs)


def test_equal_keys_are_equal_code_for_literals_and_own_code() -> None:
    """One formula with other literals, dtypes, extents and native code of a user's."""
    x = sg.tensor("x", shape=("n", 7), dtype="float32")
    codes = [lambda b, dtype, v: b.fadd(v[0], v[0]), lambda b, dtype, v: b.fmul(v[0], v[0])]
    own = [sg.Op("own", add.infer, np.add, add.traits, lower=code) for code in codes]
    for value in (0.0, -0.0, 1.0, 2.0, 3.0, 0.1, float("nan"), float("inf"), 1e-45):
        for dtype in ("float32", "float64"):
            y = sg.astype(x, dtype)
            z = sg.where(y > value, y * value, y + sg.constant(value, dtype))
            checked([x], [z, sg.sum(z, axis=0), sg.sum(z, axis=1), sg.sum(z)])
            checked([x], [sg.pow(y, value), sg.maximum(y, value)])
            w = sg.matmul(sg.matrix_transpose(y), y)
            checked([x], [sg.relu(w * value) + value])
        checked([x], [apply(op, (x, sg.constant(value, "float32"))) for op in own])
