"""A compiled function as a C function of doubles, for code that knows nothing of Python.

The wrapper emitted here fills an argument table on its own stack and calls the kernels one after
the other; sizes are known, so all else is a constant. It touches no Python object and keeps nothing
between calls: any number of threads may be inside. Addresses are written into the code, which is
therefore never cached: a C function has no argument that could bring them.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from symgraph.backends.llvm import jit
from symgraph.backends.llvm.builder import Builder, Module, Value
from symgraph.backends.llvm.memory import ALIGNMENT
from symgraph.backends.llvm.runtime.program import (
    Base,
    Pointer,
    Program,
    Resize,
    Size,
    SizeOp,
    Step,
)
from symgraph.errors import UnsupportedError, UsageError
from symgraph.program import Signature
from symgraph.tensor import Tensor, describe

__all__ = ["LOW_LEVEL", "CFunction", "c_function", "choose_form", "low_level_callable"]

#: What scipy.LowLevelCallable takes from scipy.integrate, beside the natural form "".
LOW_LEVEL = (
    "double (double)",
    "double (double, void *)",
    "double (int, double *)",
    "double (int, double *, void *)",
)
STACK = 1 << 14  # bytes of work memory that may stand on the stack
DIVISIONS = {SizeOp.FLOORDIV: lambda x, y: x // y, SizeOp.MOD: lambda x, y: x % y}


@dataclass(frozen=True, slots=True)
class CFunction:
    """A loaded wrapper: where it is, its ctypes form, and what must live as long."""

    address: int
    ctypes: Any
    keep: tuple[Any, ...]


def refuse(signature: Signature, outputs: tuple[Tensor, ...], program: Program) -> None:
    """UnsupportedError with the first reason why C code cannot call this function."""

    def no(reason: str) -> UnsupportedError:
        return UnsupportedError(f"{signature.name} cannot be called from C: {reason}")

    if signature.updated:
        raise no(f"it updates {', '.join(describe(v) for v in signature.updated)}")
    if signature.form != "one" or outputs[0].ndim:
        raise no("it must return one number, such as sg.sum(...); not a list, a dict or an array")
    for variable in (*signature.inputs, outputs[0]):
        if variable.dtype.name != "float64":
            raise no(f"{describe(variable)} has dtype {variable.dtype.name}, not float64")
    for variable in signature.inputs:
        if variable.ndim > 1:
            raise no(
                f"{describe(variable)} has {variable.ndim} axes; numbers and vectors are passed"
            )
        if not all(isinstance(dim, int) for dim in variable.shape):
            raise no(
                f"{describe(variable)} has a size known only from its array; declare a number, as "
                "in shape=(3,)"
            )
    steps = [step for step in program.steps if isinstance(step, Step)]
    if len(steps) < len(program.steps) or any(out.late for out in program.outputs):
        raise no("a size inside it depends on values")
    arguments = [arg for step in steps for arg in step.args if isinstance(arg, Pointer)]
    if any(arg.base.kind == "error" for arg in arguments):
        raise no("an index in it may be out of range, and C has no way to say so")


def slot_values(program: Program, inputs: tuple[Tensor, ...]) -> list[int]:
    """The value of every slot where all sizes are numbers."""
    values = list(program.initial)
    for spec, variable in zip(program.inputs, inputs, strict=True):
        for slot, dim in zip(spec.dims, variable.shape, strict=True):
            assert isinstance(dim, int)
            values[slot] = dim
    for op, target, a, b in program.size_code:
        values[target] = size_value(SizeOp(op), values[target], values[a], values[b])
    return values


def size_value(op: SizeOp, old: int, x: int, y: int) -> int:
    """What one row of size code computes."""
    if op in DIVISIONS:
        return DIVISIONS[op](x, y) if y else 0
    table = {
        SizeOp.MOVE: x,
        SizeOp.ADD: x + y,
        SizeOp.SUB: x - y,
        SizeOp.MUL: x * y,
        SizeOp.MIN: min(x, y),
        SizeOp.MAX: max(x, y),
        SizeOp.ALIGN64: -(-x // ALIGNMENT) * ALIGNMENT,
        SizeOp.MULADD: old + x * y,
    }
    return table[op]


class Wrapper:
    """Writes the C function of one program."""

    def __init__(self, program: Program, inputs: tuple[Tensor, ...], form: str) -> None:
        self.program, self.inputs, self.form = program, inputs, form
        self.values = slot_values(program, inputs)
        self.module = Module()
        self.b = Builder(self.module, "call", "double", self.parameters())

    def parameters(self) -> list[tuple[str, str]]:
        """Types and names of the arguments."""
        if not self.form:
            return [("ptr" if v.ndim else "double", f"x{k}") for k, v in enumerate(self.inputs)]
        kinds = self.form.removeprefix("double (").removesuffix(")").split(", ")
        types = {"double": "double", "int": "i32"}
        return [(types.get(kind, "ptr"), f"x{k}") for k, kind in enumerate(kinds)]

    def emit(self) -> str:
        """The whole module."""
        b = self.b
        self.places = self.input_places()
        self.output = b.emit("ptr", "alloca double, align 8")
        longest = max((len(s.args) for s in self.program.steps if isinstance(s, Step)), default=0)
        table = b.emit("ptr", f"alloca [{max(longest, 1)} x i64], align 16")
        need = 0 if self.program.arena_slot is None else self.values[self.program.arena_slot]
        block = self.reserve(need)
        for step in self.program.steps:
            if not isinstance(step, Resize):
                self.step(step, table)
        if need > STACK:
            b.call("free", "void", [block])
        b.ret(b.load("double", self.output))
        return str(self.module)

    def input_places(self) -> list[Value]:
        """Where the value of each input stands."""
        b = self.b
        if not self.form or self.form.startswith("double (double"):
            return [a if a.type == "ptr" else self.spill(a) for a in b.args[: len(self.inputs)]]
        if self.inputs and self.inputs[0].ndim:
            count = self.inputs[0].shape[0]
            assert isinstance(count, int)
            places = [b.args[1]]
        else:
            count = len(self.inputs)
            places = [b.gep("double", b.args[1], k) for k in range(count)]
        wrong = b.icmp("ne", b.args[0], b.const("i32", count))
        with b.when(wrong):
            b.do("ret double 0x7FF8000000000000")  # not a number: the caller counts otherwise
            b.start(b.label("counted"))
        return places

    def spill(self, value: Value) -> Value:
        """A number in memory of its own."""
        place = self.b.emit("ptr", "alloca double, align 8")
        self.b.store(value, place)
        return place

    def reserve(self, need: int) -> Value:
        """Work memory for one call; sets ``arena`` and returns the block it is in."""
        b = self.b
        if need <= STACK:
            self.arena = b.emit("ptr", f"alloca i8, i64 {max(need, 1)}, align {ALIGNMENT}")
            return self.arena
        block = b.call("malloc", "ptr", [b.i64(need + ALIGNMENT)])
        with b.when(b.icmp("eq", block, Value("null", "ptr"))):
            b.do("ret double 0x7FF8000000000000")
            b.start(b.label("reserved"))
        start = b.add(b.cast("ptrtoint", block, "i64"), b.i64(ALIGNMENT - 1))
        self.arena = b.cast("inttoptr", b.and_(start, b.i64(-ALIGNMENT)), "ptr")
        return block

    def base(self, base: Base) -> Value:
        """Where a block of memory begins."""
        program = self.program
        if base.kind == "arena":
            return self.arena
        if base.kind == "input":
            return self.places[base.index]
        if base.kind == "output":
            return self.output
        if base.kind == "constant":
            return absolute(program.constants[base.index].ctypes.data)
        if base.kind == "shared":
            return self.b.load("ptr", absolute(program.shared[base.index].location))
        return self.module.constant_array("i64", self.values)

    def step(self, step: Step, table: Value) -> None:
        """Fill the argument table and call one kernel."""
        b = self.b
        for k, arg in enumerate(step.args):
            place = b.gep("i64", table, k)
            if isinstance(arg, Size):
                b.store(b.i64(self.values[arg.slot]), place)
            else:
                b.store(b.gep("i8", self.base(arg.base), self.values[arg.offset]), place)
        units = 1 if step.units is None else self.values[step.units]
        b.emit("i64", f"call i64 {absolute(step.address).ref}({table}, i64 0, i64 {units})")


def absolute(address: int) -> Value:
    """A place in this process."""
    return Value(f"inttoptr (i64 {address} to ptr)", "ptr")


def prototype(inputs: tuple[Tensor, ...], form: str) -> Any:
    """The ctypes function type of a form."""
    double, pointer = ctypes.c_double, ctypes.POINTER(ctypes.c_double)
    if not form:
        return ctypes.CFUNCTYPE(double, *(pointer if v.ndim else double for v in inputs))
    kinds = form.removeprefix("double (").removesuffix(")").split(", ")
    table: dict[str, Any] = {"double": double, "int": ctypes.c_int}
    table |= {"double *": pointer, "void *": ctypes.c_void_p}
    return ctypes.CFUNCTYPE(double, *(table[kind] for kind in kinds))


def c_function(
    signature: Signature, outputs: tuple[Tensor, ...], program: Program, form: str
) -> CFunction:
    """The C function ``form`` ("" for one argument an input) of a program.

    Raises:
        UnsupportedError: with the reason why this function cannot be called so.
    """
    refuse(signature, outputs, program)
    inputs = signature.inputs
    numbers = all(not v.ndim for v in inputs)
    if form.startswith("double (double") and (len(inputs) != 1 or not numbers):
        raise UnsupportedError(
            f"{signature.name} cannot be called as {form}: it has {len(inputs)} inputs; one number "
            "is wanted"
        )
    if form.startswith("double (int") and not numbers and len(inputs) != 1:
        raise UnsupportedError(
            f"{signature.name} cannot be called as {form}: numbers are wanted, or a single vector"
        )
    library = jit.load(Wrapper(program, inputs, form).emit(), optimise=False)
    address = library.address("call")
    function = prototype(inputs, form)(address)
    function.keep = (library, program)
    return CFunction(address, function, function.keep)


def low_level_callable(name: str, function: CFunction, user_data: Any) -> Any:
    """``scipy.LowLevelCallable`` of a C function.

    Raises:
        UnsupportedError: scipy is not installed.
    """
    try:
        from scipy import LowLevelCallable
    except ImportError as error:
        raise UnsupportedError(
            f"{name}.as_low_level_callable() needs scipy (pip install scipy)"
        ) from error
    return LowLevelCallable(function.ctypes, user_data)


def choose_form(signature: Signature, wanted: str | None) -> str:
    """The low-level form asked for, or the one that fits the inputs.

    Raises:
        UsageError: a form that is not among `LOW_LEVEL`.
    """
    if wanted is None:
        inputs = signature.inputs
        return LOW_LEVEL[0] if len(inputs) == 1 and not inputs[0].ndim else LOW_LEVEL[2]
    if wanted not in LOW_LEVEL:
        raise UsageError(
            f"{signature.name}.as_low_level_callable(): signature {wanted!r} is not one of "
            + ", ".join(map(repr, LOW_LEVEL))
        )
    return wanted
