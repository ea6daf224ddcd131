"""Targets, loading, and that a failed compilation leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from symgraph.backends.llvm.jit import Target, host, load

IR = "define i64 @answer() { ret i64 42 }"


def test_loaded_code_runs() -> None:
    library = load(IR)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(library.address("answer"))() == 42


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        load(IR).address("nothing")


def test_assembly_is_kept_on_request() -> None:
    assert "answer:" in load(IR, keep_assembly=True).assembly
    assert load(IR).assembly == ""


def test_bad_ir_is_refused_with_its_place() -> None:
    with pytest.raises(RuntimeError, match="parsing error"):
        load("define i64 @broken() { ret i32 1 }")
    assert load(IR).address("answer")


def test_lanes_are_at_least_one() -> None:
    target = Target("x86-64", "", 128)
    assert [target.lanes(b) for b in (8, 32, 64, 256)] == [16, 4, 2, 1]


@pytest.mark.parametrize("bits", [128, 256])
def test_narrower_vectors_on_request(bits: int) -> None:
    """Nothing wider than what was asked for is in the machine code."""
    program = (
        "import numpy as np, symgraph as sg\n"
        "from symgraph.backends.llvm.jit import host\n"
        "x = sg.tensor('x', shape=('n', 'm'), dtype='float32')\n"
        "f = sg.function([x], [sg.softmax(x, axis=1), sg.exp(x).T + 1, sg.argmax(x, axis=0)])\n"
        "a = np.random.default_rng(0).normal(size=(9, 37)).astype('float32')\n"
        "s, e, at = f(a)\n"
        "p = np.exp(a.astype('float64')); p /= p.sum(axis=1, keepdims=True)\n"
        "assert np.allclose(s, p, rtol=1e-5) and np.allclose(e, np.exp(a).T + 1, rtol=1e-6)\n"
        "assert (at == a.argmax(axis=0)).all()\n"
        "text = f.assembly()\n"
        "print(host().vector_bits, '%ymm' in text, '%zmm' in text)\n"
    )
    environment = {**os.environ, "SYMGRAPH_VECTOR_BITS": str(bits)}
    out = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    available = min(bits, host().vector_bits)
    assert out.stdout.split() == [str(available), str(available >= 256), "False"]
