"""The LLVM backend: prepare, partition, loops, emit, load, assemble."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.arguments import bind_arguments, convert_argument
from symgraph.backends.llvm import jit
from symgraph.backends.llvm.assemble import Assembly, assemble
from symgraph.backends.llvm.emit import choose_lanes
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.kernels import compile_kernels, emit_module
from symgraph.backends.llvm.loops import PointerParam
from symgraph.backends.llvm.lower import lower_step, viewer
from symgraph.backends.llvm.partition import Cluster, partition
from symgraph.backends.llvm.prepare import copy, prepare
from symgraph.backends.llvm.profile import Profile, profile
from symgraph.backends.llvm.runtime.callable import make_callable
from symgraph.backends.llvm.runtime.program import Program
from symgraph.backends.llvm.views import VIEWS
from symgraph.backends.reference.evaluate import bind_sizes, check_equations
from symgraph.backends.reference.program import finite_observer
from symgraph.errors import IndexRangeError, UsageError
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.ops import leaves
from symgraph.origins import root_line, with_origin
from symgraph.passes.rebuild import substitute
from symgraph.program import Function, Signature
from symgraph.sizes import Dim, Size
from symgraph.tensor import Tensor, apply, leaf, private_table

__all__ = ["CompileStats", "LLVMFunction", "compile_llvm"]


@dataclass(frozen=True, slots=True)
class CompileStats:
    """What a compilation did: kernels called, distinct, newly compiled; seconds spent by stage."""

    calls: int
    kernels: int
    compiled: int
    seconds: dict[str, float]


class LLVMFunction(Function):
    """A function that runs machine code; calls enter it directly."""

    calls: tuple[Call, ...]
    compile_stats: CompileStats
    arena_bytes: Dim
    _keep: tuple[Any, ...]
    _assembly: Assembly
    _make: Callable[[Program], Any]
    _convert: Callable[..., tuple[Any, ...]]
    _threads: int

    def profile(self, *args: Any, rounds: int = 20, **kwargs: Any) -> Profile:
        """Time, bytes and operations of every kernel, measured over ``rounds`` calls.

        The other arguments are those of a call. Shared variables keep their values. The result's
        ``str()`` is a table with the slowest kernel first; ``kernels`` are its rows.
        """
        if rounds < 1:
            raise UsageError(f"profile: rounds={rounds} is not a positive int")
        arrays = self._convert(*args, **kwargs)
        found = bind_sizes(zip(self.signature.inputs, arrays, strict=True))
        assembly = self._assembly
        return profile(
            self.name, assembly.program, assembly.calls, self._make, arrays, found,
            self._threads, rounds,
        )  # fmt: skip

    def llvm_ir(self) -> str:
        """The LLVM IR of the program's kernels, each once."""
        return str(emit_module(self.calls, jit.host())[0])

    def assembly(self) -> str:
        """The kernels as assembly text for this machine."""
        return jit.load(self.llvm_ir(), keep_assembly=True).assembly

    def stages(self) -> str:
        """The loop nests and other kernels of the program, in order, as text."""
        return "\n\n".join(f"# {k}: {c.node.op.name}\n{c.key}" for k, c in enumerate(self.calls))


