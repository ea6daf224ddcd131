"""``function``: from symbolic inputs and outputs to a callable program."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.collection import paused_collection
from symgraph.errors import DTypeError, ShapeError, UsageError
from symgraph.functions import SharedVariable, as_tensor, broadcast_to
from symgraph.functions.variables import cast
from symgraph.graph import Graph, topological
from symgraph.loading import loading
from symgraph.ops import leaves
from symgraph.origins import Origin, current_origin, with_origin
from symgraph.passes.pipeline import Pipeline, pipeline_text, resolve_pipeline, run_passes
from symgraph.passes.rebuild import substitute
from symgraph.passes.stabilise import Known, look_up_by
from symgraph.passes.trace import Rewrite, warnings_given
from symgraph.program import Function, Signature
from symgraph.sizes import differ
from symgraph.tensor import Tensor, describe, private_table
from symgraph.types import TupleType, shape_text

if TYPE_CHECKING:
    from symgraph.passes.rules.ruleset import RuleSet

__all__ = ["evaluate_tensor", "function"]

BACKENDS = ("llvm", "reference")


def _stable_graph(outputs: Sequence[Tensor]) -> Known | None:
    with loading:
        from symgraph.backends.llvm.stable_graphs import look_up  # not needed to make graphs

    return look_up(outputs)


look_up_by(_stable_graph)


def function(
    inputs: Sequence[Tensor],
    outputs: Any,
    updates: Mapping[SharedVariable, Any] | None = None,
    givens: Mapping[Tensor, Any] | None = None,
    name: str | None = None,
    passes: str | Pipeline | RuleSet = "default",
    backend: str = "llvm",
    threads: int = 1,
    check_finite: bool = False,
) -> Function:
    """Compile ``outputs`` as a function of ``inputs``.

    Args:
        inputs: declared variables, in the order of the call; unused ones are still checked.
        outputs: one tensor, a list, tuple or dict of them (the call returns the same form), or
            None.
        updates: new values of shared variables, all computed from the old ones and stored after a
            call that succeeded.
        givens: variables to replace by other expressions before compiling.
        passes: ``"strict"``, ``"default"``, ``"fast"``, a set of rules such as
            ``sg.rules.default - "exp_log"``, or a tuple of passes.
        backend: ``"llvm"`` (native code) or ``"reference"`` (NumPy, node by node).
        threads: how many threads a call may use.
        check_finite: name the operation and line that made the first NaN or infinity, if any.

    Raises:
        UsageError, ShapeError, DTypeError: an argument does not fit; the message names it.

    >>> import symgraph as sg, numpy as np
    >>> x = sg.vector("x")
    >>> f = function([x], x * 2 + 1)
    >>> f(np.arange(3.0))
    array([1., 3., 5.])
    """
    if backend not in BACKENDS:
        raise UsageError(
            f"function: backend={backend!r} is not one of {', '.join(map(repr, BACKENDS))}"
        )
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise UsageError(f"function: threads={threads!r} is not a positive int")
    pipeline = resolve_pipeline(passes)
    options = {"threads": threads, "check_finite": check_finite}
    with paused_collection():
        return _compiled(inputs, outputs, updates, givens, name, pipeline, backend, options)


def _compiled(
    inputs: Sequence[Tensor], outputs: Any, updates: Any, givens: Any, name: str | None,
    pipeline: Pipeline, backend: str, options: dict[str, Any],
) -> Function:  # fmt: skip
    declared = _check_inputs(inputs)
    form, keys, results = _check_outputs(outputs)
    changed = _check_updates(updates)
    roots = [*results, *changed.values()]
    if givens:
        with private_table(topological(roots)):  # else sizes found while running would be remade
            roots = substitute(roots, _check_givens(givens))
    original = Graph(roots, declared)
    _check_reachable(original, declared)
    signature = Signature(name or "f", declared, len(results), form, keys, tuple(changed))
    if backend == "llvm" and not options["check_finite"]:
        return _cached(signature, original, pipeline, options)
    graph, rewrites = run_passes(original, pipeline)
    program: Function = _backend(backend)(signature, graph, original, rewrites, options)
    return program


def _cached(
    signature: Signature, original: Graph, pipeline: Pipeline, options: dict[str, Any]
) -> Function:
    """The native function: from the cache of programs, or compiled and left there."""
    with loading:
        from symgraph.backends.llvm import program_cache

    passes = pipeline_text(pipeline)
    ticket = None
    if passes is not None:
        ticket = program_cache.ticket_of(signature, original, passes, options["threads"])
    if ticket is not None:
        later = functools.partial(_passed_again, original, pipeline, current_origin())
        known = program_cache.recall(ticket, signature, original, later, options)
        if known is not None:
            return known
    warned = warnings_given()
    graph, rewrites = run_passes(original, pipeline)
    made: Function = _backend("llvm")(signature, graph, original, rewrites, options)
    if ticket is not None and warnings_given() == warned:
        program_cache.keep(ticket, made)
    return made


def _passed_again(
    original: Graph, pipeline: Pipeline, origin: Origin | None
) -> tuple[Graph, list[Rewrite]]:
    """What the passes make of a graph, as if they had run where its function was made."""
    with paused_collection(), with_origin(origin):
        return run_passes(original, pipeline)


def _backend(name: str) -> Any:
    with loading:
        if name == "reference":
            from symgraph.backends.reference.program import compile_reference

            return compile_reference
        from symgraph.backends.llvm.compile import compile_llvm

        return compile_llvm


def _check_inputs(inputs: Any) -> tuple[Tensor, ...]:
    if isinstance(inputs, Tensor) or not isinstance(inputs, (list, tuple)):
        raise UsageError(
            f"function: inputs={inputs!r} is not a list of variables; write function([x], ...)"
        )
    seen: set[Tensor] = set()
    for k, i in enumerate(inputs):
        if not isinstance(i, Tensor):
            raise UsageError(
                f"function: inputs[{k}] is {i!r}, not a variable; declare one with sg.tensor"
            )
        if i.op is leaves.shared:
            raise UsageError(
                f"function: inputs[{k}] is the shared variable {describe(i)}; leave it out, "
                "functions read shared variables by themselves"
            )
        if i.op is not leaves.input_:
            raise UsageError(
                f"function: inputs[{k}] is {describe(i)}, not a declared input; "
                "declare one and connect it with givens={expression: input}"
            )
        if i in seen:
            raise UsageError(
                f"function: {describe(i)} is listed twice among the inputs; list it once"
            )
        seen.add(i)
    return tuple(inputs)


def _check_outputs(outputs: Any) -> tuple[str, tuple[str, ...], list[Tensor]]:
    if outputs is None:
        return "none", (), []
    if isinstance(outputs, dict):
        return "dict", tuple(outputs), [_output(v, f"outputs[{k!r}]") for k, v in outputs.items()]
    if isinstance(outputs, (list, tuple)):
        form = "list" if isinstance(outputs, list) else "tuple"
        return form, (), [_output(v, f"outputs[{k}]") for k, v in enumerate(outputs)]
    return "one", (), [_output(outputs, "outputs")]


def _output(value: Any, what: str) -> Tensor:
    t = as_tensor(value, f"function: {what}")
    if isinstance(t.type, TupleType):
        raise UsageError(f"function: {what} has several results; take one with [0], [1], ...")
    return t


def _check_updates(updates: Any) -> dict[SharedVariable, Tensor]:
    if updates is None:
        return {}
    pairs = list(updates.items()) if isinstance(updates, Mapping) else updates
    if not isinstance(pairs, (list, tuple)) or not all(
        isinstance(p, tuple) and len(p) == 2 for p in pairs
    ):
        raise UsageError(
            f"function: updates={updates!r} is not a dictionary; write {{shared: new value}}"
        )
    out: dict[SharedVariable, Tensor] = {}
    for variable, value in pairs:
        if not isinstance(variable, SharedVariable):
            raise UsageError(
                f"function: updates has the key {variable!r}, which is not a shared variable; make "
                "one with sg.shared"
            )
        if variable in out:
            raise UsageError(f"function: {describe(variable)} is updated twice; keep one new value")
        out[variable] = _update_value(variable, as_tensor(value, "function: updates"))
    return out


def _update_value(variable: SharedVariable, value: Tensor) -> Tensor:
    what = f"function: the update of {describe(variable)}"
    if value.type.weak:
        value = cast(value, variable.dtype)
    if value.dtype != variable.dtype:
        raise DTypeError(
            f"{what} is {value.dtype.name}, not {variable.dtype.name}; cast it with astype"
        )
    if value.ndim != variable.ndim or any(
        differ(a, b) for a, b in zip(value.shape, variable.shape, strict=False)
    ):
        raise ShapeError(
            f"{what} has shape {shape_text(value.shape)}, not {shape_text(variable.shape)}; "
            "broadcast or reduce it"
        )
    return value if value.shape == variable.shape else broadcast_to(value, variable.shape)


def _check_givens(givens: Mapping[Tensor, Any]) -> dict[Tensor, Tensor]:
    if not isinstance(givens, Mapping):
        raise UsageError(
            f"function: givens={givens!r} is not a dictionary; write {{variable: expression}}"
        )
    out: dict[Tensor, Tensor] = {}
    for variable, value in givens.items():
        if not isinstance(variable, Tensor):
            raise UsageError(
                f"function: givens has the key {variable!r}, which is not a variable; use the "
                "variable itself"
            )
        new = as_tensor(value, "function: givens")
        if new.type.weak:
            new = cast(new, variable.dtype)
        what = f"function: givens replaces {describe(variable)} ({variable.type}) by {new.type}"
        if new.dtype != variable.dtype:
            raise DTypeError(f"{what}; cast it with astype")
        if new.ndim != variable.ndim or any(map(differ, new.shape, variable.shape)):
            raise ShapeError(f"{what}; the shapes must agree")
        out[variable] = new
    return out


def _check_reachable(graph: Graph, inputs: tuple[Tensor, ...]) -> None:
    given = set(inputs)
    for node in graph.nodes:
        if node.op is leaves.input_ and node not in given:
            raise UsageError(
                f"function: the outputs depend on {describe(node)}, which is not among the inputs; "
                "add it, or give it a value with givens="
            )


def evaluate_tensor(x: Tensor, values: Mapping[Tensor, Any] | None = None, **options: Any) -> Any:
    """The value of x, given arrays for the inputs it depends on."""
    if values is not None and not isinstance(values, Mapping):
        raise UsageError(f"eval: {values!r} is not a dictionary; write {{x: array}}")
    given = dict(values or {})
    for key in given:
        if not isinstance(key, Tensor):
            raise UsageError(f"eval: {key!r} is not a variable; pass a dictionary {{x: array}}")
    replaced = {k for k in given if k.op is not leaves.input_}
    needed = [n for n in topological([x], replaced) if n.op is leaves.input_]
    missing = [describe(n) for n in needed if n not in given]
    if missing:
        raise UsageError(f"eval: no value for {', '.join(missing)}; pass a dictionary {{x: array}}")
    leaves_given = [k for k in given if k.op is leaves.input_]
    others = {k: np.asarray(given[k]) for k in given if k in replaced}
    f = function(leaves_given, x, givens=others, **options)
    return f(*[given[k] for k in leaves_given])
