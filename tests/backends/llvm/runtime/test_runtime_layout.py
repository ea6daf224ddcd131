"""The tables behind a program: what is refused, and what the entry assumes of NumPy and CPython."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_kernels import F4, X, affine, compiled, step, vector, vector_program

from symgraph.backends.llvm.runtime import abi
from symgraph.backends.llvm.runtime.entry import entry_ir
from symgraph.backends.llvm.runtime.layout import FORMS, Field, flatten, native
from symgraph.backends.llvm.runtime.program import (
    Base,
    Commit,
    InputSpec,
    OutputSpec,
    Pointer,
    Resize,
    Size,
    Step,
)
from symgraph.cell import SharedCell

HEADERS = Path(np.get_include()) / "numpy"


def bad(*args: Pointer | Size) -> dict[str, Any]:
    return {"steps": (step(affine, *args),)}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (bad(Size(3)), "slot 3 of a program with 3 slots"),
        (bad(Size(-1)), "slot -1"),
        (bad(Pointer(Base("input", 1), 1)), "index=1"),
        (bad(Pointer(Base("arena"), 1)), "arena"),
        (bad(Pointer(Base("shared"), 1)), "shared"),
        (bad(Pointer(Base("constant", -1), 1)), "index=-1"),
        ({"steps": (Step(0, (), "nowhere"),)}, "'nowhere' has no machine code"),
        ({"size_code": ((99, 1, 1, 1),)}, "SizeOp"),
        ({"size_code": ((0, 0, 1, 1),)}, "slot of its own"),
        ({"steps": (Resize(0, Pointer(X, 1)),)}, "slot of its own"),
        ({"inputs": (InputSpec("x", F4, (0, 0)),)}, "slot of its own"),
        ({"inputs": (InputSpec("x", np.dtype(object), (0,)),)}, "object|'O'"),
        ({"inputs": (InputSpec("x", np.dtype(">f4"), (0,)),)}, ">f4"),
        ({"outputs": (OutputSpec(np.dtype("M8[s]"), (0,)),)}, "M8"),
        ({"outputs": (), "steps": ()}, "'one' cannot hold 0 outputs"),
        ({"form": "none"}, "'none' cannot hold 1 outputs"),
        ({"form": "dict", "keys": ("a", "b")}, "'dict' cannot hold 1 outputs"),
        ({"commits": (Commit(0, Pointer(X, 1), 1),)}, "no shared variable"),
    ],
)
def test_a_program_that_contradicts_itself_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compiled(vector_program(**parts))


def test_a_late_output_has_no_address_for_steps() -> None:
    late = OutputSpec(F4, (0,), late=Pointer(X, 1))
    with pytest.raises(ValueError, match="output"):
        compiled(vector_program(outputs=(late,)))


def test_tables_say_what_the_program_says() -> None:
    cell = SharedCell(vector(1, 2))
    program = vector_program(shared=(cell,), commits=(Commit(0, Pointer(X, 1), 0),))
    header = flatten(program).header
    counts = {field.name: int(header[field]) for field in Field if field.name.startswith("N_")}
    wanted = {"INPUTS": 1, "SLOTS": 3, "OBJECTS": 1, "EAGER": 1, "STEPS": 1}
    moves = {"PATCHES": 2, "FITS": 2, "COMMITS": 1, "LIMITS": 1, "SHARED": 1, "LOCKS": 1}
    assert {k: v for k, v in counts.items() if v} == {
        f"N_{k}": v for k, v in {**wanted, **moves}.items()
    }
    assert FORMS[header[Field.FORM]] == program.form and header[Field.STALE] == 1


@pytest.mark.parametrize("char", "?bhilqBHILQefdgFDG")
def test_every_dtype_has_one_descriptor(char: str) -> None:
    copied = np.dtype(char, copy=True)
    assert native(copied) is np.zeros(1, char).dtype and native(copied) is not copied


def test_indices_into_numpys_table_are_those_of_its_header() -> None:
    text = (HEADERS / "__multiarray_api.h").read_text()
    assert f"#define PyArray_Type (*(PyTypeObject *)PyArray_API[{abi.NUMPY_ARRAY_TYPE}])" in text
    found = re.search(r"#define PyArray_NewFromDescr .*?PyArray_API\[(\d+)\]", text, re.DOTALL)
    assert found is not None and int(found[1]) == abi.NUMPY_NEW_FROM_DESCR


def test_flags_are_those_of_numpys_header() -> None:
    text = (HEADERS / "ndarraytypes.h").read_text()
    names = ("NPY_ARRAY_C_CONTIGUOUS", "NPY_ARRAY_ALIGNED")
    values = [re.search(rf"#define {name}\s+(0x\w+)", text) for name in names]
    assert sum(int(value[1], 16) for value in values if value) == abi.FIT_FLAGS


def test_another_array_layout_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abi, "FIT_FLAGS", 0x0108)
    with pytest.raises(SystemError, match="laid out differently"):
        abi.check_offsets()


def test_the_emitted_code_holds_no_address() -> None:
    ir = entry_ir(32)
    assert set(re.findall(r"inttoptr \(i64 (\d+)", ir)) == {"1"}
    assert max(map(int, re.findall(r"\b\d{7,}\b", ir))) == 2**63 - 1