def compile_llvm(
    signature: Signature, graph: Graph, original: Graph, rewrites: Any, options: dict[str, Any]
) -> Function:
    """The native program of a finished graph."""
    if options["check_finite"]:
        return CheckedFunction(signature, graph, original, rewrites, options)
    if any(is_varying(n) for n in graph.nodes):
        return VaryingFunction(signature, graph, original, rewrites, options)
    clock = _Clock()
    target = jit.host()
    with private_table(graph.nodes):
        outputs = separate(prepare(graph), signature.n_outputs)
        clock.mark("prepare")
        parts = partition(outputs)
        clock.mark("partition")
        views = viewer()
        calls: list[Call] = []
        for step in order_updates(parts.steps, outputs[signature.n_outputs :]):
            calls += lower_step(step, parts, views, target)
    calls = [_with_lanes(c, target) for c in calls]
    clock.mark("loops")
    kernels, compiled = compile_kernels(calls, target)
    clock.mark("llvm")
    assembly = assemble(signature, outputs, calls, kernels, graph.equations)
    explain, fail = _explainer(signature, graph, assembly), _failure(assembly)
    convert = _converter(signature)

    def make(program: Program) -> Any:
        return make_callable(program, LLVMFunction, convert, explain, fail)

    f: LLVMFunction = make(assembly.program)
    clock.mark("assemble")
    f._set(signature, graph, original, rewrites)
    f.calls, f.arena_bytes = tuple(calls), assembly.arena_bytes
    f._keep = tuple(k.library for k in kernels)
    f._assembly, f._make, f._convert = assembly, make, convert
    f._threads = options["threads"]
    f.compile_stats = CompileStats(len(calls), len({c.key for c in calls}), compiled, clock.seconds)
    return f


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = now - self.last
        self.last = now


def separate(outputs: Sequence[Tensor], results: int) -> list[Tensor]:
    """Every output a variable of its own that some step computes: views and repeats are copied."""
    seen: set[Tensor] = set()
    out = []
    for k, o in enumerate(outputs):
        if not o.inputs or o.op in VIEWS or o in seen:
            with with_origin(o.origin):
                o = apply(copy, (o,), (("position", k),))
        seen.add(o)
        out.append(o)
    return out


def order_updates(
    steps: Sequence[Cluster | Tensor], updates: Sequence[Tensor]
) -> list[Cluster | Tensor]:
    """The steps with those that only make new values of shared variables at the end."""
    wanted = set(updates)

    def source(n: Tensor) -> Tensor:
        while n.op in VIEWS:
            n = n.inputs[0]
        return n

    read: set[Tensor] = set()
    for step in steps:
        members = step.maps if isinstance(step, Cluster) else {step: ()}
        read |= {s for m in members for i in m.inputs if (s := source(i)) not in members}

    def late(step: Cluster | Tensor) -> bool:
        members = step.maps if isinstance(step, Cluster) else {step: ()}
        return any(m in wanted for m in members) and not any(m in read for m in members)

    return [s for s in steps if not late(s)] + [s for s in steps if late(s)]


def _with_lanes(call: Call, target: jit.Target) -> Call:
    """Scratch rows hold one value per lane where neighbouring rows run side by side."""
    nest = call.nest
    if nest is None or not nest.scratch or len(nest.extents) - 1 in nest.inner:
        return call
    lanes = choose_lanes(nest, target, len(nest.extents) - 1)
    params = tuple(
        PointerParam(p.node, p.offset, p.role, p.bytes * lanes)
        if isinstance(p, PointerParam) and p.role == "scratch"
        else p
        for p in call.params
    )
    return Call(call.key, call.emit, params, call.node, call.address, call.checked, nest)


# ---- callbacks of the entry ----------------------------------------------------------------------


