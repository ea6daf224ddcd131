"""The LLVM backend: prepare, partition, loops, emit, load, assemble."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from symgraph.arguments import bind_arguments
from symgraph.backends.llvm import jit
from symgraph.backends.llvm.assemble import assemble
from symgraph.backends.llvm.details import Details, Made, build_function, count_slots
from symgraph.backends.llvm.emit import rows_saved
from symgraph.backends.llvm.function import CompileStats, LLVMFunction
from symgraph.backends.llvm.kernel import Call
from symgraph.backends.llvm.kernels import Compiled, compile_kernels
from symgraph.backends.llvm.loops import PointerParam
from symgraph.backends.llvm.lower import lower_steps
from symgraph.backends.llvm.memory_ops import copy
from symgraph.backends.llvm.objects import cache_state
from symgraph.backends.llvm.partition import partition
from symgraph.backends.llvm.prepare import prepare
from symgraph.backends.llvm.product_fusion import Step, fuse_products, members
from symgraph.backends.llvm.threads.pool import LIMIT
from symgraph.backends.llvm.views import VIEWS, source_of, viewer
from symgraph.backends.reference.evaluate import Extents, bind_sizes
from symgraph.backends.reference.program import finite_observer
from symgraph.cell import holding
from symgraph.functions import SharedVariable
from symgraph.graph import Graph
from symgraph.ops import leaves
from symgraph.origins import with_origin
from symgraph.out import check_out, take_out
from symgraph.passes.rebuild import substitute
from symgraph.program import Function, Signature
from symgraph.sizes import Size, symbols_of
from symgraph.tensor import Tensor, apply, leaf, private_table

__all__ = ["CompileStats", "LLVMFunction", "build_again", "compile_llvm"]


def compile_llvm(
    signature: Signature, graph: Graph, original: Graph, rewrites: Any, options: dict[str, Any]
) -> Function:
    """The native program of a finished graph."""
    if options["check_finite"]:
        return CheckedFunction(signature, graph, original, rewrites, options)
    if any(is_varying(n) for n in graph.nodes):
        return VaryingFunction(signature, graph, original, rewrites, options)
    clock = _Clock()
    made, found = build(signature, graph, options, clock)
    details, counts = Details(graph, rewrites, made), count_slots(graph, made.assembly)
    f = build_function(
        signature, original, made.assembly.program, details, counts, len(graph)
    )  # fmt: skip
    clock.mark("assemble")
    f._set(signature, graph, original, rewrites)
    f.compile_stats = _stats(made.calls, found, clock.seconds)
    return f


def build(
    signature: Signature, graph: Graph, options: dict[str, Any], clock: _Clock
) -> tuple[Made, Compiled]:
    """The program of a finished graph and all that is known of it, and where its kernels came
    from."""
    target = jit.host()
    with private_table(graph.nodes):
        outputs = separate(prepare(graph), signature.n_outputs)
        clock.mark("prepare")
        parts = partition(outputs)
        clock.mark("partition")
        views = viewer()
        updates = outputs[signature.n_outputs :]
        steps = fuse_products(parts, outputs, views, target)
        calls = lower_steps(order_updates(steps, updates), parts, views, target)
    calls = [_with_lanes(c, target) for c in calls]
    clock.mark("loops")
    found = compile_kernels(calls, target)
    kernels = found.kernels
    clock.mark("llvm")
    threads = min(options["threads"], LIMIT)
    assembly = assemble(signature, outputs, calls, kernels, graph.equations, threads)
    codes = tuple([c.code or k.name for c, k in zip(calls, kernels, strict=True)])
    entries = {k.name: k.entry for k in kernels if k.name}
    return Made(tuple(calls), assembly, codes, entries), found


def build_again(signature: Signature, options: dict[str, Any], graph: Graph) -> Made:
    """What `compile_llvm` makes of a graph, without the function."""
    return build(signature, graph, options, _Clock())[0]


def _stats(calls: Sequence[Call], found: Compiled, seconds: dict[str, float]) -> CompileStats:
    distinct = {c.key: k.bytes for c, k in zip(calls, found.kernels, strict=True)}
    return CompileStats(
        len(calls),
        len(distinct),
        found.compiled,
        seconds,
        found.from_disk,
        found.from_memory,
        sum(distinct.values()),
        cache_state(),
    )


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


def order_updates(steps: Sequence[Step], updates: Sequence[Tensor]) -> list[Step]:
    """The steps with those that only make new values of shared variables at the end."""
    wanted = set(updates)
    read: set[Tensor] = set()
    for step in steps:
        own = dict.fromkeys(members(step))
        read |= {s for m in own for i in m.inputs if (s := source_of(i)) not in own}

    def late(step: Step) -> bool:
        own = members(step)
        return any(m in wanted for m in own) and not any(m in read for m in own)

    return [s for s in steps if not late(s)] + [s for s in steps if late(s)]


def _with_lanes(call: Call, target: jit.Target) -> Call:
    """Scratch rows hold one value per lane where neighbouring rows run side by side."""
    nest = call.nest
    if nest is None or not nest.scratch:
        return call
    lanes = rows_saved(nest, target)
    params = tuple(
        PointerParam(p.node, p.offset, p.role, p.bytes * lanes)
        if isinstance(p, PointerParam) and p.role == "scratch"
        else p
        for p in call.params
    )
    return replace(call, params=params)


# ---- functions around a program ------------------------------------------------------------------


def is_varying(node: Tensor) -> bool:
    """Whether a node is a shared variable whose shape may change between calls."""
    return isinstance(node, SharedVariable) and any(isinstance(d, Size) for d in node.shape)


class WrappingFunction(Function):
    """A function that calls a native one, ``_run``, and does something around it.

    Shared variables enter ``_run`` as further inputs; `_hold` keeps them to this call meanwhile.
    """

    _run: Function
    _shared: list[SharedVariable]

    def _stand_ins(self) -> dict[Tensor, Tensor]:
        """An input for each shared variable."""
        return {s: leaf(leaves.input_, {}, s.type, s.name) for s in self._shared}

    def _hold(self) -> AbstractContextManager[None]:
        """No other call reads or changes the shared variables of this one."""
        return holding(v.cell for v in (*self._shared, *self.signature.updated))

    def _targets(self, given: Sequence[Any], out: Any) -> list[np.ndarray[Any, Any]] | None:
        """The arrays that the results are wanted in, once each is known to fit."""
        if out is None:
            return None
        stored = [s.cell.array for s in self._shared]
        pairs = zip((*self.signature.inputs, *self._shared), (*given, *stored), strict=True)
        sizes = bind_sizes((v, Extents(np.shape(a))) for v, a in pairs)
        return check_out(self.signature, self.graph.outputs, out, sizes)

    def peak_bytes(self, *arrays: Any, **sizes: int) -> int:
        """The bytes that a call holds at once, beside its arguments and shared variables."""
        stored = [s.cell.array for s in self._shared]
        if sizes or not arrays:
            own = {a.name for s in self._shared for d in s.shape for a in symbols_of(d)}
            fixed = bind_sizes(zip(self._shared, stored, strict=True))
            known = {a.name: n for a, n in fixed.items() if a.name in own - sizes.keys()}
            return self._run.peak_bytes(**known, **sizes)
        return self._run.peak_bytes(*arrays, *stored)

    @property
    def compile_stats(self) -> CompileStats:
        """What compiling the native function did."""
        run = self._run
        assert isinstance(run, (LLVMFunction, WrappingFunction))
        return run.compile_stats

    def release(self) -> None:
        """Let go of the memory kept for further calls: work memory and results nobody holds."""
        self._run.release()

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
        self._shared = [n for n in graph.nodes if isinstance(n, SharedVariable)]
        stand_ins = self._stand_ins()
        inputs = (*signature.inputs, *stand_ins.values())
        outputs = substitute(graph.outputs, stand_ins)
        inner = Signature(signature.name, inputs, len(outputs), "list", (), ())
        self._run = compile_llvm(
            inner, Graph(outputs, inputs, graph.equations), original, (), options
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature, out = self.signature, take_out(self.signature, kwargs)
        given = bind_arguments(signature.name, signature.inputs, args, kwargs)
        with self._hold():
            targets = self._targets(given, out)
            stored = [s.cell.array for s in self._shared]
            return self._deliver(self._run(*given, *stored), targets)


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
        self._shared = [n for n in graph.nodes if isinstance(n, SharedVariable)]
        self._watched = [n for n in graph.nodes if n.inputs and hasattr(n.type, "dtype")]
        stand_ins = self._stand_ins()
        everything = substitute([*graph.outputs, *self._watched], stand_ins)
        inputs = (*signature.inputs, *stand_ins.values())
        inner = Signature(signature.name, inputs, len(everything), "list", (), ())
        whole = Graph(everything, inputs, graph.equations)
        self._run = compile_llvm(inner, whole, original, (), {**options, "check_finite": False})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature, out = self.signature, take_out(self.signature, kwargs)
        given = bind_arguments(signature.name, signature.inputs, args, kwargs)
        count = len(self.graph.outputs)
        with self._hold():
            targets = self._targets(given, out)
            values = self._run(*given, *(s.cell.array for s in self._shared))
            for node, value in zip(self._watched, values[count:], strict=True):
                finite_observer(node, value)
            return self._deliver(values[:count], targets)