def _converter(signature: Signature) -> Callable[..., tuple[Any, ...]]:
    inputs, name = signature.inputs, signature.name

    def convert(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        given = bind_arguments(name, inputs, args, kwargs)
        out = []
        for variable, value in zip(inputs, given, strict=True):
            array = np.ascontiguousarray(convert_argument(variable, value, name)).reshape(
                np.shape(value)
            )
            canonical = np.dtype(variable.dtype.type)
            plain = array.view(np.ndarray) if type(array) is not np.ndarray else array
            out.append(plain if plain.dtype is canonical else plain.view(canonical))
        return tuple(out)

    return convert


@dataclass(frozen=True, slots=True)
class _Shape:
    """Stands for an array of which only the shape is known."""

    shape: tuple[int, ...]


def _explainer(signature: Signature, graph: Graph, assembly: Assembly) -> Callable[..., Exception]:
    rows, inputs = assembly.input_slots, signature.inputs

    def explain(kind: int, number: int, slots: tuple[int, ...]) -> Exception:
        shapes = [_Shape(tuple(slots[s] for s in row)) for row in rows]
        sizes = bind_sizes(zip(inputs, shapes, strict=True))
        for node in graph.nodes:
            if node.op.name == "nonzero":
                for atom in node.attrs["count"].counts:
                    found = counts.get(atom)
                    if found is not None and slots[found] >= 0:
                        sizes[atom] = slots[found]
        check_equations(graph, sizes, complete=False)
        return SystemError(f"size check {number} failed without a reason; slots {slots}")

    counts: dict[Any, int] = assembly.count_slots
    return explain


def _failure(assembly: Assembly) -> Callable[..., Exception]:
    calls = assembly.calls

    def fail(step: int, status: int, record: tuple[int, ...]) -> Exception:
        nest = calls[step].nest
        culprit = nest.items[status - 1].node if nest is not None else calls[step].node
        line = root_line(culprit.origin) if culprit is not None else None
        return IndexRangeError(
            f"index: index {record[0]} is out of range for an axis of size {record[1]}"
            + (f"; made at {line}" if line else "")
        )

    return fail


# ---- functions around a program ------------------------------------------------------------------


def is_varying(node: Tensor) -> bool:
    """Whether a node is a shared variable whose shape may change between calls."""
    return isinstance(node, SharedVariable) and any(isinstance(d, Size) for d in node.shape)


class WrappingFunction(Function):
    """A function that calls a native one, ``_run``, and does something around it."""

    _run: Function

    def llvm_ir(self) -> str:
        """The LLVM IR of the program's kernels."""
        return self._run.llvm_ir()

    def assembly(self) -> str:
        """The kernels as assembly text."""
        return self._run.assembly()

    def stages(self) -> str:
        """The loop nests and other kernels of the program, in order, as text."""
        return self._run.stages()


class VaryingFunction(WrappingFunction):
    """A native function of shared variables with symbolic shapes: they enter as further inputs."""

    def __init__(
        self,
        signature: Signature,
        graph: Graph,
        original: Graph,
        rewrites: Any,
        options: dict[str, Any],
    ) -> None:
        self._set(signature, graph, original, rewrites)
        self._shared = [n for n in graph.nodes if isinstance(n, SharedVariable) and is_varying(n)]
        stand_ins: dict[Tensor, Tensor] = {
            s: leaf(leaves.input_, {}, s.type, s.name) for s in self._shared
        }
        inputs = (*signature.inputs, *stand_ins.values())
        outputs = substitute(graph.outputs, stand_ins)
        inner = Signature(signature.name, inputs, len(outputs), "list", (), ())
        self._run = compile_llvm(
            inner, Graph(outputs, inputs, graph.equations), original, (), options
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature = self.signature
        given = bind_arguments(signature.name, signature.inputs, args, kwargs)
        values = self._run(*given, *(s.cell.array for s in self._shared))
        return self._deliver(values)


class CheckedFunction(WrappingFunction):
    """A native function that also returns every intermediate value and looks for the first bad
    one."""

    def __init__(
        self,
        signature: Signature,
        graph: Graph,
        original: Graph,
        rewrites: Any,
        options: dict[str, Any],
    ) -> None:
        self._set(signature, graph, original, rewrites)
        self._watched = [n for n in graph.nodes if n.inputs and hasattr(n.type, "dtype")]
        everything = [*graph.outputs, *self._watched]
        inner = Signature(signature.name, signature.inputs, len(everything), "list", (), ())
        whole = Graph(everything, signature.inputs, graph.equations)
        self._run = compile_llvm(inner, whole, original, (), {**options, "check_finite": False})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = self._run(*args, **kwargs)
        count = len(self.graph.outputs)
        for node, value in zip(self._watched, values[count:], strict=True):
            finite_observer(node, value)
        return self._deliver(values[:count])
